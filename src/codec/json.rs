//! Messages as JSON, in the words of Kafka's tools: compact, fields in the order of the schema
//! (Kafka 4.4 `JsonConverterGenerator`, Jackson's `JsonNode.toString`).

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{At, Field};

/// Begins a field: its name as Kafka spells it, from ours.
pub(crate) fn key(out: &mut String, name: &str) {
    if !out.ends_with('{') {
        out.push(',');
    }
    out.push('"');
    let mut is_start = false;
    // Kafka's schemas spell KRaft with two capitals, of which only the first is made small.
    let (head, name) = name.strip_prefix("kraft").map_or(("", name), |rest| ("kRaft", rest));
    out.push_str(head);
    for letter in name.trim_start_matches("r#").chars() {
        match letter {
            '_' => is_start = true,
            letter if is_start => {
                out.push(letter.to_ascii_uppercase());
                is_start = false;
            }
            letter => out.push(letter),
        }
    }
    out.push_str("\":");
}

pub(super) fn integer(out: &mut String, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _ = write!(out, "{value}");
}

/// As Java's `Double.toString` writes it: 1024.0, 1.048576E7.
pub(super) fn double(out: &mut String, value: f64) {
    let size = value.abs();
    let text = if value.is_nan() {
        "\"NaN\"".to_owned()
    } else if value.is_infinite() {
        if value > 0.0 { "\"Infinity\"".to_owned() } else { "\"-Infinity\"".to_owned() }
    } else if value == 0.0 || (1e-3..1e7).contains(&size) {
        format!("{value:?}")
    } else {
        let text = format!("{value:E}");
        if text.contains('.') { text } else { text.replace('E', ".0E") }
    };
    out.push_str(&text);
}

pub(super) fn text(out: &mut String, value: &str) {
    out.push('"');
    for letter in value.chars() {
        let escaped = match letter {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\u{8}' => "\\b",
            '\u{c}' => "\\f",
            letter if letter < ' ' => {
                let _ = write!(out, "\\u{:04X}", letter as u32);
                continue;
            }
            letter => {
                out.push(letter);
                continue;
            }
        };
        out.push_str(escaped);
    }
    out.push('"');
}

pub(super) fn bytes(out: &mut String, value: &[u8]) {
    out.push('"');
    STANDARD.encode_string(value, out);
    out.push('"');
}

pub(crate) fn nullable<T: Field>(out: &mut String, value: Option<&T>, at: At) {
    match value {
        Some(value) => value.write_json(out, at),
        None => out.push_str("null"),
    }
}

pub(super) fn array<T: Field>(out: &mut String, values: &[T], at: At) {
    out.push('[');
    for (index, value) in values.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        value.write_json(out, at);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn names_are_spelt_as_in_kafkas_schemas() {
        let spelt = |name| written(|out| key(out, name));
        assert_eq!(spelt("r#type"), r#","type":"#);
        assert_eq!(spelt("voter_directory_id"), r#","voterDirectoryId":"#);
        assert_eq!(spelt("kraft_version_feature"), r#","kRaftVersionFeature":"#);
    }

    #[test]
    fn doubles_are_written_as_java_writes_them() {
        let written = |value| written(|out| double(out, value));
        for (value, text) in [
            (0.0, "0.0"),
            (1024.0, "1024.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (10_485_760.0, "1.048576E7"),
            (-0.001, "-0.001"),
            (0.000_1, "1.0E-4"),
            (f64::MAX, "1.7976931348623157E308"),
        ] {
            assert_eq!(written(value), text);
        }
    }

    #[test]
    fn text_is_escaped_and_bytes_are_base64() {
        assert_eq!(written(|out| text(out, "a\"\\\n\u{1}\u{1f}ü")), r#""a\"\\\n\u0001\u001Fü""#);
        assert_eq!(written(|out| bytes(out, &[0xff, 0xfe])), r#""//4=""#);
    }
}

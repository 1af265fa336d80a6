//! Files in Java's `.properties` format, and settings from elsewhere on top of them.

use std::sync::Arc;

use indexmap::IndexMap;

use super::error::StartError;
use super::origin::Origin;

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its value, as text.
    pub value: String,
    /// Where it comes from.
    pub origin: Origin,
}

/// Settings by key, in the order in which they were first made. The last value of a key counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    settings: IndexMap<String, Setting>,
    replaced: Vec<(String, Setting)>,
}

impl Properties {
    /// Reads a file's bytes as Java's `Properties.load(InputStream)` does: ISO 8859-1, comments
    /// with `#` and `!`, lines continued by a backslash at their end, keys up to `=`, `:` or white
    /// space, escapes with a backslash. `path` is what messages call the file.
    pub fn parse(path: &str, bytes: &[u8]) -> Result<Self, StartError> {
        let path: Arc<str> = path.into();
        let mut properties = Self::default();
        for (line, text) in logical_lines(bytes) {
            let origin = Origin::File { path: path.clone(), line };
            let (key, value) = split(&text);
            let decode = |text: &[char]| {
                unescape(text)
                    .map_err(|problem| StartError::Syntax { origin: origin.clone(), problem })
            };
            properties.set(decode(key)?, decode(value)?, origin.clone());
        }
        Ok(properties)
    }

    /// Reads the argument of `--override`: `KEY=VALUE`.
    pub fn set_override(&mut self, argument: &str) -> Result<(), StartError> {
        let Some((key, value)) = argument.split_once('=') else {
            return Err(StartError::Syntax {
                origin: Origin::Override,
                problem: format!("{argument}: must be KEY=VALUE"),
            });
        };
        self.set(key.trim().to_owned(), value.to_owned(), Origin::Override);
        Ok(())
    }

    /// Sets a key; a former value of it counts no more.
    pub fn set(&mut self, key: String, value: String, origin: Origin) {
        let setting = Setting { value, origin };
        if let Some(former) = self.settings.insert(key.clone(), setting) {
            self.replaced.push((key, former));
        }
    }

    /// The setting of a key.
    pub fn get(&self, key: &str) -> Option<&Setting> {
        self.settings.get(key)
    }

    /// Whether a key is set.
    pub fn contains(&self, key: &str) -> bool {
        self.settings.contains_key(key)
    }

    /// All settings.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Setting)> {
        self.settings.iter().map(|(key, setting)| (key.as_str(), setting))
    }

    /// Settings that count no more since the same file set their key again further down.
    pub fn duplicates(&self) -> impl Iterator<Item = (&str, &Setting)> {
        let in_same_file = |key: &str, former: &Setting| match (&former.origin, self.get(key)) {
            (Origin::File { path: old, .. }, Some(now)) => {
                matches!(&now.origin, Origin::File { path: new, .. } if old == new)
            }
            _ => false,
        };
        self.replaced
            .iter()
            .filter(move |(key, former)| in_same_file(key, former))
            .map(|(key, former)| (key.as_str(), former))
    }
}

fn is_white(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\x0c')
}

/// The lines without comments, blank ones and the ends of continued ones, each with the number of
/// its first line. Escapes are still in them.
fn logical_lines(bytes: &[u8]) -> Vec<(usize, Vec<char>)> {
    let text: String = bytes.iter().map(|byte| char::from(*byte)).collect();
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let mut lines = Vec::new();
    let mut open: Option<(usize, Vec<char>)> = None;
    for (at, line) in text.split('\n').enumerate() {
        let line = line.trim_start_matches(is_white);
        let is_comment = line.starts_with(['#', '!']);
        // A line that so far has nothing but continuations is not begun yet.
        let (number, mut content) = match open.take() {
            Some((number, content)) if !content.is_empty() => (number, content),
            _ if line.is_empty() || is_comment => continue,
            begun => (begun.map_or(at + 1, |(number, _)| number), Vec::new()),
        };
        let backslashes = line.chars().rev().take_while(|c| *c == '\\').count();
        let is_continued = backslashes % 2 == 1;
        let line = if is_continued { &line[..line.len() - 1] } else { line };
        content.extend(line.chars());
        if is_continued {
            open = Some((number, content));
        } else {
            lines.push((number, content));
        }
    }
    lines.extend(open);
    lines
}

/// The key and the value of a line: the key ends at the first `=`, `:` or white space that has no
/// backslash before it.
fn split(line: &[char]) -> (&[char], &[char]) {
    let mut key_end = 0;
    while key_end < line.len() {
        match line[key_end] {
            '=' | ':' => break,
            c if is_white(c) => break,
            '\\' => key_end += 2,
            _ => key_end += 1,
        }
    }
    let key_end = key_end.min(line.len());
    let mut start = key_end;
    let mut has_separator = false;
    while start < line.len() {
        match line[start] {
            c if is_white(c) => start += 1,
            '=' | ':' if !has_separator => {
                has_separator = true;
                start += 1;
            }
            _ => break,
        }
    }
    (&line[..key_end], &line[start..])
}

fn unescape(text: &[char]) -> Result<String, String> {
    let mut units: Vec<u16> = Vec::with_capacity(text.len());
    let mut chars = text.iter().copied();
    while let Some(c) = chars.next() {
        if c != '\\' {
            units.extend(c.encode_utf16(&mut [0; 2]).iter());
            continue;
        }
        match chars.next() {
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let is_hex = digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_hexdigit());
                let unit = u16::from_str_radix(&digits, 16).ok().filter(|_| is_hex);
                units.push(unit.ok_or_else(|| {
                    format!("\\u{digits}: must be \\u and four hexadecimal digits")
                })?);
            }
            Some('t') => units.push(u16::from(b'\t')),
            Some('n') => units.push(u16::from(b'\n')),
            Some('r') => units.push(u16::from(b'\r')),
            Some('f') => units.push(0x0c),
            Some(other) => units.extend(other.encode_utf16(&mut [0; 2]).iter()),
            None => {}
        }
    }
    Ok(String::from_utf16_lossy(&units))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String, usize)> {
        let properties = Properties::parse("f", text.as_bytes()).unwrap();
        let line = |origin: &Origin| match origin {
            Origin::File { line, .. } => *line,
            _ => 0,
        };
        properties
            .iter()
            .map(|(key, setting)| (key.to_owned(), setting.value.clone(), line(&setting.origin)))
            .collect()
    }

    fn pairs(text: &str) -> Vec<(String, String)> {
        read(text).into_iter().map(|(key, value, _)| (key, value)).collect()
    }

    #[test]
    fn a_key_ends_at_an_equals_sign_a_colon_or_white_space() {
        for text in ["a=b", "a:b", "a b", " a = b", "a\t:\t b", "a \x0c b", "\ta  =b"] {
            assert_eq!(pairs(text), [("a".to_owned(), "b".to_owned())], "{text:?}");
        }
        assert_eq!(pairs("a = = b"), [("a".to_owned(), "= b".to_owned())]);
        assert_eq!(pairs("a=b:c=d "), [("a".to_owned(), "b:c=d ".to_owned())]);
        assert_eq!(pairs("a\nb=\n=c"), [("a", ""), ("b", ""), ("", "c")].map(own));
    }

    fn own(pair: (&str, &str)) -> (String, String) {
        (pair.0.to_owned(), pair.1.to_owned())
    }

    #[test]
    fn comments_and_blank_lines_are_skipped_and_lines_are_counted_from_one() {
        let text = "# one\n\n  ! three = 3\r\n a=1\r# five\nb=2 # not a comment";
        assert_eq!(
            read(text),
            [
                ("a".to_owned(), "1".to_owned(), 4),
                ("b".to_owned(), "2 # not a comment".to_owned(), 6)
            ]
        );
    }

    #[test]
    fn a_backslash_at_the_end_continues_a_line_without_the_space_before_the_next() {
        let text = "a=1,\\\n    2,\\\r\n\t3\nb=\\\\\nc=4\\\n# 5\nd=6\\\n\ne=7\\";
        assert_eq!(
            pairs(text),
            [("a", "1,2,3"), ("b", "\\"), ("c", "4# 5"), ("d", "6"), ("e", "7")].map(own)
        );
        assert_eq!(read("\\\nx=1\ny=2")[1].2, 3);
        assert_eq!(pairs("\\\n#a=1\n\\\n\nb=2"), [own(("b", "2"))], "nothing was continued");
    }

    #[test]
    fn escapes_give_what_java_makes_of_them() {
        let text = "a\\=b\\:c\\ d=\\t\\n\\r\\f\\q\\\\\\u00e9\\ud83d\\ude00\\ud83d";
        assert_eq!(pairs(text), [("a=b:c d", "\t\n\r\x0cq\\\u{e9}\u{1f600}\u{fffd}")].map(own));
    }

    #[test]
    fn a_broken_unicode_escape_is_refused_with_its_line() {
        for text in ["x=1\n\na=\\u12", "x=1\n\na=\\u12g4", "x=1\n\n\\uzzzz=1"] {
            let error = Properties::parse("server.properties", text.as_bytes()).unwrap_err();
            assert!(error.to_string().starts_with("server.properties:3: \\u"), "{error}");
        }
    }

    #[test]
    fn bytes_are_latin_1_as_java_reads_them() {
        let properties = Properties::parse("f", b"a=\xe9\xff").unwrap();
        assert_eq!(properties.get("a").unwrap().value, "\u{e9}\u{ff}");
    }

    #[test]
    fn the_last_value_of_a_key_counts_and_the_former_is_remembered() {
        let mut properties = Properties::parse("f", b"a=1\nb=2\na=3").unwrap();
        assert_eq!(properties.get("a").unwrap().value, "3");
        let duplicates: Vec<_> = properties.duplicates().map(|(k, s)| (k, &*s.value)).collect();
        assert_eq!(duplicates, [("a", "1")]);
        properties.set_override("b = 4").unwrap();
        let b = properties.get("b").unwrap();
        assert_eq!((b.value.as_str(), b.origin.to_string().as_str()), (" 4", "--override"));
        assert_eq!(properties.duplicates().count(), 1, "an override is no mistake");
        let error = properties.set_override("c").unwrap_err();
        assert_eq!(error.to_string(), "--override: c: must be KEY=VALUE");
    }
}

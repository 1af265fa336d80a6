//! Where a share group begins to read (Kafka 4.4 `ShareGroupAutoOffsetResetStrategy`).

use super::value::{FromValue, Value};

/// `share.auto.offset.reset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AutoOffsetReset {
    /// At the end of the log.
    Latest,
    /// At its start.
    Earliest,
    /// At the first record that is no older than this many milliseconds.
    ByDuration(i64),
}

impl AutoOffsetReset {
    /// Reads `latest`, `earliest` or `by_duration:` and an ISO 8601 duration.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "latest" => Some(Self::Latest),
            "earliest" => Some(Self::Earliest),
            _ => {
                let duration = parse_duration(text.strip_prefix("by_duration:")?)?;
                (duration >= 0).then_some(Self::ByDuration(duration))
            }
        }
    }
}

impl FromValue for AutoOffsetReset {
    fn from_value(value: &Value) -> Self {
        // The check of the key has let nothing else through.
        Self::parse(&String::from_value(value)).unwrap_or(Self::Latest)
    }
}

/// Milliseconds of an ISO 8601 duration as Java's `Duration.parse` takes it: days, hours, minutes
/// and seconds, each with a sign, of which the last may have a fraction.
fn parse_duration(text: &str) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let (negative, text) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text.as_str()),
    };
    let text = text.strip_prefix('P')?;
    let (days, time) = match text.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, Some(time)),
        Some(_) => return None,
        None => (text, None),
    };
    let mut total: i64 = 0;
    let mut parts = 0;
    for (mut rest, units) in [
        (days, &[('D', 86_400_000)][..]),
        (time.unwrap_or(""), &[('H', 3_600_000), ('M', 60_000), ('S', 1000)]),
    ] {
        for (unit, milliseconds) in units {
            let Some((number, after)) = rest.split_once(*unit) else { continue };
            let (whole, fraction) = match number.split_once(['.', ',']) {
                Some((whole, fraction)) if *unit == 'S' && fraction.len() <= 9 => (whole, fraction),
                Some(_) => return None,
                None => (number, ""),
            };
            let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
            if digits.is_empty() || !is_number(digits) || !is_number(fraction) {
                return None;
            }
            let milli: i64 = format!("{fraction:0<3}")[..3].parse().ok()?;
            let milli = if whole.starts_with('-') { -milli } else { milli };
            let whole: i64 = whole.parse().ok()?;
            total = total.checked_add(whole.checked_mul(*milliseconds)?)?.checked_add(milli)?;
            parts += 1;
            rest = after;
        }
        if !rest.is_empty() {
            return None;
        }
    }
    if parts == 0 {
        return None;
    }
    if negative { total.checked_neg() } else { Some(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_that_java_takes() {
        for (text, duration) in [
            ("PT0S", Some(0)),
            ("P1D", Some(86_400_000)),
            ("PT1H", Some(3_600_000)),
            ("P1DT2H3M4.5S", Some(93_784_500)),
            ("pt1,25s", Some(1250)),
            ("PT-1H+2M", Some(-3_480_000)),
            ("-PT1M", Some(-60_000)),
            ("PT0.0019S", Some(1)),
            ("PT-0.5S", Some(-500)),
            ("", None),
            ("P", None),
            ("PT", None),
            ("P1H", None),
            ("PT1D", None),
            ("PT1M1H", None),
            ("PT1.5H", None),
            ("PT1", None),
            ("PT9999999999999999999S", None),
            ("1H", None),
        ] {
            assert_eq!(parse_duration(text), duration, "{text}");
        }
    }

    #[test]
    fn a_share_group_begins_at_an_end_or_a_duration_that_is_not_negative() {
        assert_eq!(AutoOffsetReset::parse("latest"), Some(AutoOffsetReset::Latest));
        assert_eq!(AutoOffsetReset::parse("earliest"), Some(AutoOffsetReset::Earliest));
        assert_eq!(
            AutoOffsetReset::parse("by_duration:PT1H"),
            Some(AutoOffsetReset::ByDuration(3_600_000))
        );
        for text in ["none", "Latest", "by_duration", "by_duration:", "by_duration:-PT1H"] {
            assert_eq!(AutoOffsetReset::parse(text), None, "{text}");
        }
    }
}

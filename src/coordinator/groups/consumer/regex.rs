//! Subscriptions by pattern: which topics a regular expression matches (Kafka 4.4
//! `TopicRegexResolver`). Their syntax is RE2's (`re2.rs`), linear in what is matched, there as here.

use std::collections::BTreeSet;

use ::regex::{Regex, RegexBuilder};

use super::command::{Refused, TopicFilter};
use super::re2::translate;
use crate::metadata::MetadataImage;
use crate::types::{ErrorCode, Offset, Timestamp};

/// The most memory that a compiled expression may take, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;
/// The longest expression that is looked at. Most that are longer take more memory than that.
const PATTERN_BYTES_MAX: usize = 16 << 10;

/// The topics that an expression matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvedRegex {
    pub(super) topics: BTreeSet<String>,
    /// The metadata that it was matched against.
    pub(super) version: Offset,
    pub(super) at: Timestamp,
}

/// Matches an expression against all topics in sight, whole names.
pub(super) fn resolve(
    pattern: &str,
    image: &MetadataImage,
    topic_filter: &TopicFilter,
    now: Timestamp,
) -> Result<ResolvedRegex, Refused> {
    let whole = compile(pattern)?;
    let names = image.topics.iter_by_name().map(|topic| &*topic.name);
    let matched = names.filter(|name| whole.is_match(name) && topic_filter.allows(name));
    let topics = matched.map(ToOwned::to_owned).collect();
    Ok(ResolvedRegex { topics, version: image.offset, at: now })
}

fn compile(pattern: &str) -> Result<Regex, Refused> {
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(COMPILED_BYTES_MAX).build();
    let compiled = if pattern.len() > PATTERN_BYTES_MAX {
        Err(format!("it is longer than {PATTERN_BYTES_MAX} bytes"))
    } else {
        translate(pattern).map_err(|error| error.to_string()).and_then(|plain| {
            // By itself first: what closes a group that is opened around it is no expression.
            let whole = build(&plain).and_then(|_| build(&format!("^(?:{plain})$")));
            whole.map_err(|error| error.to_string())
        })
    };
    compiled.map_err(|why| {
        let message =
            format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {why}.");
        Refused::new(ErrorCode::InvalidRegularExpression, message)
    })
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use proptest::prelude::*;

    use super::*;

    const TOPICS: [&str; 10] =
        ["abc", "a.b", "a-b_1", "A1", "a&b", "topic", "aa", "a", "x{2}", "A"];

    /// What RE2/J 1.8 says of an expression: which of the names above it matches, or that it is
    /// none.
    #[rustfmt::skip]
    const OF_RE2J: &[(&str, &str)] = &[
        (r"\p{L}+", "1000011101"),
        (r"\pL+", "1000011101"),
        (r"\p{Lu}\d", "0001000000"),
        (r"\P{Lu}+", "1110111110"),
        (r"\p{^Lu}+", "1110111110"),
        (r"\p{Greek}+", "0000000000"),
        (r"\p{greek}", "-"),
        (r"\p{Letter}", "-"),
        (r"\p{Alphabetic}", "-"),
        (r"\p{Any}+", "1111111111"),
        (r"\p{any}", "-"),
        (r"\p{Cs}", "0000000000"),
        (r"\p{LC}", "-"),
        (r"\p{Lx}", "-"),
        (r"\pLu", "0000000000"),
        (r"[\p{L}.]+", "1100011101"),
        (r"[\PL]+", "0000000000"),
        (r"[[:alpha:].]+", "1100011101"),
        (r"[[:^alpha:]]", "0000000000"),
        (r"[[:foo:]]", "-"),
        (r"[a&&b]+", "0000101100"),
        (r"[a-z&&[^b]]+", "0000000000"),
        (r"[a--b]+", "-"),
        (r"[]a]+", "0000001100"),
        (r"[^]a]+", "0001010011"),
        (r"[a-]+b?", "0000001100"),
        (r"[-ab_\d]+", "0010001100"),
        (r"[a", "-"),
        (r"[z-a]", "-"),
        (r"[\d-z]+", "0000000000"),
        (r"[a-\d]+", "-"),
        (r"[\b]", "-"),
        (r"[a[b]+", "0000001100"),
        (r"a**", "-"),
        (r"a*+", "-"),
        (r"a+?", "0000001100"),
        (r"a{2}{3}", "-"),
        (r"a{2}?", "0000001000"),
        (r"a{2}??", "-"),
        (r"a{1001}", "-"),
        (r"a{1000}", "0000000000"),
        (r"a{2,1}", "-"),
        (r"a{,2}", "0000000000"),
        (r"a{", "0000000000"),
        (r"x{2}", "0000000000"),
        (r"x\{2\}", "0000000010"),
        (r"x{2", "0000000000"),
        (r"a{02}", "0000000000"),
        (r"(?i)topic", "0000010000"),
        (r"(?i:TOPIC)", "0000010000"),
        (r"(?x)a b c", "-"),
        (r"(?u)abc", "-"),
        (r"(?P<n>abc)", "1000000000"),
        (r"(?<n>abc)", "1000000000"),
        (r"(?<n>a)(?<n>b)c", "-"),
        (r"(?P<1>abc)", "1000000000"),
        (r"(?=a)abc", "-"),
        (r"(?!a)abc", "-"),
        (r"(?<=a)b", "-"),
        (r"(a)\1", "-"),
        (r"\141", "0000000100"),
        (r"\0141", "0000000000"),
        (r"\07", "0000000000"),
        (r"\1", "-"),
        (r"\x61", "0000000100"),
        (r"\x{61}", "0000000100"),
        (r"\u0061", "-"),
        (r"\_", "0000000000"),
        (r"a\-b\_1", "0010000000"),
        (r"\<a", "0000000000"),
        (r"\bа", "0000000000"),
        (r"\babc\b", "1000000000"),
        (r"\b{2}abc", "1000000000"),
        (r"\Aabc\z", "1000000000"),
        (r"abc\Z", "-"),
        (r"\Cbc", "-"),
        (r"\e", "-"),
        (r"\cA", "-"),
        (r"\Qa.b\E", "0100000000"),
        (r"\Qa.b", "0100000000"),
        (r"a\E", "-"),
        (r"abc\", "-"),
        (r"()", "0000000000"),
        (r"(|abc)", "1000000000"),
        (r"(", "-"),
        (r")", "-"),
        (r"abc)", "-"),
        (r"a|*", "-"),
        (r"*a", "-"),
        (r"^*abc", "1000000000"),
        (r"(?i)*", "-"),
        (r"abc$", "1000000000"),
        (r"^abc$", "1000000000"),
        (r".*", "1111111111"),
        (r".*+", "-"),
        (r"\w+", "1001011101"),
        (r"\W", "0000000000"),
        (r"\h", "-"),
        (r"\Ra", "-"),
        (r"\Xa", "-"),
        (r"\N", "-"),
        (r"(?)abc", "1000000000"),
        (r"(?-)abc", "-"),
        (r"(?i-)abc", "-"),
        (r"(?i-s:ABC)", "1000000000"),
        (r"(?U)a+", "0000001100"),
        (r"a??bc", "1000000000"),
        (r"[[=a=]]", "0000000000"),
        (r"[[.a.]]", "0000000000"),
        (r"]", "0000000000"),
        (r"}", "0000000000"),
        (r"a\é", "0000000000"),
        (r"é", "0000000000"),
        (r"\x{110000}", "-"),
        (r"(?i)[A-C]+", "1000001101"),
        (r"[\Qa\E]+", "-"),
        (r"[a-\x63]+", "1000001100"),
        (r"[\141-\143]+", "1000001100"),
        (r"[^\d]+", "1100111101"),
        (r"[:alpha:]", "0000000100"),
        (r"[[:alpha:]-z]+", "1000011101"),
        (r"[[:word:].]+", "1101011101"),
        (r"(a", "-"),
        (r"(?:a)", "0000000100"),
        (r"(?:a", "-"),
        (r"a|b|", "0000000100"),
    ];

    #[test]
    fn an_expression_is_one_if_it_is_one_for_kafka_and_matches_the_same_topics() {
        let mut otherwise = String::new();
        for (pattern, expected) in OF_RE2J {
            let found = match compile(pattern) {
                Err(_) => "-".to_owned(),
                Ok(whole) => {
                    let matched = TOPICS.iter().map(|topic| whole.is_match(topic));
                    matched.map(|matches| if matches { '1' } else { '0' }).collect()
                }
            };
            if found != *expected {
                let _ = writeln!(otherwise, "{pattern}: {found}, not {expected}");
            }
        }
        assert!(otherwise.is_empty(), "{otherwise}");
    }

    #[test]
    fn an_expression_that_would_take_much_memory_is_none() {
        for pattern in ["a".repeat(PATTERN_BYTES_MAX + 1), "((a{100}){100}){100}".to_owned()] {
            let refused = compile(&pattern).unwrap_err();
            assert_eq!(refused.error, ErrorCode::InvalidRegularExpression);
        }
    }

    /// What a pattern may be made of, and is seldom.
    const PIECES: &[&str] = &[
        "a", "B", "1", "-", "_", ".", "é", "\\", "[", "]", "[:", ":]", "^", "$", "(", ")", "?",
        "(?", "<", ">", "i", "P", "*", "+", "{", "}", ",", "2", "|", "&&", "~~", "--", "\\Q",
        "\\E", "\\p", "\\P{", "Lu", "Greek", "\\x", "\\d", "\\b", "alpha", "#", " ", "\n", "\0",
    ];

    proptest! {
        #[test]
        fn whatever_a_client_sends_is_an_expression_or_is_refused(
            pieces in prop::collection::vec(prop::sample::select(PIECES), 0..16)
        ) {
            if let Ok(whole) = compile(&pieces.concat()) {
                whole.is_match("a.b-1_B");
            }
        }
    }
}

//! Subscriptions by pattern: which topics a regular expression matches (Kafka 4.4
//! `TopicRegexResolver`). Their syntax is RE2's, linear in what is matched, there as here.

use std::collections::BTreeSet;

use ::regex::{Regex, RegexBuilder};

use super::command::{Refused, Sight};
use crate::metadata::MetadataImage;
use crate::types::{ErrorCode, Offset, Timestamp};

/// The most memory that a compiled expression may take, in bytes.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// The topics that an expression matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Resolved {
    pub(super) topics: BTreeSet<String>,
    /// The metadata that it was matched against.
    pub(super) version: Offset,
    pub(super) at: Timestamp,
}

/// Matches an expression against all topics in sight, whole names.
pub(super) fn resolve(
    pattern: &str,
    image: &MetadataImage,
    sight: &Sight,
    now: Timestamp,
) -> Result<Resolved, Refused> {
    let whole = compile(pattern)?;
    let names = image.topics.iter_by_name().map(|topic| &*topic.name);
    let matched = names.filter(|name| whole.is_match(name) && sight.sees(name));
    let topics = matched.map(ToOwned::to_owned).collect();
    Ok(Resolved { topics, version: image.offset, at: now })
}

fn compile(pattern: &str) -> Result<Regex, Refused> {
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(COMPILED_BYTES_MAX).build();
    let unquoted = unquoted(pattern);
    // By itself first: what closes a group that is opened around it is no expression.
    let whole = build(&unquoted).and_then(|_| build(&format!("^(?:{unquoted})$")));
    whole.map_err(|error| {
        let message =
            format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {error}.");
        Refused::new(ErrorCode::InvalidRegularExpression, message)
    })
}

/// With what `\Q` and `\E` quote, as Java's `Pattern.quote` has it, escaped character by character.
fn unquoted(pattern: &str) -> String {
    let mut plain = String::with_capacity(pattern.len());
    let mut rest = pattern;
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        if let Some(quoted) = rest.strip_prefix("\\Q") {
            let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
            plain.push_str(&::regex::escape(literal));
            rest = after;
        } else {
            let escape: usize = rest.chars().take(2).map(char::len_utf8).sum();
            plain.push_str(&rest[..escape]);
            rest = &rest[escape..];
        }
    }
    plain + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_quoted_means_itself() {
        for (pattern, plain) in [
            ("orders-.*", "orders-.*"),
            (r"\Qa.b\E.*", r"a\.b.*"),
            (r"a\\Qb", r"a\\Qb"),
            (r"x\Q(", r"x\("),
            (r"\d+\Q\E", r"\d+"),
            ("\\", "\\"),
        ] {
            assert_eq!(unquoted(pattern), plain, "{pattern}");
        }
        assert!(compile(r"\Qa.b\E").unwrap().is_match("a.b"));
        assert!(!compile(r"\Qa.b\E").unwrap().is_match("axb"));
    }
}

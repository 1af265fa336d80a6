//! Subscriptions by pattern: which topics a regular expression matches (Kafka 4.4
//! `TopicRegexResolver`). Their syntax is RE2's, linear in what is matched, there as here.

use std::collections::BTreeSet;

use ::regex::{Regex, RegexBuilder};

use super::command::Refused;
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

/// Matches an expression against all topics, whole names.
pub(super) fn resolve(
    pattern: &str,
    image: &MetadataImage,
    now: Timestamp,
) -> Result<Resolved, Refused> {
    let whole = compile(pattern)?;
    let names = image.topics.iter_by_name().map(|topic| &*topic.name);
    let topics = names.filter(|name| whole.is_match(name)).map(ToOwned::to_owned).collect();
    Ok(Resolved { topics, version: image.offset, at: now })
}

fn compile(pattern: &str) -> Result<Regex, Refused> {
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(COMPILED_BYTES_MAX).build();
    // By itself first: what closes a group that is opened around it is no expression.
    let whole = build(pattern).and_then(|_| build(&format!("^(?:{pattern})$")));
    whole.map_err(|error| {
        let message =
            format!("SubscribedTopicRegex `{pattern}` is not a valid regular expression: {error}.");
        Refused::new(ErrorCode::InvalidRegularExpression, message)
    })
}

//! What consumers tell one another inside JoinGroup and SyncGroup: the consumer protocol that is
//! embedded in the classic one (Kafka 4.4 `ConsumerProtocol`). The coordinator looks into it where
//! members of both protocols share a group.

// The names of the fields are those of Kafka's schemas, and say what they hold.
#![allow(missing_docs)]

use std::collections::BTreeMap;

use bytes::Bytes;

use super::consumer::Assignment;
use crate::codec::{At, Field, Reader, Writer, messages};
use crate::coordinator::records::NEVER;
use crate::metadata::MetadataImage;

/// The newest version. What is newer is read as this one: versions only add fields at the end.
const VERSION_MAX: i16 = 3;

messages! {
    /// What a member reads, and what it has.
    pub struct Subscription: 0..=VERSION_MAX, flexible NEVER; {
        topics: Vec<String> = 0..;
        user_data: Option<Bytes> = 0..;
        owned_partitions: Vec<TopicPartitions> = 1.., [ignorable];
        generation_id: i32 = 2.., default -1, [ignorable];
        rack_id: Option<String> = 3.., [ignorable];
    }
    /// What a member is given.
    pub struct GivenPartitions: 0..=VERSION_MAX, flexible NEVER; {
        assigned_partitions: Vec<TopicPartitions> = 0..;
        user_data: Option<Bytes> = 0..;
    }
    /// Part of both.
    pub struct TopicPartitions: 0..=VERSION_MAX, flexible NEVER; {
        topic: String = 0..;
        partitions: Vec<i32> = 0..;
    }
}

/// The version that precedes a text.
fn version_of(bytes: &[u8]) -> Option<i16> {
    Reader::new(bytes).i16().ok()
}

fn decode<M: Field>(bytes: &[u8]) -> Option<M> {
    let mut reader = Reader::new(bytes);
    let version = reader.i16().ok().filter(|version| *version >= 0)?;
    let at = At { version: version.min(VERSION_MAX), flexible: false };
    M::read(&mut reader, at).ok()
}

/// What a member reads; `None` where these are not the words of a consumer.
pub(super) fn subscription(bytes: &[u8]) -> Option<Subscription> {
    decode(bytes)
}

/// What a member is given; `None` where these are not the words of a consumer.
pub(super) fn given(bytes: &[u8]) -> Option<GivenPartitions> {
    decode(bytes)
}

/// Tells a member what it is given, in the version of its own subscription.
pub(super) fn give(assignment: &Assignment, image: &MetadataImage, subscription: &[u8]) -> Bytes {
    let version = version_of(subscription).unwrap_or(0).clamp(0, VERSION_MAX);
    let named = assignment.iter().filter_map(|(id, partitions)| {
        let topic = image.topics.by_id(*id)?.name.to_string();
        Some(TopicPartitions { topic, partitions: partitions.clone() })
    });
    let given = GivenPartitions { assigned_partitions: named.collect(), user_data: None };
    let mut writer = Writer::new();
    let at = At { version, flexible: false };
    let written = version.write(&mut writer, at).and_then(|()| given.write(&mut writer, at));
    // Only names of topics could be too long, and they are not.
    if written.is_err() {
        return Bytes::new();
    }
    writer.into_bytes().freeze()
}

/// Partitions by the ids of their topics, those of topics that exist; the first of two entries of
/// one topic counts.
pub(super) fn by_id(named: &[TopicPartitions], image: &MetadataImage) -> Assignment {
    let mut assignment = BTreeMap::new();
    for TopicPartitions { topic, partitions } in named {
        let Some(topic) = image.topics.by_name(topic) else { continue };
        let mut partitions = partitions.clone();
        partitions.sort_unstable();
        partitions.dedup();
        assignment.entry(topic.id).or_insert(partitions);
    }
    assignment.retain(|_, partitions| !partitions.is_empty());
    assignment
}

/// What a member of these topics, which has these partitions, says.
#[cfg(test)]
pub(super) fn words(topics: &[&str], owned: &[(&str, &[i32])]) -> Bytes {
    let subscription = Subscription {
        topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        owned_partitions: owned
            .iter()
            .map(|(topic, partitions)| TopicPartitions {
                topic: (*topic).to_owned(),
                partitions: partitions.to_vec(),
            })
            .collect(),
        ..Subscription::default()
    };
    let mut writer = Writer::new();
    let at = At { version: VERSION_MAX, flexible: false };
    VERSION_MAX.write(&mut writer, at).unwrap();
    subscription.write(&mut writer, at).unwrap();
    writer.into_bytes().freeze()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_subscription_is_read_as_far_as_it_is_known() {
        let words = b"\x00\x07\x00\x00\x00\x01\x00\x01t\xff\xff\xff\xff\
            \x00\x00\x00\x01\x00\x01t\x00\x00\x00\x01\x00\x00\x00\x05\
            \x00\x00\x00\x09\x00\x01r and more";
        let known = subscription(words).unwrap();
        assert_eq!((&*known.topics[0], known.generation_id), ("t", 9));
        assert_eq!(
            (known.owned_partitions[0].partitions[0], known.rack_id.as_deref()),
            (5, Some("r"))
        );
        assert_eq!(
            subscription(b"\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff").unwrap().topics.len(),
            0
        );
        for nonsense in
            [&b""[..], b"\x00", b"\xff\xff\x00\x00\x00\x00", b"\x00\x00\x7f\xff\xff\xff"]
        {
            assert_eq!(subscription(nonsense), None, "{nonsense:?}");
        }
    }
}

//! Produce v3-13, read and written by hand: it is the hot path.
//!
//! The request is scanned for the byte ranges of its batches, which stay in the frame that the
//! socket filled; the response is written in one go. Tested against the message library.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use crate::codec::{CodecError, Reader, Writer};
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, TopicId};

/// The first flexible version.
const FLEXIBLE: i16 = 9;
/// Topics are named by id from this version on.
const TOPIC_IDS: i16 = 13;

/// How a request names a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef {
    /// The bytes of its name, as a range of the body: UTF-8, checked.
    Name(Range<usize>),
    /// Its id.
    Id(TopicId),
}

/// The records for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionRecords {
    /// Which topic of [`ProduceRequest::topics`].
    pub topic: usize,
    /// The partition.
    pub index: PartitionIndex,
    /// The bytes of its records, as a range of the body; empty when null.
    pub records: Range<usize>,
}

/// A Produce request, as ranges of its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProduceRequest {
    /// The transactional id, as a range of the body.
    pub transactional_id: Option<Range<usize>>,
    /// -1, 0 or 1; anything else is refused by the handler.
    pub acks: i16,
    /// How long to wait for replicas.
    pub timeout_ms: i32,
    /// The topics, in the order of the request.
    pub topics: Vec<TopicRef>,
    /// The partitions of all topics, in the order of the request.
    pub partitions: Vec<PartitionRecords>,
}

impl ProduceRequest {
    /// Scans `body`.
    pub fn scan(body: &[u8], version: i16) -> Result<Self, CodecError> {
        let flexible = version >= FLEXIBLE;
        let mut reader = Reader::new(body);
        let range = |reader: &Reader<'_>, len: usize| {
            let end = body.len() - reader.remaining();
            end - len..end
        };
        let transactional_id = reader.nullable_str(flexible)?.map(str::len);
        let transactional_id = transactional_id.map(|len| range(&reader, len));
        let acks = reader.i16()?;
        let timeout_ms = reader.i32()?;
        let topic_count = reader.array_len(flexible)?.ok_or(CodecError::Null)?;
        let mut topics = Vec::with_capacity(topic_count.min(16));
        let mut partitions = Vec::with_capacity(topic_count.min(16));
        for topic in 0..topic_count {
            topics.push(if version >= TOPIC_IDS {
                TopicRef::Id(reader.uuid()?)
            } else {
                let len = reader.nullable_str(flexible)?.ok_or(CodecError::Null)?.len();
                TopicRef::Name(range(&reader, len))
            });
            let partition_count = reader.array_len(flexible)?.ok_or(CodecError::Null)?;
            for _ in 0..partition_count {
                let index = reader.i32()?;
                let len = reader.nullable_bytes(flexible)?.map_or(0, <[u8]>::len);
                partitions.push(PartitionRecords { topic, index, records: range(&reader, len) });
                if flexible {
                    reader.tagged_fields(|_, _| Ok(()))?;
                }
            }
            if flexible {
                reader.tagged_fields(|_, _| Ok(()))?;
            }
        }
        if flexible {
            reader.tagged_fields(|_, _| Ok(()))?;
        }
        Ok(Self { transactional_id, acks, timeout_ms, topics, partitions })
    }
}

impl ProduceRequest {
    /// Moves the names of the topics out of `body`, so that its memory can go while the request
    /// waits to be answered. Ranges of records and of the transactional id mean nothing then.
    pub fn move_names(&mut self, body: &[u8]) -> Vec<u8> {
        let mut names = Vec::new();
        for topic in &mut self.topics {
            if let TopicRef::Name(range) = topic {
                let start = names.len();
                names.extend_from_slice(&body[range.clone()]);
                *range = start..names.len();
            }
        }
        names
    }
}

/// The answer for one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProducePartitionAnswer {
    /// The partition.
    pub index: PartitionIndex,
    /// What happened.
    pub error: ErrorCode,
    /// The offset of the first record, -1 on an error.
    pub base_offset: Offset,
    /// Milliseconds since 1970, or -1.
    pub log_append_time_ms: i64,
    /// The log's start, or -1.
    pub log_start_offset: Offset,
    /// More about an error; boxed, since there rarely is one.
    pub fault: Option<Box<ProduceFault>>,
    /// Where the leader is now, for NOT_LEADER_OR_FOLLOWER.
    pub current_leader: Option<(BrokerId, LeaderEpoch)>,
}

/// More about an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProduceFault {
    /// In words.
    pub message: Option<String>,
    /// The records at fault, by their number in the batch.
    pub records: Vec<(i32, String)>,
}

impl ProducePartitionAnswer {
    /// A refusal.
    pub fn refused(index: PartitionIndex, error: ErrorCode) -> Self {
        Self {
            index,
            error,
            base_offset: -1,
            log_append_time_ms: -1,
            log_start_offset: -1,
            fault: None,
            current_leader: None,
        }
    }
}

/// The answer for one topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicAnswer<'a> {
    /// The bytes of its name, below version 13.
    pub name: &'a [u8],
    /// Its id, from version 13.
    pub id: TopicId,
    /// Its partitions.
    pub partitions: &'a [ProducePartitionAnswer],
}

/// A node that a client may go to instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// Its id.
    pub id: BrokerId,
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: i32,
    /// Its rack.
    pub rack: Option<String>,
}

/// A tagged section with one array of nodes as tag 0, or nothing.
pub(super) fn put_node_endpoints(out: &mut Writer, nodes: &[NodeEndpoint]) {
    if nodes.is_empty() {
        out.unsigned_varint(0);
        return;
    }
    let mut tag = Writer::new();
    tag.array_len(Some(nodes.len()), true);
    for node in nodes {
        tag.buf().put_i32(node.id);
        tag.nullable_str(Some(&node.host), true);
        tag.buf().put_i32(node.port);
        tag.nullable_str(node.rack.as_deref(), true);
        tag.unsigned_varint(0);
    }
    let tag = tag.into_bytes();
    out.unsigned_varint(1);
    out.unsigned_varint(0);
    out.unsigned_varint(tag.len() as u32);
    out.buf().put_slice(&tag);
}

/// A whole response. `throttle_time_ms` is how long the client must wait before its next request.
pub fn encode_response<'a>(
    correlation_id: i32,
    version: i16,
    throttle_time_ms: i32,
    topics: impl ExactSizeIterator<Item = TopicAnswer<'a>>,
    nodes: &[NodeEndpoint],
) -> Bytes {
    let flexible = version >= FLEXIBLE;
    let mut out = Writer::new();
    out.buf().reserve(96);
    out.buf().put_i32(0);
    out.buf().put_i32(correlation_id);
    if flexible {
        out.unsigned_varint(0);
    }
    out.array_len(Some(topics.len()), flexible);
    for topic in topics {
        if version >= TOPIC_IDS {
            out.uuid(topic.id);
        } else if flexible {
            out.unsigned_varint(topic.name.len() as u32 + 1);
            out.buf().put_slice(topic.name);
        } else {
            out.buf().put_i16(topic.name.len() as i16);
            out.buf().put_slice(topic.name);
        }
        out.array_len(Some(topic.partitions.len()), flexible);
        for partition in topic.partitions {
            put_partition(&mut out, partition, version);
        }
        if flexible {
            out.unsigned_varint(0);
        }
    }
    out.buf().put_i32(throttle_time_ms);
    if flexible {
        put_node_endpoints(&mut out, if version >= 10 { nodes } else { &[] });
    }
    seal(out.into_bytes())
}

/// Writes the length of a response into its first four bytes.
pub(super) fn seal(mut response: BytesMut) -> Bytes {
    let len = (response.len() - 4) as i32;
    response[..4].copy_from_slice(&len.to_be_bytes());
    response.freeze()
}

fn put_partition(out: &mut Writer, answer: &ProducePartitionAnswer, version: i16) {
    let flexible = version >= FLEXIBLE;
    out.buf().put_i32(answer.index);
    out.buf().put_i16(answer.error.code());
    out.buf().put_i64(answer.base_offset);
    out.buf().put_i64(answer.log_append_time_ms);
    if version >= 5 {
        out.buf().put_i64(answer.log_start_offset);
    }
    if version >= 8 {
        let records = answer.fault.as_ref().map_or(&[][..], |fault| &fault.records);
        out.array_len(Some(records.len()), flexible);
        for (index, message) in records {
            out.buf().put_i32(*index);
            out.nullable_str(Some(message), flexible);
            if flexible {
                out.unsigned_varint(0);
            }
        }
        let message = answer.fault.as_ref().and_then(|fault| fault.message.as_deref());
        out.nullable_str(message, flexible);
    }
    if flexible {
        match answer.current_leader {
            Some((id, epoch)) if version >= 10 => {
                out.unsigned_varint(1);
                out.unsigned_varint(0);
                out.unsigned_varint(9);
                out.buf().put_i32(id);
                out.buf().put_i32(epoch);
                out.unsigned_varint(0);
            }
            _ => out.unsigned_varint(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Uuid;
    use kafka_protocol::messages as km;
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

    #[test]
    fn every_version_is_scanned_as_the_message_library_reads_it() {
        for version in 3..=13 {
            let mut topic = km::produce_request::TopicProduceData::default();
            if version >= 13 {
                topic.topic_id = uuid::Uuid::from_bytes([7; 16]);
            } else {
                topic.name = km::TopicName(StrBytes::from_static_str("orders"));
            }
            topic.partition_data = (0..3)
                .map(|index| {
                    km::produce_request::PartitionProduceData::default()
                        .with_index(index)
                        .with_records((index > 0).then(|| Bytes::from(vec![1; index as usize])))
                })
                .collect();
            let request = km::ProduceRequest::default()
                .with_acks(-1)
                .with_timeout_ms(1500)
                .with_transactional_id(Some(km::TransactionalId(StrBytes::from_static_str("tx"))))
                .with_topic_data(vec![topic]);
            let mut body = BytesMut::new();
            request.encode(&mut body, version).unwrap();
            let scanned = ProduceRequest::scan(&body, version).unwrap();
            assert_eq!((scanned.acks, scanned.timeout_ms), (-1, 1500));
            assert_eq!(&body[scanned.transactional_id.clone().unwrap()], b"tx");
            match &scanned.topics[0] {
                TopicRef::Name(name) => assert_eq!(&body[name.clone()], b"orders"),
                TopicRef::Id(id) => assert_eq!(*id, Uuid([7; 16])),
            }
            let mut moved = scanned.clone();
            let names = moved.move_names(&body);
            match &moved.topics[0] {
                TopicRef::Name(name) => assert_eq!(&names[name.clone()], b"orders"),
                TopicRef::Id(_) => assert!(names.is_empty()),
            }
            let read: Vec<_> =
                scanned.partitions.iter().map(|p| (p.index, p.records.len())).collect();
            assert_eq!(read, [(0, 0), (1, 1), (2, 2)], "version {version}");
        }
    }

    #[test]
    fn every_version_of_the_response_is_read_by_the_message_library() {
        let fault =
            ProduceFault { message: Some("bad".into()), records: vec![(3, "keyless".into())] };
        let partitions = [
            ProducePartitionAnswer {
                base_offset: 42,
                ..ProducePartitionAnswer::refused(0, ErrorCode::None)
            },
            ProducePartitionAnswer {
                fault: Some(Box::new(fault)),
                current_leader: Some((2, 9)),
                ..ProducePartitionAnswer::refused(1, ErrorCode::InvalidRecord)
            },
        ];
        let nodes = [NodeEndpoint { id: 2, host: "h".into(), port: 9092, rack: None }];
        for version in 3..=13 {
            let topic = TopicAnswer { name: b"orders", id: Uuid([7; 16]), partitions: &partitions };
            let mut bytes = encode_response(77, version, 11, [topic].into_iter(), &nodes);
            let header = if version >= 9 { 9 } else { 8 };
            let len = i32::from_be_bytes(bytes[..4].try_into().unwrap());
            assert_eq!(len as usize, bytes.len() - 4);
            let mut body = bytes.split_off(header);
            let read = km::ProduceResponse::decode(&mut body, version).unwrap();
            assert_eq!(read.throttle_time_ms, 11);
            assert!(body.is_empty(), "version {version}");
            let partitions = &read.responses[0].partition_responses;
            assert_eq!(partitions[0].base_offset, 42);
            assert_eq!(partitions[1].error_code, ErrorCode::InvalidRecord.code());
            if version >= 8 {
                assert_eq!(partitions[1].record_errors[0].batch_index, 3);
            }
            if version >= 10 {
                assert_eq!(partitions[1].current_leader.leader_epoch, 9);
                assert_eq!(read.node_endpoints[0].port, 9092);
            }
        }
    }

    #[test]
    fn a_request_of_one_partition_takes_four_allocations() {
        let mut body = BytesMut::new();
        let partition = km::produce_request::PartitionProduceData::default()
            .with_records(Some(Bytes::from(vec![1; 1000])));
        let topic = km::produce_request::TopicProduceData::default()
            .with_name(km::TopicName(StrBytes::from_static_str("orders")))
            .with_partition_data(vec![partition]);
        let request = km::ProduceRequest::default().with_topic_data(vec![topic]);
        request.encode(&mut body, 12).unwrap();
        let answers = [ProducePartitionAnswer::refused(0, ErrorCode::None)];
        let memory = allocation_counter::measure(|| {
            let request = ProduceRequest::scan(&body, 12).unwrap();
            let topics = request.topics.iter().map(|_| TopicAnswer {
                name: b"orders",
                id: Uuid::ZERO,
                partitions: &answers,
            });
            drop(encode_response(1, 12, 0, topics, &[]));
        });
        // Topics, partitions, the response and its count of references.
        assert_eq!(memory.count_total, 4);
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_scan_panic(body: Vec<u8>, version in 3i16..=13) {
            let _ = ProduceRequest::scan(&body, version);
        }
    }
}

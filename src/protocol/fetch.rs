//! Fetch v4-18, read and written by hand: records leave as file ranges, never as bytes of ours.
//! Tested against the message library.

use bytes::BufMut;

use super::produce::{NodeEndpoint, put_node_endpoints};
use crate::codec::{CodecError, Reader, Writer};
use crate::env::OutPart;
use crate::types::{BrokerId, ErrorCode, LeaderEpoch, Offset, PartitionIndex, ProducerId, TopicId};

const FLEXIBLE: i16 = 12;
const TOPIC_IDS: i16 = 13;

/// How a request names a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TopicRef {
    /// Below version 13.
    Name(String),
    /// From version 13.
    Id(TopicId),
}

/// What a fetch asks of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchPartition {
    /// The partition.
    pub partition: PartitionIndex,
    /// The epoch the client believes in, -1 for none.
    pub current_leader_epoch: LeaderEpoch,
    /// First offset to read.
    pub fetch_offset: Offset,
    /// The epoch of the record before, -1 for none.
    pub last_fetched_epoch: LeaderEpoch,
    /// A follower's log start offset, -1 from a consumer.
    pub log_start_offset: Offset,
    /// The most bytes to return of it.
    pub max_bytes: i32,
}

/// A Fetch request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// The follower that asks, -1 for a consumer.
    pub replica_id: BrokerId,
    /// How long to wait for `min_bytes`.
    pub max_wait_ms: i32,
    /// Answer at once when there is this much.
    pub min_bytes: i32,
    /// The most bytes of records to return.
    pub max_bytes: i32,
    /// 1 is read_committed.
    pub isolation_level: i8,
    /// The fetch session, 0 for none.
    pub session_id: i32,
    /// The request's number in the session.
    pub session_epoch: i32,
    /// What is wanted, or what changed of it.
    pub topics: Vec<(TopicRef, Vec<FetchPartition>)>,
    /// What the session need not read any more.
    pub forgotten: Vec<(TopicRef, Vec<PartitionIndex>)>,
    /// The rack of the consumer.
    pub rack_id: String,
}

fn topic_ref(reader: &mut Reader<'_>, version: i16) -> Result<TopicRef, CodecError> {
    if version >= TOPIC_IDS {
        return Ok(TopicRef::Id(reader.uuid()?));
    }
    let name = reader.nullable_str(version >= FLEXIBLE)?.ok_or(CodecError::Null)?;
    Ok(TopicRef::Name(name.to_owned()))
}

fn array<T>(
    reader: &mut Reader<'_>,
    flexible: bool,
    mut element: impl FnMut(&mut Reader<'_>) -> Result<T, CodecError>,
) -> Result<Vec<T>, CodecError> {
    let len = reader.array_len(flexible)?.ok_or(CodecError::Null)?;
    let mut all = Vec::with_capacity(len.min(1_000));
    for _ in 0..len {
        all.push(element(reader)?);
    }
    Ok(all)
}

impl FetchRequest {
    /// Reads the body of a request.
    pub fn read(body: &[u8], version: i16) -> Result<Self, CodecError> {
        let flexible = version >= FLEXIBLE;
        let skip_tags = |reader: &mut Reader<'_>| {
            if flexible { reader.tagged_fields(|_, _| Ok(())) } else { Ok(()) }
        };
        let reader = &mut Reader::new(body);
        let mut replica_id = if version <= 14 { reader.i32()? } else { -1 };
        let max_wait_ms = reader.i32()?;
        let min_bytes = reader.i32()?;
        let max_bytes = reader.i32()?;
        let isolation_level = reader.i8()?;
        let (mut session_id, mut session_epoch) = (0, -1);
        if version >= 7 {
            (session_id, session_epoch) = (reader.i32()?, reader.i32()?);
        }
        let topics = array(reader, flexible, |reader| {
            let topic = topic_ref(reader, version)?;
            let partitions = array(reader, flexible, |reader| {
                let partition = FetchPartition {
                    partition: reader.i32()?,
                    current_leader_epoch: if version >= 9 { reader.i32()? } else { -1 },
                    fetch_offset: reader.i64()?,
                    last_fetched_epoch: if version >= 12 { reader.i32()? } else { -1 },
                    log_start_offset: if version >= 5 { reader.i64()? } else { -1 },
                    max_bytes: reader.i32()?,
                };
                skip_tags(reader)?;
                Ok(partition)
            })?;
            skip_tags(reader)?;
            Ok((topic, partitions))
        })?;
        let forgotten = if version >= 7 {
            array(reader, flexible, |reader| {
                let topic = topic_ref(reader, version)?;
                let partitions = array(reader, flexible, |reader| reader.i32())?;
                skip_tags(reader)?;
                Ok((topic, partitions))
            })?
        } else {
            Vec::new()
        };
        let rack_id = if version >= 11 {
            reader.nullable_str(flexible)?.ok_or(CodecError::Null)?.to_owned()
        } else {
            String::new()
        };
        if flexible {
            reader.tagged_fields(|tag, bytes| {
                if tag == 1 && version >= 15 {
                    replica_id = bytes.i32()?;
                }
                Ok(())
            })?;
        }
        Ok(Self {
            replica_id,
            max_wait_ms,
            min_bytes,
            max_bytes,
            isolation_level,
            session_id,
            session_epoch,
            topics,
            forgotten,
            rack_id,
        })
    }
}

/// The answer for one partition.
#[derive(Clone)]
pub struct PartitionAnswer {
    /// The partition.
    pub partition: PartitionIndex,
    /// What happened.
    pub error: ErrorCode,
    /// -1 on an error.
    pub high_watermark: Offset,
    /// -1 on an error.
    pub last_stable_offset: Offset,
    /// -1 on an error.
    pub log_start_offset: Offset,
    /// The last epoch that leader and client share, and where it ended, when they diverge.
    pub diverging_epoch: Option<(LeaderEpoch, Offset)>,
    /// Where the leader is, when the client is mistaken.
    pub current_leader: Option<(BrokerId, LeaderEpoch)>,
    /// For read_committed: aborted transactions in what is returned.
    pub aborted: Option<Vec<(ProducerId, Offset)>>,
    /// The records.
    pub records: Option<OutPart>,
}

impl PartitionAnswer {
    /// A refusal.
    pub fn refused(partition: PartitionIndex, error: ErrorCode) -> Self {
        Self {
            partition,
            error,
            high_watermark: -1,
            last_stable_offset: -1,
            log_start_offset: -1,
            diverging_epoch: None,
            current_leader: None,
            aborted: None,
            records: None,
        }
    }

    /// Bytes of its records.
    pub fn records_len(&self) -> usize {
        self.records.as_ref().map_or(0, OutPart::len)
    }
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead {
    /// Of the request.
    pub correlation_id: i32,
    /// Of the request.
    pub version: i16,
    /// An error of the whole fetch: of its session.
    pub error: ErrorCode,
    /// The session to go on with.
    pub session_id: i32,
    /// Milliseconds that the client must wait before its next request.
    pub throttle_time_ms: i32,
}

/// Writes a whole response: bytes of ours, and between them the records as they lie in files.
pub fn encode_response(
    head: ResponseHead,
    topics: &[(&TopicRef, Vec<&PartitionAnswer>)],
    nodes: &[NodeEndpoint],
) -> Vec<OutPart> {
    let ResponseHead { correlation_id, version, error, session_id, throttle_time_ms } = head;
    let flexible = version >= FLEXIBLE;
    let mut parts = Parts::default();
    let out = &mut parts.open;
    out.buf().put_i32(0);
    out.buf().put_i32(correlation_id);
    if flexible {
        out.unsigned_varint(0);
    }
    out.buf().put_i32(throttle_time_ms);
    if version >= 7 {
        out.buf().put_i16(error.code());
        out.buf().put_i32(session_id);
    }
    out.array_len(Some(topics.len()), flexible);
    for (topic, partitions) in topics {
        let out = &mut parts.open;
        match topic {
            TopicRef::Id(id) => out.uuid(*id),
            TopicRef::Name(name) => out.nullable_str(Some(name), flexible),
        }
        out.array_len(Some(partitions.len()), flexible);
        for partition in partitions {
            parts.partition(partition, version);
        }
        if flexible {
            parts.open.unsigned_varint(0);
        }
    }
    if flexible {
        put_node_endpoints(&mut parts.open, if version >= 16 { nodes } else { &[] });
    }
    parts.seal()
}

#[derive(Default)]
struct Parts {
    done: Vec<OutPart>,
    open: Writer,
}

impl Parts {
    fn partition(&mut self, answer: &PartitionAnswer, version: i16) {
        let flexible = version >= FLEXIBLE;
        let out = &mut self.open;
        out.buf().put_i32(answer.partition);
        out.buf().put_i16(answer.error.code());
        out.buf().put_i64(answer.high_watermark);
        out.buf().put_i64(answer.last_stable_offset);
        if version >= 5 {
            out.buf().put_i64(answer.log_start_offset);
        }
        out.array_len(answer.aborted.as_ref().map(Vec::len), flexible);
        for (producer_id, first_offset) in answer.aborted.iter().flatten() {
            out.buf().put_i64(*producer_id);
            out.buf().put_i64(*first_offset);
            if flexible {
                out.unsigned_varint(0);
            }
        }
        if version >= 11 {
            out.buf().put_i32(-1); // Preferred read replica.
        }
        let len = answer.records_len();
        if flexible {
            out.unsigned_varint(len as u32 + 1);
        } else {
            out.buf().put_i32(len as i32);
        }
        if let Some(records) = &answer.records {
            let before = std::mem::take(&mut self.open).into_bytes().freeze();
            self.done.push(OutPart::Bytes(before));
            self.done.push(records.clone());
        }
        if flexible {
            let out = &mut self.open;
            let leader = answer.current_leader;
            let count = u32::from(answer.diverging_epoch.is_some()) + u32::from(leader.is_some());
            out.unsigned_varint(count);
            if let Some((epoch, end_offset)) = answer.diverging_epoch {
                out.unsigned_varint(0);
                out.unsigned_varint(13);
                out.buf().put_i32(epoch);
                out.buf().put_i64(end_offset);
                out.unsigned_varint(0);
            }
            if let Some((id, epoch)) = leader {
                out.unsigned_varint(1);
                out.unsigned_varint(9);
                out.buf().put_i32(id);
                out.buf().put_i32(epoch);
                out.unsigned_varint(0);
            }
        }
    }

    /// Closes the last part, and writes the length of all into the first.
    fn seal(mut self) -> Vec<OutPart> {
        let rest = self.open.into_bytes();
        if !rest.is_empty() {
            self.done.push(OutPart::Bytes(rest.freeze()));
        }
        let len: usize = self.done.iter().map(OutPart::len).sum();
        if let Some(OutPart::Bytes(first)) = self.done.first_mut() {
            let mut head = bytes::BytesMut::from(std::mem::take(first));
            head[..4].copy_from_slice(&((len - 4) as i32).to_be_bytes());
            *first = head.freeze();
        }
        self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Uuid;
    use bytes::{Bytes, BytesMut};
    use kafka_protocol::messages as km;
    use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};

    #[test]
    fn every_version_is_read_as_the_message_library_writes_it() {
        for version in 4..=18 {
            let mut topic = km::fetch_request::FetchTopic::default();
            let mut forgotten = km::fetch_request::ForgottenTopic::default();
            if version >= 13 {
                topic.topic_id = uuid::Uuid::from_bytes([7; 16]);
                forgotten.topic_id = topic.topic_id;
            } else {
                topic.topic = km::TopicName(StrBytes::from_static_str("orders"));
                forgotten.topic = topic.topic.clone();
            }
            let mut partition = km::fetch_request::FetchPartition::default()
                .with_partition(3)
                .with_fetch_offset(77)
                .with_partition_max_bytes(1000);
            if version >= 5 {
                partition.log_start_offset = 5;
            }
            if version >= 9 {
                partition.current_leader_epoch = 4;
            }
            if version >= 12 {
                partition.last_fetched_epoch = 3;
            }
            topic.partitions = vec![partition];
            forgotten.partitions = vec![9];
            let mut request = km::FetchRequest::default()
                .with_max_wait_ms(500)
                .with_min_bytes(1)
                .with_max_bytes(2000)
                .with_isolation_level(1)
                .with_topics(vec![topic]);
            if version >= 7 {
                request = request
                    .with_session_id(8)
                    .with_session_epoch(2)
                    .with_forgotten_topics_data(vec![forgotten]);
            }
            if version >= 11 {
                request.rack_id = StrBytes::from_static_str("r1");
            }
            if version >= 15 {
                request.replica_state.replica_id = km::BrokerId(6);
            } else {
                request.replica_id = km::BrokerId(6);
            }
            let mut body = BytesMut::new();
            request.encode(&mut body, version).unwrap();
            let read = FetchRequest::read(&body, version).unwrap();
            let expected_topic = if version >= 13 {
                TopicRef::Id(Uuid([7; 16]))
            } else {
                TopicRef::Name("orders".into())
            };
            assert_eq!(read.replica_id, 6, "version {version}");
            assert_eq!((read.max_wait_ms, read.min_bytes, read.max_bytes), (500, 1, 2000));
            assert_eq!(read.topics[0].0, expected_topic);
            let partition = &read.topics[0].1[0];
            assert_eq!((partition.partition, partition.fetch_offset), (3, 77));
            assert_eq!(partition.max_bytes, 1000);
            assert_eq!(partition.current_leader_epoch, if version >= 9 { 4 } else { -1 });
            assert_eq!(partition.last_fetched_epoch, if version >= 12 { 3 } else { -1 });
            if version >= 7 {
                assert_eq!((read.session_id, read.session_epoch), (8, 2));
                assert_eq!(read.forgotten, [(expected_topic, vec![9])]);
            }
            assert_eq!(read.rack_id, if version >= 11 { "r1" } else { "" });
        }
    }

    #[test]
    fn every_version_of_the_response_is_read_by_the_message_library() {
        let records = Bytes::from_static(b"0123456789");
        let answers = [
            PartitionAnswer {
                high_watermark: 50,
                last_stable_offset: 40,
                log_start_offset: 1,
                aborted: Some(vec![(9, 20)]),
                records: Some(OutPart::Bytes(records.clone())),
                ..PartitionAnswer::refused(0, ErrorCode::None)
            },
            PartitionAnswer {
                diverging_epoch: Some((2, 30)),
                current_leader: Some((1, 3)),
                ..PartitionAnswer::refused(1, ErrorCode::NotLeaderOrFollower)
            },
        ];
        let nodes = [NodeEndpoint { id: 1, host: "h".into(), port: 1, rack: Some("r".into()) }];
        for version in 4..=18 {
            let topic = if version >= 13 {
                TopicRef::Id(Uuid([7; 16]))
            } else {
                TopicRef::Name("orders".into())
            };
            let head = ResponseHead {
                correlation_id: 5,
                version,
                error: ErrorCode::None,
                session_id: 8,
                throttle_time_ms: 9,
            };
            let parts = encode_response(head, &[(&topic, answers.iter().collect())], &nodes);
            let mut bytes = BytesMut::new();
            for part in parts {
                let OutPart::Bytes(part) = part else { panic!("no files here") };
                bytes.extend_from_slice(&part);
            }
            let len = i32::from_be_bytes(bytes[..4].try_into().unwrap());
            assert_eq!(len as usize, bytes.len() - 4);
            let mut body = bytes.split_off(if version >= 12 { 9 } else { 8 }).freeze();
            let read = km::FetchResponse::decode(&mut body, version).unwrap();
            assert!(body.is_empty(), "version {version}");
            assert_eq!(read.throttle_time_ms, 9);
            let partitions = &read.responses[0].partitions;
            assert_eq!(partitions[0].records.as_ref().unwrap(), &records);
            assert_eq!(partitions[0].aborted_transactions.as_ref().unwrap()[0].first_offset, 20);
            assert_eq!(partitions[1].error_code, 6);
            if version >= 12 {
                assert_eq!(partitions[1].diverging_epoch.end_offset, 30);
                assert_eq!(partitions[1].current_leader.leader_epoch, 3);
            }
            if version >= 16 {
                assert_eq!(read.node_endpoints.len(), 1);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(body: Vec<u8>, version in 4i16..=18) {
            let _ = FetchRequest::read(&body, version);
        }
    }
}

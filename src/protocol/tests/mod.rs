//! All messages, in all versions and both directions.

use std::fmt::Debug;

use bytes::{Bytes, BytesMut};

use super::apis::{APIS, for_each_message};
use super::messages::{self, DecodeError, WireMessage, WireResponse};
use crate::codec::shape::{FieldShape, Kind, Shape};
use crate::codec::{At, CodecError};
use sample::{Form, HOSTILE, Sample};

mod golden;
mod hot_path;
mod limits;
#[path = "../../../tests/support/sample.rs"]
#[expect(dead_code, unreachable_pub, reason = "tests of whole brokers include it as well")]
mod sample;

/// A message of the table, as tests handle all of them alike.
#[derive(Clone, Copy)]
struct AnyMessage {
    shape: &'static Shape,
    /// The newest version of the message library; `None` for a declared message.
    library_newest: Option<i16>,
    decode: fn(Bytes, i16) -> Result<Decoded, DecodeError>,
    /// Its default, encoded.
    default: fn(i16) -> Result<Bytes, messages::EncodeError>,
    /// Decodes it and drops it.
    accepts: fn(Bytes, i16) -> Result<(), DecodeError>,
}

impl AnyMessage {
    fn of<T: WireMessage + Debug + Default>() -> Self {
        Self {
            shape: T::shape(),
            library_newest: T::LIBRARY_NEWEST,
            decode: decode::<T>,
            default: |version| encode(&T::default(), version),
            accepts: |body, version| T::decode_body(body, version).map(drop),
        }
    }
}

/// A decoded message.
struct Decoded {
    /// In words, to compare two of them.
    debug: String,
    /// Encoded again, at the same version.
    encoded: Result<Bytes, messages::EncodeError>,
}

fn decode<T: WireMessage + Debug>(body: Bytes, version: i16) -> Result<Decoded, DecodeError> {
    let message = T::decode_body(body, version)?;
    Ok(Decoded { debug: format!("{message:?}"), encoded: encode(&message, version) })
}

fn encode<T: WireMessage>(message: &T, version: i16) -> Result<Bytes, messages::EncodeError> {
    let mut out = BytesMut::new();
    message.encode_body(&mut out, version)?;
    Ok(out.freeze())
}

/// Every request and response.
fn all_messages() -> Vec<AnyMessage> {
    let mut all = Vec::new();
    macro_rules! add {
        ($request:ident, $response:ident) => {
            all.push(AnyMessage::of::<messages::$request>());
            all.push(AnyMessage::of::<messages::$response>());
        };
    }
    for_each_message!(add);
    all
}

fn every_version() -> impl Iterator<Item = (AnyMessage, i16)> {
    all_messages().into_iter().flat_map(|message| {
        let versions = message.shape.versions;
        (versions.first..=versions.last).map(move |version| (message, version))
    })
}

/// The shape of the message with this name.
fn shape(name: &str) -> &'static Shape {
    all_messages().into_iter().find(|message| message.shape.name == name).unwrap().shape
}

/// Decodes `body`, whatever it is: the walk and the decoder agree on how many bytes the message
/// takes, and the memory is bounded by what was sent.
fn decode_hostile(message: AnyMessage, version: i16, body: Vec<u8>) {
    let shape = message.shape;
    let body = Bytes::from(body);
    let mut decoded = None;
    let memory = allocation_counter::measure(|| {
        decoded = shape
            .check(version, &body)
            .ok()
            .map(|len| (message.accepts)(body.slice(..len), version));
    });
    let disagree = matches!(decoded, Some(Err(DecodeError::Shape(CodecError::Trailing(_)))));
    assert!(!disagree, "{} v{version} {body:02x?}", shape.name);
    let bound = 100 * body.len() as u64 + 4096;
    let most = memory.bytes_max;
    assert!(most <= bound, "{} v{version} took {most} bytes for {body:02x?}", shape.name);
}

#[test]
fn the_table_has_all_apis_of_kafka_4_4_in_order() {
    let keys: Vec<i16> = APIS.iter().map(|api| api.key).collect();
    assert_eq!(keys, (0..=3).chain(8..=94).collect::<Vec<i16>>());
    for api in APIS {
        assert_eq!(api.request.name, format!("{}Request", api.name));
        assert_eq!(api.response.name, format!("{}Response", api.name));
        for version in api.min_version..=api.max_unstable_version {
            for shape in [&api.request, &api.response] {
                assert!(shape.versions.contains(version));
                assert_eq!(shape.flexible.contains(version), version >= api.flexible_from);
            }
        }
    }
    assert!(super::apis::facts(4).is_none() && super::apis::facts(-1).is_none());
    let unstable: Vec<_> =
        APIS.iter().filter(|api| api.max_unstable_version != api.max_version).collect();
    assert_eq!(unstable.len(), 1, "{unstable:?}");
    assert_eq!(unstable[0].name, "InitProducerId");
}

#[test]
fn a_response_carries_a_throttle_time_if_kafkas_does() {
    fn check<T: WireResponse + Default + PartialEq>() {
        let mut response = T::default();
        response.set_throttle_time(7);
        let is_set = response != T::default() && response.throttle_time() == Some(&mut 7);
        assert_eq!(is_set, has_throttle_time(T::shape()), "{}", T::shape().name);
    }
    macro_rules! check_response {
        ($request:ident, $response:ident) => {
            check::<messages::$response>();
        };
    }
    for_each_message!(check_response);
}

fn has_throttle_time(shape: &Shape) -> bool {
    let is_it =
        |field: &FieldShape| field.name.replace('_', "").eq_ignore_ascii_case("throttletimems");
    shape.fields.iter().any(is_it)
}

/// Defaults of structs within arrays: what a field means that an older node does not send.
#[test]
fn a_field_that_a_version_lacks_has_kafkas_default() {
    use messages::{fetch_request, fetch_response};
    let partition = fetch_request::FetchPartition::default();
    assert_eq!(partition.high_watermark, i64::MAX, "the follower does not report it");
    assert_eq!((partition.current_leader_epoch, partition.last_fetched_epoch), (-1, -1));
    let partition = fetch_response::PartitionData::default();
    assert_eq!((partition.diverging_epoch.epoch, partition.diverging_epoch.end_offset), (-1, -1));
    assert_eq!((partition.snapshot_id.epoch, partition.snapshot_id.end_offset), (-1, -1));
    assert_eq!(partition.current_leader.leader_id.0, -1);
    assert_eq!(partition.preferred_read_replica.0, -1);
    let isr = messages::alter_partition_request::BrokerState::default();
    assert_eq!(isr.broker_epoch, -1);
}

/// The version that the library does not know has the layout of its newest one.
#[test]
fn a_version_that_the_library_lacks_has_the_layout_of_the_one_before() {
    fn differs(fields: &[FieldShape], version: i16) -> bool {
        fields.iter().any(|field| match &field.kind {
            _ if field.versions.first == version || field.versions.last == version - 1 => true,
            Kind::Array(Kind::Struct(inner))
            | Kind::Struct(inner)
            | Kind::NullableStruct(inner) => differs(inner, version),
            _ => false,
        })
    }
    let mut lacking = 0;
    for message in all_messages() {
        let AnyMessage { shape, library_newest: Some(newest), .. } = message else { continue };
        for version in newest + 1..=shape.versions.last {
            lacking += 1;
            assert!(!differs(shape.fields, version), "{} v{version}", shape.name);
            assert_eq!(shape.flexible.contains(newest), shape.flexible.contains(version));
        }
    }
    assert_eq!(lacking, 10, "messages that the library lacks in one version");
}

#[test]
fn no_array_has_elements_without_bytes() {
    fn visit(kind: &Kind, at: At) {
        match kind {
            Kind::Array(element) => {
                assert!(element.min_len(at) > 0);
                visit(element, at);
            }
            Kind::Struct(fields) | Kind::NullableStruct(fields) => fields
                .iter()
                .filter(|field| field.versions.contains(at.version))
                .for_each(|field| visit(&field.kind, at)),
            Kind::Fixed(_) | Kind::String | Kind::Bytes => {}
        }
    }
    for (message, version) in every_version() {
        visit(&Kind::Struct(message.shape.fields), message.shape.at(version));
    }
}

#[test]
fn a_body_that_ends_early_is_refused_wherever_it_ends() {
    for (message, version) in every_version() {
        let body = Bytes::from(Sample::of(message.shape, version, 7).body);
        for len in 0..body.len() {
            let decoded = (message.decode)(body.slice(..len), version);
            assert!(decoded.is_err(), "{} v{version} {len}", message.shape.name);
        }
    }
}

/// Kafka ignores them.
#[test]
fn bytes_after_a_message_are_ignored() {
    for (message, version) in every_version() {
        let mut body = Sample::of(message.shape, version, 11).body;
        let alone = (message.decode)(body.clone().into(), version).unwrap();
        body.extend([1, 0xff, 7]);
        let followed = (message.decode)(body.into(), version).unwrap();
        assert_eq!(followed.debug, alone.debug, "{} v{version}", message.shape.name);
    }
}

#[test]
fn a_hostile_length_in_any_place_costs_no_more_memory_than_was_sent() {
    for (message, version) in every_version() {
        for seed in 0..4 {
            let sample = Sample::of(message.shape, version, seed);
            for length in &sample.lengths {
                for value in HOSTILE {
                    decode_hostile(message, version, sample.with(*length, value));
                }
            }
        }
    }
}

#[test]
fn a_damaged_byte_in_any_place_is_refused_or_read_alike() {
    for (message, version) in every_version() {
        let body = Sample::of(message.shape, version, 3).body;
        for at in 0..body.len() {
            for byte in [0, 1, 2, 0x7f, 0x80, 0xfe, 0xff] {
                let mut body = body.clone();
                body[at] = byte;
                decode_hostile(message, version, body);
            }
        }
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(4))]

    #[test]
    fn random_values_of_every_message_survive_encoding_and_decoding(seed: u64) {
        for (message, version) in every_version() {
            let name = message.shape.name;
            let sample = Bytes::from(Sample::of(message.shape, version, seed).body);
            let first = (message.decode)(sample.clone(), version)
                .unwrap_or_else(|error| panic!("{name} v{version}: {error} {sample:02x?}"));
            let encoded = first.encoded.unwrap_or_else(|error| panic!("{error}"));
            let second = (message.decode)(encoded.clone(), version)
                .unwrap_or_else(|error| panic!("{name} v{version}: {error} {encoded:02x?}"));
            proptest::prop_assert_eq!(&first.debug, &second.debug, "{} v{}", name, version);
            proptest::prop_assert_eq!(&encoded, &second.encoded.unwrap());
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(version: i16, body: Vec<u8>) {
        for message in all_messages() {
            decode_hostile(message, version % 19, body.clone());
        }
    }
}

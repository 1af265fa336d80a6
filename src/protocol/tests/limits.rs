//! The limits of the walk over a body.

use super::{Form, shape};
use crate::codec::CodecError;

#[test]
fn eight_bytes_that_once_took_four_gigabytes_are_refused() {
    let frame = [0x03, 0x00, 0x00, 0x03, 0x3c, 0x0c, 0x00, 0xb6];
    assert!(shape("MetadataRequest").check(0, &frame).is_err());
    assert!(shape("MetadataRequest").check(0, &frame[4..]).is_err());
}

#[test]
fn two_million_tagged_fields_are_refused_before_the_first_is_read() {
    let mut body = vec![1, 0, 0];
    Form::Varint.write(&mut body, 2_000_000);
    body.resize(body.len() + 4_000_000, 0);
    let error = shape("MetadataRequest").check(12, &body).unwrap_err().to_string();
    assert_eq!(
        error,
        "MetadataRequest.tagged fields: tagged fields: 2000000 elements, at most 10000 are possible here"
    );
}

#[test]
fn an_array_may_have_a_million_elements_and_not_one_more() {
    let topics = |count: i32| {
        let mut body = count.to_be_bytes().to_vec();
        body.resize(4 + 2 * count as usize, 0); // Each an empty name.
        shape("MetadataRequest").check(0, &body)
    };
    assert!(topics(1_000_000).is_ok());
    assert!(topics(1_000_001).is_err());
}

#[test]
fn arrays_within_arrays_share_one_bound() {
    // Deletions of one partition each, in three hundred arrays.
    let body = |partitions: i32| {
        let mut body = 300i32.to_be_bytes().to_vec();
        for _ in 0..300 {
            body.extend([0, 0]);
            body.extend(partitions.to_be_bytes());
            body.resize(body.len() + 12 * partitions as usize, 0);
        }
        body.extend([0; 4]);
        shape("DeleteRecordsRequest").check(0, &body)
    };
    assert!(body(1_000).is_ok());
    let error = body(7_000).unwrap_err().to_string();
    assert!(
        error.starts_with("DeleteRecordsRequest.Partitions: all arrays of a message"),
        "{error}"
    );
}

#[test]
fn a_tagged_field_that_lies_about_its_length_is_refused() {
    let heartbeat = |section: &[u8]| {
        let mut body = vec![0; 4 + 8 + 8 + 1 + 1]; // Five plain fields.
        body.extend(section);
        shape("BrokerHeartbeatRequest").check(1, &body)
    };
    let mut directories = vec![1, 0, 17, 2]; // One field, tag 0, 17 bytes, one id.
    directories.extend([7; 16]);
    assert!(heartbeat(&directories).is_ok());
    directories.push(0);
    directories[2] = 18;
    assert!(heartbeat(&directories).is_err());
    directories[2] = 16;
    assert!(heartbeat(&directories).is_err());
}

#[test]
fn a_version_that_kafka_lacks_is_refused() {
    let error = shape("ProduceRequest").check(2, &[]).unwrap_err();
    assert_eq!(error, CodecError::UnknownVersion { message: "ProduceRequest", version: 2 });
}

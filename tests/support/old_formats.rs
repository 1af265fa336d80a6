//! Bytes of message formats 0 and 1, as brokers before 0.11 stored them. They are written here by the
//! description of the formats alone.

#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    reason = "each test is a crate of its own, which uses a part of these"
)]

/// A message before it has a format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Old {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

impl Old {
    pub fn new(offset: i64, timestamp: i64, key: &str, value: &str) -> Self {
        let (key, value) = (Some(key.into()), Some(value.into()));
        Self { offset, timestamp, key, value }
    }
}

/// `message.timestamp.type=LogAppendTime`, in the attributes.
pub const BY_BROKER: u8 = 8;

fn put(out: &mut Vec<u8>, field: Option<&[u8]>) {
    out.extend((field.map_or(-1, |field| field.len() as i32)).to_be_bytes());
    out.extend(field.unwrap_or_default());
}

/// A message of format `magic`.
pub fn message(magic: u8, attributes: u8, message: &Old) -> Vec<u8> {
    let mut body = vec![magic, attributes];
    if magic == 1 {
        body.extend(message.timestamp.to_be_bytes());
    }
    put(&mut body, message.key.as_deref());
    put(&mut body, message.value.as_deref());
    let mut crc = flate2::Crc::new();
    crc.update(&body);
    let mut out = message.offset.to_be_bytes().to_vec();
    out.extend((body.len() as i32 + 4).to_be_bytes());
    out.extend(crc.sum().to_be_bytes());
    out.extend(body);
    out
}

/// `messages` inside a compressed message. `codec`: 1 gzip, 2 snappy, 3 lz4.
pub fn wrapper(magic: u8, attributes: u8, messages: &[Old]) -> Vec<u8> {
    let base = if magic == 1 { messages[0].offset } else { 0 };
    let mut inner = Vec::new();
    for one in messages {
        inner.extend(message(magic, 0, &Old { offset: one.offset - base, ..one.clone() }));
    }
    let last = messages.last().unwrap();
    let newest = messages.iter().map(|message| message.timestamp).max().unwrap();
    let value = Some(compress(magic, attributes & 7, &inner));
    message(magic, attributes, &Old { offset: last.offset, timestamp: newest, key: None, value })
}

fn compress(magic: u8, codec: u8, bytes: &[u8]) -> Vec<u8> {
    use std::io::Write as _;
    match codec {
        1 => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::new(6));
            encoder.write_all(bytes).unwrap();
            encoder.finish().unwrap()
        }
        2 => {
            let mut out = b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01".to_vec();
            for chunk in bytes.chunks(1024) {
                let block = snap::raw::Encoder::new().compress_vec(chunk).unwrap();
                out.extend((block.len() as u32).to_be_bytes());
                out.extend(block);
            }
            out
        }
        3 => {
            let info = lz4_flex::frame::FrameInfo::new()
                .block_size(lz4_flex::frame::BlockSize::Max64KB)
                .block_mode(lz4_flex::frame::BlockMode::Independent);
            let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            encoder.write_all(bytes).unwrap();
            let mut out = encoder.finish().unwrap();
            if magic == 0 {
                // The checksum of the header that writers of format 0 computed: over the magic too.
                out[6] = (twox_hash::XxHash32::oneshot(0, &out[..6]) >> 8) as u8;
            }
            out
        }
        _ => panic!("codec {codec}"),
    }
}

/// `messages` as a log of format `magic` has them: in wrappers of up to five if there is a `codec`.
pub fn segment(magic: u8, codec: u8, messages: &[Old]) -> Vec<u8> {
    match codec {
        0 => messages.iter().flat_map(|one| message(magic, 0, one)).collect(),
        codec => messages.chunks(5).flat_map(|some| wrapper(magic, codec, some)).collect(),
    }
}

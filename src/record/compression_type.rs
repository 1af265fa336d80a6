//! How the records of a batch are compressed.

/// How the records of a batch are compressed; the low three bits of the attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum CompressionType {
    /// Not at all.
    None = 0,
    /// Deflate in a gzip frame.
    Gzip = 1,
    /// Snappy, raw or in xerial frames.
    Snappy = 2,
    /// LZ4 in an LZ4 frame.
    Lz4 = 3,
    /// Zstandard.
    Zstd = 4,
}

impl CompressionType {
    /// From the low three bits of the attributes.
    pub fn from_id(id: u8) -> Option<Self> {
        Some(match id {
            0 => Self::None,
            1 => Self::Gzip,
            2 => Self::Snappy,
            3 => Self::Lz4,
            4 => Self::Zstd,
            _ => return None,
        })
    }

    /// As configuration and tools write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

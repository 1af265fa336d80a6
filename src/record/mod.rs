//! Record batches as bytes: views, validation, building, codecs. No I/O, no clock.
//!
//! Read `batch.rs` first: everything else works on its views.

pub mod batch;

pub use batch::{
    Attributes, BatchError, BatchHeader, BatchView, CompressionType, HEADER_LEN, TimestampType,
};

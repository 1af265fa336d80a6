//! Record batches as bytes: views, validation, building, codecs. No I/O, no clock.
//!
//! Read `batch.rs` first: everything else works on its views. Then `record.rs` (what is inside),
//! `validate.rs` (what a leader takes), `codec.rs`, `builder.rs`, `retain.rs`, `control.rs` and
//! `legacy.rs` (message formats 0 and 1).

pub mod batch;
pub mod builder;
pub mod codec;
pub mod compression_type;
pub mod control;
pub mod error;
pub mod legacy;
#[expect(clippy::module_inception, reason = "one record, in the module of batches of them")]
pub mod record;
pub mod retain;
pub mod validate;
mod varint;

#[cfg(test)]
mod tests;

pub use batch::{Attributes, BatchError, BatchHeader, BatchView, HEADER_LEN, TimestampType};
pub use builder::BatchBuilder;
pub use compression_type::CompressionType;
pub use control::ControlType;
pub use error::RecordsError;
pub use record::{RawRecord, Record, Records};
pub use validate::{InvalidBatch, Rules, TargetCompression, Validated};

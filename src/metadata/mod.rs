//! The cluster as immutable values: records in, images out. No I/O, no clock.
//!
//! Read `record.rs` and `control.rs` (what the metadata log holds), `features.rs` (levels and what
//! they allow), then `image.rs` and its parts, `delta.rs` and `snapshot.rs`.

pub mod control;
pub mod record;

pub use record::MetadataRecord;

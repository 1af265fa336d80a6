//! The wire: frames' headers, the guard before decoding, messages. The only module that names the
//! message library.
//!
//! Read `apis.rs` (facts), `header.rs`, `shape.rs` (the guard, with its table in `shapes.rs`),
//! `messages.rs` (the door), then `produce.rs` and `fetch.rs`: the two that are read and written
//! by hand, since they are the hot path.

pub mod apis;
pub mod fetch;
pub mod header;
pub mod messages;
pub mod own;
pub mod own_offsets;
pub mod own_transactions;
pub mod produce;
pub mod shape;
pub mod shapes;

pub use apis::{ApiFacts, key};
pub use header::{HeaderError, RequestHeader};

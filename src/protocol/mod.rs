//! The wire: headers of frames, and all messages in both directions. The only module that names the
//! message library.
//!
//! Read `apis.rs` (the table of all APIs), `header.rs`, `messages.rs` (the door), `shapes/` and
//! `declared/` (what messages look like), then `produce.rs` and `fetch.rs`: the two that a broker
//! reads and writes by hand, since they are the hot path.

pub mod apis;
pub mod declared;
pub mod fetch;
pub mod header;
pub mod messages;
pub mod produce;
mod shapes;
#[cfg(test)]
mod tests;

pub use apis::{ApiFacts, key};
pub use header::{HeaderError, RequestHeader, ResponseHeader};

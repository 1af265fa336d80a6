//! Formatting a node's directories, and checking them before a start.
//!
//! Owns `meta.properties` and what `blumfeld format` (Kafka's `kafka-storage format`) writes.
//! Knows nothing of the running broker. Read `meta_properties.rs` (one file), `directories.rs`
//! (all of them together, [`open`] at a start), then `command.rs` ([`format`]).
//!
//! The order makes a crash harmless: a directory's bootstrap checkpoint is durable before its
//! `meta.properties` exists, and only the latter makes it formatted.

mod command;
mod directories;
mod error;
mod meta_properties;

#[cfg(test)]
mod tests;

pub use command::{BOOTSTRAP_CHECKPOINT, FormatRequest, InitialControllers, format, parse_feature};
pub use directories::{Directories, METADATA_LOG, Storage, open};
pub use error::FormatError;
pub use meta_properties::{FILE_NAME, MetaProperties, MetaPropertiesError, Version};

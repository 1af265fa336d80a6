//! Blumfeld: a Kafka-wire-compatible broker.
//!
//! Layers, each naming only those below it (held by `tests/tidy.rs`):
//!
//! ```text
//! main, cli, broker      compose everything
//! server                 wire <-> domain: connections, the API table, one handler per API
//! drivers                drive the machines: quorum, metadata feed, controller, coordinators
//! store                  the data plane: partitions, appends, fetches, waiting
//! controller, replica, coordinator   pure machines
//! log                    one partition's data on disk
//! metadata, protocol, config   the cluster as values; wire codecs; settings
//! record, env            batches as bytes; the only road outside
//! types                  words
//! ```

pub mod broker;
pub mod cli;
pub mod codec;
pub mod config;
pub mod controller;
pub mod coordinator;
pub mod drivers;
pub mod env;
pub mod format;
pub mod log;
pub mod metadata;
pub mod protocol;
pub mod raft;
pub mod record;
pub mod replica;
pub mod server;
pub mod store;
pub mod types;

//! Stock clients and Apache Kafka itself against the real binary over real sockets.
//!
//! Nothing here knows how Blumfeld is made: the tests start a broker, drive it with code that is not ours
//! (librdkafka through the rdkafka crate, kcat, Kafka's Java clients and tools), and read its files with Kafka's own
//! readers. The exception is `node_client.rs`, in which our own client for calls to other nodes calls both. The broker under test is a value: `COMPAT_BROKER=kafka-4.4.0` runs the same stories against Apache Kafka,
//! which is how a story is shown to ask for what Kafka does.

#![expect(
    clippy::disallowed_methods,
    reason = "these tests are the outside world: real time, threads and files"
)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod harness;

mod acls;
mod admin;
mod compaction;
mod connections;
mod consume;
mod consumer_groups;
mod differential;
mod exactly_once;
mod files;
mod full_disk;
mod group_kills;
mod group_swaps;
mod groups;
mod holdings;
mod kcat;
mod kills;
mod moves;
mod node_client;
mod old_clients;
mod produce;
mod refusals;
mod surroundings;
mod swap;
mod swap_state;
mod tools;
mod transactions;

//! The cluster as immutable values: records in, images out. No I/O, no clock.
//!
//! Read `record.rs` and `control.rs` (what the metadata log holds), `features.rs` (levels and what
//! they allow), `image.rs` (everything at one offset), its parts `topics.rs`, `cluster.rs` and
//! `configs.rs`, `acls.rs` (who may do what, of which `authorizer.rs` makes yes and no), then `replay.rs` (batches of records to the next image) and `snapshot.rs` (an
//! image back to records). `shared.rs` makes all of it cheap to copy.

pub mod acls;
pub mod apply_error;
pub mod authorizer;
pub mod cluster;
pub mod configs;
pub mod control;
pub mod features;
pub mod image;
pub mod record;
pub mod replay;
pub mod shared;
pub mod snapshot;
pub mod topics;

pub use acls::Acls;
pub use apply_error::ApplyError;
pub use authorizer::{Authorizer, Operation, Principal, Requester, Resource, ResourceKind};
pub use cluster::{Broker, Cluster, Controller, ListenerEndpoint};
pub use configs::{ConfigResource, Configs, ResourceType};
pub use image::{Changes, MetadataImage};
pub use record::MetadataRecord;
pub use topics::{Partition, Topic, Topics};

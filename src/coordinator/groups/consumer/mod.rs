//! Groups of the consumer protocol (KIP-848): the coordinator decides who reads what, and brings
//! its members there one heartbeat at a time.
//!
//! `group.rs` is what a group is, `member.rs` a member; `heartbeat.rs` what happens on a heartbeat:
//! the epoch of the group moves on when its members or topics change, `target.rs` computes for it
//! who shall own what, and `reconcile.rs` says how far a member may go towards that. No partition
//! is given to a member before its former owner said that it gave it up.
//!
//! A group may have members that speak the classic protocol: `classic_member.rs` says what becomes
//! of their requests, `migration.rs` how a group moves between the protocols.

mod assignment;
mod assignor;
mod classic_events;
mod classic_member;
pub mod command;
mod events;
mod group;
mod hash;
mod heartbeat;
mod member;
mod migration;
mod re2;
mod reconcile;
mod regex;
mod target;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

pub use self::assignment::Assignment;
pub use self::assignor::Assignor;
pub(super) use self::group::ConsumerGroup;
pub(super) use self::hash::TopicHashes;
use crate::metadata::MetadataImage;
use crate::metadata::configs::{ConfigResource, ResourceType};

/// A time that a group may set for itself, within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounded {
    /// Of groups that set none.
    pub usual_ms: i32,
    /// The least.
    pub min_ms: i32,
    /// The most.
    pub max_ms: i32,
}

/// Makes a setting from an image: it can be altered while the broker runs.
pub type BoundedOf = Arc<dyn Fn(&MetadataImage) -> Bounded + Send + Sync>;

/// Settings of consumer groups.
#[derive(Clone)]
pub struct ConsumerConfig {
    /// `group.consumer.session.timeout.ms`.
    pub session_timeout: Bounded,
    /// `group.consumer.heartbeat.interval.ms`.
    pub heartbeat_interval: Bounded,
    /// `group.consumer.assignment.interval.ms`.
    pub assignment_interval_of: BoundedOf,
    /// `group.consumer.max.size`.
    pub members_max: usize,
    /// `group.consumer.assignors`, the usual one first.
    pub assignors: Vec<Assignor>,
    /// `group.consumer.regex.refresh.interval.ms`.
    pub regex_refresh_interval_ms: i64,
}

/// The settings of one group.
#[derive(Clone, Copy, Debug)]
struct GroupTimes {
    session_timeout: Duration,
    heartbeat_interval_ms: i32,
}

impl ConsumerConfig {
    fn usual_assignor(&self) -> Assignor {
        self.assignors.first().copied().unwrap_or(Assignor::Uniform)
    }

    /// The times of a group: its own, moved into the bounds, or else the broker's.
    fn times_of(&self, group: &str, image: &MetadataImage) -> GroupTimes {
        let time = |bounds: Bounded, key: &str| own_time(group, image, bounds, key);
        let session = time(self.session_timeout, "consumer.session.timeout.ms");
        GroupTimes {
            session_timeout: Duration::from_millis(u64::try_from(session).unwrap_or(0)),
            heartbeat_interval_ms: time(self.heartbeat_interval, "consumer.heartbeat.interval.ms"),
        }
    }

    /// How long after its last target the next one of a group is computed.
    fn assignment_interval_ms(&self, group: &str, image: &MetadataImage) -> i32 {
        let bounds = (self.assignment_interval_of)(image);
        own_time(group, image, bounds, "consumer.assignment.interval.ms")
    }
}

/// A time that a group has set, moved into the bounds, or else the broker's.
fn own_time(group: &str, image: &MetadataImage, bounds: Bounded, key: &str) -> i32 {
    let resource = ConfigResource { kind: ResourceType::Group, name: group.to_owned() };
    let own = image.configs.of(&resource).and_then(|own| own.get(key)?.parse::<i32>().ok());
    own.map_or(bounds.usual_ms, |own| own.min(bounds.max_ms).max(bounds.min_ms))
}

#[cfg(test)]
pub(super) use self::tests::usual_config;

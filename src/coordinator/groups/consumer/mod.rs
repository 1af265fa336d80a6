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
mod reconcile;
mod regex;
mod target;
#[cfg(test)]
mod tests;

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

/// Settings of consumer groups.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// `group.consumer.session.timeout.ms`.
    pub session_timeout: Bounded,
    /// `group.consumer.heartbeat.interval.ms`.
    pub heartbeat_interval: Bounded,
    /// `group.consumer.assignment.interval.ms`.
    pub assignment_interval: Bounded,
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
    assignment_interval_ms: i32,
}

impl ConsumerConfig {
    fn usual_assignor(&self) -> Assignor {
        self.assignors.first().copied().unwrap_or(Assignor::Uniform)
    }

    /// The times of a group: its own, moved into the bounds, or else the broker's.
    fn times_of(&self, group: &str, image: &MetadataImage) -> GroupTimes {
        let resource = ConfigResource { kind: ResourceType::Group, name: group.to_owned() };
        let configured = image.configs.of(&resource);
        let own = |key: &str| configured?.get(key)?.parse::<i32>().ok();
        let time = |own: Option<i32>, bounds: Bounded| {
            own.map_or(bounds.usual_ms, |own| own.min(bounds.max_ms).max(bounds.min_ms))
        };
        let session = time(own("consumer.session.timeout.ms"), self.session_timeout);
        GroupTimes {
            session_timeout: Duration::from_millis(u64::try_from(session).unwrap_or(0)),
            heartbeat_interval_ms: time(
                own("consumer.heartbeat.interval.ms"),
                self.heartbeat_interval,
            ),
            assignment_interval_ms: time(
                own("consumer.assignment.interval.ms"),
                self.assignment_interval,
            ),
        }
    }
}

#[cfg(test)]
pub(super) use self::tests::usual_config;

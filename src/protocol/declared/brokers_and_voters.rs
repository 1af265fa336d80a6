//! The requests of BrokerHeartbeat 0-2 (the message library lacks version 2, KIP-1066) and AddRaftVoter
//! 0-1 (it lacks version 1), and UnregisterController 0 (it lacks the API, KIP-1312).

#![allow(missing_docs, reason = "fields have the names that Kafka's schemas give them")]

use crate::codec::messages;
use crate::types::Uuid;

messages! {
    /// The request of BrokerHeartbeat.
    pub struct BrokerHeartbeatRequest: 0..=2, flexible 0..; {
        broker_id: i32 = 0..;
        broker_epoch: i64 = 0.., default -1;
        current_metadata_offset: i64 = 0..;
        want_fence: bool = 0..;
        want_shut_down: bool = 0..;
        offline_log_dirs: Vec<Uuid> = 1.., tag 0;
        cordoned_log_dirs: Option<Vec<Uuid>> = 2.., tag 1;
    }
    /// The request of AddRaftVoter.
    pub struct AddRaftVoterRequest: 0..=1, flexible 0..; {
        cluster_id: Option<String> = 0.., default Some(String::new());
        timeout_ms: i32 = 0..;
        voter_id: i32 = 0..;
        voter_directory_id: Uuid = 0..;
        listeners: Vec<AddRaftVoterListener> = 0..;
        ack_when_committed: bool = 1.., default true;
    }
    pub struct AddRaftVoterListener: 0..=1, flexible 0..; {
        name: String = 0..;
        host: String = 0..;
        port: u16 = 0..;
    }
    /// The request of UnregisterController.
    pub struct UnregisterControllerRequest: 0..=0, flexible 0..; {
        controller_id: i32 = 0..;
    }
    /// The response of UnregisterController.
    pub struct UnregisterControllerResponse: 0..=0, flexible 0..; {
        throttle_time_ms: i32 = 0..;
        error_code: i16 = 0..;
        error_message: Option<String> = 0.., default Some(String::new());
    }
}

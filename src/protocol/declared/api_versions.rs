//! ApiVersions 0-5. The message library lacks version 5 (KIP-1242).

use crate::codec::messages;

messages! {
    /// ApiVersions. Version 5 says which node the client believes it talks to (KIP-1242).
    pub struct ApiVersionsRequest: 0..=5, flexible 3..; {
        /// "librdkafka", "apache-kafka-java" and the like.
        client_software_name: String = 3.., [ignorable];
        /// Its version.
        client_software_version: String = 3.., [ignorable];
        /// The cluster the client believes in.
        cluster_id: Option<String> = 5.., [ignorable];
        /// The node it believes in, -1 for none.
        node_id: i32 = 5.., default -1, [ignorable];
    }
    /// What a node answers.
    pub struct ApiVersionsResponse: 0..=5, flexible 3..; {
        /// What happened.
        error_code: i16 = 0..;
        /// The APIs of this listener.
        api_keys: Vec<ApiVersion> = 0..;
        /// How long the client must wait.
        throttle_time_ms: i32 = 1.., [ignorable];
        /// What this node could do.
        supported_features: Vec<SupportedFeature> = 3.., tag 0, [ignorable];
        /// The metadata offset of what is finalized, -1 for unknown.
        finalized_features_epoch: i64 = 3.., tag 1, default -1, [ignorable];
        /// What the cluster does.
        finalized_features: Vec<FinalizedFeature> = 3.., tag 2, [ignorable];
        /// A relic of the migration from ZooKeeper.
        zk_migration_ready: bool = 3.., tag 3, [ignorable];
    }
    /// One API.
    pub struct ApiVersion: 0..=5, flexible 3..; {
        /// Its number.
        api_key: i16 = 0..;
        /// Its oldest version here.
        min_version: i16 = 0..;
        /// Its newest version here.
        max_version: i16 = 0..;
    }
    /// One feature that a node supports.
    pub struct SupportedFeature: 0..=5, flexible 3..; {
        /// Its name.
        name: String = 3..;
        /// Its lowest level.
        min_version: i16 = 3..;
        /// Its highest level.
        max_version: i16 = 3..;
    }
    /// One feature that the cluster finalized.
    pub struct FinalizedFeature: 0..=5, flexible 3..; {
        /// Its name.
        name: String = 3..;
        /// Its level.
        max_version_level: i16 = 3..;
        /// Its level again.
        min_version_level: i16 = 3..;
    }
}

//! Keys of client metrics subscriptions.

use crate::config::key::config_keys;

config_keys! {
    /// The keys of a client metrics subscription (Kafka 4.4 `ClientMetricsConfigs`, KIP-714).
    CLIENT_METRICS, ClientMetricsConfig;
    /// How often the clients push.
    "interval.ms": Int = "300000", Any, Medium, ClusterWide
        pending "Client metrics subscriptions are stored, and clients are not asked for metrics."
        => interval_ms: i32;
    /// Which clients the subscription is for, as SELECTOR=REGULAR_EXPRESSION; none named, all of
    /// them.
    "match": List = "", Names, Medium, ClusterWide
        pending "Client metrics subscriptions are stored, and clients are not asked for metrics."
        => match_patterns: Vec<String>;
    /// The prefixes of the metrics that are pushed; `*` is all of them.
    "metrics": List = "", Names, Medium, ClusterWide
        pending "Client metrics subscriptions are stored, and clients are not asked for metrics."
        => metrics: Vec<String>;
}

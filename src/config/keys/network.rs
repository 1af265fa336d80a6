//! Keys of listeners and connections.

use crate::config::key::config_keys;

config_keys! {
    /// Listeners, sockets, connections and requests (Kafka 4.4 `SocketServerConfigs`,
    /// `ServerConfigs`).
    NETWORK, NetworkSettings;
    /// Where to listen, as NAME://HOST:PORT; an empty host is every address, port 0 any free one.
    "listeners": List = "PLAINTEXT://:9092", NonEmptyNames, High, PerBroker
        => listeners: Vec<String>;
    /// The addresses that clients receive; defaults to `listeners`.
    "advertised.listeners": List = null, NonEmptyNames, High, ReadOnly
        => advertised_listeners: Option<Vec<String>>;
    /// The security protocol of each listener name, as NAME:PROTOCOL.
    "listener.security.protocol.map": String =
        "SASL_SSL:SASL_SSL,PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        Any, Low, PerBroker => listener_security_protocol_map: String;
    /// Listeners that open before the authorizer has loaded.
    "early.start.listeners": List = null, Names, High, ReadOnly
        accepted "Listeners open when the broker is ready to authorize; without an authorizer that \
         is at once for all of them.";
    /// Send buffer of a connection's socket; -1 leaves it to the system.
    "socket.send.buffer.bytes": Int = "102400", Any, High, ReadOnly
        pending "The operating system chooses the size of socket buffers."
        => socket_send_buffer_bytes: i32;
    /// Receive buffer of a connection's socket; -1 leaves it to the system.
    "socket.receive.buffer.bytes": Int = "102400", Any, High, ReadOnly
        pending "The operating system chooses the size of socket buffers."
        => socket_receive_buffer_bytes: i32;
    /// The largest request that is read; a larger one closes its connection.
    "socket.request.max.bytes": Int = "104857600", AtLeast(1), High, ReadOnly
        => socket_request_max_bytes: i32;
    /// How many connections may wait to be accepted.
    "socket.listen.backlog.size": Int = "50", AtLeast(1), Medium, ReadOnly
        pending "The backlog is 1024 connections."
        => socket_listen_backlog_size: i32;
    /// How many connections one address may hold.
    "max.connections.per.ip": Int = "2147483647", AtLeast(0), Medium, ClusterWide
        => max_connections_per_ip: i32;
    /// Exceptions to `max.connections.per.ip`, as HOST:COUNT.
    "max.connections.per.ip.overrides": String = "", Any, Medium, ClusterWide
        pending "`max.connections.per.ip` applies to every address."
        => max_connections_per_ip_overrides: String;
    /// How many connections the broker holds; with a listener's prefix, how many that listener
    /// holds.
    "max.connections": Int = "2147483647", AtLeast(0), Medium, ClusterWide => max_connections: i32;
    /// How many connections are accepted each second; with a listener's prefix, by that listener.
    "max.connection.creation.rate": Int = "2147483647", AtLeast(0), Medium, ClusterWide
        pending "The rate of new connections is not limited."
        => max_connection_creation_rate: i32;
    /// A connection without traffic for this long is closed; -1 is never.
    "connections.max.idle.ms": Long = "600000", Any, Medium, ReadOnly
        => connections_max_idle_ms: i64;
    /// Delay before the response to a failed authentication is sent.
    "connection.failed.authentication.delay.ms": Int = "100", AtLeast(0), Low, ReadOnly
        accepted "Concerns SASL, and listeners with SASL stop the start.";
    /// How many requests may wait before the network threads stop reading.
    "queued.max.requests": Int = "500", AtLeast(1), High, ReadOnly
        accepted "Requests are not queued between threads: each connection runs to completion, and \
         reading stops while its requests are unanswered.";
    /// How many bytes of requests may wait before the network threads stop reading; -1 is no bound.
    "queued.max.request.bytes": Long = "-1", Any, Medium, ReadOnly => queued_max_request_bytes: i64;
    /// How many threads serve connections.
    "num.network.threads": Int = "3", AtLeast(1), High, ClusterWide
        pending "There is one worker thread for each processor."
        => num_network_threads: i32;
    /// How many threads process requests.
    "num.io.threads": Int = "8", AtLeast(1), High, ClusterWide
        accepted "A connection's thread runs its requests to completion, so there is no second \
         pool.";
    /// How many threads do background work.
    "background.threads": Int = "10", AtLeast(1), High, ClusterWide
        accepted "Background work runs on threads of its own that are not counted.";
    /// How long this broker waits for the answer to a request of its own.
    "request.timeout.ms": Int = "30000", Any, High, ReadOnly
        pending "This node opens no connections to other nodes."
        => request_timeout_ms: i32;
    /// How long a connection to another node may take to be set up.
    "socket.connection.setup.timeout.ms": Long = "10000", Any, Medium, ReadOnly
        pending "This node opens no connections to other nodes."
        => socket_connection_setup_timeout_ms: i64;
    /// The longest that `socket.connection.setup.timeout.ms` grows to when connections fail.
    "socket.connection.setup.timeout.max.ms": Long = "30000", Any, Medium, ReadOnly
        pending "This node opens no connections to other nodes."
        => socket_connection_setup_timeout_max_ms: i64;
    /// How many partitions one DescribeTopicPartitions answer may have.
    "max.request.partition.size.limit": Int = "2000", AtLeast(1), Medium, ReadOnly
        => max_request_partition_size_limit: i32;
    /// The most bytes that an answer to a fetch holds, whatever its request asks for.
    "fetch.max.bytes": Int = "57671680", AtLeast(1_024), Medium, ReadOnly => fetch_max_bytes: i32;
    /// How many incremental fetch sessions are kept.
    "max.incremental.fetch.session.cache.slots": Int = "1000", AtLeast(0), Medium, ReadOnly
        => max_incremental_fetch_session_cache_slots: i32;
    /// Offers API versions that are still in development.
    "unstable.api.versions.enable": Boolean = "false", Any, Internal, ReadOnly
        => unstable_api_versions_enable: bool;
}

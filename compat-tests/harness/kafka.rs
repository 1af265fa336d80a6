//! Apache Kafka from Maven Central: its jars, its brokers' command lines, its tools.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::{env, fs};

use super::PATIENCE;
use super::process::{self, Ran};

/// A release of Apache Kafka that the tests use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Release {
    /// The newest release that Maven Central has whole: every tool comes from it.
    V4_3_1,
    /// The release whose formats and protocol Blumfeld has by default. Central has its broker.
    V4_4_0,
    /// The oldest line that a directory is swapped with.
    V4_0_2,
}

impl Release {
    /// All of them, newest first.
    pub(crate) const ALL: [Self; 3] = [Self::V4_4_0, Self::V4_3_1, Self::V4_0_2];

    /// The release of this version.
    pub(crate) fn of(version: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|release| release.version() == version)
    }

    /// The release that directories are swapped with: `SWAP_RELEASE` says another than 4.4.0.
    pub(crate) fn to_swap_with() -> Self {
        let version = env::var("SWAP_RELEASE").unwrap_or_else(|_| "4.4.0".to_owned());
        Self::of(&version)
            .unwrap_or_else(|| panic!("SWAP_RELEASE={version}: not one of {:?}", Self::ALL))
    }

    /// As the jars name it.
    pub(crate) fn version(self) -> &'static str {
        match self {
            Self::V4_3_1 => "4.3.1",
            Self::V4_4_0 => "4.4.0",
            Self::V4_0_2 => "4.0.2",
        }
    }

    /// As `--release-version` of the format command names it.
    pub(crate) fn format(self) -> &'static str {
        &self.version()[..3]
    }

    /// The folder of its jars, fetched when they are not there.
    pub(crate) fn jars(self) -> PathBuf {
        let kafka = format!("-Dkafka={}", self.version());
        // (The interface between broker and tools is 4.3.1's unless told otherwise.)
        let tools = match self {
            Self::V4_3_1 => Some("-Ptools"),
            Self::V4_4_0 => None,
            Self::V4_0_2 => Some("-Dtools=4.0.2"),
        };
        let mut arguments = vec![&*kafka];
        arguments.extend(tools);
        fetched(&format!("jars-{}", self.version()), "pom.xml", &arguments)
    }

    /// The folder of Kafka Streams, without the native library of its stores on disk.
    fn streams_jars(self) -> PathBuf {
        let kafka = format!("-Dkafka={}", self.version());
        let arguments = [&*kafka, "-Pstreams", "-DincludeArtifactIds=kafka-streams"];
        fetched(&format!("streams-{}", self.version()), "pom.xml", &arguments)
    }

    /// `java` with this release's jars and a small heap, up to the main class.
    fn java(self, flags: &[&str], log4j: &str) -> Command {
        java(flags, log4j, &format!("{}/*", self.jars().display()))
    }

    /// The command that runs a broker.
    pub(crate) fn broker(self, properties: &Path) -> Command {
        let mut java = self.java(&["-Xms512m", "-Xmx512m"], "broker-log4j2.properties");
        java.arg("kafka.Kafka").arg(properties);
        java
    }

    /// The command that formats a broker's directory.
    pub(crate) fn format_command(self) -> Command {
        let mut java = self.java(TOOL_FLAGS, "tools-log4j2.properties");
        java.args(["kafka.tools.StorageTool", "format"]);
        java
    }
}

/// The folder of the jars of an older release's console clients. From 3.9 on they are `in_tools`.
pub(crate) fn old_client_jars(version: &str, scala: &str, in_tools: bool) -> PathBuf {
    let (kafka, scala) = (format!("-Dkafka={version}"), format!("-Dscala={scala}"));
    let mut arguments = vec![&*kafka, &scala];
    arguments.extend(in_tools.then_some("-Ptools"));
    fetched(&format!("old-clients-{version}"), "old-clients.xml", &arguments)
}

/// What Maven fetches for the project in `pom`, kept in a folder of the cache.
fn fetched(name: &str, pom: &str, arguments: &[&str]) -> PathBuf {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _guard = ONE_AT_A_TIME.lock();
    let folder = cache().join(name);
    if folder.is_dir() {
        return folder;
    }
    let part = cache().join(format!("{name}.{}", std::process::id()));
    let mut maven = Command::new("mvn");
    maven
        .args(["--batch-mode", "--quiet", "--file", &file(pom)])
        .args(["dependency:copy-dependencies", "-DincludeScope=runtime"])
        .arg(format!("-DoutputDirectory={}", part.display()))
        .args(arguments);
    process::run(maven, b"", PATIENCE * 10).ok();
    // Another process may have been faster; its folder is as good as this one.
    if fs::rename(&part, &folder).is_err() {
        fs::remove_dir_all(&part).unwrap();
    }
    folder
}

/// A tool lives for a second or two: starting quickly is all that counts.
const TOOL_FLAGS: &[&str] = &["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

fn java(flags: &[&str], log4j: &str, jars: &str) -> Command {
    let mut java = Command::new("java");
    java.args(flags).arg(format!("-Dlog4j2.configurationFile={}", file(log4j))).args(["-cp", jars]);
    java
}

/// A program of Kafka's own client libraries, whose source lies beside the pom, ready for arguments.
pub(crate) fn program(source: &str) -> Command {
    let release = Release::V4_3_1;
    let (jars, streams) = (release.jars(), release.streams_jars());
    let jars = format!("{}/*:{}/*", jars.display(), streams.display());
    let mut java = java(TOOL_FLAGS, "tools-log4j2.properties", &jars);
    java.arg(file(source));
    java
}

/// One of Kafka's command-line tools, by the name of its script, ready for arguments.
pub(crate) fn tool(name: &str) -> Command {
    let class = match name {
        "kafka-acls" => "org.apache.kafka.tools.AclCommand",
        "kafka-broker-api-versions" => "org.apache.kafka.tools.BrokerApiVersionsCommand",
        "kafka-cluster" => "org.apache.kafka.tools.ClusterTool",
        "kafka-configs" => "kafka.admin.ConfigCommand",
        "kafka-console-consumer" => "org.apache.kafka.tools.consumer.ConsoleConsumer",
        "kafka-console-producer" => "org.apache.kafka.tools.ConsoleProducer",
        "kafka-console-share-consumer" => "org.apache.kafka.tools.consumer.ConsoleShareConsumer",
        "kafka-consumer-groups" => "org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
        "kafka-delete-records" => "org.apache.kafka.tools.DeleteRecordsCommand",
        "kafka-dump-log" => "org.apache.kafka.tools.DumpLogSegments",
        "kafka-features" => "org.apache.kafka.tools.FeatureCommand",
        "kafka-get-offsets" => "org.apache.kafka.tools.GetOffsetShell",
        "kafka-groups" => "org.apache.kafka.tools.GroupsCommand",
        "kafka-log-compaction-tester" => "org.apache.kafka.tools.LogCompactionTester",
        "kafka-log-dirs" => "org.apache.kafka.tools.LogDirsCommand",
        "kafka-metadata-quorum" => "org.apache.kafka.tools.MetadataQuorumCommand",
        "kafka-producer-perf-test" => "org.apache.kafka.tools.ProducerPerformance",
        "kafka-reassign-partitions" => "org.apache.kafka.tools.reassign.ReassignPartitionsCommand",
        "kafka-share-groups" => "org.apache.kafka.tools.consumer.group.ShareGroupCommand",
        "kafka-transactions" => "org.apache.kafka.tools.TransactionsCommand",
        "kafka-topics" => "org.apache.kafka.tools.TopicCommand",
        "kafka-verifiable-consumer" => "org.apache.kafka.tools.VerifiableConsumer",
        other => panic!("{other}: add its main class here"),
    };
    let mut java = Release::V4_3_1.java(TOOL_FLAGS, "tools-log4j2.properties");
    java.arg(class);
    java
}

/// Runs one of Kafka's tools to its end.
pub(crate) fn run_tool(name: &str, args: &[&str], input: &str) -> Ran {
    let mut command = tool(name);
    command.args(args);
    process::run(command, input.as_bytes(), PATIENCE * 3)
}

/// A file beside the pom.
fn file(name: &str) -> String {
    format!("{}/compat-tests/kafka/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Where fetched things are kept, outside the repository.
fn cache() -> PathBuf {
    let home = || PathBuf::from(env::var_os("HOME").expect("HOME is not set"));
    let cache = env::var_os("BLUMFELD_PEERS").map_or_else(
        || {
            env::var_os("XDG_CACHE_HOME")
                .map_or_else(|| home().join(".cache"), PathBuf::from)
                .join("blumfeld-peers")
        },
        PathBuf::from,
    );
    fs::create_dir_all(&cache).unwrap();
    cache
}

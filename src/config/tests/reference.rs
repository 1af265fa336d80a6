//! The reference page, `REFERENCE.md`, is rendered from the declarations.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::config::{Default, Importance, Key, Mode, Status, keys};

const INTRODUCTION: &str = "\
# Configuration

Every key of Apache Kafka 4.4 is known. A key without a remark is implemented. **Not implemented yet** marks
a key whose value is checked, kept and shown to clients, and has no effect so far; a broker that is
started with another value than the default logs a warning. **Accepted** marks a key that does not
apply to this broker, for the reason given; it is logged at info level. A key that **stops the start**
does so when it is set to more than its default, since to neglect it would weaken security or
durability. An unknown key is ignored with a warning.

This page is rendered from the declarations in `src/config/keys/`:
`UPDATE=1 cargo test --lib reference` writes it again.

*Altered* says whether a broker's key can be altered while it runs: for one broker, or for all.
Keys marked *internal* are for tests and emergencies, and only shown where they are set.
";

fn default(key: &Key) -> String {
    match key.default {
        Default::Text("") => "empty".to_owned(),
        Default::Text(text) => format!("`{}`", text.replace(',', ", ")),
        Default::Null => "not set".to_owned(),
        Default::Required => "**must be set**".to_owned(),
    }
}

/// Fields that only the checks of the configuration read.
const ONLY_CHECKED: &[&str] = &[
    "controller_quorum_bootstrap_servers",
    "inter_broker_listener_name",
    "security_inter_broker_protocol",
];

/// Fields that are read under another name.
const READ_AS: &[(&str, &str)] = &[
    ("advertised_listeners", "advertised_broker_listeners"),
    ("controller_listener_names", "is_controller_listener"),
    ("controller_quorum_voters", "voters"),
    ("cordoned_log_dirs", "cordoned_log_dirs()"),
    ("listener_security_protocol_map", "listeners"),
    ("log_dir", "log_dirs"),
    ("metadata_log_dir", "metadata_dir"),
    // Other structs have a field of this name; a client metrics subscription would be read like this.
    ("metrics", "subscription.metrics"),
    ("process_roles", "is_controller_listener"),
    // A topic's, which come from the broker's.
    ("compression_gzip_level", "target_compression"),
    ("compression_lz4_level", "target_compression"),
    ("compression_type", "target_compression"),
    ("compression_zstd_level", "target_compression"),
    ("internal_segment_bytes", "largest_segment"),
    ("max_compaction_lag_ms", "longest_segment_ms"),
    ("segment_bytes", "largest_segment"),
    ("segment_ms", "longest_segment_ms"),
];

/// The source that might read a field: all but what declares and checks the configuration.
fn source() -> String {
    fn read(dir: &Path, text: &mut String) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                if !path.ends_with("src/config") && !path.ends_with("tests") {
                    read(&path, text);
                }
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                text.push_str(&std::fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut text = String::new();
    read(&[env!("CARGO_MANIFEST_DIR"), "src"].iter().collect::<PathBuf>(), &mut text);
    text
}

/// Whether the source reads the field of a key, or of a topic's key that takes its default from it.
fn is_read(key: &Key, source: &str) -> bool {
    let field = match key.status {
        Status::Field(field) if ONLY_CHECKED.contains(&field) => return true,
        Status::Field(field) | Status::Pending { field, .. } => field,
        // A refused key has a field where some of its values are not refused.
        Status::Accepted(_) | Status::Refused(..) => return true,
    };
    if field.is_empty() {
        return false;
    }
    let name = READ_AS.iter().find(|(f, _)| *f == field).map_or(field, |(_, name)| name);
    let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
    let access = format!(".{name}");
    let of_broker = |topic: &&Key| {
        topic.name != key.name && topic.synonyms.iter().any(|synonym| synonym.name == key.name)
    };
    // The controller asks by name.
    let asked = format!("\"{}\")", key.name);
    source.match_indices(&access).any(|(at, _)| ends(&source[at + access.len()..]))
        || source.contains(&asked)
        || keys::topics().find(of_broker).is_some_and(|topic| is_read(topic, source))
}

fn about(key: &Key) -> String {
    let mut text = key.doc.to_owned();
    if key.importance == Importance::Internal {
        text.push_str(" *Internal.*");
    }
    match key.synonyms {
        [] => {}
        synonyms => {
            let names: Vec<_> = synonyms.iter().map(|s| format!("`{}`", s.name)).collect();
            _ = write!(text, " Default of a broker: {}.", names.join(", else "));
        }
    }
    match key.status {
        Status::Field(_) => {}
        Status::Pending { effect, .. } => _ = write!(text, " **Not implemented yet:** {effect}"),
        Status::Accepted(reason) => _ = write!(text, " **Accepted:** {reason}"),
        Status::Refused(harmless, reason) => {
            _ = write!(text, " **Stops the start:** {reason}");
            for value in harmless {
                _ = write!(text, " `{value}` does not.");
            }
        }
    }
    text.replace('|', "\\|")
}

fn table(text: &mut String, title: &str, rows: &[Key], is_broker: bool) {
    _ = writeln!(text, "\n## {title}\n");
    let altered = if is_broker { " Altered |" } else { "" };
    _ = writeln!(text, "| Key | Values | Default |{altered} What it is for |");
    _ = writeln!(text, "|--|--|--|{}--|", if is_broker { "--|" } else { "" });
    for key in rows {
        let altered = match key.mode {
            _ if !is_broker => "",
            Mode::ReadOnly => " |",
            Mode::PerBroker => " for one |",
            Mode::ClusterWide => " for all |",
        };
        _ = writeln!(
            text,
            "| `{}` | {} | {} |{altered} {} |",
            key.name,
            key.accepted().replace('|', "\\|"),
            default(key),
            about(key)
        );
    }
}

fn render() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (title, rows) in keys::BROKER_TABLES {
        table(&mut text, title, rows, true);
    }
    table(&mut text, "Only while a broker runs", keys::quota::DYNAMIC_ONLY, true);
    table(&mut text, "A topic's keys", keys::topic::TOPIC, false);
    table(&mut text, "A group's keys", keys::group_level::GROUP_KEYS, false);
    table(
        &mut text,
        "A client metrics subscription's keys",
        keys::client_metrics::CLIENT_METRICS,
        false,
    );
    text
}

#[test]
fn a_key_is_declared_as_pending_until_the_source_reads_it() {
    let source = source();
    let tables = keys::BROKER_TABLES.iter().map(|(_, table)| *table);
    let others = [
        keys::quota::DYNAMIC_ONLY,
        keys::topic::TOPIC,
        keys::group_level::GROUP_KEYS,
        keys::client_metrics::CLIENT_METRICS,
    ];
    for key in tables.chain(others).flatten() {
        let is_pending = matches!(key.status, Status::Pending { .. });
        assert_eq!(
            is_pending,
            !is_read(key, &source),
            "{}: implemented keys are read outside of src/config, and no others",
            key.name
        );
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a file of the source, written for its author")]
fn the_reference_page_says_what_the_declarations_say() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "src/config/REFERENCE.md"].iter().collect();
    let page = render();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == page,
        "src/config/REFERENCE.md is out of date: UPDATE=1 cargo test --lib reference writes it"
    );
}

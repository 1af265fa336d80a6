//! The reference page, `REFERENCE.md`, is rendered from the declarations.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::config::{Default, Importance, Key, Mode, Status, keys};

const INTRODUCTION: &str = "\
# Configuration

Every key of Apache Kafka 4.4 is known. One without a remark is acted on by the part of the broker
that it concerns, as soon as that part is built. One that is **accepted** is kept, shown to clients,
and not acted on, for the reason given. One that **stops the start** does so when it is set to more
than its default, since to neglect it would weaken security or durability. An unknown key is warned
of and ignored.

This page is made of the declarations in `src/config/keys/`: `UPDATE=1 cargo test --lib reference`
writes it again.

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
#[expect(clippy::disallowed_methods, reason = "a file of the source, written for its author")]
fn the_reference_page_says_what_the_declarations_say() {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "src/config/REFERENCE.md"].iter().collect();
    let page = render();
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "src/config/REFERENCE.md is not what UPDATE=1 would write");
}

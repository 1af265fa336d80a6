//! Sessions with command-line tools, written down as they went with Apache Kafka and held against the broker under
//! test.
//!
//! A transcript is a text file. `$ tool arg...` is a command (single quotes group, BROKER and CONTROLLER are the
//! addresses of the two listeners), lines that begin with `< ` are its standard input, and what follows is what it
//! prints: standard output, then standard error, then `[exit N]` unless N is 0. Ids, times, ports and folders are
//! masked. `$* tool` says that the lines may come in any order, since Kafka's do. `$ file NAME` writes its input to a
//! file, which later commands name as `@NAME`.
//! `COMPAT_RECORD=1 COMPAT_BROKER=kafka-4.4.0 cargo test --test compat` writes the answers of Kafka into the files.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::{env, fs};

use super::process::{Ran, run};
use super::{Broker, PATIENCE, kafka};

/// Replays `transcripts/NAME.txt` against `broker`. Panics with a list of the commands that were answered otherwise.
pub(crate) fn replay(broker: &Broker, name: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("compat-tests/transcripts/{name}.txt"));
    let text = fs::read_to_string(&path).unwrap();
    let mut recorded = String::new();
    let mut differences = String::new();
    for block in blocks(&text) {
        recorded += block.comment;
        if block.command.is_empty() {
            continue;
        }
        let answer = perform(broker, &block);
        let in_any_order = block.command.starts_with("$*");
        let same = if in_any_order {
            sorted(&answer) == sorted(&block.answer)
        } else {
            answer == block.answer
        };
        if !same {
            writeln!(differences, "{}\nKafka:\n{}here:\n{answer}", block.command, block.answer)
                .unwrap();
        }
        writeln!(recorded, "{}", block.command).unwrap();
        for line in &block.input {
            writeln!(recorded, "< {line}").unwrap();
        }
        recorded += &answer;
    }
    if env::var_os("COMPAT_RECORD").is_some() {
        fs::write(&path, recorded).unwrap();
    } else {
        assert!(differences.is_empty(), "{}\n{differences}", path.display());
    }
}

/// What Kafka answered where the broker under test has just answered `answer`; that, when answers are being recorded.
pub(crate) fn recorded(name: &str, answer: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("compat-tests/transcripts/{name}.txt"));
    if env::var_os("COMPAT_RECORD").is_some() {
        fs::write(&path, answer).unwrap();
    }
    fs::read_to_string(&path).unwrap()
}

/// A command with what it is given and what it answers; or a comment alone.
#[derive(Default)]
struct Block<'a> {
    comment: &'a str,
    command: &'a str,
    input: Vec<&'a str>,
    answer: String,
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block<'_>> = Vec::new();
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches('\n');
        if content.starts_with('#') {
            blocks.push(Block { comment: line, ..Block::default() });
        } else if content.starts_with('$') {
            blocks.push(Block { command: content, ..Block::default() });
        } else {
            let block = blocks.last_mut().expect("a transcript begins with a command");
            match content.strip_prefix("< ") {
                Some(input) => block.input.push(input),
                None => block.answer += line,
            }
        }
    }
    blocks
}

fn sorted(text: &str) -> Vec<&str> {
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_unstable();
    lines
}

fn perform(broker: &Broker, block: &Block<'_>) -> String {
    let (_, words) = block.command.split_once(' ').unwrap();
    let mut words = split(words).into_iter();
    let tool = words.next().unwrap();
    let input: String = block.input.iter().flat_map(|line| [line, "\n"]).collect();
    let folder = broker.home().path();
    if tool == "file" {
        fs::write(folder.join(words.next().unwrap()), input).unwrap();
        return String::new();
    }
    let controller = format!("127.0.0.1:{}", broker.home().controller_port);
    let mut command = if tool == "kcat" { Command::new("kcat") } else { kafka::tool(&tool) };
    command.args(words.map(|word| match (word.as_str(), word.strip_prefix('@')) {
        ("BROKER", _) => broker.address(),
        ("CONTROLLER", _) => controller.clone(),
        (_, Some(file)) => folder.join(file).display().to_string(),
        _ => word,
    }));
    let ran = run(command, input.as_bytes(), PATIENCE * 3);
    mask(visible(&ran), broker)
}

/// Words, as a shell without variables would take them.
fn split(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for char in line.chars() {
        match char {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            other => words.last_mut().unwrap().push(other),
        }
    }
    words
}

/// What a person at a terminal would read, without stack traces, warnings (of a topic that a client asks for again
/// and again while it is being created) and the logger's marks of time.
fn visible(ran: &Ran) -> String {
    let mut text = String::new();
    for line in ran.stdout.lines() {
        writeln!(text, "{line}").unwrap();
    }
    for line in ran.stderr.lines() {
        let trace = line.starts_with("\tat ")
            || line.starts_with("\t... ")
            || line.starts_with(" (org.apache.kafka.");
        let logged = line.strip_prefix('[').and_then(|line| line.split_once("] "));
        let message = logged.map_or(line, |(_, message)| message);
        if !trace && !message.starts_with("WARN ") {
            writeln!(text, "{message}").unwrap();
        }
    }
    if let Some(code) = ran.code().filter(|&code| code != 0) {
        writeln!(text, "[exit {code}]").unwrap();
    }
    text
}

/// Replaces what differs between two runs of one and the same broker.
fn mask(text: String, broker: &Broker) -> String {
    let home = broker.home();
    let text = text
        .replace(&home.path().display().to_string(), "HOME")
        .replace(&broker.address(), "BROKER")
        .replace(&format!("127.0.0.1:{}", home.controller_port), "CONTROLLER");
    let ports = [home.port.to_string(), home.controller_port.to_string()];
    let mut masked = String::new();
    let mut rest = text.as_str();
    let mut previous = "";
    while let Some(first) = rest.chars().next() {
        let in_word = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        let word = &rest[..rest.find(|c| !in_word(c)).unwrap_or(rest.len())];
        if word.is_empty() {
            masked.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        }
        rest = &rest[word.len()..];
        let number = word.bytes().all(|b| b.is_ascii_digit());
        let shown = match word.len() {
            // A 128-bit id in base64.
            22 if word.contains(|c: char| c.is_ascii_uppercase()) => "ID",
            // Milliseconds since 1970.
            13 if number => "TIME",
            // Positions in the metadata log, which grows by itself.
            _ if number && ["Epoch", "HighWatermark", "ID"].contains(&previous) => "N",
            _ if number && previous == "MaxFollowerLagTimeMs" => "N",
            _ if ports.iter().any(|port| port == word) => "PORT",
            _ => word,
        };
        // ("broker ID 7" is no masked id.)
        previous = if word == "ID" { "" } else { shown };
        masked += shown;
        // In a table the spaces behind it tell how many digits it has.
        let behind = rest.trim_start_matches(' ');
        if shown == "N" && behind.starts_with('\t') {
            rest = behind;
        }
    }
    masked
}

//! Rules of the source that the compiler does not know: layers, names that a layer must not say,
//! documents that keep up, sizes that only grow on purpose. Each failure names file and line.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// The layers, the highest first: its modules, and what they are for. A module names modules of lower
/// layers only. ARCHITECTURE.md shows this table; `UPDATE=1 cargo test --test tidy` writes it there.
const LAYERS: &[(&[&str], &str)] = &[
    (&["cli"], "the commands of the program"),
    (&["main", "broker"], "the composition root: starts and stops the parts in order"),
    (&["server"], "wire to domain: connections, the API table, one handler for each API"),
    (&["drivers"], "drive the machines: quorum, metadata feed, controller, coordinators"),
    (&["store"], "the data plane: partitions, appends, fetches, waiting requests"),
    (&["client"], "calls to other nodes"),
    (&["format"], "data directories: meta.properties, bootstrap records"),
    (
        &["controller", "coordinator", "raft", "replica"],
        "machines that decide; files of raft read and write the metadata log",
    ),
    (&["log"], "the data of one partition on disk"),
    (
        &["config", "metadata", "protocol"],
        "settings; the cluster as immutable values; wire messages",
    ),
    (
        &["codec", "env", "metrics", "record"],
        "message primitives; the only way to the outside; instruments; batches as bytes",
    ),
    (&["types"], "words: offsets, epochs, ids, error codes, two kinds of time"),
];

/// What a file, or a folder of files, may name beyond its layer, and why.
const LAYER_EXCEPTIONS: &[(&str, &str, &str)] = &[];

/// Code that decides: it is given the time and its input, and reaches for nothing.
const PURE: &[&str] = &[
    "src/types",
    "src/codec",
    "src/record",
    "src/metadata",
    "src/replica",
    "src/coordinator",
    "src/controller",
    "src/client/backoff.rs",
    "src/client/pipeline.rs",
    "src/client/versions.rs",
    "src/drivers/controller/pending.rs",
    "src/raft/batch.rs",
    "src/raft/history.rs",
    "src/raft/log_summary.rs",
    "src/raft/machine",
    "src/raft/quorum.rs",
    "src/raft/voters.rs",
    "src/log/cleaner/choose.rs",
    "src/log/cleaner/filter.rs",
    "src/log/cleaner/grouping.rs",
    "src/log/cleaner/offset_map.rs",
    "src/log/cleaner/txns.rs",
    "src/log/producers.rs",
    "src/log/retention.rs",
];

/// Files among [`PURE`] that drive instead of deciding.
const DRIVERS: &[&str] = &[];

/// What pure code never names.
const IMPURE: &[&str] = &[
    "tokio",
    "crate::env",
    "std::fs",
    "std::net::Tcp",
    "std::thread",
    "std::env",
    "Instant",
    "SystemTime",
    "parking_lot",
];

/// What only the named places say.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("kafka_protocol", &["src/protocol"]),
    ("std::fs", &["src/env/real", "src/main.rs", "src/config/reference.rs"]),
    ("std::net::Tcp", &["src/env/real"]),
    ("tokio::net", &["src/env/real"]),
    ("tokio::fs", &[]),
    ("std::thread::", &["src/env/real", "src/env/sim", "src/main.rs"]),
    ("spawn_blocking", &[]),
    ("getrandom", &["src/env/real"]),
    ("SystemTime", &["src/env/real"]),
    ("Instant::now", &["src/env/real", "src/env/sim"]),
    ("HashMap", &[]),
    ("HashSet", &[]),
    ("dbg!", &[]),
];

/// The longest file and the longest function there may be, in lines. They grow when someone
/// decides that they should, here or in [`LONG_FILES`].
const FILE_LINES_MAX: usize = 1000;
const FUNCTION_LINES_MAX: usize = 150;

/// Longer files: tables, mostly.
const LONG_FILES: &[(&str, usize)] = &[];
/// Longer functions, by file and name.
const LONG_FUNCTIONS: &[(&str, &str, usize)] = &[];

/// A source file, with its path from the root of the repository.
struct Source {
    path: String,
    text: String,
}

impl Source {
    /// The module of the crate that it belongs to.
    fn module(&self) -> &str {
        let inside = self.path.trim_start_matches("src/");
        inside.split(['/', '.']).next().unwrap_or(inside)
    }

    fn is_in(&self, place: &str) -> bool {
        self.path == place || self.path.starts_with(&format!("{place}/"))
    }

    fn is_test(&self) -> bool {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        self.path.contains("/tests/") || name == "tests.rs" || self.is_declared_for_tests()
    }

    /// Whether `mod.rs` beside it says `#[cfg(test)]` before it names it.
    fn is_declared_for_tests(&self) -> bool {
        let path = root().join(&self.path);
        let map = fs::read_to_string(path.with_file_name("mod.rs")).unwrap_or_default();
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        map.contains(&format!("#[cfg(test)]\nmod {name};"))
    }

    /// Lines of code without comments, numbered from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().filter_map(|(index, line)| {
            let code = line.split_once(" //").map_or(line, |(code, _)| code);
            (!code.trim_start().starts_with("//")).then_some((index + 1, code))
        })
    }

    /// The same, up to the unit tests at the bottom.
    fn product_code(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_test = self.is_test();
        self.code().take_while(move |(_, line)| !is_test && line.trim() != "#[cfg(test)]")
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files under `folder` whose name ends so, sorted.
fn files(folder: &str, endings: &[&str]) -> Vec<Source> {
    fn walk(dir: &Path, found: &mut Vec<PathBuf>) {
        let Ok(entries) = fs::read_dir(dir) else { return };
        for entry in entries {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !["target", "node_modules"].contains(&name.as_str()) && !name.starts_with('.') {
                    walk(&path, found);
                }
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join(folder), &mut found);
    found.sort();
    found
        .into_iter()
        .filter(|path| endings.iter().any(|ending| path.to_string_lossy().ends_with(ending)))
        .filter_map(|path| {
            let text = fs::read_to_string(&path).ok()?;
            let path = path.strip_prefix(root()).unwrap().to_string_lossy().into_owned();
            Some(Source { path, text })
        })
        .collect()
}

fn sources() -> Vec<Source> {
    files("src", &[".rs"])
}

/// Whether `line` says `name` as a word of its own. What `name` itself begins and ends with
/// decides which sides are looked at.
fn says(line: &str, name: &str) -> bool {
    let is_word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
    let bytes = line.as_bytes();
    line.match_indices(name).any(|(at, _)| {
        let before = at.checked_sub(1).is_some_and(|at| is_word(bytes[at]));
        let after = bytes.get(at + name.len()).is_some_and(|byte| is_word(*byte));
        // `Tcp` and `tokio::` are beginnings of names; a lone word must end.
        let is_prefix = name.ends_with("Tcp") || name.ends_with("::");
        !before && (is_prefix || !after)
    })
}

/// The modules that a line of code names as `crate::module`; empty for `crate::{`, a group.
fn crate_names(line: &str) -> Vec<&str> {
    line.match_indices("crate::")
        // `$crate` is a macro that expands elsewhere.
        .filter(|(at, _)| !line[..*at].ends_with('$'))
        .map(|(at, name)| first_word(&line[at + name.len()..]))
        .collect()
}

fn first_word(text: &str) -> &str {
    let text = text.trim();
    let end = text.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    &text[..end]
}

/// The number of a module's layer; the lowest is 0.
fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().rev().position(|(modules, _)| modules.contains(&module))
}

/// The table of layers as ARCHITECTURE.md shows it.
fn layers_in_words() -> String {
    let names = |modules: &[&str]| modules.join(", ");
    let width = LAYERS.iter().map(|(modules, _)| names(modules).len()).max().unwrap_or(0);
    let mut text = String::from("```text\n");
    for (modules, purpose) in LAYERS {
        let _ = writeln!(text, "{:width$}  {purpose}", names(modules));
    }
    text + "```\n"
}

/// Fails with all that was found, one a line.
fn expect_none(rule: &str, found: String) {
    assert!(found.is_empty(), "{rule}:\n{found}");
}

#[test]
fn every_module_names_only_the_layers_below_it() {
    let mut found = String::new();
    for source in sources() {
        let module = source.module();
        if module == "lib" {
            continue;
        }
        let Some(own) = layer(module) else {
            let _ = writeln!(found, "{}: {module} has no layer in tests/tidy.rs", source.path);
            continue;
        };
        for (number, line) in source.code() {
            for name in crate_names(line).into_iter().filter(|name| *name != module) {
                let allowed = layer(name).is_none_or(|below| below < own)
                    || LAYER_EXCEPTIONS
                        .iter()
                        .any(|(place, extra, _)| source.is_in(place) && *extra == name);
                if name.is_empty() {
                    let _ = writeln!(found, "{}:{number}: one `use` a module", source.path);
                } else if !allowed {
                    let _ = writeln!(found, "{}:{number}: {module} names {name}", source.path);
                }
            }
        }
    }
    expect_none("a module names only modules of lower layers", found);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a file of the source, written for its author")]
fn the_architecture_page_shows_the_table_of_layers() {
    let path = root().join("ARCHITECTURE.md");
    let page = fs::read_to_string(&path).unwrap();
    let (begin, end) = ("<!-- layers: written by tests/tidy.rs -->\n", "<!-- end of layers -->");
    let (before, rest) = page.split_once(begin).expect("ARCHITECTURE.md marks its layers");
    let (shown, after) = rest.split_once(end).expect("the mark has an end");
    if shown != layers_in_words() && std::env::var_os("UPDATE").is_some() {
        let page = format!("{before}{begin}{}{end}{after}", layers_in_words());
        fs::write(&path, page).unwrap();
    } else {
        assert_eq!(shown, layers_in_words(), "UPDATE=1 cargo test --test tidy writes it");
    }
}

#[test]
fn every_module_of_the_table_exists() {
    for (modules, _) in LAYERS {
        for module in *modules {
            let (folder, file) = (format!("src/{module}"), format!("src/{module}.rs"));
            let exists = root().join(folder).is_dir() || root().join(file).is_file();
            assert!(exists, "LAYERS in tests/tidy.rs ranks {module}, which does not exist");
        }
    }
}

#[test]
fn code_that_decides_reaches_for_nothing() {
    let mut found = String::new();
    for source in sources() {
        let pure = PURE.iter().any(|place| source.is_in(place));
        if !pure || DRIVERS.iter().any(|place| source.is_in(place)) {
            continue;
        }
        for (number, line) in source.product_code() {
            for name in IMPURE.iter().filter(|name| says(line, name)) {
                let _ = writeln!(found, "{}:{number}: {name}", source.path);
            }
        }
    }
    expect_none("pure code is given the time and its input", found);
}

#[test]
fn some_names_are_said_in_one_place_only() {
    let mut found = String::new();
    for source in sources() {
        for (name, places) in ONLY_IN {
            if places.iter().any(|place| source.is_in(place)) {
                continue;
            }
            for (number, line) in source.product_code().filter(|(_, line)| says(line, name)) {
                let _ = writeln!(found, "{}:{number}: {}", source.path, line.trim());
            }
        }
    }
    expect_none("these names belong elsewhere (ONLY_IN in tests/tidy.rs)", found);
}

#[test]
fn every_file_opens_with_what_it_is() {
    let mut found = String::new();
    for source in sources() {
        let documented = source.text.starts_with("//! ");
        if !documented && !source.is_test() {
            let _ = writeln!(found, "{}:1: no //! header", source.path);
        }
        let folder = Path::new(&source.path).parent().unwrap().to_string_lossy().into_owned();
        let has_map = root().join(&folder).join("mod.rs").exists()
            || root().join(format!("{folder}.rs")).exists()
            || folder == "src";
        if !has_map {
            let _ = writeln!(found, "{folder}: neither {folder}/mod.rs nor {folder}.rs");
        }
    }
    expect_none("a reader learns from the first line what a file is for", found);
}

#[test]
fn tests_are_sentences_that_always_run_and_never_sleep() {
    // Spelled in two parts, so that this file does not find itself.
    let ignored = concat!("#[", "ignore");
    let sleep = concat!("thread::", "sleep");
    let unnamed = concat!("fn ", "test_");
    let mut found = String::new();
    let all = sources().into_iter().chain(files("tests", &[".rs"]));
    for source in all.chain(files("compat-tests", &[".rs"])) {
        for (number, line) in source.code() {
            for banned in [ignored, sleep, unnamed] {
                // Between two looks at a process that is not ours, with a deadline.
                if banned == sleep && source.path.ends_with("compat-tests/harness/mod.rs") {
                    continue;
                }
                if line.contains(banned) {
                    let _ = writeln!(found, "{}:{number}: {banned}", source.path);
                }
            }
        }
    }
    expect_none("a test runs always, waits for what it needs, and is named for it", found);
}

#[test]
fn nothing_names_the_machine_it_was_written_on_or_work_left_undone() {
    let needles = [
        concat!("/wo", "rk/"),
        concat!("/ro", "ot/"),
        concat!("/tmp/", "ksrc"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
    ];
    let mut found = String::new();
    let endings = [".rs", ".md", ".toml", ".sh", ".txt", ".yml", ".yaml", ".py", ".java", ".go"];
    let scripts = files("scripts", &[""]);
    for source in files(".", &endings).into_iter().chain(scripts) {
        for (number, line) in source.text.lines().enumerate() {
            for needle in needles.iter().filter(|needle| line.contains(**needle)) {
                let _ = writeln!(found, "{}:{}: {needle}", source.path, number + 1);
            }
        }
    }
    expect_none("the source stands on its own", found);
}

#[test]
fn files_and_functions_grow_only_on_purpose() {
    let mut found = String::new();
    for source in sources() {
        let lines = source.text.lines().count();
        let long = LONG_FILES.iter().find(|(path, _)| *path == source.path);
        let limit = long.map_or(FILE_LINES_MAX, |(_, limit)| *limit);
        if lines > limit {
            let _ = writeln!(found, "{}: {lines} lines, the record is {limit}", source.path);
        }
        for (number, name, lines) in functions(&source) {
            let limit = LONG_FUNCTIONS
                .iter()
                .find(|(path, function, _)| *path == source.path && *function == name)
                .map_or(FUNCTION_LINES_MAX, |(_, _, limit)| *limit);
            if lines > limit {
                let path = &source.path;
                let _ = writeln!(found, "{path}:{number}: {name} has {lines} lines, not {limit}");
            }
        }
    }
    expect_none("cut it where an idea ends, or raise the record in tests/tidy.rs", found);
}

/// Line, name and length of each function, by the indentation that rustfmt gives it.
fn functions(source: &Source) -> Vec<(usize, String, usize)> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut found = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let Some((before, after)) = code.split_once("fn ") else { continue };
        let modifiers = ["pub", "async", "const", "unsafe", "pub(crate)", "pub(super)"];
        if !before.split_whitespace().all(|word| modifiers.contains(&word)) {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let rest = lines[index..].iter().position(|line| *line == end);
        if !code.ends_with('}') && !code.ends_with(';') {
            found.push((index + 1, first_word(after).to_owned(), rest.unwrap_or(0) + 1));
        }
    }
    found
}

#[test]
fn the_architecture_page_names_every_module_and_only_what_exists() {
    let Ok(page) = fs::read_to_string(root().join("ARCHITECTURE.md")) else { return };
    let mut found = String::new();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.path().is_dir() && !page.lines().any(|line| says(line, &name)) {
            let _ = writeln!(found, "ARCHITECTURE.md does not mention src/{name}/");
        }
    }
    let mut in_block = false;
    for (number, line) in page.lines().enumerate() {
        if line.starts_with("```") {
            in_block = !in_block;
        }
        if in_block {
            continue;
        }
        for span in line.split('`').skip(1).step_by(2) {
            let plain = span.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-./".contains(&b));
            if !plain || !span.contains('/') || span.starts_with('/') {
                continue;
            }
            if !root().join(span).exists() && !root().join("src").join(span).exists() {
                let _ = writeln!(found, "ARCHITECTURE.md:{}: {span} does not exist", number + 1);
            }
        }
    }
    expect_none("the map shows the country", found);
}

/// Counts that may only improve. `tests/ratchets.txt` has the record of each.
struct Ratchet {
    name: String,
    count: usize,
    /// Whether a higher count is the better one.
    rises: bool,
    /// What is counted, for the message of a failure.
    items: Vec<String>,
}

/// The files that a file of the same module imports, by their paths.
fn imports<'a>(source: &Source, all: &'a [Source]) -> Vec<&'a str> {
    let own: Vec<&str> =
        source.path.trim_end_matches(".rs").trim_end_matches("/mod").split('/').collect();
    let is_known = |path: &[&str]| {
        let base = path.join("/");
        all.iter()
            .map(|other| other.path.as_str())
            .find(|other| *other == format!("{base}.rs") || *other == format!("{base}/mod.rs"))
    };
    let mut found = Vec::new();
    for (_, line) in source.product_code() {
        let Some(used) = line
            .trim()
            .trim_start_matches("pub(super) ")
            .trim_start_matches("pub ")
            .strip_prefix("use ")
        else {
            continue;
        };
        let mut path: Vec<&str> = Vec::new();
        let mut segments = used.trim_end_matches(';').split("::").peekable();
        match segments.peek() {
            Some(&"crate") => path.push("src"),
            Some(&"super" | &"self") => path.extend(&own),
            _ => continue,
        }
        for segment in segments {
            match segment {
                "crate" | "self" => {}
                "super" => drop(path.pop()),
                name => path.push(first_word(name)),
            }
        }
        // The longest prefix that is a file; what follows are its items.
        while path.len() > 2 && is_known(&path).is_none() {
            path.pop();
        }
        if let Some(other) = is_known(&path) {
            let is_map = other.ends_with("/mod.rs") || source.path.ends_with("/mod.rs");
            if other != source.path && !is_map {
                found.push(other);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

/// Pairs of files of one module that reach each other by imports.
fn import_circles(all: &[Source]) -> Vec<String> {
    let edges: Vec<(&str, Vec<&str>)> = all
        .iter()
        .filter(|source| !source.is_test())
        .map(|source| {
            let same = |other: &&str| other.split('/').nth(1) == source.path.split('/').nth(1);
            (source.path.as_str(), imports(source, all).into_iter().filter(same).collect())
        })
        .collect();
    let reaches = |from: &str, to: &str| {
        let (mut seen, mut open) = (vec![from], vec![from]);
        while let Some(at) = open.pop() {
            let next = edges.iter().find(|(path, _)| *path == at).map(|(_, next)| next);
            for next in next.into_iter().flatten() {
                if *next == to {
                    return true;
                }
                if !seen.contains(next) {
                    seen.push(next);
                    open.push(next);
                }
            }
        }
        false
    };
    let mut found = Vec::new();
    for (path, next) in &edges {
        for other in next.iter().filter(|other| {
            path < *other || !edges.iter().any(|(p, n)| p == *other && n.contains(path))
        }) {
            if reaches(other, path) {
                found.push(format!("{path} and {other}"));
            }
        }
    }
    found
}

/// Names that `struct`, `enum`, `trait` or `type` define more than once.
fn types_defined_twice(all: &[Source]) -> Vec<String> {
    let mut names: Vec<(String, String)> = Vec::new();
    for source in all.iter().filter(|source| !source.is_test()) {
        for (_, line) in source.product_code() {
            let words =
                line.trim().trim_start_matches("pub(super) ").trim_start_matches("pub(crate) ");
            let words = words.trim_start_matches("pub ");
            // A type within a trait or an implementation is not a definition of its own.
            if line.starts_with("    ") {
                continue;
            }
            for keyword in ["struct ", "enum ", "trait ", "type "] {
                if let Some(name) = words.strip_prefix(keyword).map(first_word) {
                    names.push((name.to_owned(), source.path.clone()));
                }
            }
        }
    }
    names.sort();
    names.dedup();
    let twice = |name: &str| names.iter().filter(|(other, _)| other == name).count() > 1;
    names
        .iter()
        .filter(|(name, _)| twice(name))
        .map(|(name, path)| format!("{name} in {path}"))
        .collect()
}

/// Public functions, types and constants that no other line of the repository names.
fn public_items_without_a_user(all: &[Source]) -> Vec<String> {
    let mut uses = std::collections::BTreeMap::<String, usize>::new();
    let others = files("tests", &[".rs"]).into_iter().chain(files("compat-tests", &[".rs"]));
    let benches = files("benches", &[".rs"]);
    for source in all.iter().chain(&others.chain(benches).collect::<Vec<_>>()) {
        for (_, line) in source.code() {
            for word in line.split(|c: char| c != '_' && !c.is_ascii_alphanumeric()) {
                if !word.is_empty() {
                    *uses.entry(word.to_owned()).or_default() += 1;
                }
            }
        }
    }
    let mut found = Vec::new();
    for source in all.iter().filter(|source| !source.is_test()) {
        for (number, line) in source.product_code() {
            let Some(item) = line.trim().strip_prefix("pub ") else { continue };
            let item = item.trim_start_matches("const fn ").trim_start_matches("async fn ");
            let keywords = ["fn ", "struct ", "enum ", "trait ", "type ", "const ", "static "];
            let item = keywords.iter().fold(item, |item, keyword| item.trim_start_matches(keyword));
            if item.contains(':')
                && !item.contains('(')
                && !line.contains("const ")
                && !line.contains("static ")
            {
                continue; // A field.
            }
            let name = first_word(item);
            if uses.get(name).copied().unwrap_or(0) == 1 {
                found.push(format!("{}:{number}: {name}", source.path));
            }
        }
    }
    found
}

/// Lines of product code that match, as `path:line`.
fn lines_that(sources: &[Source], matches: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in source.product_code().filter(|(_, line)| matches(source, line)) {
            found.push(format!("{}:{number}: {}", source.path, line.trim()));
        }
    }
    found
}

fn ratchets() -> Vec<Ratchet> {
    let all = sources();
    let falls = |name: &str, items: Vec<String>| Ratchet {
        name: name.to_owned(),
        count: items.len(),
        rises: false,
        items,
    };
    let mut ratchets = vec![
        falls("import circles between files of one module", import_circles(&all)),
        falls("type names defined more than once", types_defined_twice(&all)),
        falls("public items without a user", public_items_without_a_user(&all)),
        falls(
            "error codes chosen in handlers",
            lines_that(&all, |source, line| {
                source.is_in("src/server/api") && line.contains("ErrorCode::")
            }),
        ),
    ];
    for (modules, _) in LAYERS {
        for module in *modules {
            let items = lines_that(&all, |source, line| {
                let line = line.trim();
                source.module() == *module
                    && !source.is_in("src/env/sim")
                    && (line.starts_with("assert")
                        || line.contains("= assert!(")
                        || line.contains("unreachable!("))
            });
            let name = format!("assertions in {module}");
            ratchets.push(Ratchet { name, count: items.len(), rises: true, items });
        }
    }
    ratchets
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a file of the source, written for its author")]
fn counts_only_improve() {
    let path = root().join("tests/ratchets.txt");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let record = |name: &str| {
        let line = text.lines().find_map(|line| line.rsplit_once(": ").filter(|(n, _)| *n == name));
        line.map(|(_, count)| count.parse::<usize>().unwrap())
    };
    let update = std::env::var_os("UPDATE").is_some();
    let (mut found, mut new) = (String::new(), String::new());
    for Ratchet { name, count, rises, items } in ratchets() {
        let best = record(&name).unwrap_or(count);
        let is_worse = if rises { count < best } else { count > best };
        if is_worse {
            let _ = writeln!(found, "{name}: {count}, the record is {best}");
            for item in items {
                let _ = writeln!(found, "    {item}");
            }
        } else if (count != best || record(&name).is_none()) && !update {
            let _ = writeln!(found, "{name}: {count} is better than {best}: UPDATE=1 records it");
        }
        let _ = writeln!(new, "{name}: {}", if is_worse { best } else { count });
    }
    if update {
        fs::write(&path, new).unwrap();
    }
    expect_none("a count got worse, or its record is out of date (tests/ratchets.txt)", found);
}

#[test]
fn the_checks_see_what_they_look_for() {
    assert_eq!(crate_names("use crate::env::Disk; // crate::log"), ["env", "log"]);
    assert_eq!(crate_names("use crate::{env, log};"), [""]);
    assert_eq!(crate_names("let x = $crate::log::y;"), [""; 0]);
    assert!(says("use tokio::sync::Notify;", "tokio"));
    assert!(says("std::net::TcpStream::connect(..)", "std::net::Tcp"));
    assert!(!says("let instant = mytokio;", "tokio"));
    assert!(!says("a Constant is no Instants", "Instant"));
    let text = "//! x\nfn a() {\n    1;\n}\n\n    pub(crate) async fn b(\n    ) {\n    }\n";
    let source = Source { path: "src/log/x.rs".to_owned(), text: text.to_owned() };
    let found = functions(&source);
    assert_eq!(found, [(2, "a".to_owned(), 3), (6, "b".to_owned(), 3)]);
    assert_eq!(source.module(), "log");
}

/// The loggers whose levels clients can change are the modules that log, their ancestors, and targets
/// that a module names in a constant `TARGET`.
#[test]
fn every_module_that_logs_is_a_logger() {
    let macros = ["trace!", "debug!", "info!", "warn!", "error!", "event!"];
    let logs = |text: &str| {
        let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
        macros.iter().any(|name| code.contains(&format!("tracing::{name}")))
    };
    let mut expected = std::collections::BTreeSet::new();
    for source in sources().into_iter().filter(|source| source.is_in("src") && logs(&source.text)) {
        let path = source.path.trim_start_matches("src/").trim_end_matches(".rs");
        let path = path.trim_end_matches("/mod");
        let mut logger = "blumfeld".to_owned();
        expected.insert(logger.clone());
        for module in path.split('/') {
            logger = format!("{logger}.{module}");
            expected.insert(logger.clone());
        }
        let named =
            |line: &str| line.trim().strip_prefix("const TARGET: &str = \"").map(str::to_owned);
        let targets = source.text.lines().filter_map(named);
        expected.extend(targets.map(|target| target.trim_end_matches("\";").replace("::", ".")));
    }
    let listed: Vec<&str> = blumfeld::env::log_levels::LOGGERS.to_vec();
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let lines: String = expected.iter().map(|logger| format!("    \"{logger}\",\n")).collect();
    assert!(listed == expected, "LOGGERS in src/env/log_levels.rs must be:\n{lines}");
}

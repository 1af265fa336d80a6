//! The files of the APIs say of themselves what the table of APIs says.

#![expect(clippy::unwrap_used, reason = "a test may fail where it stands")]
#![expect(clippy::disallowed_methods, reason = "it reads the source")]

use std::path::Path;

use blumfeld::protocol::apis::facts;
use blumfeld::server::apis::APIS;

/// `DescribeLogDirs` as the name of a file.
fn file_name(api: &str) -> String {
    let mut name = String::new();
    for letter in api.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name + ".rs"
}

#[test]
fn every_api_has_a_file_that_names_it_and_its_versions() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/server/api");
    for api in APIS {
        let name = facts(api.key).unwrap().name;
        let path = folder.join(file_name(name));
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let versions = if api.min_version == api.max_version {
            format!("v{}", api.min_version)
        } else {
            format!("v{}-{}", api.min_version, api.max_version)
        };
        let first = text.lines().next().unwrap_or_default();
        let is_said = first.strip_prefix(&format!("//! {name}: {versions}"));
        let ends = is_said.is_some_and(|rest| rest.starts_with('.') || rest.starts_with(" ("));
        assert!(ends, "{}: {first:?} is not {name}: {versions}", path.display());
    }
}

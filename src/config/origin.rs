//! The source of a setting, as messages show it.

use std::fmt;
use std::sync::Arc;

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A line of a file, counted from 1.
    File {
        /// The file's path.
        path: Arc<str>,
        /// The line on which the setting begins.
        line: usize,
    },
    /// `--override`.
    Override,
    /// A variable of the environment.
    Environment(String),
    /// What this program sets when it is given nothing.
    BuiltIn,
    /// The default of the key.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{path}:{line}"),
            Self::Override => f.write_str("--override"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::BuiltIn => f.write_str("built in"),
            Self::Default => f.write_str("default"),
        }
    }
}

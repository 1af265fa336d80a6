//! What an operator should know of a configuration with which a broker runs all the same.

use super::error::Cited;

/// A remark on a configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Warning {
    /// Kafka has no such key. It is kept and shown, as Kafka does it.
    #[error("{at}: unknown key, ignored{}", hint.as_deref().unwrap_or(""))]
    Unknown {
        /// The key and its value.
        at: Cited,
        /// What may have been meant.
        hint: Option<String>,
    },
    /// The key has another name now.
    #[error("{at}: deprecated, use {instead}")]
    Deprecated {
        /// The key and its value.
        at: Cited,
        /// The other name.
        instead: &'static str,
    },
    /// A key is set to something else than its default, and is not implemented yet.
    #[error("{at}: not implemented yet, the value has no effect. {effect}")]
    NotImplemented {
        /// The key, its value and where it is set.
        at: Cited,
        /// What happens instead.
        effect: &'static str,
    },
    /// A key is set to something else than its default, and does not apply to this broker.
    #[error("{at}: accepted without effect. {reason}")]
    NotActedOn {
        /// The key and its value.
        at: Cited,
        /// Why.
        reason: &'static str,
    },
    /// A setting counts no more since the same file has the key again.
    #[error("{at}: set again further down, this one is ignored")]
    Duplicate {
        /// The key and its value.
        at: Cited,
    },
    /// Settings that go, and should not go together.
    #[error("{message}")]
    Unwise {
        /// Why.
        message: String,
    },
    /// An alteration that is stored, and is not one.
    #[error("altered configuration not applied: {0}")]
    NotApplied(String),
    /// An alteration was moved into its bounds.
    #[error("altered {key}={value} is out of its bounds: {clamped} is used")]
    Clamped {
        /// The key.
        key: String,
        /// What it was altered to.
        value: String,
        /// What is used.
        clamped: String,
    },
}

impl Warning {
    /// Whether it informs, and nothing is wrong.
    pub fn is_note(&self) -> bool {
        matches!(self, Self::NotActedOn { .. })
    }
}

//! Virtual time.

use crate::types::Timestamp;

/// The wall clock's time when a world begins: 2026-01-01, 00:00 UTC.
pub const EPOCH: Timestamp = Timestamp(1_767_225_600_000);

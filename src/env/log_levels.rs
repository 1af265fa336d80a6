//! Levels of the program's own log, which clients may read and change while it runs.
//!
//! Kafka offers its loggers as resources of type BROKER_LOGGER (KIP-412): the name of a class, a
//! level, and the level of the nearest ancestor where a logger has none of its own. Here a logger
//! is a module that logs, or an ancestor of one, with dots in its name as Kafka's tools want them:
//! `blumfeld.server.listener` logs as `blumfeld::server::listener`. Changes are lost with the
//! process, as in Kafka.

use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;

/// The logger that all others descend from.
pub const ROOT: &str = "root";

/// The modules that log and their ancestors, in order. `tests/tidy.rs` compares them with the
/// source.
#[rustfmt::skip]
pub const LOGGERS: &[&str] = &[
    "blumfeld",
    "blumfeld.broker",
    "blumfeld.broker.configuration",
    "blumfeld.broker.data_plane",
    "blumfeld.broker.lifecycle",
    "blumfeld.cli",
    "blumfeld.cli.logging",
    "blumfeld.cli.serve",
    "blumfeld.client",
    "blumfeld.client.driver",
    "blumfeld.controller",
    "blumfeld.controller.brokers",
    "blumfeld.controller.machine",
    "blumfeld.controller.partitions",
    "blumfeld.controller.update_features",
    "blumfeld.coordinator",
    "blumfeld.coordinator.transactions",
    "blumfeld.coordinator.transactions.machine",
    "blumfeld.drivers",
    "blumfeld.drivers.controller",
    "blumfeld.drivers.coordinators",
    "blumfeld.drivers.coordinators.load",
    "blumfeld.drivers.coordinators.runner",
    "blumfeld.drivers.metadata_feed",
    "blumfeld.drivers.partition_reports",
    "blumfeld.drivers.producer_ids",
    "blumfeld.drivers.quorum",
    "blumfeld.drivers.quorum.start",
    "blumfeld.drivers.transactions",
    "blumfeld.env",
    "blumfeld.env.real",
    "blumfeld.env.real.optional",
    "blumfeld.env.real.output",
    "blumfeld.env.real.process",
    "blumfeld.env.real.random",
    "blumfeld.env.real.signals",
    "blumfeld.format",
    "blumfeld.format.directories",
    "blumfeld.log",
    "blumfeld.log.checkpoint",
    "blumfeld.log.cleaner",
    "blumfeld.log.cleaner.replace",
    "blumfeld.log.log",
    "blumfeld.log.recovery",
    "blumfeld.log.segment",
    "blumfeld.raft",
    "blumfeld.raft.log",
    "blumfeld.raft.log_scan",
    "blumfeld.raft.machine",
    "blumfeld.raft.machine.epochs",
    "blumfeld.raft.machine.following",
    "blumfeld.raft.machine.joining",
    "blumfeld.raft.machine.membership",
    "blumfeld.raft.machine.serving",
    "blumfeld.raft.machine.transitions",
    "blumfeld.raft.machine.votes",
    "blumfeld.raft.quorum",
    "blumfeld.replica",
    "blumfeld.replica.role",
    "blumfeld.request",
    "blumfeld.server",
    "blumfeld.server.api",
    "blumfeld.server.api.alter_replica_log_dirs",
    "blumfeld.server.api.consumer_group_heartbeat",
    "blumfeld.server.api.find_coordinator",
    "blumfeld.server.api.incremental_alter_configs",
    "blumfeld.server.api.join_group",
    "blumfeld.server.api.metadata",
    "blumfeld.server.api.produce",
    "blumfeld.server.authorization",
    "blumfeld.server.listener",
    "blumfeld.server.live_config",
    "blumfeld.server.request_log",
    "blumfeld.store",
    "blumfeld.store.cleaner",
    "blumfeld.store.failures",
    "blumfeld.store.flusher",
    "blumfeld.store.housekeeping",
    "blumfeld.store.log_dir_moves",
    "blumfeld.store.placement",
    "blumfeld.store.startup_cleanup",
];

/// How much a logger writes, from nothing to everything. The names are those of Kafka 4.4
/// `LogLevelConfig`, and OFF, which only the program's start can set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Nothing.
    Off,
    /// Nothing either: no line is fatal.
    Fatal,
    /// Errors.
    Error,
    /// Warnings too.
    Warn,
    /// What an operator wants to know.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The levels that can be set, in the order in which Kafka lists them.
    pub const SETTABLE: [Self; 6] =
        [Self::Debug, Self::Error, Self::Fatal, Self::Info, Self::Trace, Self::Warn];

    /// Kafka's name for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "OFF",
            Self::Fatal => "FATAL",
            Self::Error => "ERROR",
            Self::Warn => "WARN",
            Self::Info => "INFO",
            Self::Debug => "DEBUG",
            Self::Trace => "TRACE",
        }
    }

    /// The level with this name, if it can be set. The case counts, as in Kafka.
    pub fn settable(name: &str) -> Option<Self> {
        Self::SETTABLE.into_iter().find(|level| level.name() == name)
    }

    /// The level as a filter directive names it.
    const fn directive(self) -> &'static str {
        match self {
            Self::Off | Self::Fatal => "off",
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// Makes a filter out of directives and puts it in place of the one before. Errors: why it cannot.
pub type ApplyFilter = Box<dyn Fn(&str) -> Result<(), String> + Send + Sync>;

/// The levels of all loggers.
pub struct LogLevels {
    /// Filter directives that the program was started with.
    started_with: String,
    /// Their levels by logger.
    at_start: BTreeMap<String, LogLevel>,
    changed: Mutex<BTreeMap<String, LogLevel>>,
    apply: ApplyFilter,
}

impl LogLevels {
    /// Levels of a log that was started with these filter directives, of which `levels` are the
    /// loggers and levels.
    pub fn new(
        started_with: impl Into<String>,
        levels: impl IntoIterator<Item = (String, LogLevel)>,
        apply: ApplyFilter,
    ) -> Self {
        Self {
            started_with: started_with.into(),
            at_start: levels.into_iter().collect(),
            changed: Mutex::default(),
            apply,
        }
    }

    /// Levels that filter nothing: of simulations, and of commands.
    pub fn detached() -> Self {
        let root = [(ROOT.to_owned(), LogLevel::Info)];
        Self::new("info", root, Box::new(|_| Ok(())))
    }

    /// Whether there is such a logger.
    pub fn has(logger: &str) -> bool {
        logger == ROOT || LOGGERS.binary_search(&logger).is_ok()
    }

    /// Every logger with its level.
    pub fn all(&self) -> Vec<(&'static str, LogLevel)> {
        let changed = self.changed.lock();
        let level_of = |logger: &str| {
            let mut name = Some(logger);
            while let Some(ancestor) = name {
                if let Some(level) = changed.get(ancestor).or_else(|| self.at_start.get(ancestor)) {
                    return *level;
                }
                name = parent(ancestor);
            }
            LogLevel::Off
        };
        LOGGERS.iter().chain([&ROOT]).map(|logger| (*logger, level_of(logger))).collect()
    }

    /// Gives loggers a level, or takes it from them: they then have the one that the program was
    /// started with, or their ancestor's. All changes take effect together.
    ///
    /// Errors: the filter cannot be replaced; nothing was changed.
    pub fn alter(&self, changes: &[(String, Option<LogLevel>)]) -> Result<(), String> {
        let mut changed = self.changed.lock();
        let mut next = changed.clone();
        for (logger, level) in changes {
            match level {
                Some(level) => next.insert(logger.clone(), *level),
                None => next.remove(logger),
            };
        }
        let mut directives = self.started_with.clone();
        for (logger, level) in &next {
            let level = level.directive();
            directives += &match logger.as_str() {
                ROOT => format!(",{level}"),
                logger => format!(",{}={level}", logger.replace('.', "::")),
            };
        }
        (self.apply)(&directives)?;
        *changed = next;
        Ok(())
    }
}

impl fmt::Debug for LogLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LogLevels").field(&*self.changed.lock()).finish()
    }
}

/// The logger that another one descends from.
fn parent(logger: &str) -> Option<&str> {
    match logger.rsplit_once('.') {
        Some((parent, _)) => Some(parent),
        None if logger == ROOT => None,
        None => Some(ROOT),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Levels whose last filter can be looked at.
    fn levels() -> (LogLevels, Arc<Mutex<String>>) {
        let applied = Arc::new(Mutex::new(String::new()));
        let seen = Arc::clone(&applied);
        let apply = Box::new(move |directives: &str| {
            if directives.contains("error") {
                return Err("refused".to_owned());
            }
            directives.clone_into(&mut seen.lock());
            Ok(())
        });
        let at_start =
            [(ROOT.to_owned(), LogLevel::Info), ("blumfeld.store".to_owned(), LogLevel::Trace)];
        (LogLevels::new("info,blumfeld::store=trace", at_start, apply), applied)
    }

    fn level(levels: &LogLevels, logger: &str) -> LogLevel {
        levels.all().iter().find(|(name, _)| *name == logger).unwrap().1
    }

    fn set(levels: &LogLevels, logger: &str, to: Option<LogLevel>) {
        levels.alter(&[(logger.to_owned(), to)]).unwrap();
    }

    #[test]
    fn a_logger_without_a_level_has_that_of_its_ancestor() {
        let (levels, applied) = levels();
        assert_eq!(level(&levels, "blumfeld.server.listener"), LogLevel::Info);
        assert_eq!(level(&levels, "blumfeld.store.cleaner"), LogLevel::Trace);
        set(&levels, "blumfeld.server", Some(LogLevel::Debug));
        assert_eq!(level(&levels, "blumfeld.server.api.produce"), LogLevel::Debug);
        assert_eq!(level(&levels, "blumfeld.log.recovery"), LogLevel::Info);
        assert_eq!(*applied.lock(), "info,blumfeld::store=trace,blumfeld::server=debug");
        set(&levels, ROOT, Some(LogLevel::Fatal));
        assert_eq!(level(&levels, "blumfeld.log.recovery"), LogLevel::Fatal);
        assert_eq!(*applied.lock(), "info,blumfeld::store=trace,blumfeld::server=debug,off");
    }

    #[test]
    fn a_logger_whose_level_is_taken_has_that_of_the_start_or_of_its_ancestor() {
        let (levels, applied) = levels();
        set(&levels, "blumfeld.store", Some(LogLevel::Warn));
        set(&levels, "blumfeld.store", None);
        assert_eq!(level(&levels, "blumfeld.store"), LogLevel::Trace);
        assert_eq!(*applied.lock(), "info,blumfeld::store=trace");
    }

    #[test]
    fn a_filter_that_is_refused_changes_nothing() {
        let (levels, _) = levels();
        let changes = [(ROOT.to_owned(), Some(LogLevel::Error))];
        assert_eq!(levels.alter(&changes), Err("refused".to_owned()));
        assert_eq!(level(&levels, ROOT), LogLevel::Info);
    }

    #[test]
    fn loggers_and_levels_are_known_by_their_exact_names() {
        assert!(LogLevels::has(ROOT) && LogLevels::has("blumfeld") && LOGGERS.is_sorted());
        for logger in ["", "blumfeld.none", "Root", "org.apache.kafka"] {
            assert!(!LogLevels::has(logger), "{logger}");
        }
        assert_eq!(LogLevel::settable("WARN"), Some(LogLevel::Warn));
        for name in ["warn", "OFF", "ALL", ""] {
            assert_eq!(LogLevel::settable(name), None, "{name}");
        }
    }
}

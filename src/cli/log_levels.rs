//! The levels of the program's log: what `BLUMFELD_LOG` sets, and how they change while it runs.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::reload::Handle;

use crate::env::log_levels::ROOT;
use crate::env::{LogLevel, LogLevels};

/// Levels of the log whose filter was made of `directives` and is replaced through `filter`.
pub(super) fn of<S: 'static>(directives: &str, filter: Handle<EnvFilter, S>) -> LogLevels {
    let apply = move |directives: &str| {
        let next = EnvFilter::try_new(directives).map_err(|error| error.to_string())?;
        filter.reload(next).map_err(|error| error.to_string())
    };
    LogLevels::new(directives, levels(directives), Box::new(apply))
}

/// The loggers and levels that filter directives set. Those on spans name no logger.
fn levels(directives: &str) -> Vec<(String, LogLevel)> {
    let plain = directives.split(',').filter_map(|text| text.trim().parse::<Targets>().ok());
    let mut levels = Vec::new();
    for targets in plain {
        levels.extend(targets.default_level().map(|level| (ROOT.to_owned(), named(level))));
        let of_modules = targets.iter();
        levels.extend(of_modules.map(|(module, level)| (module.replace("::", "."), named(level))));
    }
    levels
}

fn named(filter: LevelFilter) -> LogLevel {
    match filter {
        LevelFilter::OFF => LogLevel::Off,
        LevelFilter::ERROR => LogLevel::Error,
        LevelFilter::WARN => LogLevel::Warn,
        LevelFilter::INFO => LogLevel::Info,
        LevelFilter::DEBUG => LogLevel::Debug,
        LevelFilter::TRACE => LogLevel::Trace,
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tracing_subscriber::fmt::MakeWriter;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Written {
        type Writer = Self;

        fn make_writer(&'a self) -> Self {
            self.clone()
        }
    }

    #[test]
    fn directives_set_levels_of_loggers() {
        let expected =
            [(ROOT.to_owned(), LogLevel::Warn), ("blumfeld.store".to_owned(), LogLevel::Debug)];
        assert_eq!(levels("warn, blumfeld::store=debug"), expected);
    }

    #[test]
    fn a_level_that_changes_changes_what_is_logged() {
        let written = Written::default();
        let subscriber = tracing_subscriber::fmt()
            .with_env_filter("info")
            .with_writer(written.clone())
            .with_filter_reloading();
        let levels = of("info", subscriber.reload_handle());
        let count = || {
            tracing::debug!("a line for developers");
            let text = String::from_utf8(written.0.lock().clone()).unwrap();
            text.matches("a line for developers").count()
        };
        tracing::subscriber::with_default(subscriber.finish(), || {
            let set = |logger: &str, level| levels.alter(&[(logger.to_owned(), level)]).unwrap();
            assert_eq!(count(), 0);
            set("blumfeld.cli", Some(LogLevel::Debug));
            assert_eq!(count(), 1);
            set("blumfeld.cli", None);
            set("blumfeld.store", Some(LogLevel::Debug));
            assert_eq!(count(), 1, "another logger's level");
            set(ROOT, Some(LogLevel::Trace));
            assert_eq!(count(), 2);
            set(ROOT, Some(LogLevel::Fatal));
            assert_eq!(count(), 2);
        });
    }
}

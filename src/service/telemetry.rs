//! Logs on standard error, as an allow-list: ids, steps, sizes and outcomes; one event per outcome, at the edge.

#[cfg(test)]
pub(crate) mod book;

use std::fmt;
use std::sync::Arc;

use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry, reload};

use crate::config::{Format, Level, Log};

/// Something else writes the logs of this process already.
#[derive(Debug, thiserror::Error)]
#[error("logs are being written already")]
pub struct AlreadyLogging;

/// Changes what is logged while it is.
#[derive(Clone)]
pub struct Logs(Arc<dyn Fn(&Log) + Send + Sync>);

impl Logs {
    /// Level and format from now on.
    pub fn apply(&self, log: &Log) {
        (self.0)(log);
    }
}

impl fmt::Debug for Logs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Logs")
    }
}

/// Starts logging to standard error.
///
/// # Errors
/// [`AlreadyLogging`].
pub fn init(log: &Log) -> Result<Logs, AlreadyLogging> {
    let (subscriber, logs) = reloadable(log, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| AlreadyLogging)?;
    Ok(logs)
}

/// What [`init`] installs, with the writer as a parameter so that a test can read what was logged.
pub fn subscriber<W>(log: &Log, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    reloadable(log, writer).0
}

/// Both formats are there, and the filter of one lets nothing through: filters can be replaced, layers cannot.
fn reloadable<W>(log: &Log, writer: W) -> (Box<dyn Subscriber + Send + Sync>, Logs)
where
    W: for<'a> MakeWriter<'a> + Clone + Send + Sync + 'static,
{
    let (text_filter, text) = reload::Layer::new(targets(log, Format::Text));
    let (json_filter, json) = reload::Layer::new(targets(log, Format::Json));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer.clone()).with_ansi(false);
    let objects = tracing_subscriber::fmt::layer().with_writer(writer).json().flatten_event(true);
    let subscriber =
        Registry::default().with(lines.with_filter(text_filter)).with(objects.with_filter(json_filter));
    let apply = move |log: &Log| {
        // The subscriber lives for as long as the process does; without it nothing is logged anyway.
        let _ = text.reload(targets(log, Format::Text));
        let _ = json.reload(targets(log, Format::Json));
    };
    (Box::new(subscriber), Logs(Arc::new(apply)))
}

/// Our own events at the level asked for; libraries' only when they warn: what they print is not ours to vouch for.
fn targets(log: &Log, format: Format) -> Targets {
    if log.format != format {
        return Targets::new();
    }
    let libraries = level(log.level).min(LevelFilter::WARN);
    Targets::new()
        .with_default(libraries)
        .with_target("sidekey", level(log.level))
        .with_target("sidekey_gateway", level(log.level))
        .with_target("sidekey_service", level(log.level))
}

const fn level(level: Level) -> LevelFilter {
    match level {
        Level::Error => LevelFilter::ERROR,
        Level::Warn => LevelFilter::WARN,
        Level::Info => LevelFilter::INFO,
        Level::Debug => LevelFilter::DEBUG,
        Level::Trace => LevelFilter::TRACE,
    }
}

#[cfg(test)]
mod tests {
    use super::book::Book;
    use super::*;

    #[test]
    fn level_and_format_change_while_it_logs() {
        let book = Book::default();
        let writer = book.clone();
        let log = Log { level: Level::Info, format: Format::Text };
        let (subscriber, logs) = reloadable(&log, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("one");
            tracing::info!("two");
            logs.apply(&Log { level: Level::Debug, format: Format::Json });
            tracing::debug!("three");
            logs.apply(&Log { level: Level::Error, format: Format::Text });
            tracing::warn!("four");
            tracing::error!("five");
        });
        let text = book.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].contains("two") && !lines[0].starts_with('{'), "{text}");
        assert!(lines[1].starts_with('{') && lines[1].contains(r#""message":"three""#), "{text}");
        assert!(lines[2].contains("five") && !lines[2].starts_with('{'), "{text}");
    }
}

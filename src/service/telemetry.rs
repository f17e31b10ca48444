//! Logs on standard error, as an allow-list: ids, steps, sizes and outcomes; one event per outcome, at the edge.

use tracing::Subscriber;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{Layer as _, Registry, filter};

use crate::config::{Format, Level, Log};

/// Something else writes the logs of this process already.
#[derive(Debug, thiserror::Error)]
#[error("logs are being written already")]
pub struct AlreadyLogging;

/// Starts logging to standard error.
///
/// # Errors
/// [`AlreadyLogging`].
pub fn init(log: &Log) -> Result<(), AlreadyLogging> {
    let subscriber = subscriber(log, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|_| AlreadyLogging)
}

/// What [`init`] installs, with the writer as a parameter so that a test can read what was logged.
pub fn subscriber<W>(log: &Log, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    // Our own events at the level asked for; libraries' only when they warn: what they print is not ours to vouch for.
    let libraries = level(log.level).min(LevelFilter::WARN);
    let targets = filter::Targets::new()
        .with_default(libraries)
        .with_target("sidekey", level(log.level))
        .with_target("sidekey_service", level(log.level));
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match log.format {
        Format::Text => Box::new(Registry::default().with(lines.with_ansi(false).with_filter(targets))),
        Format::Json => {
            Box::new(Registry::default().with(lines.json().flatten_event(true).with_filter(targets)))
        }
    }
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

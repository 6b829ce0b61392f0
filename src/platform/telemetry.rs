//! Writes logs to standard error, sends traces over OTLP and counts for Prometheus, without personal data.

mod metrics;
mod traces;

use serde::Deserialize;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub use metrics::{Metrics, MetricsError};

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;

/// Settings of the section `[telemetry]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Form of a log line.
    pub format: Format,
    /// Least important level that is written.
    pub level: Level,
    /// Collector, as `http://host:4318/v1/traces`; empty means no traces.
    pub otlp_endpoint: String,
    /// Roots to believe if the collector is https; empty otherwise.
    pub otlp_ca_file: std::path::PathBuf,
    /// Time to send one lot of spans, in milliseconds.
    pub otlp_timeout_ms: u64,
    /// Share of the requests that are traced, 0.0 to 1.0.
    pub otlp_sample_ratio: f64,
}

/// Form of a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// One JSON object per line, for machines.
    Json,
    /// Text, for people.
    Human,
}

/// Least important level that is written, for the gateway's own lines; libraries write warnings only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Faults only.
    Error,
    /// And what may become one.
    Warn,
    /// And what happens once per batch or request.
    Info,
    /// And what helps in looking for a fault.
    Debug,
    /// And everything.
    Trace,
}

impl Level {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Error => LevelFilter::ERROR,
            Self::Warn => LevelFilter::WARN,
            Self::Info => LevelFilter::INFO,
            Self::Debug => LevelFilter::DEBUG,
            Self::Trace => LevelFilter::TRACE,
        }
    }
}

/// Say why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// A subscriber was set before.
    #[error("logging was set up twice")]
    Twice,
    /// The exporter of traces cannot be built.
    #[error("telemetry.otlp_endpoint: {0}")]
    Exporter(String),
    /// The roots of the collector cannot be used.
    #[error("telemetry.otlp_ca_file: {0}")]
    Tls(#[from] super::tls::TlsError),
    /// The share is not between 0 and 1.
    #[error("telemetry.otlp_sample_ratio is {0}; permitted is 0.0 to 1.0")]
    SampleRatio(f64),
}

/// Keeps the exporter alive; ends it when told or dropped.
#[must_use = "traces stop when this is dropped"]
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
}

/// Set up logs and traces for the whole process, once.
///
/// Libraries are held at warnings whatever the level: at their debug level some of them write
/// statement parameters and headers, and those hold personal data.
pub fn install(settings: &Settings) -> Result<Telemetry, TelemetryError> {
    let provider = traces::provider(settings)?;
    let traces = provider.as_ref().map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("hocba"))
            .with_location(false)
            .with_threads(false)
            .with_filter(own_lines(LevelFilter::INFO))
    });
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match settings.format {
        Format::Json => lines.json().flatten_event(true).boxed(),
        Format::Human => lines
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .with_target(false)
            .boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(own_lines(settings.level.filter())))
        .with(traces)
        .try_init()
        .map_err(|_| TelemetryError::Twice)?;
    Ok(Telemetry { provider })
}

fn own_lines(level: LevelFilter) -> Targets {
    Targets::new().with_default(level.min(LevelFilter::WARN)).with_target("hocba", level)
}

impl Telemetry {
    /// Send what is left and end the exporter; blocks until done, a few seconds at most.
    pub fn shutdown(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(provider) = self.provider.take() {
            traces::end(provider);
        }
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Sink(Arc<Mutex<Vec<u8>>>);

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn libraries_write_warnings_only_even_at_the_lowest_level() {
        let sink = Sink::default();
        let writer = sink.clone();
        let layer = tracing_subscriber::fmt::layer()
            .with_writer(move || writer.clone())
            .with_filter(own_lines(Level::Trace.filter()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), || {
            tracing::debug!(target: "hyper::proto", "library detail");
            tracing::warn!(target: "hyper::proto", "library warning");
            tracing::trace!(target: "hocba::intake", "own detail");
        });
        let text = String::from_utf8(sink.0.lock().unwrap().clone()).unwrap();
        assert!(!text.contains("library detail"), "{text}");
        assert!(text.contains("library warning") && text.contains("own detail"));
    }

    #[test]
    fn a_high_level_silences_libraries_too() {
        let filter = own_lines(Level::Error.filter());
        assert!(!filter.would_enable("hyper", &tracing::Level::WARN));
        assert!(filter.would_enable("hyper", &tracing::Level::ERROR));
        assert!(!filter.would_enable("hocba", &tracing::Level::WARN));
    }
}

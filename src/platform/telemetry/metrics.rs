//! Counts for Prometheus; labels are ids, states and route patterns, never personal data.

use std::sync::Arc;

use prometheus::core::Collector;
use prometheus::{
    Encoder, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, TextEncoder,
};

/// Bounds of request times in seconds: from a health check to the longest request permitted.
const SECONDS_BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0, 60.0];

/// Say why a figure cannot be counted.
#[derive(Debug, thiserror::Error)]
#[error("the metric {name} cannot be registered: {reason}")]
pub struct MetricsError {
    name: String,
    reason: String,
}

/// The registry of a process with the figures of its listeners; cheap to clone and hand around.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    http: Arc<HttpFigures>,
}

/// What each listener counts.
pub(in crate::platform) struct HttpFigures {
    pub(in crate::platform) requests: IntCounterVec,
    pub(in crate::platform) seconds: HistogramVec,
    pub(in crate::platform) in_flight: IntGaugeVec,
    pub(in crate::platform) refused_paths: IntCounterVec,
    pub(in crate::platform) connections: IntCounterVec,
}

impl Metrics {
    /// Make an empty registry and register the figures of listeners.
    pub fn new() -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let http = HttpFigures {
            requests: counters(
                &registry,
                "hocba_http_requests_total",
                "Requests answered, by route pattern and status.",
                &["listener", "method", "route", "status"],
            )?,
            seconds: histograms(
                &registry,
                "hocba_http_request_seconds",
                "Time from the request head to the answer head.",
                &["listener", "route"],
                &SECONDS_BUCKETS,
            )?,
            in_flight: gauges(
                &registry,
                "hocba_http_requests_in_flight",
                "Requests being answered now.",
                &["listener"],
            )?,
            refused_paths: counters(
                &registry,
                "hocba_http_refused_paths_total",
                "Requests refused because the path was not in canonical form.",
                &["listener"],
            )?,
            connections: counters(
                &registry,
                "hocba_http_connections_total",
                "Connections accepted, after the TLS handshake.",
                &["listener"],
            )?,
        };
        Ok(Self { registry, http: Arc::new(http) })
    }

    /// Return the figures of listeners.
    pub(in crate::platform) fn http(&self) -> &HttpFigures {
        &self.http
    }

    /// Register a counter; `name` begins with `hocba_` and ends with `_total`.
    pub fn counter(&self, name: &str, help: &str) -> Result<IntCounter, MetricsError> {
        register(&self.registry, name, IntCounter::new(name, help))
    }

    /// Register a counter per combination of `labels`.
    pub fn counters(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntCounterVec, MetricsError> {
        counters(&self.registry, name, help, labels)
    }

    /// Register a gauge.
    pub fn gauge(&self, name: &str, help: &str) -> Result<IntGauge, MetricsError> {
        register(&self.registry, name, IntGauge::new(name, help))
    }

    /// Register a gauge per combination of `labels`.
    pub fn gauges(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
    ) -> Result<IntGaugeVec, MetricsError> {
        gauges(&self.registry, name, help, labels)
    }

    /// Register a histogram with upper `bounds`, ascending.
    pub fn histogram(
        &self,
        name: &str,
        help: &str,
        bounds: &[f64],
    ) -> Result<Histogram, MetricsError> {
        let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
        register(&self.registry, name, Histogram::with_opts(options))
    }

    /// Register a histogram per combination of `labels`.
    pub fn histograms(
        &self,
        name: &str,
        help: &str,
        labels: &[&str],
        bounds: &[f64],
    ) -> Result<HistogramVec, MetricsError> {
        histograms(&self.registry, name, help, labels, bounds)
    }

    /// Write all figures in the Prometheus text format 0.0.4.
    pub fn render(&self) -> String {
        let mut text = Vec::new();
        if let Err(error) = TextEncoder::new().encode(&self.registry.gather(), &mut text) {
            tracing::error!(%error, "the figures could not be written");
        }
        String::from_utf8(text).unwrap_or_default()
    }
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, MetricsError> {
    let made = IntCounterVec::new(Opts::new(name, help), labels);
    register(registry, name, made)
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, MetricsError> {
    let made = IntGaugeVec::new(Opts::new(name, help), labels);
    register(registry, name, made)
}

fn histograms(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
    bounds: &[f64],
) -> Result<HistogramVec, MetricsError> {
    let options = HistogramOpts::new(name, help).buckets(bounds.to_vec());
    register(registry, name, HistogramVec::new(options, labels))
}

fn register<T: Collector + Clone + 'static>(
    registry: &Registry,
    name: &str,
    made: prometheus::Result<T>,
) -> Result<T, MetricsError> {
    let fault = |reason: String| MetricsError { name: name.to_owned(), reason };
    if !name.starts_with("hocba_") {
        return Err(fault("names begin with hocba_".to_owned()));
    }
    let made = made.map_err(|error| fault(error.to_string()))?;
    registry.register(Box::new(made.clone())).map_err(|error| fault(error.to_string()))?;
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered() {
        let metrics = Metrics::new().unwrap();
        let batches = metrics.counters("hocba_batches_total", "Batches.", &["state"]).unwrap();
        batches.with_label_values(&["received"]).inc_by(3);
        let depth = metrics.gauge("hocba_queue_records", "Records waiting.").unwrap();
        depth.set(7);
        let text = metrics.render();
        assert!(text.contains("hocba_batches_total{state=\"received\"} 3"), "{text}");
        assert!(text.contains("hocba_queue_records 7"), "{text}");
    }

    #[test]
    fn a_name_is_registered_once_and_is_ours() {
        let metrics = Metrics::new().unwrap();
        metrics.counter("hocba_x_total", "X.").unwrap();
        assert!(metrics.counter("hocba_x_total", "X.").is_err());
        assert!(metrics.counter("x_total", "X.").is_err());
    }
}

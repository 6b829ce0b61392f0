//! Counts what the delivery does, for Prometheus.

use prometheus::{HistogramVec, IntCounterVec};

use crate::platform::telemetry::{Metrics, MetricsError};

/// Figures of the delivery.
pub(super) struct Figures {
    batches: IntCounterVec,
    attempts: IntCounterVec,
    records: IntCounterVec,
    receipts: IntCounterVec,
    alarms: IntCounterVec,
    seconds: HistogramVec,
}

const SECONDS: [f64; 10] = [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 60.0, 120.0];

impl Figures {
    pub(super) fn new(metrics: &Metrics) -> Result<Self, MetricsError> {
        Ok(Self {
            batches: metrics.counters(
                "hocba_outbox_batches_formed_total",
                "Batches built, signed and frozen.",
                &["destination"],
            )?,
            attempts: metrics.counters(
                "hocba_outbox_attempts_total",
                "Attempts and status queries, by class of outcome.",
                &["destination", "kind", "class"],
            )?,
            records: metrics.counters(
                "hocba_outbox_records_closed_total",
                "Records closed by evidence.",
                &["destination", "end"],
            )?,
            receipts: metrics.counters(
                "hocba_receipts_total",
                "Receipts stored, by verdict.",
                &["destination", "verdict"],
            )?,
            alarms: metrics.counters(
                "hocba_outbox_alarms_total",
                "Events that need a person.",
                &["destination", "reason"],
            )?,
            seconds: metrics.histograms(
                "hocba_outbox_attempt_seconds",
                "Time of one exchange with a destination.",
                &["destination", "kind"],
                &SECONDS,
            )?,
        })
    }

    pub(super) fn formed(&self, destination: &str) {
        self.batches.with_label_values(&[destination]).inc();
    }

    pub(super) fn attempted(&self, destination: &str, kind: &str, class: &str, seconds: f64) {
        self.attempts.with_label_values(&[destination, kind, class]).inc();
        self.seconds.with_label_values(&[destination, kind]).observe(seconds);
    }

    pub(super) fn closed(&self, destination: &str, acknowledged: u64, refused: u64) {
        self.records.with_label_values(&[destination, "acknowledged"]).inc_by(acknowledged);
        self.records.with_label_values(&[destination, "refused"]).inc_by(refused);
    }

    pub(super) fn receipt(&self, destination: &str, verdict: &str) {
        self.receipts.with_label_values(&[destination, verdict]).inc();
    }

    pub(super) fn alarm(&self, destination: &str, reason: &str) {
        self.alarms.with_label_values(&[destination, reason]).inc();
    }
}

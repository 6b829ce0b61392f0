//! Lays out the bars of the charts by time.

use super::page::View;
use super::store::Span;

const WIDTH: usize = 720;
const HEIGHT: u64 = 100;
const BASE: u64 = 110;

/// One chart: received beside closed, with what was stopped over the former.
pub(super) struct Chart<'a> {
    pub(super) title: &'static str,
    pub(super) width: usize,
    pub(super) pitch: usize,
    pub(super) bar: usize,
    pub(super) bars: Vec<Bar<'a>>,
}

/// The bars of one span; each pair is top and height.
pub(super) struct Bar<'a> {
    pub(super) span: &'a Span,
    pub(super) x: usize,
    pub(super) left: usize,
    pub(super) right: usize,
    pub(super) middle: usize,
    pub(super) received: (u64, u64),
    pub(super) closed: (u64, u64),
    pub(super) stopped: (u64, u64),
    pub(super) label: String,
    pub(super) short: String,
    pub(super) shown: bool,
}

/// Lay out `spans`; `clock` is the form of the short label, shown under every `step`-th bar.
pub(super) fn chart<'a>(
    view: View,
    title: &'static str,
    spans: &'a [Span],
    clock: &str,
    step: usize,
) -> Chart<'a> {
    let most = spans.iter().map(|span| span.received.max(span.closed)).max().unwrap_or(0).max(1);
    let bar = |value: u64| {
        // A value that is not zero is never drawn as nothing.
        let height = (value.saturating_mul(HEIGHT) / most).max(u64::from(value > 0) * 2);
        (BASE - height.min(HEIGHT), height.min(HEIGHT))
    };
    let pitch = WIDTH / spans.len().max(1);
    let thickness = pitch * 2 / 5;
    let bars = spans
        .iter()
        .enumerate()
        .map(|(index, span)| Bar {
            span,
            x: index * pitch,
            left: index * pitch + pitch / 2 - thickness,
            right: index * pitch + pitch / 2,
            middle: index * pitch + pitch / 2,
            received: bar(span.received),
            closed: bar(span.closed),
            stopped: bar(span.stopped),
            label: view.local(span.from, "%H:%M"),
            short: short(span, clock),
            shown: index % step == step - 1,
        })
        .collect();
    Chart { title, width: WIDTH, pitch, bar: thickness, bars }
}

fn short(span: &Span, clock: &str) -> String {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::Offset::constant(7));
    span.from.to_zoned(zone).strftime(clock).to_string()
}

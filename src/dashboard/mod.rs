//! Shows operators what is sent, stuck and why, and lets officers ask by hand.

mod chart;
pub mod figures;
pub mod http;
mod page;
mod store;
mod view;
#[cfg(test)]
mod tests;

pub use figures::{FigureBoard, Figures};

use serde::Deserialize;

/// Settings of the section `[dashboard]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How long figures are kept before they are counted again, in milliseconds.
    pub figures_cache_ms: u64,
    /// How often an open page asks for new figures, in milliseconds.
    pub refresh_ms: u64,
    /// Days over which errors by rule are counted.
    pub error_days: u16,
    /// Most lines in the lists of errors and of batches.
    pub lines_max: i64,
    /// Largest form an officer may post, in bytes.
    pub form_bytes_max: usize,
}

//! Receives, limits, stores and decodes documents.

pub mod canonical;
pub mod envelope;
pub mod ministry;

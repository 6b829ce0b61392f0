//! Receives, limits, stores and decodes documents.

//! Writes one audit leaf per change in the caller's transaction.

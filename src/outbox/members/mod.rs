//! Holds the members of a batch: the entries it carries and what became of each.

pub mod store;

use uuid::Uuid;

/// One record in a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The record.
    pub record_id: Uuid,
    /// Its place in the batch, from 0.
    pub position: i32,
    /// Its version.
    pub version: i32,
    /// SHA-256 of its sealed bytes.
    pub digest: Vec<u8>,
}

/// How evidence closes a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// The record.
    pub record_id: Uuid,
    /// Whether the destination has it, or refused it.
    pub acknowledged: bool,
    /// Code of the reason, where refused.
    pub reason: Option<String>,
}

//! Keeps accepted transcripts, their versions and the directory of codes.

pub mod store;

use uuid::Uuid;

use crate::vault::SealedBody;

/// State of a record after processing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordState {
    /// Waits for a person or for missing data.
    Held,
    /// Breaks a rule of severity *error*; final.
    Rejected,
    /// Mapped, sealed and handed to the outbox.
    Sealed,
}

impl RecordState {
    /// Return the name stored in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Held => "HELD",
            Self::Rejected => "REJECTED",
            Self::Sealed => "SEALED",
        }
    }
}

/// One record version as it is written once.
#[derive(Debug)]
pub struct NewRecord {
    /// Id given by the gateway (UUID v7).
    pub record_id: Uuid,
    /// The record's school year; 0 when it was unreadable.
    pub school_year: i16,
    /// Place in its batch, from 0.
    pub position: i32,
    /// Transcript code, when it was readable.
    pub transcript_code: Option<Uuid>,
    /// Keyed reference to the pupil and the id of the key, when the personal number was readable.
    pub subject: Option<(i32, [u8; 32])>,
    /// SHA-256 of the signed octets (of the bytes received, when no signature could be verified).
    pub source_sha256: [u8; 32],
    /// Level as in [`crate::transcript::Level::number`].
    pub level: Option<i16>,
    /// Short name of the circular.
    pub circular: Option<&'static str>,
    /// What processing made of it.
    pub state: RecordState,
    /// Broken rules as reports, a JSON array.
    pub violations: serde_json::Value,
    /// The record as the school signed it.
    pub source: SealedBody,
    /// The sealed national record and its SHA-256, for state `Sealed`.
    pub national: Option<(SealedBody, [u8; 32])>,
}

/// A record that had been received before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Known {
    /// School year of the record received first.
    pub school_year: i16,
    /// Id of the record received first.
    pub record_id: Uuid,
    /// Whether it was rejected or held, so that a better outcome may take its place: what was wrong
    /// may have been mended on our side while the school's signed text stayed the same.
    pub open: bool,
}

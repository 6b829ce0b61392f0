//! Receives, limits, stores and decodes documents.

pub mod canonical;
mod check;
pub mod envelope;
pub mod http;
pub mod ministry;
pub mod source;
pub mod store;
pub mod upload;

pub use upload::{Acknowledged, Declared, Intake, RECEIPT_TYPE};

use jiff::Timestamp;
use serde::Deserialize;
use uuid::Uuid;

/// Settings of the section `[intake]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Bytes of a body as it arrives.
    pub document_bytes_max: u64,
    /// Bytes of a body after every decompression.
    pub inflated_bytes_max: u64,
    /// Records of one batch.
    pub batch_records_max: u32,
    /// Bytes of a stored piece of a body.
    pub chunk_bytes: usize,
    /// Bodies received at the same time by one process.
    pub uploads_max: usize,
    /// Bodies of one participant received at the same time by one process.
    pub uploads_per_participant_max: usize,
    /// Hours after which pieces of an interrupted upload are removed.
    pub abandoned_upload_h: u32,
    /// The Ministry's `content` envelope.
    pub content: envelope::Settings,
    /// Limits of lines of JSON.
    pub line: canonical::Settings,
}

/// How the records of a body are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// The Ministry's batch inside the `content` envelope.
    Content,
    /// One JSON object per line.
    Ndjson,
    /// The Ministry's batch as plain XML.
    Xml,
}

impl Format {
    /// Return the name stored in the database and answered to clients.
    pub fn name(self) -> &'static str {
        match self {
            Self::Content => "content",
            Self::Ndjson => "ndjson",
            Self::Xml => "xml",
        }
    }

    /// Find a format by its stored name; the database permits no other.
    pub fn from_name(name: &str) -> Self {
        match name {
            "content" => Self::Content,
            "ndjson" => Self::Ndjson,
            _ => Self::Xml,
        }
    }

    /// Return the media type a client names the format with.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Content => "application/vnd.hocba.content",
            Self::Ndjson => "application/x-ndjson",
            Self::Xml => "application/xml",
        }
    }
}

/// How a body is compressed on the wire (`Content-Encoding`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// gzip (RFC 1952).
    Gzip,
    /// Not compressed.
    Identity,
    /// Zstandard (RFC 8878).
    Zstd,
}

impl Encoding {
    /// Return the token of the header and of the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Identity => "identity",
            Self::Zstd => "zstd",
        }
    }

    /// Find an encoding by its stored name; the database permits no other.
    pub fn from_name(name: &str) -> Self {
        match name {
            "gzip" => Self::Gzip,
            "zstd" => Self::Zstd,
            _ => Self::Identity,
        }
    }
}

/// Key of a batch; the school year is that of reception.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct BatchKey {
    /// Who sent it.
    pub participant_id: i32,
    /// First calendar year of the school year in which it was received.
    pub school_year: i16,
    /// UUID v7; its time gives the school year.
    pub batch_id: Uuid,
}

impl BatchKey {
    /// Find the key of `batch_id`; `None` when the id was not made by this gateway.
    pub fn of(participant_id: i32, batch_id: Uuid) -> Option<Self> {
        let (seconds, _) = batch_id.get_timestamp()?.to_unix();
        let at = Timestamp::from_second(i64::try_from(seconds).ok()?).ok()?;
        Some(Self { participant_id, school_year: reception_year(at), batch_id })
    }
}

/// Return the school year of a moment: years turn on 1 August, Vietnamese time.
pub fn reception_year(at: Timestamp) -> i16 {
    let local = at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(7)));
    if local.month() >= 8 { local.year() } else { local.year() - 1 }
}

/// Make a UUID v7 of the moment `at`.
pub fn uuid_at(at: Timestamp) -> Uuid {
    let seconds = u64::try_from(at.as_second()).unwrap_or(0);
    let nanos = u32::try_from(at.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::NoContext, seconds, nanos))
}

/// Say why a body was not acknowledged; nothing of it is kept.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// Too many bodies arrive at the same time.
    #[error("too many uploads at the same time")]
    Busy,
    /// The clock is outside of the school years the gateway knows.
    #[error("the clock is out of range")]
    ClockOutOfRange,
    /// The body is not what `Content-Encoding` says.
    #[error("the body is not valid {encoding}")]
    Compression {
        /// The encoding.
        encoding: &'static str,
    },
    /// The database refused.
    #[error(transparent)]
    Database(#[from] crate::platform::database::DatabaseError),
    /// The body holds no record.
    #[error("the body holds no record")]
    Empty,
    /// The `content` envelope is broken.
    #[error(transparent)]
    Envelope(#[from] envelope::EnvelopeError),
    /// The work was cut off.
    #[error("the upload was interrupted")]
    Interrupted,
    /// The `Idempotency-Key` was used with another body.
    #[error("the idempotency key was used with another body")]
    KeyReused,
    /// A line is longer than a record may be.
    #[error("line {line} is over {limit} bytes")]
    LineTooLong {
        /// Line, from 1.
        line: u64,
        /// Limit in bytes.
        limit: u64,
    },
    /// The text is not UTF-8.
    #[error("line {line} is not UTF-8 at byte {column}")]
    NotUtf8 {
        /// Line, from 1.
        line: u64,
        /// Byte in the line, from 1.
        column: u64,
    },
    /// The receipt could not be signed.
    #[error(transparent)]
    Sign(#[from] crate::signature::SignError),
    /// The body is over the limit.
    #[error("the body is over {limit} bytes")]
    TooLarge {
        /// Limit in bytes.
        limit: u64,
    },
    /// The body holds too many records.
    #[error("the body holds more than {limit} records")]
    TooManyRecords {
        /// Limit in records.
        limit: u32,
    },
    /// A piece could not be sealed.
    #[error(transparent)]
    Vault(#[from] crate::vault::VaultError),
    /// The document is refused by the XML firewall.
    #[error(transparent)]
    Xml(#[from] crate::signature::XmlFault),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_school_year_of_a_batch_follows_from_its_id() {
        let before: Timestamp = "2026-07-31T16:59:59Z".parse().unwrap();
        let after: Timestamp = "2026-07-31T17:00:00Z".parse().unwrap();
        assert_eq!(BatchKey::of(1, uuid_at(before)).unwrap().school_year, 2025);
        assert_eq!(BatchKey::of(1, uuid_at(after)).unwrap().school_year, 2026);
        assert!(BatchKey::of(1, Uuid::from_u128(7)).is_none());
    }
}

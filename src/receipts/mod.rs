//! Verifies and keeps what a destination returned: the only ground on which a record is closed.

mod signed;
pub mod status_answer;
pub mod store;
#[cfg(test)]
mod tests;

use jiff::Timestamp;
use uuid::Uuid;

use crate::outbox::members::{Closing, Member};
use crate::submit::Proof;

pub use signed::{
    RECEIPT_TYPE, REFUSAL_TYPE, Receipt, ReceiptItem, Refusal, STATUS_TYPE, SignedReceipts, Status,
    hex, receipt_settings, sign,
};
pub use status_answer::StatusAnswers;

/// What a destination says about one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Applied.
    Accepted,
    /// Applied before, with the same digest.
    AlreadyApplied,
    /// Not applied: a version as great or greater is known.
    IgnoredOlder,
    /// Refused.
    Refused,
}

impl Verdict {
    const ALL: [Self; 4] =
        [Self::Accepted, Self::AlreadyApplied, Self::IgnoredOlder, Self::Refused];

    /// Return the word in receipts and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::AlreadyApplied => "already-applied",
            Self::IgnoredOlder => "ignored-older",
            Self::Refused => "refused",
        }
    }

    /// Return the verdict of that word.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verdict| verdict.name() == name)
    }

    /// Tell whether the destination has the record with this digest.
    pub fn acknowledges(self) -> bool {
        matches!(self, Self::Accepted | Self::AlreadyApplied)
    }
}

/// What verified evidence says about one of our records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The record.
    pub record_id: Uuid,
    /// SHA-256 of its sealed bytes, as we sent it and as the evidence names it.
    pub digest: Vec<u8>,
    /// What became of it.
    pub verdict: Verdict,
    /// Code of the reason.
    pub reason: Option<String>,
}

impl Line {
    /// Return how it closes the member.
    pub fn closing(&self) -> Closing {
        let reason = match self.verdict {
            Verdict::IgnoredOlder => Some(Verdict::IgnoredOlder.name().to_owned()),
            Verdict::Accepted | Verdict::AlreadyApplied | Verdict::Refused => self.reason.clone(),
        };
        Closing { record_id: self.record_id, acknowledged: self.verdict.acknowledges(), reason }
    }
}

/// What we sent: evidence is held against it.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// Id of the batch.
    pub message_id: Uuid,
    /// SHA-256 of the frozen bytes.
    pub body_sha256: &'a [u8],
    /// Its members.
    pub members: &'a [Member],
    /// Now, for the validity of the signer's certificate.
    pub now: Timestamp,
}

/// What an answer's body is worth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Verified, but of other content than we sent.
    Conflict(&'static str),
    /// Verified, but of another message.
    Foreign,
    /// Proves nothing; the code says why.
    Invalid(&'static str),
    /// Verified: these lines, and whether they name every member.
    Lines {
        /// What it says.
        lines: Vec<Line>,
        /// Whether it names every member.
        complete: bool,
    },
    /// Verified: the message is not known.
    NotFound,
    /// Verified: known, not finished.
    Pending,
    /// Verified: the whole batch is refused, for this reason.
    Refused(String),
}

impl Judgement {
    /// Return what it proves, for the classification of the exchange.
    pub fn proof(&self) -> Proof {
        match self {
            Self::Conflict(_) => Proof::Conflict,
            Self::Foreign | Self::Invalid(_) => Proof::Nothing,
            Self::Lines { complete: true, .. } => Proof::Complete,
            Self::Lines { .. } => Proof::Partial,
            Self::NotFound => Proof::NotFound,
            Self::Pending => Proof::Pending,
            Self::Refused(_) => Proof::Refusal,
        }
    }

    /// Return the verdict on the stored receipt and the code of its reason.
    pub fn stored_verdict(&self) -> (StoredVerdict, Option<&'static str>) {
        match self {
            Self::Conflict(code) => (StoredVerdict::Contradicts, Some(*code)),
            Self::Foreign => (StoredVerdict::Foreign, None),
            Self::Invalid(code) => (StoredVerdict::Invalid, Some(*code)),
            Self::Lines { .. } | Self::NotFound | Self::Pending | Self::Refused(_) => {
                (StoredVerdict::Verified, None)
            }
        }
    }
}

/// Verdict on a stored receipt (reliability S4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoredVerdict {
    /// Verified, and contradicts what we sent or what was said before; the first stays in force.
    Contradicts,
    /// Verified, and says what is known.
    Duplicate,
    /// Verified, but of another message.
    Foreign,
    /// Proves nothing.
    Invalid,
    /// Verified.
    Verified,
}

impl StoredVerdict {
    /// Return the name in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Contradicts => "CONTRADICTS",
            Self::Duplicate => "DUPLICATE",
            Self::Foreign => "FOREIGN",
            Self::Invalid => "INVALID",
            Self::Verified => "VERIFIED",
        }
    }
}

/// Reads the evidence of one destination.
pub enum Evidence {
    /// Signed receipts.
    Signed(SignedReceipts),
    /// Authenticated status answers.
    Status(StatusAnswers),
}

impl Evidence {
    /// Judge the body of an answer.
    pub fn judge(&self, body: &[u8], expected: &Expected<'_>) -> Judgement {
        match self {
            Self::Signed(receipts) => receipts.judge(body, expected),
            Self::Status(answers) => answers.judge(body, expected),
        }
    }
}

/// How new lines stand to those that are in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Some say something else than what is in force.
    Contradicts,
    /// Nothing new.
    Duplicate,
    /// These are new.
    New(Vec<Line>),
}

/// Compare `lines` with those `in_force` for the same batch; the first stays in force.
pub fn compare(lines: &[Line], in_force: &[Line]) -> Comparison {
    let mut fresh = Vec::new();
    for line in lines {
        match in_force.iter().find(|old| old.record_id == line.record_id) {
            None => fresh.push(line.clone()),
            // "Applied" and "applied before" are the same fate told at two times.
            Some(old) if old.verdict.acknowledges() == line.verdict.acknowledges() => {}
            Some(_) => return Comparison::Contradicts,
        }
    }
    if fresh.is_empty() && !lines.is_empty() {
        Comparison::Duplicate
    } else {
        Comparison::New(fresh)
    }
}

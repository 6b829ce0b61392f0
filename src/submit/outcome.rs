//! Classifies what an exchange brought; the only place that decides what an answer means.

pub use crate::outbox::state::{Outcome, QueryOutcome};

/// How far an exchange came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wire {
    /// An answer came whole.
    Answer {
        /// Its status.
        status: u16,
        /// What it asks to wait, if it says so.
        retry_after_ms: Option<u64>,
    },
    /// It broke after the first byte of our request, or may have.
    Broken,
    /// Our own limits ended it before the first byte.
    HeldBack,
    /// The peer is not who it should be, or its TLS refuses our certificate.
    Identity,
    /// No connection came about: address, refusal, time or TLS.
    Unreachable,
}

impl Wire {
    /// Return what was seen as a code, kept with the attempt.
    pub fn code(self) -> &'static str {
        match self {
            Self::Answer { .. } => "answer",
            Self::Broken => "broken",
            Self::HeldBack => "held-back",
            Self::Identity => "identity",
            Self::Unreachable => "unreachable",
        }
    }

    /// Return the status of the answer.
    pub fn status(self) -> Option<u16> {
        match self {
            Self::Answer { status, .. } => Some(status),
            Self::Broken | Self::HeldBack | Self::Identity | Self::Unreachable => None,
        }
    }
}

/// What the answer's body proves, decided by `receipts` under the pinned certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// Evidence for every member.
    Complete,
    /// Evidence that speaks of other content or contradicts earlier evidence.
    Conflict,
    /// Nothing: no body, or one that proves nothing.
    Nothing,
    /// The message id is not known to the destination.
    NotFound,
    /// Evidence that leaves members out.
    Partial,
    /// Known, not finished.
    Pending,
    /// The whole batch is refused.
    Refusal,
}

/// Classify an attempt (reliability S4). Evidence counts whatever the status says; a status is never evidence.
pub fn classify(wire: Wire, proof: Proof) -> Outcome {
    let Wire::Answer { status, retry_after_ms } = wire else {
        return match wire {
            Wire::HeldBack | Wire::Unreachable => Outcome::NotSent,
            Wire::Identity => Outcome::PeerHalt,
            Wire::Broken | Wire::Answer { .. } => Outcome::Unknown,
        };
    };
    match (proof, status) {
        (Proof::Complete, _) => Outcome::Settled,
        (Proof::Conflict, _) => Outcome::Conflict,
        (Proof::Partial, _) => Outcome::PartlySettled,
        (Proof::Refusal, 400..=499) => {
            Outcome::RefusedBatch { proven: true, too_large: status == 413 }
        }
        (Proof::Pending, 200..=299) => Outcome::TransportOk,
        (Proof::Nothing, 202) => Outcome::TransportOk,
        (_, 400 | 413 | 415 | 422) => {
            Outcome::RefusedBatch { proven: false, too_large: status == 413 }
        }
        (_, 401 | 403) => Outcome::PeerHalt,
        (_, 409) => Outcome::AlreadyKnown,
        (_, 429) => Outcome::RefusedLoad { retry_after_ms: retry_after_ms.unwrap_or(0) },
        (_, 503) if retry_after_ms.is_some() => {
            Outcome::RefusedLoad { retry_after_ms: retry_after_ms.unwrap_or(0) }
        }
        _ => Outcome::Unknown,
    }
}

/// Classify a status query. That a message is not known counts only when the destination proves it.
pub fn classify_query(wire: Wire, proof: Proof) -> QueryOutcome {
    let Wire::Answer { status, retry_after_ms } = wire else {
        return match wire {
            Wire::Identity => QueryOutcome::PeerHalt,
            Wire::Broken | Wire::HeldBack | Wire::Unreachable | Wire::Answer { .. } => {
                QueryOutcome::Unknown
            }
        };
    };
    match (proof, status) {
        (Proof::Complete, _) => QueryOutcome::Settled,
        (Proof::Conflict, _) => QueryOutcome::Conflict,
        (Proof::Partial, _) => QueryOutcome::PartlySettled,
        (Proof::Refusal, _) => QueryOutcome::Refused,
        (Proof::Pending, _) => QueryOutcome::Pending,
        (Proof::NotFound, _) => QueryOutcome::NotFound,
        (Proof::Nothing, 401 | 403) => QueryOutcome::PeerHalt,
        (Proof::Nothing, 405 | 501) => QueryOutcome::Unsupported,
        (Proof::Nothing, 429 | 503) => {
            QueryOutcome::RefusedLoad { retry_after_ms: retry_after_ms.unwrap_or(0) }
        }
        (Proof::Nothing, _) => QueryOutcome::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16) -> Wire {
        Wire::Answer { status, retry_after_ms: None }
    }

    fn later(status: u16) -> Wire {
        Wire::Answer { status, retry_after_ms: Some(7_000) }
    }

    const LOAD: Outcome = Outcome::RefusedLoad { retry_after_ms: 7_000 };

    fn refused(proven: bool, too_large: bool) -> Outcome {
        Outcome::RefusedBatch { proven, too_large }
    }

    #[test]
    fn every_row_of_table_s4_has_its_class() {
        let rows = [
            (Wire::Unreachable, Proof::Nothing, Outcome::NotSent),
            (Wire::HeldBack, Proof::Nothing, Outcome::NotSent),
            (Wire::Broken, Proof::Nothing, Outcome::Unknown),
            (answer(408), Proof::Nothing, Outcome::Unknown),
            (answer(500), Proof::Nothing, Outcome::Unknown),
            (answer(502), Proof::Nothing, Outcome::Unknown),
            (answer(504), Proof::Nothing, Outcome::Unknown),
            (answer(200), Proof::Nothing, Outcome::Unknown),
            (answer(204), Proof::Nothing, Outcome::Unknown),
            (later(429), Proof::Nothing, LOAD),
            (later(503), Proof::Nothing, LOAD),
            (answer(503), Proof::Nothing, Outcome::Unknown),
            (answer(401), Proof::Nothing, Outcome::PeerHalt),
            (answer(403), Proof::Nothing, Outcome::PeerHalt),
            (Wire::Identity, Proof::Nothing, Outcome::PeerHalt),
            (answer(400), Proof::Refusal, refused(true, false)),
            (answer(413), Proof::Refusal, refused(true, true)),
            (answer(415), Proof::Refusal, refused(true, false)),
            (answer(422), Proof::Refusal, refused(true, false)),
            (answer(400), Proof::Nothing, refused(false, false)),
            (answer(413), Proof::Nothing, refused(false, true)),
            (answer(409), Proof::Nothing, Outcome::AlreadyKnown),
            (answer(200), Proof::Complete, Outcome::Settled),
            (answer(202), Proof::Complete, Outcome::Settled),
            (answer(200), Proof::Partial, Outcome::PartlySettled),
            (answer(202), Proof::Nothing, Outcome::TransportOk),
            (answer(200), Proof::Conflict, Outcome::Conflict),
            (answer(301), Proof::Nothing, Outcome::Unknown),
            (answer(404), Proof::Nothing, Outcome::Unknown),
        ];
        for (wire, proof, outcome) in rows {
            assert_eq!(classify(wire, proof), outcome, "{wire:?} {proof:?}");
        }
    }

    #[test]
    fn only_evidence_settles() {
        for status in 100..600 {
            for wire in [answer(status), later(status)] {
                for proof in [Proof::Nothing, Proof::NotFound, Proof::Pending, Proof::Refusal] {
                    let outcome = classify(wire, proof);
                    assert!(
                        !matches!(outcome, Outcome::Settled | Outcome::PartlySettled),
                        "{status} {proof:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_message_is_not_found_only_when_the_destination_proves_it() {
        for status in 100..600 {
            assert_ne!(classify_query(answer(status), Proof::Nothing), QueryOutcome::NotFound);
        }
        let rows = [
            (answer(404), Proof::NotFound, QueryOutcome::NotFound),
            (answer(404), Proof::Nothing, QueryOutcome::Unknown),
            (answer(200), Proof::Complete, QueryOutcome::Settled),
            (answer(202), Proof::Pending, QueryOutcome::Pending),
            (answer(405), Proof::Nothing, QueryOutcome::Unsupported),
            (answer(422), Proof::Refusal, QueryOutcome::Refused),
            (answer(403), Proof::Nothing, QueryOutcome::PeerHalt),
            (Wire::Broken, Proof::Nothing, QueryOutcome::Unknown),
            (Wire::Unreachable, Proof::Nothing, QueryOutcome::Unknown),
        ];
        for (wire, proof, outcome) in rows {
            assert_eq!(classify_query(wire, proof), outcome, "{wire:?} {proof:?}");
        }
    }
}

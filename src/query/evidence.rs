//! Opens one stored record and verifies again that it is what the school signed.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::store::SIGNED_BODY;
use super::verdict::Evidence;
use crate::intake::{canonical, ministry};
use crate::signature::{Inherited, SignerBlock, Verifier};
use crate::transcript::{Field, Transcript, TranscriptCode};
use crate::trust::{Anchors, Decision, roles};
use crate::vault::{Context, Vault};

/// First byte of a stored record in the Ministry's XML.
pub const XML_MARK: u8 = b'X';
/// First byte of a stored record in canonical JSON.
pub const JSON_MARK: u8 = b'J';

/// A stored record, encrypted, with what it is bound to.
pub struct Source {
    /// Participant of the row.
    pub participant_id: i32,
    /// First calendar year of the school year of the row.
    pub school_year: i16,
    /// The record.
    pub record_id: Uuid,
    /// Its version.
    pub version: i32,
    /// The transcript code under which the directory names it.
    pub code: Uuid,
    /// Codec of the body.
    pub codec: i16,
    /// Key version of the body.
    pub key_id: i32,
    /// The encrypted body.
    pub body: Vec<u8>,
}

/// Reads evidence; shared by all threads, never touches database or network.
pub struct EvidenceReader {
    vault: Arc<Vault>,
    verifier: Arc<Verifier>,
    profile: Arc<ministry::Profile>,
    line_limits: canonical::Settings,
    anchors: Arc<Anchors>,
    source_bytes_max: usize,
}

impl EvidenceReader {
    /// Put the parts together; `organisation_roles` are the signer blocks that an organisation seals.
    pub fn new(
        vault: Arc<Vault>,
        verifier: Arc<Verifier>,
        profile: Arc<ministry::Profile>,
        line_limits: canonical::Settings,
        anchors: Arc<Anchors>,
        source_bytes_max: usize,
    ) -> Self {
        Self { vault, verifier, profile, line_limits, anchors, source_bytes_max }
    }

    /// Open `source` and verify every signature, every signer and the code again, as of `now`.
    ///
    /// What cannot be opened says nothing about the school's signature, so it is unreadable, not forged.
    pub fn read(&self, source: &Source, now: Timestamp) -> Evidence {
        let context = Context {
            participant_id: source.participant_id,
            school_year: source.school_year,
            id: source.record_id,
            version: source.version,
            kind: SIGNED_BODY,
        };
        let opened = self.vault.open_body(
            &context,
            source.codec,
            source.key_id,
            &source.body,
            self.source_bytes_max,
        );
        let plain = match opened {
            Ok(plain) => plain,
            Err(error) => {
                tracing::error!(record = %source.record_id, %error, "a stored record cannot be opened");
                return Evidence::Unreadable;
            }
        };
        let evidence = match plain.split_first() {
            Some((&XML_MARK, element)) => self.read_xml(element, now),
            Some((&JSON_MARK, line)) => self.read_json(line, now),
            _ => Evidence::Unreadable,
        };
        let evidence = bind(evidence, source.code);
        if evidence == Evidence::Forged {
            tracing::error!(record = %source.record_id, "a stored record does not verify any more");
        }
        evidence
    }

    fn read_xml(&self, element: &[u8], now: Timestamp) -> Evidence {
        let Ok(verified) = self.verifier.verify_record(element, &Inherited::default()) else {
            return Evidence::Forged;
        };
        match ministry::decode(&verified.data, &self.profile) {
            Ok(decoded) => self.believe(&verified.signers, decoded.transcript, now),
            Err(_) => Evidence::Forged,
        }
    }

    fn read_json(&self, line: &[u8], now: Timestamp) -> Evidence {
        let rules = &self.verifier.profile().signers;
        let Ok(line) = canonical::decode(line, &self.line_limits, rules) else {
            return Evidence::Forged;
        };
        let mut signers = Vec::with_capacity(line.signatures.len());
        for (role, token) in &line.signatures {
            match self.verifier.verify_detached(token, &line.record_octets) {
                Ok(jws) => signers.push(jws.into_block(role)),
                Err(_) => return Evidence::Forged,
            }
        }
        self.believe(&signers, line.transcript, now)
    }

    // All signers must be believed as of the time they signed, each as who the record names.
    fn believe(&self, signers: &[SignerBlock], transcript: Transcript, now: Timestamp) -> Evidence {
        let profile = self.verifier.profile();
        let verdicts = roles::judge(&self.anchors, profile, signers, now);
        if verdicts.iter().any(|verdict| verdict.decision == Decision::Refuted)
            || !roles::check(profile, signers, &verdicts, &transcript).is_empty()
        {
            return Evidence::Forged;
        }
        if verdicts.iter().any(|verdict| verdict.decision == Decision::CannotDecide) {
            return Evidence::Unreadable;
        }
        Evidence::Genuine(Box::new(transcript))
    }
}

// A genuine document that is not the one the directory names is no evidence for this code.
fn bind(evidence: Evidence, code: Uuid) -> Evidence {
    let own = |transcript: &Transcript| {
        transcript
            .value(Field::Code)
            .and_then(|text| text.parse::<TranscriptCode>().ok())
            .is_some_and(|found| found.uuid() == code)
    };
    match evidence {
        Evidence::Genuine(transcript) if !own(&transcript) => Evidence::Forged,
        other => other,
    }
}

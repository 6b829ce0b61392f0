//! Opens one stored record and verifies again that it is what the school signed.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::store::SIGNED_BODY;
use super::verdict::Evidence;
use crate::intake::{canonical, ministry};
use crate::signature::{Inherited, SignerBlock, Verifier};
use crate::transcript::{Field, Transcript, TranscriptCode};
use crate::trust::{Anchors, Decision, SignerPurpose};
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
    organisation_roles: Vec<String>,
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
        organisation_roles: Vec<String>,
        source_bytes_max: usize,
    ) -> Self {
        Self {
            vault,
            verifier,
            profile,
            line_limits,
            anchors,
            organisation_roles,
            source_bytes_max,
        }
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
        let signers: Vec<Signer<'_>> = verified.signers.iter().map(Signer::of).collect();
        if let Err(evidence) = self.believe(&signers, now) {
            return evidence;
        }
        match ministry::decode(&verified.data, &self.profile) {
            Ok(decoded) => Evidence::Genuine(Box::new(decoded.transcript)),
            Err(_) => Evidence::Forged,
        }
    }

    fn read_json(&self, line: &[u8], now: Timestamp) -> Evidence {
        let rules = &self.verifier.profile().signers;
        let Ok(line) = canonical::decode(line, &self.line_limits, rules) else {
            return Evidence::Forged;
        };
        let mut verified = Vec::with_capacity(line.signatures.len());
        for (role, token) in &line.signatures {
            match self.verifier.verify_detached(token, &line.record_octets) {
                Ok(jws) => verified.push((role, jws)),
                Err(_) => return Evidence::Forged,
            }
        }
        let signers: Vec<Signer<'_>> = verified
            .iter()
            .map(|(role, jws)| Signer {
                role,
                certificate: &jws.certificate,
                chain: &jws.chain,
                signing_time: jws.signing_time,
                personal_number: None,
            })
            .collect();
        match self.believe(&signers, now) {
            Ok(()) => Evidence::Genuine(Box::new(line.transcript)),
            Err(evidence) => evidence,
        }
    }

    // All signers must be believed as of the time they signed.
    fn believe(&self, signers: &[Signer<'_>], now: Timestamp) -> Result<(), Evidence> {
        let mut doubt = false;
        for signer in signers {
            let purpose = if self.organisation_roles.iter().any(|role| role == signer.role) {
                SignerPurpose::Organisation
            } else {
                SignerPurpose::Person
            };
            let verdict = self.anchors.check(
                signer.certificate,
                signer.chain,
                signer.signing_time,
                now,
                purpose,
            );
            let other_person = matches!(
                (signer.personal_number, verdict.personal_number()),
                (Some(written), Some(certified)) if written != certified
            );
            match verdict.decision {
                Decision::Refuted => return Err(Evidence::Forged),
                _ if other_person => return Err(Evidence::Forged),
                Decision::CannotDecide => doubt = true,
                Decision::Confirmed => {}
            }
        }
        if doubt { Err(Evidence::Unreadable) } else { Ok(()) }
    }
}

struct Signer<'a> {
    role: &'a str,
    certificate: &'a [u8],
    chain: &'a [Vec<u8>],
    signing_time: Timestamp,
    personal_number: Option<&'a str>,
}

impl<'a> Signer<'a> {
    fn of(block: &'a SignerBlock) -> Self {
        Self {
            role: &block.role,
            certificate: &block.certificate,
            chain: &block.chain,
            signing_time: block.signing_time,
            personal_number: block.personal_number.as_deref(),
        }
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

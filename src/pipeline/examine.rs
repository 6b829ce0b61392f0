//! Takes one record from signed bytes to a sealed national record, or says why not; pure work on one core.

use std::num::NonZeroU32;
use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use jiff::civil::Date;
use uuid::Uuid;

use crate::codes::Codes;
use crate::intake::canonical;
use crate::intake::ministry::{self, Family};
use crate::intake::uuid_at;
use crate::map::{self, Event, Mapping, Stamp};
use crate::platform::clock::SharedClock;
use crate::register::{NewRecord, RecordState};
use crate::signature::{Inherited, SignError, SignerBlock, Verifier, XmlSigner, seal_element};
use crate::transcript::{
    Circular, Field, Level, PersonalNumber, Place, RecordId, SchoolYear, Severity, Transcript,
    TranscriptCode, ValidTranscript, Violation,
};
use crate::trust::{Anchors, Decision, roles};
use crate::validate::{self, Checked, Rules};
use crate::vault::{Context, SubjectRef, Vault, VaultError};

/// First byte of a stored source that is a signed `HOC_BA` element.
pub const SOURCE_XML: u8 = b'X';
/// First byte of a stored source that is a line `{record, signatures}`.
pub const SOURCE_JSON: u8 = b'J';

/// Body kinds in the vault's associated data, as in the table `record_body`.
const KIND_SOURCE: i16 = 1;
const KIND_NATIONAL: i16 = 2;
/// Version of a transcript code's first and only record; a correction comes under a new code (CV 2088).
const FIRST_VERSION: i32 = 1;

/// Everything one record is judged with; shared by all threads.
pub struct Examiner {
    /// Verifies signatures of the Ministry's profile.
    pub verifier: Arc<Verifier>,
    /// Which signers to believe.
    pub anchors: Arc<Anchors>,
    /// The Ministry's tags.
    pub ministry: Arc<ministry::Profile>,
    /// Limits of lines of JSON.
    pub lines: canonical::Settings,
    /// Code lists.
    pub codes: Arc<Codes>,
    /// Rules of the circulars.
    pub rules: Arc<Rules>,
    /// Mapping to the national records.
    pub mapping: Arc<Mapping>,
    /// The gateway's own key.
    pub seal: Arc<XmlSigner>,
    /// Encryption at rest.
    pub vault: Arc<Vault>,
    /// Time.
    pub clock: SharedClock,
}

/// What holds for all records of a batch.
#[derive(Debug, Clone)]
pub struct BatchContext {
    /// Who sent it.
    pub participant_id: i32,
    /// Two-digit code of the sending province.
    pub province_code: String,
    /// When it was received.
    pub received_at: Timestamp,
}

/// One record as it stands in the batch.
pub struct Item {
    /// Place in the batch, from 0.
    pub position: i32,
    /// Its bytes.
    pub source: Source,
}

/// The bytes of one record.
pub enum Source {
    /// A `HOC_BA` element and the namespaces its list declares.
    Xml(Vec<u8>, Arc<Inherited>),
    /// A line of JSON.
    Line(Vec<u8>),
}

/// Say why a record could not even be judged; the batch stays and is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// The gateway's key failed.
    #[error(transparent)]
    Seal(#[from] SignError),
    /// Encryption failed.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// What was learnt of a record before the rules of the circular are asked.
struct Opened {
    transcript: Transcript,
    family: Option<Family>,
    octets_sha256: [u8; 32],
    violations: Vec<Violation>,
}

/// What identifies a record that did not pass, as far as it could be read.
#[derive(Default)]
struct Facts {
    code: Option<Uuid>,
    school_year: i16,
    level: Option<i16>,
    circular: Option<&'static str>,
    subject: Option<SubjectRef>,
}

/// The parts of a row that do not depend on the verdict.
struct Draft<'a> {
    record_id: Uuid,
    position: i32,
    stored: Vec<u8>,
    batch: &'a BatchContext,
    source_sha256: [u8; 32],
    facts: Facts,
    family: Option<Family>,
    is_xml: bool,
}

impl Draft<'_> {
    fn context(&self, kind: i16) -> Context {
        Context {
            participant_id: self.batch.participant_id,
            school_year: self.facts.school_year,
            id: self.record_id,
            version: FIRST_VERSION,
            kind,
        }
    }
}

impl Examiner {
    /// Judge one record: verify, decode, validate, map, seal, encrypt.
    pub fn examine(&self, batch: &BatchContext, item: Item) -> Result<NewRecord, ExamineError> {
        let raw_sha256 = sha256(match &item.source {
            Source::Xml(bytes, _) | Source::Line(bytes) => bytes,
        });
        let is_xml = matches!(item.source, Source::Xml(..));
        let (opened, stored) = match item.source {
            Source::Xml(bytes, inherited) => (
                self.open_xml(batch.received_at, &bytes, &inherited),
                stored_xml(&bytes, &inherited),
            ),
            Source::Line(bytes) => {
                (self.open_line(batch.received_at, &bytes), stored(SOURCE_JSON, &bytes))
            }
        };
        let mut draft = Draft {
            record_id: uuid_at(self.clock.now()),
            position: item.position,
            stored,
            batch,
            source_sha256: raw_sha256,
            facts: Facts::default(),
            family: None,
            is_xml,
        };
        match opened {
            Err(violations) => self.conclude(draft, RecordState::Rejected, &violations, None),
            Ok(opened) => {
                draft.source_sha256 = opened.octets_sha256;
                draft.family = opened.family;
                draft.facts = self.facts(&opened.transcript);
                self.judge(draft, opened.transcript, opened.violations)
            }
        }
    }

    fn judge(
        &self,
        draft: Draft<'_>,
        transcript: Transcript,
        early: Vec<Violation>,
    ) -> Result<NewRecord, ExamineError> {
        let context = validate::Context {
            participant_province: draft.batch.province_code.clone(),
            received_on: vietnam_date(draft.batch.received_at),
        };
        let worst = early.iter().map(|violation| violation.severity).max();
        let after = |violations: Vec<Violation>| -> Vec<Violation> {
            early.iter().cloned().chain(violations).collect()
        };
        match validate::check(&self.rules, &self.codes, transcript, &context) {
            Checked::Valid(valid) => match worst {
                Some(Severity::Error) => {
                    self.conclude(draft, RecordState::Rejected, &after(valid.warnings), None)
                }
                Some(Severity::Hold) => {
                    self.conclude(draft, RecordState::Held, &after(valid.warnings), None)
                }
                _ => self.forward(draft, valid, early),
            },
            Checked::Held { violations, .. } if worst != Some(Severity::Error) => {
                self.conclude(draft, RecordState::Held, &after(violations), None)
            }
            Checked::Held { violations, .. } | Checked::Rejected { violations, .. } => {
                self.conclude(draft, RecordState::Rejected, &after(violations), None)
            }
        }
    }

    fn forward(
        &self,
        draft: Draft<'_>,
        valid: ValidTranscript,
        early: Vec<Violation>,
    ) -> Result<NewRecord, ExamineError> {
        let stamp = Stamp {
            record_id: RecordId(draft.record_id),
            event: Event::New,
            version: NonZeroU32::MIN,
            updated_at: draft.batch.received_at,
        };
        let mut violations = early;
        violations.extend(valid.warnings.iter().cloned());
        match map::map(&self.mapping, &self.codes, valid, &stamp) {
            Ok(national) => {
                let mut bytes = Vec::with_capacity(8 * 1024);
                national.to_xml(&mut bytes);
                let id = format!("b-{}", draft.record_id);
                let sealed = seal_element(&bytes, &id, &self.seal, self.clock.now())?;
                self.conclude(draft, RecordState::Sealed, &violations, Some(&sealed))
            }
            Err(broken) => {
                violations.extend(broken);
                self.conclude(draft, RecordState::Rejected, &violations, None)
            }
        }
    }

    fn conclude(
        &self,
        draft: Draft<'_>,
        state: RecordState,
        violations: &[Violation],
        sealed: Option<&[u8]>,
    ) -> Result<NewRecord, ExamineError> {
        let source = self.vault.seal(&draft.context(KIND_SOURCE), &draft.stored)?;
        let national = match sealed {
            Some(sealed) => {
                Some((self.vault.seal(&draft.context(KIND_NATIONAL), sealed)?, sha256(sealed)))
            }
            None => None,
        };
        let reports: Vec<_> = violations
            .iter()
            .map(|violation| {
                violation.report(self.pointer(&violation.place, draft.is_xml, draft.family))
            })
            .collect();
        Ok(NewRecord {
            record_id: draft.record_id,
            school_year: draft.facts.school_year,
            position: draft.position,
            transcript_code: draft.facts.code,
            subject: draft.facts.subject.map(|subject| (subject.key_id, subject.value)),
            source_sha256: draft.source_sha256,
            level: draft.facts.level,
            circular: draft.facts.circular,
            state,
            violations: serde_json::to_value(reports).unwrap_or_default(),
            source,
            national,
        })
    }

    fn facts(&self, transcript: &Transcript) -> Facts {
        let value = |field| transcript.value(field);
        Facts {
            code: value(Field::Code)
                .and_then(|text| text.parse::<TranscriptCode>().ok())
                .map(TranscriptCode::uuid),
            school_year: value(Field::SchoolYear)
                .and_then(|text| text.parse::<SchoolYear>().ok())
                .map_or(0, SchoolYear::start),
            level: value(Field::Level).and_then(|text| self.rules.level(text)).map(Level::number),
            circular: value(Field::Circular)
                .and_then(|text| self.rules.circular(text))
                .map(Circular::name),
            subject: value(Field::PersonalNumber)
                .and_then(|text| text.parse::<PersonalNumber>().ok())
                .map(|number| self.vault.subject_ref(&number)),
        }
    }

    fn open_xml(
        &self,
        received_at: Timestamp,
        bytes: &[u8],
        inherited: &Inherited,
    ) -> Result<Opened, Vec<Violation>> {
        let verified = self.verifier.verify_record(bytes, inherited).map_err(|faults| {
            faults
                .iter()
                .map(|fault| outside_rule("signature", fault.code(), fault.role.as_deref()))
                .collect::<Vec<_>>()
        })?;
        let decoded = ministry::decode(&verified.data, &self.ministry)?;
        let mut violations =
            self.check_signers(&verified.signers, &decoded.transcript, received_at);
        violations.extend(decoded.warnings);
        Ok(Opened {
            family: decoded.family,
            transcript: decoded.transcript,
            octets_sha256: verified.data_sha256,
            violations,
        })
    }

    fn open_line(&self, received_at: Timestamp, bytes: &[u8]) -> Result<Opened, Vec<Violation>> {
        let signer_rules = &self.verifier.profile().signers;
        let line = canonical::decode(bytes, &self.lines, signer_rules)
            .map_err(|fault| vec![fault.violation()])?;
        let mut signers = Vec::with_capacity(line.signatures.len());
        let mut faults = Vec::new();
        for (role, token) in &line.signatures {
            match self.verifier.verify_detached(token, &line.record_octets) {
                Ok(verified) => signers.push(verified.into_block(role)),
                Err(fault) => faults.push(outside_rule("signature", fault.code(), Some(role))),
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        Ok(Opened {
            family: self.ministry.family_of(&line.transcript),
            octets_sha256: sha256(&line.record_octets),
            violations: self.check_signers(&signers, &line.transcript, received_at),
            transcript: line.transcript,
        })
    }

    // A signer counts only when its certificate leads to a configured anchor and fits its block.
    fn check_signers(
        &self,
        signers: &[SignerBlock],
        transcript: &Transcript,
        now: Timestamp,
    ) -> Vec<Violation> {
        let profile = self.verifier.profile();
        let verdicts = roles::judge(&self.anchors, profile, signers, now);
        let mut violations = Vec::new();
        for (signer, verdict) in signers.iter().zip(&verdicts) {
            let severity = match verdict.decision {
                Decision::Confirmed => Severity::Warning,
                Decision::Refuted => Severity::Error,
                Decision::CannotDecide => Severity::Hold,
            };
            for reason in &verdict.reasons {
                let mut violation = outside_rule("trust", reason.code(), Some(&signer.role));
                violation.severity = severity;
                violations.push(violation);
            }
        }
        let faults = roles::check(profile, signers, &verdicts, transcript);
        violations.extend(
            faults.into_iter().map(|fault| outside_rule("trust", fault.code, Some(&fault.role))),
        );
        violations
    }

    /// Say where `place` is in the document as it was sent: tags of the XML, or members of the line.
    pub fn pointer(&self, place: &Place, is_xml: bool, family: Option<Family>) -> String {
        match place {
            _ if is_xml => {
                ministry::pointer(&self.ministry, family.unwrap_or(Family::Primary), place)
            }
            Place::Path(_) | Place::Signer(_) => place.pointer(),
            Place::Entry(..) | Place::General(_) | Place::Record => {
                format!("/record{}", place.pointer())
            }
        }
    }
}

/// Broken rules of signatures and trust: any of them takes the value from the transcript (QĐ 1789 Đ12).
fn outside_rule(module: &str, code: &str, role: Option<&str>) -> Violation {
    Violation {
        rule: format!("{module}.{code}"),
        place: role.map_or(Place::Record, |role| Place::Signer(role.to_owned())),
        severity: Severity::Error,
        args: Vec::new(),
        source: "CV 2088/BGDĐT-GDTH PL1 §1.6; TT 15/2025/TT-BKHCN PL II".to_owned(),
    }
}

fn stored(kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut stored = Vec::with_capacity(bytes.len() + 1);
    stored.push(kind);
    stored.extend_from_slice(bytes);
    stored
}

// A record is kept self-contained: what its list declared is declared on the record itself.
fn stored_xml(bytes: &[u8], inherited: &Inherited) -> Vec<u8> {
    stored(SOURCE_XML, &declared_on(bytes, inherited))
}

fn declared_on(bytes: &[u8], inherited: &Inherited) -> Vec<u8> {
    let name_end = bytes
        .iter()
        .position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/'))
        .unwrap_or(bytes.len());
    let tag_end = bytes.iter().position(|byte| *byte == b'>').unwrap_or(bytes.len());
    let tag = String::from_utf8_lossy(&bytes[name_end..tag_end]).into_owned();
    let mut out = bytes[..name_end].to_vec();
    let namespaces = inherited.namespaces.iter().map(|(prefix, uri)| {
        let name = if prefix.is_empty() { "xmlns".to_owned() } else { format!("xmlns:{prefix}") };
        (name, uri)
    });
    let attributes = inherited.xml_attributes.iter().map(|(name, value)| (name.clone(), value));
    for (name, value) in namespaces.chain(attributes) {
        let declared = tag.split_ascii_whitespace().any(|part| {
            part.strip_prefix(name.as_str()).is_some_and(|rest| rest.trim_start().starts_with('='))
        });
        if !declared {
            out.extend_from_slice(
                format!(" {name}=\"{}\"", quick_xml::escape::escape(value.as_str())).as_bytes(),
            );
        }
    }
    out.extend_from_slice(&bytes[name_end..]);
    out
}

fn sha256(bytes: &[u8]) -> [u8; 32] {
    digest(&SHA256, bytes).as_ref().try_into().unwrap_or([0; 32])
}

/// Return the day of `at` in Vietnam (UTC+7, no daylight saving).
pub fn vietnam_date(at: Timestamp) -> Date {
    at.to_zoned(jiff::tz::TimeZone::fixed(jiff::tz::offset(7))).date()
}

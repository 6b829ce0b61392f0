//! Reads and writes signed receipts: compact JWS (RFC 7515) over JSON that names every record by digest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{Expected, Judgement, Line, Verdict};
use crate::signature::certificate::{Fingerprint, fingerprint};
use crate::signature::jws::{canonical_json, sign_compact};
use crate::signature::{Settings, SignError, Signer, Verifier};

/// `typ` of a receipt.
pub const RECEIPT_TYPE: &str = "hocba-receipt+jws";
/// `typ` of a refusal of a whole batch.
pub const REFUSAL_TYPE: &str = "hocba-refusal+jws";
/// `typ` of a statement that a message is not known or not finished.
pub const STATUS_TYPE: &str = "hocba-status+jws";

/// What became of each record of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Receipt {
    /// Id of the batch.
    pub message_id: Uuid,
    /// SHA-256 of the bytes received, in hexadecimal.
    pub body_sha256: String,
    /// When they were received.
    pub received_at: Timestamp,
    /// One for each record.
    pub items: Vec<ReceiptItem>,
}

/// What became of one record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ReceiptItem {
    /// `idbanghi`.
    pub id_ban_ghi: String,
    /// `phienban`.
    pub phien_ban: i32,
    /// SHA-256 of the record's element as received, in hexadecimal.
    pub digest: String,
    /// `accepted`, `already-applied`, `refused` or `ignored-older`.
    pub verdict: String,
    /// Code of the reason, where it is not accepted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A refusal of the whole batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Refusal {
    /// Id of the batch.
    pub message_id: Uuid,
    /// SHA-256 of the bytes received, in hexadecimal.
    pub body_sha256: String,
    /// When they were received.
    pub received_at: Timestamp,
    /// Code of the reason.
    pub reason: String,
}

/// The status of a message that has no receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Status {
    /// Id of the batch.
    pub message_id: Uuid,
    /// When this was said.
    pub at: Timestamp,
    /// `unknown` or `pending`.
    pub state: String,
}

const REASON_CHARS_MAX: usize = 60;

/// Return limits of signed documents under which receipts of up to `bytes_max` bytes are read.
pub fn receipt_settings(settings: &Settings, bytes_max: usize) -> Settings {
    Settings { jws_bytes_max: bytes_max, ..settings.clone() }
}

/// Reads receipts signed by pinned certificates.
pub struct SignedReceipts {
    verifier: Arc<Verifier>,
    pinned: BTreeSet<Fingerprint>,
}

impl SignedReceipts {
    /// Believe receipts signed by exactly these `certificates` (DER).
    pub fn new(verifier: Arc<Verifier>, certificates: &[impl AsRef<[u8]>]) -> Self {
        Self {
            verifier,
            pinned: certificates.iter().map(|der| fingerprint(der.as_ref())).collect(),
        }
    }

    /// Judge the body of an answer: signature, signer, kind, message, then each record.
    pub fn judge(&self, body: &[u8], expected: &Expected<'_>) -> Judgement {
        let Ok(token) = std::str::from_utf8(body) else {
            return Judgement::Invalid("not-text");
        };
        let (payload, jws) = match self.verifier.verify_compact(token.trim_end()) {
            Ok(verified) => verified,
            Err(fault) => return Judgement::Invalid(fault.code()),
        };
        if !self.pinned.contains(&fingerprint(&jws.certificate)) {
            return Judgement::Invalid("signer-not-pinned");
        }
        if !is_valid_at(&jws.certificate, expected.now) {
            return Judgement::Invalid("signer-expired");
        }
        match jws.kind.as_deref() {
            Some(RECEIPT_TYPE) => read(&payload, |receipt: Receipt| {
                match_message(receipt.message_id, &receipt.body_sha256, expected)
                    .unwrap_or_else(|| lines(&receipt.items, expected))
            }),
            Some(REFUSAL_TYPE) => read(&payload, |refusal: Refusal| {
                match_message(refusal.message_id, &refusal.body_sha256, expected)
                    .unwrap_or_else(|| refused(&refusal, expected))
            }),
            Some(STATUS_TYPE) => read(&payload, |status: Status| {
                match (status.message_id == expected.message_id, status.state.as_str()) {
                    (false, _) => Judgement::Foreign,
                    (true, "unknown") => Judgement::NotFound,
                    (true, "pending") => Judgement::Pending,
                    (true, _) => Judgement::Invalid("unknown-status"),
                }
            }),
            _ => Judgement::Invalid("unknown-type"),
        }
    }
}

fn read<T: for<'a> Deserialize<'a>>(
    payload: &[u8],
    judge: impl FnOnce(T) -> Judgement,
) -> Judgement {
    match serde_json::from_slice(payload) {
        Ok(value) => judge(value),
        Err(_) => Judgement::Invalid("payload-shape"),
    }
}

fn match_message(
    message_id: Uuid,
    body_sha256: &str,
    expected: &Expected<'_>,
) -> Option<Judgement> {
    if message_id != expected.message_id {
        return Some(Judgement::Foreign);
    }
    (body_sha256 != hex(expected.body_sha256)).then_some(Judgement::Conflict("other-bytes"))
}

// The refusal of a batch of one is evidence for its one member.
fn refused(refusal: &Refusal, expected: &Expected<'_>) -> Judgement {
    let reason = code(&refusal.reason);
    match expected.members {
        [only] => Judgement::Lines {
            lines: vec![Line {
                record_id: only.record_id,
                digest: only.digest.clone(),
                verdict: Verdict::Refused,
                reason: Some(reason),
            }],
            complete: true,
        },
        _ => Judgement::Refused(reason),
    }
}

fn lines(items: &[ReceiptItem], expected: &Expected<'_>) -> Judgement {
    let members: BTreeMap<String, _> =
        expected.members.iter().map(|member| (member.record_id.to_string(), member)).collect();
    let mut lines = Vec::with_capacity(items.len());
    let mut named = BTreeSet::new();
    for item in items {
        let Some(member) = members.get(&item.id_ban_ghi) else {
            return Judgement::Conflict("not-a-member");
        };
        if item.digest != hex(&member.digest) || item.phien_ban != member.version {
            return Judgement::Conflict("other-record");
        }
        let Some(verdict) = Verdict::parse(&item.verdict) else {
            return Judgement::Invalid("unknown-verdict");
        };
        if !named.insert(member.record_id) {
            return Judgement::Invalid("repeated-record");
        }
        lines.push(Line {
            record_id: member.record_id,
            digest: member.digest.clone(),
            verdict,
            reason: item.reason.as_deref().map(code),
        });
    }
    Judgement::Lines { complete: lines.len() == expected.members.len(), lines }
}

// Reasons are codes; what a peer writes there may be anything, and must not carry personal data into logs.
fn code(reason: &str) -> String {
    let is_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | '/');
    if reason.len() <= REASON_CHARS_MAX && !reason.is_empty() && reason.chars().all(is_code) {
        reason.to_owned()
    } else {
        "unnamed".to_owned()
    }
}

fn is_valid_at(certificate: &[u8], now: Timestamp) -> bool {
    let Ok((_, certificate)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    let validity = certificate.validity();
    let now = now.as_second();
    validity.not_before.timestamp() <= now && now <= validity.not_after.timestamp()
}

/// Return `bytes` in hexadecimal, lower case.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// Sign `statement` as a compact JWS of kind `typ`.
pub fn sign<T: Serialize>(
    statement: &T,
    typ: &str,
    signer: &dyn Signer,
    at: Timestamp,
) -> Result<String, SignError> {
    sign_compact(&canonical_json(statement)?, typ, signer, at)
}

//! Applies records by the version rule and answers the same message always the same way.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::batch::{Checked, Refused};
use super::ledger::{self, Appender, Applied, LedgerError};
use crate::receipts::{
    RECEIPT_TYPE, REFUSAL_TYPE, Receipt, ReceiptItem, Refusal, STATUS_TYPE, Status, Verdict, sign,
};
use crate::signature::{SignError, Signer};

/// An answer that was given and is given again whenever the message is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Answer {
    pub(super) message_id: Uuid,
    /// SHA-256 of the bytes received, in hexadecimal.
    pub(super) body_sha256: String,
    pub(super) status: u16,
    /// The signed statement.
    pub(super) token: String,
}

/// Say why nothing could be answered.
#[derive(Debug, thiserror::Error)]
pub(super) enum BookError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// What the sandbox knows; everything in it is on disk.
pub(super) struct Book {
    records: HashMap<String, (i32, String)>,
    answers: HashMap<Uuid, Answer>,
    ledger: Appender,
    answer_log: Appender,
    signer: Arc<dyn Signer>,
}

impl Book {
    /// Open the ledger at `path` and the answers beside it.
    pub(super) fn open(path: &Path, signer: Arc<dyn Signer>) -> Result<Self, LedgerError> {
        let answer_path = answers_beside(path);
        let mut records = HashMap::new();
        for line in ledger::read(path)? {
            records.insert(line.id_ban_ghi, (line.phien_ban, line.digest));
        }
        let answers: Vec<Answer> = ledger::read_lines(&answer_path)?;
        Ok(Self {
            records,
            answers: answers.into_iter().map(|answer| (answer.message_id, answer)).collect(),
            ledger: Appender::open(path)?,
            answer_log: Appender::open(&answer_path)?,
            signer,
        })
    }

    /// Return the answer that was given to a message.
    pub(super) fn answer(&self, message_id: Uuid) -> Option<&Answer> {
        self.answers.get(&message_id)
    }

    /// Apply a checked batch, or note its refusal; on disk before this returns.
    ///
    /// Records go to the ledger before the answer goes to the log: a crash between them leaves a message that
    /// is not known but whose records are, and its repeat applies nothing twice.
    pub(super) fn enter(
        &mut self,
        message_id: Uuid,
        body_sha256: &str,
        checked: Result<Vec<Checked>, Refused>,
        at: Timestamp,
    ) -> Result<Answer, BookError> {
        let body_sha256 = body_sha256.to_owned();
        let (status, token) = match checked {
            Err(refused) => {
                let refusal = Refusal {
                    message_id,
                    body_sha256: body_sha256.clone(),
                    received_at: at,
                    reason: refused.reason.to_owned(),
                };
                (refused.status, sign(&refusal, REFUSAL_TYPE, &*self.signer, at)?)
            }
            Ok(records) => {
                let (items, applied) = self.judge(message_id, &records, at);
                let receipt = Receipt {
                    message_id,
                    body_sha256: body_sha256.clone(),
                    received_at: at,
                    items,
                };
                let token = sign(&receipt, RECEIPT_TYPE, &*self.signer, at)?;
                self.ledger.append(&applied)?;
                for line in applied {
                    self.records.insert(line.id_ban_ghi, (line.phien_ban, line.digest));
                }
                (200, token)
            }
        };
        let answer = Answer { message_id, body_sha256, status, token };
        self.answer_log.append(std::slice::from_ref(&answer))?;
        self.answers.insert(message_id, answer.clone());
        Ok(answer)
    }

    /// Sign that a message is not known.
    pub(super) fn unknown(&self, message_id: Uuid, at: Timestamp) -> Result<String, SignError> {
        let status = Status { message_id, at, state: "unknown".to_owned() };
        sign(&status, STATUS_TYPE, &*self.signer, at)
    }

    // Only a version greater than the one in hand is applied (dictionary, `phienban`).
    fn judge(
        &self,
        message_id: Uuid,
        records: &[Checked],
        at: Timestamp,
    ) -> (Vec<ReceiptItem>, Vec<Applied>) {
        let mut items = Vec::with_capacity(records.len());
        let mut applied: Vec<Applied> = Vec::new();
        for record in records {
            let here = applied.iter().rev().find(|line| line.id_ban_ghi == record.record_id);
            let held = match here {
                Some(line) => Some((line.phien_ban, line.digest.as_str())),
                None => self
                    .records
                    .get(&record.record_id)
                    .map(|(version, digest)| (*version, digest.as_str())),
            };
            let (verdict, reason) = match (&record.refused, held) {
                (Some(reason), _) => (Verdict::Refused, Some(reason.clone())),
                (None, Some((version, digest)))
                    if version == record.version && digest == record.digest =>
                {
                    (Verdict::AlreadyApplied, None)
                }
                (None, Some((version, _))) if version >= record.version => {
                    (Verdict::IgnoredOlder, Some("version-not-greater".to_owned()))
                }
                (None, _) => (Verdict::Accepted, None),
            };
            if verdict == Verdict::Accepted {
                applied.push(Applied {
                    message_id,
                    id_ban_ghi: record.record_id.clone(),
                    phien_ban: record.version,
                    digest: record.digest.clone(),
                    applied_at: at,
                });
            }
            items.push(ReceiptItem {
                id_ban_ghi: record.record_id.clone(),
                phien_ban: record.version,
                digest: record.digest.clone(),
                verdict: verdict.name().to_owned(),
                reason,
            });
        }
        (items, applied)
    }
}

fn answers_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".answers");
    PathBuf::from(name)
}

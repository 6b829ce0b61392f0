//! Reads the Ministry's answer to a status query (CV 2088, transaction 2) as evidence per record.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::{Expected, Judgement, Line, Verdict};

/// Where the answer keeps what; the wrapper's names are not published, so they are settings.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerShape {
    /// JSON Pointer (RFC 6901) to the list of records; empty when the answer is the list.
    pub list_pointer: String,
    /// JSON Pointer to the message id; empty when the answer does not repeat it.
    pub message_id_pointer: String,
    /// Values of `trang_thai` that mean approved.
    pub approved: Vec<String>,
    /// Values of `trang_thai` that mean rejected.
    pub rejected: Vec<String>,
}

impl Default for AnswerShape {
    fn default() -> Self {
        Self {
            list_pointer: "/danh_sach".to_owned(),
            message_id_pointer: "/messageid".to_owned(),
            approved: vec!["1".to_owned()],
            rejected: vec!["0".to_owned()],
        }
    }
}

/// Reads status answers; the connection they came over has authenticated the peer.
pub struct StatusAnswers {
    shape: AnswerShape,
}

// Names, personal numbers and free descriptions stand in the answer too: they are not read, only kept encrypted.
#[derive(Deserialize)]
struct Row {
    ma_tra_cuu_uuid: Uuid,
    trang_thai: Value,
    #[serde(default)]
    error: Value,
}

impl StatusAnswers {
    /// Read answers of this shape.
    pub fn new(shape: AnswerShape) -> Self {
        Self { shape }
    }

    /// Judge an answer whose records are named by their own id.
    pub fn judge(&self, body: &[u8], expected: &Expected<'_>) -> Judgement {
        let codes =
            expected.members.iter().map(|member| (member.record_id, member.record_id)).collect();
        self.judge_by_code(body, expected, &codes)
    }

    /// Judge an answer whose records are named by transcript code; `codes` leads from it to our record.
    pub fn judge_by_code(
        &self,
        body: &[u8],
        expected: &Expected<'_>,
        codes: &BTreeMap<Uuid, Uuid>,
    ) -> Judgement {
        let Ok(answer) = serde_json::from_slice::<Value>(body) else {
            return Judgement::Invalid("not-json");
        };
        if !self.shape.message_id_pointer.is_empty() {
            let named = answer.pointer(&self.shape.message_id_pointer);
            let named = named.and_then(Value::as_str).and_then(|id| id.parse::<Uuid>().ok());
            match named {
                Some(message_id) if message_id == expected.message_id => {}
                Some(_) => return Judgement::Foreign,
                None => return Judgement::Invalid("no-message-id"),
            }
        }
        let rows = answer
            .pointer(&self.shape.list_pointer)
            .and_then(|list| Vec::<Row>::deserialize(list).ok());
        match rows {
            Some(rows) => self.lines(&rows, expected, codes),
            None => Judgement::Invalid("list-shape"),
        }
    }

    fn lines(
        &self,
        rows: &[Row],
        expected: &Expected<'_>,
        codes: &BTreeMap<Uuid, Uuid>,
    ) -> Judgement {
        let mut lines: BTreeMap<Uuid, Line> = BTreeMap::new();
        for row in rows {
            let member = codes
                .get(&row.ma_tra_cuu_uuid)
                .and_then(|id| expected.members.iter().find(|member| member.record_id == *id));
            let Some(member) = member else {
                return Judgement::Conflict("not-a-member");
            };
            let state = plain(&row.trang_thai);
            let verdict = if self.shape.approved.contains(&state) {
                Verdict::Accepted
            } else if self.shape.rejected.contains(&state) {
                Verdict::Refused
            } else {
                // Not decided yet: the record stays open.
                continue;
            };
            let line = Line {
                record_id: member.record_id,
                digest: member.digest.clone(),
                verdict,
                reason: (verdict == Verdict::Refused).then(|| error_code(&row.error)),
            };
            let earlier = lines.insert(member.record_id, line);
            if earlier.is_some_and(|earlier| earlier.verdict != verdict) {
                return Judgement::Invalid("repeated-record");
            }
        }
        if lines.is_empty() {
            return Judgement::Pending;
        }
        Judgement::Lines {
            complete: lines.len() == expected.members.len(),
            lines: lines.into_values().collect(),
        }
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.trim().to_owned(),
        other => other.to_string(),
    }
}

// An error is a code from the Ministry's table; a sentence could name a pupil, so it is not copied.
fn error_code(value: &Value) -> String {
    let text = plain(value);
    let is_code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !text.is_empty() && text.len() <= 40 && text.chars().all(is_code) {
        text
    } else {
        "unnamed".to_owned()
    }
}

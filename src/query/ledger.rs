//! Makes the row and the audit leaf of an answer; neither says in clear who was asked about.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::json;
use uuid::Uuid;

use super::request::Subject;
use super::shape::{Draft, hex};
use super::store::AnswerRow;
use super::verdict::Decision;
use crate::audit::Leaf;
use crate::transcript::Field;
use crate::vault::Vault;

/// Make the row of an answer.
pub(super) fn row_of(draft: &Draft<'_>, vault: &Vault, subject_ref: Option<Vec<u8>>) -> AnswerRow {
    let question = draft.question;
    let code_commitment = match &question.subject {
        Subject::Code { code, .. } => Some(vault.commitment("transcript-code", &code.to_string())),
        Subject::Number { .. } => None,
    };
    AnswerRow {
            participant_id: draft.asker.agency,
            school_year: school_year_of(draft.today),
            answer_id: answer_id(draft.now),
            person_id: draft.asker.officer,
            procedure: question.procedure.clone(),
            way: question.subject.way().name(),
            case_commitment: vault.commitment("case", &question.case),
            asked_at: draft.now,
            subject_ref,
            code_commitment,
            overall: draft.decision.overall.name(),
            verdicts: draft
                .decision
                .years
                .iter()
                .map(|year| {
                    json!({"school_year": year.school_year.to_string(), "verdict": year.verdict})
                })
                .collect(),
            fields: fields_told(&draft.decision),
        }
}

fn fields_told(decision: &Decision) -> Vec<String> {
    let mut told: BTreeSet<Field> = BTreeSet::new();
    for transcript in decision.years.iter().filter_map(|y| y.transcript.as_ref()) {
        let groups = [
            std::slice::from_ref(&transcript.general),
            &transcript.subjects,
            &transcript.history,
            &transcript.certificates,
        ];
        for fields in groups.into_iter().flatten() {
            told.extend(fields.iter().map(|(field, _)| field));
        }
    }
    told.into_iter().map(|field| field.name().to_owned()).collect()
}

/// Make the leaf of an answer: no personal data, the pupil stands as a commitment salted by the answer's id.
pub(super) fn leaf_of(row: &AnswerRow, vault: &Vault) -> Leaf {
    let subject = row.subject_ref.as_ref().map(|reference| {
        let label = format!("answer-subject:{}", row.answer_id);
        hex(&vault.commitment(&label, &hex(reference)))
    });
    Leaf {
        at: row.asked_at,
        actor: format!("person:{}", row.person_id),
        action: "answer_verification",
        object: format!("answer:{}", row.answer_id),
        details: json!({
            "agency": row.participant_id,
            "procedure": row.procedure,
            "way": row.way,
            "case": hex(&row.case_commitment),
            "subject": subject,
            "verdict": row.overall,
            "years": row.verdicts,
            "fields": row.fields,
        }),
    }
}

fn answer_id(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanos = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(uuid::timestamp::context::NoContext, seconds, nanos))
}

// A school year begins in September (khung kế hoạch thời gian năm học).
fn school_year_of(day: Date) -> i16 {
    if day.month() >= 9 { day.year() } else { day.year() - 1 }
}

//! Shapes a decision as an answer: members, texts in both languages, the sentence for the supplement notice.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::QueryError;
use super::answer::Asker;
use super::catalogue::{Catalogue, Procedure};
use super::request::Question;
use super::verdict::{Decision, Verdict, YearVerdict};
use crate::platform::texts::{self, Bilingual, Lang};
use crate::transcript::{Level, Transcript};

/// Name of the answer's form; it keeps its signature from being taken for that of another document.
pub const ANSWER_KIND: &str = "hocba-answer-1";

/// A signed answer.
///
/// The signature is a detached JWS (RFC 7515, appendix F) over the RFC 8785 form of all other members.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Answer {
    /// `hocba-answer-1`.
    pub kind: &'static str,
    /// UUID v7; name it when you ask about this answer.
    pub answer_id: Uuid,
    /// Time of the answer.
    #[schema(value_type = String, format = DateTime)]
    pub answered_at: Timestamp,
    /// SHA-256 (hex) of the request bytes this answers.
    pub request_sha256: String,
    /// Number of the agency at this gateway.
    pub agency: i32,
    /// Person id of the officer.
    pub officer: Uuid,
    /// Code of the procedure.
    pub procedure: String,
    /// Number of the file.
    pub case: String,
    /// Level the answer speaks of.
    pub level: Option<&'static str>,
    /// Verdict over all: `valid` only if every year below is.
    pub verdict: Verdict,
    /// What it means.
    pub text: Bilingual,
    /// Text for the supplement notice, with legal basis and deadline; absent for `valid`.
    pub supplement: Option<Bilingual>,
    /// One entry per school year, in order.
    pub years: Vec<YearAnswer>,
    /// Hash (hex) of this disclosure's leaf in the audit log.
    pub leaf_hash: String,
    /// Detached JWS; absent only while it is being signed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// The answer about one school year.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct YearAnswer {
    /// `YYYY-YYYY`.
    pub school_year: String,
    /// The verdict.
    pub verdict: Verdict,
    /// What it means.
    pub text: Bilingual,
    /// Names of needed fields that are absent (`incomplete`).
    pub missing: Vec<&'static str>,
    /// When the gateway received the transcript from the province.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub received_at: Option<Timestamp>,
    /// The fields the procedure may see (`valid`), in the gateway's canonical form.
    #[schema(value_type = Option<Object>)]
    pub transcript: Option<Transcript>,
}

/// A decision with the question it answers.
pub(super) struct Draft<'a> {
    pub(super) asker: Asker,
    pub(super) question: &'a Question,
    pub(super) procedure: &'a Procedure,
    pub(super) decision: Decision,
    pub(super) now: Timestamp,
    pub(super) today: Date,
}

impl Draft<'_> {
    pub(super) fn shape(
        self,
        answer_id: Uuid,
        leaf_hash: &[u8; 32],
        catalogue: &Catalogue,
    ) -> Answer {
        let supplement = supplement(&self, catalogue);
        let overall = self.decision.overall;
        Answer {
            kind: ANSWER_KIND,
            answer_id,
            answered_at: self.now,
            request_sha256: hex(&self.question.digest),
            agency: self.asker.agency,
            officer: self.asker.officer,
            procedure: self.question.procedure.clone(),
            case: self.question.case.clone(),
            level: self.decision.level.map(Level::slug),
            verdict: overall,
            text: texts::both(&format!("query.over-all-{}", overall.name()), &[]),
            supplement,
            years: self.decision.years.into_iter().map(shape_year).collect(),
            leaf_hash: hex(leaf_hash),
            signature: None,
        }
    }
}

fn shape_year(year: YearVerdict) -> YearAnswer {
    let missing: Vec<&'static str> = year.missing.iter().map(|field| field.name()).collect();
    let fields = missing.join(", ");
    let key = format!("query.year-{}", year.verdict.name());
    YearAnswer {
        school_year: year.school_year.to_string(),
        verdict: year.verdict,
        text: texts::both(&key, &[("fields", &fields)]),
        missing,
        received_at: year.received_at,
        transcript: year.transcript,
    }
}

// The sentence for the notice by NQ 66.7/2025/NQ-CP article 8, with the basis in force that day.
fn supplement(draft: &Draft<'_>, catalogue: &Catalogue) -> Option<Bilingual> {
    let overall = draft.decision.overall;
    if overall == Verdict::Valid {
        return None;
    }
    let years: Vec<String> = draft
        .decision
        .years
        .iter()
        .filter(|year| year.verdict != Verdict::Valid)
        .map(|year| year.school_year.to_string())
        .collect();
    let years = if years.is_empty() { "—".to_owned() } else { years.join(", ") };
    let reason = texts::both(&format!("query.supplement-{}", overall.name()), &[]);
    let duty = match catalogue.basis(draft.today) {
        None => texts::both("query.supplement-no-basis", &[]),
        Some(basis) => {
            let hours = basis.online_working_hours.to_string();
            let days = basis.counter_working_days.to_string();
            let fill = |lang| {
                texts::text(
                    lang,
                    "query.supplement-basis",
                    &[
                        ("basis", basis.name.in_lang(lang)),
                        ("article", basis.article.in_lang(lang)),
                        ("hours", &hours),
                        ("days", &days),
                    ],
                )
            };
            Bilingual { vi: fill(Lang::Vi), en: fill(Lang::En) }
        }
    };
    let fill = |lang| {
        texts::text(
            lang,
            "query.supplement",
            &[
                ("case", &draft.question.case),
                ("procedure", draft.procedure.name.in_lang(lang)),
                ("code", &draft.procedure.code),
                ("years", &years),
                ("reason", reason.in_lang(lang)),
                ("duty", duty.in_lang(lang)),
            ],
        )
    };
    Some(Bilingual { vi: fill(Lang::Vi), en: fill(Lang::En) })
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Return the answer as JSON text, as it is sent and signed.
pub fn to_json(answer: &Answer) -> Result<Value, QueryError> {
    serde_json::to_value(answer).map_err(|_| QueryError::Fault("the answer has no JSON form"))
}

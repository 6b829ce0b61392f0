//! Gives templates the words of the reader's language, and numbers, times and ages as people read them.

use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use uuid::Uuid;

use super::figures::{DestinationFigures, Figures, Row};
use super::store::RuleCount;
use crate::platform::problem::Problem;
use crate::platform::texts::{self, Bilingual, Lang};
use crate::query::Verdict;
use crate::transcript::{Field, Fields, Transcript};

/// A table of entries: the fields that occur, then one row per entry.
pub(super) struct EntryTable {
    pub(super) heads: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// One number of the table of provinces.
pub(super) struct Cell {
    pub(super) column: &'static str,
    pub(super) value: u64,
    pub(super) class: String,
}

const COLUMNS: [&str; 12] = [
    "received",
    "duplicates",
    "rejected",
    "held",
    "accepted",
    "sealed",
    "submitted",
    "acknowledged",
    "refused",
    "in_flight",
    "parked",
    "superseded",
];

/// What templates call; holds the reader's language.
#[derive(Debug, Clone, Copy)]
pub struct View {
    pub(super) lang: Lang,
    /// Whether the language was asked for in the address, so that links keep it.
    pub(super) explicit: bool,
}

impl View {
    pub(super) fn t(&self, key: &str) -> String {
        texts::text(self.lang, &format!("dashboard.{key}"), &[])
    }

    pub(super) fn t1(&self, key: &str, name: &str, value: &str) -> String {
        texts::text(self.lang, &format!("dashboard.{key}"), &[(name, value)])
    }

    pub(super) fn words<'t>(&self, text: &'t Bilingual) -> &'t str {
        text.in_lang(self.lang)
    }

    pub(super) fn lang_code(&self) -> &'static str {
        match self.lang {
            Lang::Vi => "vi",
            Lang::En => "en",
        }
    }

    pub(super) fn other_lang(&self) -> &'static str {
        match self.lang {
            Lang::Vi => "en",
            Lang::En => "vi",
        }
    }

    pub(super) fn lang_query(&self) -> String {
        if self.explicit { format!("?lang={}", self.lang_code()) } else { String::new() }
    }

    pub(super) fn n(&self, value: &u64) -> String {
        let mark = match self.lang {
            Lang::Vi => '.',
            Lang::En => ',',
        };
        let digits = value.to_string();
        let mut text = String::with_capacity(digits.len() + digits.len() / 3);
        for (index, digit) in digits.chars().enumerate() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                text.push(mark);
            }
            text.push(digit);
        }
        text
    }

    pub(super) fn n_signed(&self, value: &i64) -> String {
        self.n(&u64::try_from(*value).unwrap_or(0))
    }

    pub(super) fn at(&self, at: &Timestamp) -> String {
        self.local(*at, "%H:%M")
    }

    pub(super) fn time(&self, text: &str) -> String {
        text.parse().map_or_else(|_| text.to_owned(), |at| self.local(at, "%H:%M:%S"))
    }

    pub(super) fn local(&self, at: Timestamp, clock: &str) -> String {
        let day = match self.lang {
            Lang::Vi => "%d/%m/%Y",
            Lang::En => "%Y-%m-%d",
        };
        at.to_zoned(TimeZone::fixed(Offset::constant(7)))
            .strftime(&format!("{day} {clock}"))
            .to_string()
    }

    pub(super) fn maybe_time(&self, at: &Option<Timestamp>) -> String {
        at.as_ref().map_or_else(|| "–".to_owned(), |at| self.at(at))
    }

    pub(super) fn age(&self, seconds: &Option<u64>) -> String {
        let Some(seconds) = *seconds else {
            return "–".to_owned();
        };
        let (value, unit) = match seconds {
            0..60 => (seconds, "seconds"),
            60..3_600 => (seconds / 60, "minutes"),
            3_600..172_800 => (seconds / 3_600, "hours"),
            _ => (seconds / 86_400, "days-unit"),
        };
        format!("{} {}", self.n(&value), self.t(unit))
    }

    pub(super) fn state(&self, state: &str) -> String {
        let key = format!("dashboard.state-{state}");
        if texts::has(&key) { texts::text(self.lang, &key, &[]) } else { state.to_owned() }
    }

    pub(super) fn severity(&self, severity: &str) -> String {
        self.t(&format!("severity-{severity}"))
    }

    pub(super) fn reason(&self, reason: Option<&str>) -> String {
        let Some(reason) = reason else {
            return "–".to_owned();
        };
        let key = format!("outbox.reason.{reason}");
        if texts::has(&key) { texts::text(self.lang, &key, &[]) } else { reason.to_owned() }
    }

    pub(super) fn halted(&self, destination: &DestinationFigures) -> String {
        let reason = self.reason(destination.halted_reason.as_deref());
        let args = [("name", destination.name.as_str()), ("reason", &reason)];
        texts::text(self.lang, "dashboard.halted", &args)
    }

    pub(super) fn balance_class(&self, destination: &DestinationFigures) -> &'static str {
        match destination.balanced {
            Some(true) => "yes",
            Some(false) => "no",
            None => "open",
        }
    }

    pub(super) fn balance_parts(
        &self,
        destination: &DestinationFigures,
    ) -> [(&'static str, u64); 7] {
        let total = &destination.total;
        [
            ("rejected", total.rejected),
            ("held", total.held),
            ("in_flight", total.in_flight),
            ("acknowledged", total.acknowledged),
            ("refused", total.refused),
            ("parked", total.parked),
            ("superseded", total.superseded),
        ]
    }

    pub(super) fn columns(&self) -> [&'static str; 12] {
        COLUMNS
    }

    pub(super) fn is_edge(&self, column: &str) -> bool {
        matches!(column, "accepted" | "acknowledged")
    }

    pub(super) fn cells(&self, row: &Row) -> Vec<Cell> {
        let values = [
            row.received,
            row.duplicates,
            row.rejected,
            row.held,
            row.accepted,
            row.sealed,
            row.submitted,
            row.acknowledged,
            row.refused,
            row.in_flight,
            row.parked,
            row.superseded,
        ];
        COLUMNS
            .into_iter()
            .zip(values)
            .map(|(column, value)| {
                let tone = match column {
                    _ if value == 0 => "zero",
                    "rejected" | "refused" | "parked" => "bad",
                    "held" => "warn",
                    "acknowledged" => "good",
                    _ => "",
                };
                let edge = if self.is_edge(column) { " edge" } else { "" };
                Cell { column, value, class: format!("{tone}{edge}").trim().to_owned() }
            })
            .collect()
    }

    pub(super) fn message(&self, rule: &RuleCount) -> String {
        rule.message.get(self.lang_code()).and_then(|text| text.as_str()).unwrap_or("–").to_owned()
    }

    pub(super) fn short_id(&self, id: &Uuid) -> String {
        let text = id.to_string();
        format!("…{}", &text[text.len() - 12..])
    }

    pub(super) fn province_of(&self, figures: &Figures, participant_id: &i32) -> String {
        figures
            .destinations
            .iter()
            .flat_map(|destination| &destination.rows)
            .find(|row| row.participant_id == Some(*participant_id))
            .map_or_else(|| participant_id.to_string(), |row| row.name.clone())
    }

    pub(super) fn both_title(&self, problem: &Problem) -> String {
        match self.lang {
            Lang::Vi => problem.title.clone(),
            Lang::En => problem.title_en.clone(),
        }
    }

    pub(super) fn both_detail(&self, problem: &Problem) -> String {
        match self.lang {
            Lang::Vi => problem.detail.clone(),
            Lang::En => problem.detail_en.clone(),
        }
    }

    pub(super) fn level(&self, slug: &str) -> String {
        self.t(&format!("level-{slug}"))
    }

    pub(super) fn verdict(&self, verdict: &Verdict) -> String {
        self.t(&format!("verdict-{}", verdict.name()))
    }

    // Colour never stands alone: the sign and the words say the same.
    pub(super) fn tone(&self, verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Valid => "good",
            Verdict::SourceUnavailable | Verdict::NotFound | Verdict::Incomplete => "open",
            _ => "bad",
        }
    }

    pub(super) fn sign(&self, verdict: &Verdict) -> &'static str {
        match self.tone(verdict) {
            "good" => "✓",
            "open" => "?",
            _ => "✕",
        }
    }

    pub(super) fn field_name(&self, field: Field) -> String {
        let key = format!("validate.field.{}", field.name());
        if texts::has(&key) { texts::text(self.lang, &key, &[]) } else { field.name().to_owned() }
    }

    pub(super) fn facts(&self, transcript: &Transcript) -> Vec<(String, String)> {
        transcript
            .general
            .iter()
            .map(|(field, value)| (self.field_name(field), value.to_owned()))
            .collect()
    }

    pub(super) fn subjects(&self, transcript: &Transcript) -> Option<EntryTable> {
        let has = |field: &Field| transcript.subjects.iter().any(|s| s.value(*field).is_some());
        let present: Vec<Field> = Field::ALL.iter().copied().filter(has).collect();
        let row = |entry: &Fields| {
            present.iter().map(|field| entry.value(*field).unwrap_or("").to_owned()).collect()
        };
        (!present.is_empty()).then(|| EntryTable {
            heads: present.iter().map(|f| self.field_name(*f)).collect(),
            rows: transcript.subjects.iter().map(row).collect(),
        })
    }
}

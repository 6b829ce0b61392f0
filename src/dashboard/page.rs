//! Renders the pages: words in the reader's language, numbers, times and ages as people read them.

use askama::Template;
use jiff::Timestamp;
use jiff::tz::{Offset, TimeZone};
use serde::Serialize;
use uuid::Uuid;

use super::chart::Chart;
use super::figures::{DestinationFigures, Figures, Row};
use super::store::{BatchLine, RuleCount};
use crate::platform::problem::Problem;
use crate::platform::texts::{self, Bilingual, Lang};
use crate::query::catalogue::Procedure;
use crate::query::{Answer, Verdict};
use crate::transcript::{Field, Fields, Transcript};

/// The operators' page.
#[derive(Template)]
#[template(path = "operator.html")]
pub struct OperatorPage<'a> {
    pub(super) view: View,
    pub(super) figures: &'a Figures,
    pub(super) charts: Vec<Chart<'a>>,
    pub(super) refresh_ms: u64,
    pub(super) seconds: String,
    pub(super) error_days: String,
    pub(super) shape: String,
}

/// The page of one batch.
#[derive(Template)]
#[template(path = "batch.html")]
pub struct BatchPage<'a> {
    pub(super) view: View,
    pub(super) batch: &'a BatchLine,
    pub(super) province: &'a str,
    pub(super) rules: &'a [RuleCount],
}

/// The form of an officer, with the refusal of the question before, if there was one.
#[derive(Template)]
#[template(path = "officer.html")]
pub struct OfficerPage<'a> {
    pub(super) view: View,
    pub(super) procedures: Vec<&'a Procedure>,
    pub(super) levels: [&'static str; 3],
    pub(super) refusal: Option<&'a Problem>,
}

/// The answer to an officer.
#[derive(Template)]
#[template(path = "answer.html")]
pub struct AnswerPage<'a> {
    pub(super) view: View,
    pub(super) answer: &'a Answer,
    pub(super) json: &'a str,
}

/// The first page of the public listener.
#[derive(Template)]
#[template(path = "public.html")]
pub struct PublicPage {
    languages: [PublicText; 2],
}

struct PublicText {
    lang: &'static str,
    title: String,
    lead: String,
    check: String,
    citizen: String,
    no_data: String,
}

impl PublicPage {
    /// Take the texts from the catalogue.
    pub fn new() -> Self {
        let text = |lang, code| {
            let of = |key: &str| texts::text(lang, &format!("page.{key}"), &[]);
            PublicText {
                lang: code,
                title: of("title"),
                lead: of("lead"),
                check: of("check"),
                citizen: of("citizen"),
                no_data: of("no-data"),
            }
        };
        Self { languages: [text(Lang::Vi, "vi"), text(Lang::En, "en")] }
    }
}

impl Default for PublicPage {
    fn default() -> Self {
        Self::new()
    }
}

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
    fn t(&self, key: &str) -> String {
        texts::text(self.lang, &format!("dashboard.{key}"), &[])
    }

    fn t1(&self, key: &str, name: &str, value: &str) -> String {
        texts::text(self.lang, &format!("dashboard.{key}"), &[(name, value)])
    }

    fn words<'t>(&self, text: &'t Bilingual) -> &'t str {
        text.in_lang(self.lang)
    }

    fn lang_code(&self) -> &'static str {
        match self.lang {
            Lang::Vi => "vi",
            Lang::En => "en",
        }
    }

    fn other_lang(&self) -> &'static str {
        match self.lang {
            Lang::Vi => "en",
            Lang::En => "vi",
        }
    }

    fn lang_query(&self) -> String {
        if self.explicit { format!("?lang={}", self.lang_code()) } else { String::new() }
    }

    fn n(&self, value: &u64) -> String {
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

    fn n_signed(&self, value: &i64) -> String {
        self.n(&u64::try_from(*value).unwrap_or(0))
    }

    fn at(&self, at: &Timestamp) -> String {
        self.local(*at, "%H:%M")
    }

    fn time(&self, text: &str) -> String {
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

    fn maybe_time(&self, at: &Option<Timestamp>) -> String {
        at.as_ref().map_or_else(|| "–".to_owned(), |at| self.at(at))
    }

    fn age(&self, seconds: &Option<u64>) -> String {
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

    fn state(&self, state: &str) -> String {
        let key = format!("dashboard.state-{state}");
        if texts::has(&key) { texts::text(self.lang, &key, &[]) } else { state.to_owned() }
    }

    fn severity(&self, severity: &str) -> String {
        self.t(&format!("severity-{severity}"))
    }

    fn reason(&self, reason: Option<&str>) -> String {
        let Some(reason) = reason else {
            return "–".to_owned();
        };
        let key = format!("outbox.reason.{reason}");
        if texts::has(&key) { texts::text(self.lang, &key, &[]) } else { reason.to_owned() }
    }

    fn halted(&self, destination: &DestinationFigures) -> String {
        let reason = self.reason(destination.halted_reason.as_deref());
        let args = [("name", destination.name.as_str()), ("reason", &reason)];
        texts::text(self.lang, "dashboard.halted", &args)
    }

    fn balance_class(&self, destination: &DestinationFigures) -> &'static str {
        match destination.balanced {
            Some(true) => "yes",
            Some(false) => "no",
            None => "open",
        }
    }

    fn balance_parts(&self, destination: &DestinationFigures) -> [(&'static str, u64); 7] {
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

    fn columns(&self) -> [&'static str; 12] {
        COLUMNS
    }

    fn is_edge(&self, column: &str) -> bool {
        matches!(column, "accepted" | "acknowledged")
    }

    fn cells(&self, row: &Row) -> Vec<Cell> {
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

    fn message(&self, rule: &RuleCount) -> String {
        rule.message.get(self.lang_code()).and_then(|text| text.as_str()).unwrap_or("–").to_owned()
    }

    fn short_id(&self, id: &Uuid) -> String {
        let text = id.to_string();
        format!("…{}", &text[text.len() - 12..])
    }

    fn province_of(&self, figures: &Figures, participant_id: &i32) -> String {
        figures
            .destinations
            .iter()
            .flat_map(|destination| &destination.rows)
            .find(|row| row.participant_id == Some(*participant_id))
            .map_or_else(|| participant_id.to_string(), |row| row.name.clone())
    }

    fn both_title(&self, problem: &Problem) -> String {
        match self.lang {
            Lang::Vi => problem.title.clone(),
            Lang::En => problem.title_en.clone(),
        }
    }

    fn both_detail(&self, problem: &Problem) -> String {
        match self.lang {
            Lang::Vi => problem.detail.clone(),
            Lang::En => problem.detail_en.clone(),
        }
    }

    fn level(&self, slug: &str) -> String {
        self.t(&format!("level-{slug}"))
    }

    fn verdict(&self, verdict: &Verdict) -> String {
        self.t(&format!("verdict-{}", verdict.name()))
    }

    // Colour never stands alone: the sign and the words say the same.
    fn tone(&self, verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Valid => "good",
            Verdict::SourceUnavailable | Verdict::NotFound | Verdict::Incomplete => "open",
            _ => "bad",
        }
    }

    fn sign(&self, verdict: &Verdict) -> &'static str {
        match self.tone(verdict) {
            "good" => "✓",
            "open" => "?",
            _ => "✕",
        }
    }

    fn field_name(&self, field: Field) -> String {
        let key = format!("validate.field.{}", field.name());
        if texts::has(&key) { texts::text(self.lang, &key, &[]) } else { field.name().to_owned() }
    }

    fn facts(&self, transcript: &Transcript) -> Vec<(String, String)> {
        transcript
            .general
            .iter()
            .map(|(field, value)| (self.field_name(field), value.to_owned()))
            .collect()
    }

    fn subjects(&self, transcript: &Transcript) -> Option<EntryTable> {
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

/// Return what decides whether a page must be drawn anew; the script makes the same text from the figures.
pub fn shape_of(figures: &Figures) -> String {
    let join = |parts: Vec<String>, mark: &str| parts.join(mark);
    let destinations = figures.destinations.iter().map(|destination| {
        let rows = destination
            .rows
            .iter()
            .map(|row| row.participant_id.map_or_else(String::new, |id| id.to_string()));
        let batches = destination
            .batches
            .iter()
            .map(|batch| format!("{}:{}", batch.state, batch.reason.as_deref().unwrap_or("")));
        [
            destination.name.clone(),
            destination.halted.to_string(),
            join(rows.collect(), ","),
            join(batches.collect(), ","),
        ]
        .join("/")
    });
    let rules = figures.rules.iter().map(|rule| rule.rule.clone());
    let batches = figures.batches.iter().map(|batch| batch.batch_id.to_string());
    [join(destinations.collect(), ";"), join(rules.collect(), ","), join(batches.collect(), ",")]
        .join("|")
}

/// Return `value` as indented JSON, for people to keep.
pub fn pretty<T: Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

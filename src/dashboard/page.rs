//! Names what each page is made of; the templates stand in `pages/`.

use askama::Template;
use serde::Serialize;

use super::chart::Chart;
use super::figures::Figures;
use super::store::{BatchLine, RuleCount};
use super::view::View;
use crate::platform::problem::Problem;
use crate::platform::texts::{self, Lang};
use crate::query::Answer;
use crate::query::catalogue::Procedure;

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

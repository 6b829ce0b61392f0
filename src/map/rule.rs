//! Gives the shape of the national tables of `config/mappings/`, as written and compiled.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::dictionary::Table;
use crate::codes::{Codes, ResultList, plain};
use crate::platform::config::{ConfigError, Tables};
use crate::transcript::{Field, Group, Level};

/// Path below `config/` of the short forms, words and subject codes.
pub const SHORT_FORMS_FILE: &str = "mappings/short-forms.toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ShortFormsText {
    short: BTreeMap<String, BTreeMap<String, String>>,
    words: BTreeMap<String, BTreeMap<String, String>>,
    subjects: BTreeMap<String, BTreeMap<String, String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RecordText {
    pub(super) table: String,
    pub(super) levels: Vec<String>,
    pub(super) codes_at: String,
    pub(super) utc_offset_hours: i8,
    pub(super) columns: BTreeMap<String, Spanned<RuleText>>,
    #[serde(default)]
    pub(super) rows: BTreeMap<String, RowsText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RowsText {
    pub(super) entries: String,
    pub(super) columns: BTreeMap<String, Spanned<RuleText>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum OpName {
    #[default]
    Copy,
    Absent,
    Event,
    Identity,
    Result,
    Gender,
    EthnicGroup,
    Nationality,
    Birth,
    Date,
    Total,
    Mark,
    Province,
    Commune,
    PlaceProvince,
    PlaceCommune,
    SubjectCode,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleText {
    #[serde(default)]
    pub(super) op: OpName,
    pub(super) from: Option<String>,
    pub(super) otherwise: Option<String>,
    pub(super) only_if: Option<Condition>,
    #[serde(default)]
    pub(super) join: Vec<String>,
    pub(super) short: Option<String>,
    pub(super) words: Option<String>,
    pub(super) list: Option<String>,
    pub(super) part: Option<Part>,
    pub(super) within: Option<String>,
    pub(super) default: Option<String>,
    #[serde(default)]
    pub(super) parts: Vec<String>,
    #[serde(default)]
    pub(super) omit_zero: bool,
    #[serde(default)]
    pub(super) whole: bool,
}

/// When the other field may stand for an absent one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Condition {
    SoleEntry,
    SameSchool,
}

/// Part of the identity or of a date of birth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    Code,
    SchoolYear,
    Grade,
    Level,
    PersonalNumber,
    Date,
    Month,
    Year,
}

/// Names folded by [`plain`], and what stands for them.
pub(super) type Words = Arc<HashMap<String, Box<str>>>;

/// What fills a column.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Copy { join: Vec<Field> },
    Absent,
    Event(Words),
    Identity(Part, Option<Words>),
    Result(ResultList),
    Gender,
    EthnicGroup,
    Nationality,
    Birth(Part),
    Date,
    Total { parts: Vec<Field>, omit_zero: bool },
    Mark { whole: bool },
    Province,
    Commune { within: Field },
    PlaceProvince,
    PlaceCommune,
    SubjectCode,
}

/// How one column is filled.
#[derive(Debug, Clone)]
pub(super) struct ColumnRule {
    pub(super) op: Op,
    pub(super) from: Option<Field>,
    pub(super) otherwise: Option<(Field, Option<Condition>)>,
    pub(super) short: Option<Words>,
    pub(super) default: Option<Box<str>>,
}

/// Rules of a table whose rows belong to a record.
#[derive(Debug)]
pub(super) struct RowRules {
    pub(super) group: Group,
    pub(super) columns: Vec<ColumnRule>,
}

/// Rules of one national record.
#[derive(Debug)]
pub(super) struct RecordRules {
    pub(super) table: Arc<Table>,
    pub(super) levels: Vec<Level>,
    pub(super) codes_at: Field,
    pub(super) utc_offset: jiff::tz::Offset,
    pub(super) columns: Vec<ColumnRule>,
    pub(super) rows: Vec<RowRules>,
}

/// Short forms, words and subject codes, compiled.
#[derive(Debug)]
pub(super) struct ShortForms {
    pub(super) short: HashMap<String, Words>,
    pub(super) words: HashMap<String, Words>,
    pub(super) subject_codes: HashMap<(Level, Box<str>), Box<str>>,
}

fn folded(table: &BTreeMap<String, String>) -> Words {
    let entries = table.iter().map(|(name, value)| (plain(name), value.as_str().into()));
    Arc::new(entries.collect())
}

impl ShortForms {
    /// Load the tables; every subject must have one code of its own.
    pub(super) fn load(tables: &Tables, codes: &Codes) -> Result<Self, ConfigError> {
        let text: ShortFormsText = tables.parse(SHORT_FORMS_FILE)?;
        let wrong = |key: String, message: &str| ConfigError::Value {
            place: SHORT_FORMS_FILE.to_owned(),
            key,
            message: message.to_owned(),
        };
        let mut subject_codes = HashMap::new();
        for (slug, entries) in &text.subjects {
            let key = format!("subjects.{slug}");
            let level = Level::from_slug(slug)
                .ok_or_else(|| wrong(key.clone(), "permitted: tieu_hoc, thcs, thpt"))?;
            for (subject, code) in entries {
                let key = format!("{key}.{subject}");
                if !codes.subjects_of(level).any(|one| *one.slug == **subject) {
                    return Err(wrong(key, "there is no such subject at this level"));
                }
                if entries.values().filter(|other| *other == code).count() > 1 {
                    return Err(wrong(key, "two subjects have this code"));
                }
                subject_codes.insert((level, subject.as_str().into()), code.as_str().into());
            }
            for subject in codes.subjects_of(level) {
                if !entries.contains_key(&*subject.slug) {
                    return Err(wrong(format!("{key}.{}", subject.slug), "is missing"));
                }
            }
        }
        let compile = |tables: &BTreeMap<String, BTreeMap<String, String>>| {
            let entries = tables.iter().map(|(name, table)| (name.clone(), folded(table)));
            entries.collect()
        };
        Ok(Self { short: compile(&text.short), words: compile(&text.words), subject_codes })
    }
}

//! Reads the table of rules: severity, legal source and scope of each, required fields, circulars in force.

use std::collections::{BTreeMap, HashMap};

use jiff::civil::Date;
use serde::Deserialize;

use super::rule::Rule;
use super::table::{
    self, CircularRow, Limits, RequiredRow, Table, YearsRow, circular, circulars, day, level,
    levels, wrong,
};
use crate::codes::plain;
use crate::platform::config::{ConfigError, Tables};
use crate::platform::texts;
use crate::transcript::{Circular, Field, Level, Place, SchoolYear, Severity, Violation};

/// The block `[validate]` of the configuration.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Severity of single rules, in place of the one in `config/rules.toml`.
    #[serde(default)]
    pub severity: BTreeMap<String, Severity>,
}

/// What is known of a record when it is asked whether a rule holds for it; unknown parts restrict nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope {
    /// Level of schooling.
    pub level: Option<Level>,
    /// Circular.
    pub circular: Option<Circular>,
    /// Grade.
    pub grade: Option<u8>,
    /// Day of issue, else a day of the school year.
    pub day: Option<Date>,
}

/// For which records a row of the table holds; empty means all.
#[derive(Debug, Clone, Default)]
struct Reach {
    levels: Vec<Level>,
    circulars: Vec<Circular>,
    grades: Vec<u8>,
    from: Option<Date>,
    until: Option<Date>,
}

impl Reach {
    fn holds(&self, scope: &Scope) -> bool {
        fn named<T: PartialEq>(list: &[T], known: Option<T>) -> bool {
            list.is_empty() || known.is_none_or(|one| list.contains(&one))
        }
        named(&self.levels, scope.level)
            && named(&self.circulars, scope.circular)
            && named(&self.grades, scope.grade)
            && scope.day.is_none_or(|day| {
                self.from.is_none_or(|from| from <= day) && self.until.is_none_or(|end| day < end)
            })
    }
}

#[derive(Debug, Clone)]
struct Entry {
    severity: Severity,
    source: String,
    reach: Reach,
}

/// Fields that a kind of record must have.
#[derive(Debug, Clone)]
pub(super) struct Required {
    pub(super) rule: Rule,
    pub(super) fields: Vec<Field>,
    pub(super) assessed_only: bool,
    pub(super) domestic_only: bool,
    reach: Reach,
}

#[derive(Debug, Clone)]
struct CircularTerms {
    scored_min: usize,
    source: Option<String>,
    years: Vec<YearsRow>,
}

/// The rules as configured.
#[derive(Debug, Clone)]
pub struct Rules {
    entries: HashMap<String, Entry>,
    required: Vec<Required>,
    levels: HashMap<String, Level>,
    circulars: HashMap<String, Circular>,
    terms: HashMap<Circular, CircularTerms>,
    award_prefixes: Vec<String>,
    pub(super) permitted_levels: String,
    pub(super) permitted_circulars: String,
    pub(super) limits: Limits,
}

impl Rules {
    /// Read `rules.toml` and lay the settings over it; an unknown rule, field or circular is refused by name.
    pub fn load(tables: &Tables, settings: &Settings) -> Result<Self, ConfigError> {
        let table: Table = tables.parse(table::NAME)?;
        let mut entries = HashMap::new();
        for (name, row) in table.rule {
            let reach = Reach {
                levels: levels(&row.levels, &name)?,
                circulars: circulars(&row.circulars, &name)?,
                from: day(row.from, &name)?,
                until: day(row.to, &name)?.and_then(|last| last.tomorrow().ok()),
                ..Reach::default()
            };
            let entry = Entry { severity: row.severity, source: row.source, reach };
            entries.insert(name, entry);
        }
        if let Some(rule) = Rule::ALL.iter().find(|rule| !entries.contains_key(rule.name())) {
            return Err(wrong(rule.name(), "the table of rules must have this rule"));
        }
        for (name, severity) in &settings.severity {
            let entry = entries.get_mut(name).ok_or_else(|| ConfigError::Value {
                place: "configuration".to_owned(),
                key: format!("validate.severity.{name}"),
                message: "there is no such rule in config/rules.toml".to_owned(),
            })?;
            entry.severity = *severity;
        }
        let mut rules = Self {
            entries,
            required: table.required.iter().map(required).collect::<Result<_, _>>()?,
            levels: HashMap::new(),
            circulars: HashMap::new(),
            terms: HashMap::new(),
            award_prefixes: table.awards.prefixes.iter().map(|text| plain(text)).collect(),
            permitted_levels: first_texts(table.level.iter().map(|row| &row.texts)),
            permitted_circulars: first_texts(table.circular.iter().map(|row| &row.texts)),
            limits: table.limits,
        };
        for row in table.level {
            let level = level(&row.slug, "level")?;
            for text in row.texts {
                rules.levels.insert(plain(&text), level);
            }
        }
        for row in table.circular {
            rules.add_circular(row)?;
        }
        Ok(rules)
    }

    fn add_circular(&mut self, row: CircularRow) -> Result<(), ConfigError> {
        let circular = circular(&row.name, "circular")?;
        for text in &row.texts {
            self.circulars.insert(plain(text), circular);
        }
        let terms =
            CircularTerms { scored_min: row.scored_min, source: row.source, years: row.years };
        self.terms.insert(circular, terms);
        Ok(())
    }

    /// Return the configured severity of the rule `name`; `None` if the table has no such rule.
    pub fn severity(&self, name: &str) -> Option<Severity> {
        self.entries.get(name).map(|entry| entry.severity)
    }

    /// Make the violation of the rule `name`; `None` if it is off, unknown or does not hold in `scope`.
    ///
    /// Modules that come later (`map`, `register`) use it for rules of their own in the same table.
    pub fn violation(
        &self,
        name: &str,
        scope: &Scope,
        place: Place,
        args: &[(&str, &str)],
    ) -> Option<Violation> {
        let entry = self.entries.get(name)?;
        if entry.severity == Severity::Off || !entry.reach.holds(scope) {
            return None;
        }
        let stand_in = scope
            .circular
            .and_then(|circular| self.terms.get(&circular)?.source.clone())
            .filter(|_| name.starts_with("TT22."));
        let mut owned: Vec<(String, String)> =
            args.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if let Place::General(field) | Place::Entry(_, _, field) = &place {
            let label = texts::both(&format!("validate.field.{}", field.name()), &[]);
            owned.push(("field".to_owned(), field.name().to_owned()));
            owned.push(("label_vi".to_owned(), label.vi));
            owned.push(("label_en".to_owned(), label.en));
        }
        Some(Violation {
            rule: name.to_owned(),
            place,
            severity: entry.severity,
            args: owned,
            source: stand_in.unwrap_or_else(|| entry.source.clone()),
        })
    }

    /// Find the level a text such as `02` or `Tiểu học` means.
    pub fn level(&self, text: &str) -> Option<Level> {
        self.levels.get(plain(text).as_str()).copied()
    }

    /// Find the circular a text such as `Thông tư số 27/2020/TT-BGDĐT` means.
    pub fn circular(&self, text: &str) -> Option<Circular> {
        let known = |text: &str| self.circulars.get(text).copied();
        let folded = plain(text);
        known(&folded).or_else(|| known(number_and_year(&folded)?))
    }

    /// Tell whether `circular` governs `grade` in `year`.
    pub fn is_in_force(&self, circular: Circular, grade: u8, year: SchoolYear) -> bool {
        self.terms.get(&circular).is_some_and(|terms| {
            terms.years.iter().any(|row| {
                row.grades.contains(&grade)
                    && row.from <= year.start()
                    && row.to.is_none_or(|last| year.start() <= last)
            })
        })
    }

    /// Return how many subjects must reach the higher mark of a study result under `circular`.
    pub(super) fn scored_min(&self, circular: Circular) -> usize {
        self.terms.get(&circular).map_or(0, |terms| terms.scored_min)
    }

    pub(super) fn required<'a>(&'a self, scope: &'a Scope) -> impl Iterator<Item = &'a Required> {
        self.required.iter().filter(|row| {
            // Without a level (or grade) only what is required of every level (or grade) is asked for.
            (scope.level.is_some() || row.reach.levels.is_empty())
                && (scope.grade.is_some() || row.reach.grades.is_empty())
                && row.reach.holds(scope)
        })
    }

    /// Return the award text without words such as "danh hiệu" before the title.
    pub(super) fn title<'a>(&self, folded: &'a str) -> &'a str {
        self.award_prefixes
            .iter()
            .filter_map(|prefix| folded.strip_prefix(prefix.as_str()))
            .map(str::trim)
            .min_by_key(|rest| rest.len())
            .unwrap_or(folded)
    }

    #[cfg(test)]
    pub(super) fn names(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(name, entry)| (name.as_str(), entry.source.as_str()))
    }
}

// The first spelling of each row, for messages.
fn first_texts<'a>(rows: impl Iterator<Item = &'a Vec<String>>) -> String {
    let firsts: Vec<&str> = rows.filter_map(|texts| texts.first().map(String::as_str)).collect();
    firsts.join(", ")
}

// "27/2020" of "thông tư số 27/2020/tt-bgdđt".
fn number_and_year(text: &str) -> Option<&str> {
    let slash = text.find('/')?;
    let digits_before = text[..slash].bytes().rev().take_while(u8::is_ascii_digit).count();
    let after = &text[slash + 1..];
    let digits_after = after.bytes().take_while(u8::is_ascii_digit).count();
    (digits_before > 0 && digits_after == 4)
        .then(|| &text[slash - digits_before..slash + 1 + digits_after])
}

fn required(row: &RequiredRow) -> Result<Required, ConfigError> {
    let key = format!("required.{}", row.rule);
    let fields = row
        .fields
        .iter()
        .map(|name| {
            Field::from_name(name).ok_or_else(|| wrong(&key, "a field of unknown name is required"))
        })
        .collect::<Result<_, _>>()?;
    Ok(Required {
        rule: Rule::from_name(&row.rule).ok_or_else(|| wrong(&key, "there is no such rule"))?,
        fields,
        assessed_only: row.assessed_only,
        domestic_only: row.domestic_only,
        reach: Reach {
            levels: levels(&row.levels, &key)?,
            circulars: circulars(&row.circulars, &key)?,
            grades: row.grades.clone(),
            from: day(row.from, &key)?,
            until: day(row.until, &key)?,
        },
    })
}

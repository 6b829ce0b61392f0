//! Reads and checks the file of procedures.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Deserialize;

use super::{Basis, Catalogue, Procedure, Scope, Way, Years};
use crate::platform::config::{ConfigError, Tables};
use crate::platform::texts::Bilingual;
use crate::transcript::{Field, Level};

const FILE: &str = "procedures.toml";

impl Catalogue {
    /// Read and check `procedures.toml`.
    pub fn load(tables: &Tables) -> Result<Self, ConfigError> {
        let file: FileShape = tables.parse(FILE)?;
        let mut procedures = BTreeMap::new();
        for shape in file.procedure {
            let code = shape.code.clone();
            let procedure = procedure_of(shape)?;
            if procedures.insert(code.clone(), procedure).is_some() {
                return Err(wrong(&code, "the procedure stands twice"));
            }
        }
        Ok(Self {
            final_grades: month_day(&file.calendar.final_grades)?,
            other_grades: month_day(&file.calendar.other_grades)?,
            bases: file.basis,
            procedures,
        })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileShape {
    calendar: CalendarShape,
    #[serde(default)]
    basis: Vec<Basis>,
    procedure: Vec<ProcedureShape>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CalendarShape {
    final_grades: String,
    other_grades: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProcedureShape {
    code: Box<str>,
    name: Bilingual,
    legal_basis: Box<str>,
    source: Box<str>,
    confidence: Box<str>,
    from: Date,
    until: Option<Date>,
    ways: BTreeSet<Way>,
    years: Years,
    level: BTreeMap<String, ScopeShape>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScopeShape {
    fields: Vec<String>,
    required: Vec<String>,
    #[serde(default)]
    required_always: Vec<String>,
}

fn wrong(key: &str, message: impl Into<String>) -> ConfigError {
    ConfigError::Value { place: FILE.to_owned(), key: key.to_owned(), message: message.into() }
}

fn procedure_of(shape: ProcedureShape) -> Result<Procedure, ConfigError> {
    let mut levels = BTreeMap::new();
    for (slug, scope) in shape.level {
        let level = Level::from_slug(&slug)
            .ok_or_else(|| wrong(&shape.code, format!("there is no level {slug}")))?;
        levels.insert(level, scope_of(&shape.code, scope)?);
    }
    if levels.is_empty() || shape.ways.is_empty() {
        return Err(wrong(&shape.code, "needs a level and a way"));
    }
    Ok(Procedure {
        code: shape.code,
        name: shape.name,
        legal_basis: shape.legal_basis,
        source: shape.source,
        confidence: shape.confidence,
        ways: shape.ways,
        years: shape.years,
        levels,
        from: shape.from,
        until: shape.until,
    })
}

fn scope_of(code: &str, shape: ScopeShape) -> Result<Scope, ConfigError> {
    let fields = |names: &[String]| -> Result<Vec<Field>, ConfigError> {
        names
            .iter()
            .map(|name| {
                Field::from_name(name)
                    .ok_or_else(|| wrong(code, format!("there is no field {name}")))
            })
            .collect()
    };
    let answered: BTreeSet<Field> = fields(&shape.fields)?.into_iter().collect();
    let required = fields(&shape.required)?;
    let required_always = fields(&shape.required_always)?;
    for field in required.iter().chain(&required_always) {
        if !answered.contains(field) {
            let message = format!("{} is required but not answered", field.name());
            return Err(wrong(code, message));
        }
    }
    Ok(Scope { fields: answered, required, required_always })
}

fn month_day(text: &str) -> Result<(i8, i8), ConfigError> {
    let parsed = text.split_once('-').and_then(|(month, day)| {
        let (month, day) = (month.parse().ok()?, day.parse().ok()?);
        Date::new(2024, month, day).ok().map(|_| (month, day))
    });
    parsed.ok_or_else(|| wrong("calendar", format!("{text} is not a day of the form MM-DD")))
}

//! Turns a valid transcript into national records, driven by tables.

mod apply;
mod column;
mod compile;
mod decimal;
pub mod dictionary;
mod received;
mod record;
mod rule;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;

pub use dictionary::Dictionary;
pub use received::{Fault, Received};
pub use record::{Event, NationalRecord, RECORD_TAG, ROW_TAG, Stamp};

use crate::codes::Codes;
use crate::platform::config::{ConfigError, Tables};
use crate::transcript::{Fields, Group, Place, Severity, ValidTranscript, Violation};
use crate::validate::Day;

use apply::{Misfit, Source};
use dictionary::{Column, FaultKind, Table};
use record::{Row, Values};
use rule::{ColumnRule, RecordRules, ShortForms};

/// Paths below `config/` of the national tables.
pub const FILES: [&str; 2] = ["mappings/national-primary.toml", "mappings/national-secondary.toml"];

/// The tables that turn transcripts into national records, compiled once.
#[derive(Debug)]
pub struct Mapping {
    dictionary: Dictionary,
    forms: ShortForms,
    records: Vec<RecordRules>,
}

impl Mapping {
    /// Load the dictionary and the tables; a wrong entry is named with its file and line or key.
    pub fn load(tables: &Tables, codes: &Codes) -> Result<Self, ConfigError> {
        let dictionary = Dictionary::load(tables)?;
        let forms = ShortForms::load(tables, codes)?;
        let mut records: Vec<RecordRules> = Vec::with_capacity(FILES.len());
        for file in FILES {
            let rules = compile::load(tables, file, &dictionary, &forms)?;
            let taken = |level| records.iter().any(|other| other.levels.contains(level));
            if rules.levels.iter().any(taken) {
                return Err(ConfigError::Value {
                    place: file.to_owned(),
                    key: "levels".to_owned(),
                    message: "another table has one of these levels".to_owned(),
                });
            }
            records.push(rules);
        }
        Ok(Self { dictionary, forms, records })
    }

    /// Return the dictionary the records follow.
    pub fn dictionary(&self) -> &Dictionary {
        &self.dictionary
    }
}

/// Turn a valid transcript into the national record of its level.
///
/// # Errors
/// Every violation of severity *error*: a required value that is absent, one without a code in
/// its list, one too long that has no short form. Nothing is cut.
pub fn map(
    mapping: &Mapping,
    codes: &Codes,
    transcript: ValidTranscript,
    stamp: &Stamp,
) -> Result<NationalRecord, Vec<Violation>> {
    let ValidTranscript { identity, transcript, .. } = &transcript;
    let Some(rules) = mapping.records.iter().find(|rules| rules.levels.contains(&identity.level))
    else {
        return Err(vec![violation("map.no-table", Place::Record, Vec::new(), "")]);
    };
    let source = Source {
        transcript,
        identity,
        stamp,
        codes,
        forms: &mapping.forms,
        on: transcript.value(rules.codes_at).and_then(Day::parse).and_then(Day::full),
    };
    let mut filling = Filling {
        values: Values::with_capacity(TEXT_BYTES, rules.columns.len() * 3),
        violations: Vec::new(),
    };
    let columns =
        filling.fill(&source, &rules.table, &rules.columns, &transcript.general, Entry::General);
    let mut rows = Vec::with_capacity(rules.rows.len());
    for (child, row_rules) in rules.table.children.iter().zip(&rules.rows) {
        let entries = match row_rules.group {
            Group::Subject => &transcript.subjects,
            Group::History => &transcript.history,
            Group::Certificate => &transcript.certificates,
            Group::General => continue,
        };
        let filled = entries.iter().enumerate().map(|(index, fields)| {
            let entry = Entry::Row(row_rules.group, index, entries.len() == 1);
            let columns = &row_rules.columns;
            filling.fill(&source, &child.table, columns, fields, entry)
        });
        rows.push(filled.collect());
    }
    if !filling.violations.is_empty() {
        return Err(filling.violations);
    }
    Ok(NationalRecord {
        table: rules.table.clone(),
        stamp: *stamp,
        updated_at: rules.utc_offset.to_datetime(stamp.updated_at),
        values: filling.values,
        columns,
        rows,
    })
}

// Room for the values of a usual record.
const TEXT_BYTES: usize = 4 * 1024;

#[derive(Clone, Copy)]
enum Entry {
    General,
    // Group, index, and whether it is the only one.
    Row(Group, usize, bool),
}

impl Entry {
    fn place(self, rule: &ColumnRule) -> Place {
        match (self, rule.from) {
            (_, None) => Place::Record,
            (Self::General, Some(field)) => Place::General(field),
            (Self::Row(group, index, _), Some(field)) => Place::Entry(group, index, field),
        }
    }
}

struct Filling {
    values: Values,
    violations: Vec<Violation>,
}

impl Filling {
    fn fill(
        &mut self,
        source: &Source<'_>,
        table: &Table,
        rules: &[ColumnRule],
        fields: &Fields,
        entry: Entry,
    ) -> Row {
        let sole = matches!(entry, Entry::Row(_, _, true));
        let (first, before) = (self.values.next(), self.violations.len());
        for (column, rule) in table.columns.iter().zip(rules) {
            let value = match source.value(rule, fields, sole) {
                Ok(value) => value,
                Err(misfit) => {
                    self.violations.push(of_misfit(&table.name, column, entry.place(rule), misfit));
                    None
                }
            };
            let fitting = value.as_deref().map(|value| fit(column, rule, value));
            match fitting {
                None => self.values.push(""),
                Some(Ok(value)) => self.values.push(value),
                Some(Err(fault)) => {
                    self.violations.push(of_fault(&table.name, column, entry.place(rule), fault));
                    self.values.push("");
                }
            }
        }
        // A value refused above is not reported as absent a second time.
        if self.violations.len() == before {
            for (index, fault) in table.absences(|index| self.values.at(first + index)) {
                let place = entry.place(&rules[index]);
                let violation = of_fault(&table.name, &table.columns[index], place, fault);
                self.violations.push(violation);
            }
        }
        first..self.values.next()
    }
}

fn of_misfit(table: &str, column: &Column, place: Place, misfit: Misfit) -> Violation {
    match misfit {
        Misfit::NoCode => of_column("map.no-code", table, column, place, Vec::new()),
        Misfit::Form(form) => {
            let args = vec![("permitted".to_owned(), form.to_owned())];
            of_column("map.wrong-form", table, column, place, args)
        }
    }
}

// The value, or its short form where it does not fit the column.
fn fit<'v>(column: &Column, rule: &'v ColumnRule, value: &'v str) -> Result<&'v str, FaultKind> {
    if !is_xml_text(value) {
        let permitted = "characters of XML 1.0";
        return Err(FaultKind::NotOfForm { permitted });
    }
    match column.fault(value) {
        None => Ok(value),
        Some(fault @ FaultKind::TooLong { .. }) => rule
            .short
            .as_ref()
            .and_then(|short| short.get(&crate::codes::plain(value)))
            .map(|short| &**short)
            .ok_or(fault),
        Some(fault) => Err(fault),
    }
}

fn is_xml_text(value: &str) -> bool {
    let plain = |byte: &u8| matches!(byte, b' '..=0xEE | b'\t' | b'\n' | b'\r');
    value.as_bytes().iter().all(plain) || value.chars().all(crate::intake::ministry::is_xml_char)
}

fn of_fault(table: &str, column: &Column, place: Place, fault: FaultKind) -> Violation {
    let permitted = |text: String| vec![("permitted".to_owned(), text)];
    let (id, args) = match fault {
        FaultKind::TooLong { limit } => {
            ("map.too-long", vec![("limit".to_owned(), limit.to_string())])
        }
        FaultKind::NotInList { permitted: list } => ("map.not-in-list", permitted(list)),
        FaultKind::NotOfForm { permitted: form } => ("map.wrong-form", permitted(form.to_owned())),
        FaultKind::OutOfRange { permitted: range } => ("map.out-of-range", permitted(range)),
        FaultKind::MoreThanOne => ("map.more-than-one", Vec::new()),
        FaultKind::Missing
        | FaultKind::Malformed
        | FaultKind::Unknown
        | FaultKind::Repeated
        | FaultKind::OutOfOrder => ("map.required", Vec::new()),
    };
    of_column(id, table, column, place, args)
}

fn of_column(
    rule: &str,
    table: &str,
    column: &Column,
    place: Place,
    mut args: Vec<(String, String)>,
) -> Violation {
    args.push(("column".to_owned(), column.name.clone()));
    violation(rule, place, args, &format!("{table}.{}", column.name))
}

fn violation(rule: &str, place: Place, args: Vec<(String, String)>, column: &str) -> Violation {
    Violation {
        rule: rule.to_owned(),
        place,
        severity: Severity::Error,
        args,
        source: format!("Từ điển dữ liệu TTDLQG: {column}"),
    }
}

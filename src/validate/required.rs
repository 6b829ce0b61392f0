//! Names the fields a record must have and lacks, by the table of required fields.

use super::record::Record;
use super::rule::Rule;
use super::rules::Required;
use crate::transcript::{Field, Group, Place};

/// Check every required field of every group.
pub(super) fn check(record: &mut Record<'_>) {
    let rules = record.rules;
    let scope = record.scope;
    for row in rules.required(&scope) {
        let exempt =
            (row.assessed_only && !record.assessed) || (row.domestic_only && record.foreign);
        if !exempt {
            check_row(record, row);
        }
    }
    if record.foreign && record.value(Field::Ethnicity).is_none() {
        record.broken_at(Rule::TtdlqgForeignEthnicGroup, Field::Ethnicity, &[]);
    }
    if record.transcript.history.is_empty() {
        record.broken(Rule::Cv2088History, Place::Record, &[]);
    }
    if record.assessed && record.transcript.subjects.is_empty() {
        record.broken(Rule::Cv2088Subjects, Place::Record, &[]);
    }
}

fn check_row(record: &mut Record<'_>, row: &Required) {
    for field in &row.fields {
        let group = field.group();
        for (index, entry) in record.entries(group).iter().enumerate() {
            if entry.value(*field).is_some() {
                continue;
            }
            let place = match group {
                Group::General => Place::General(*field),
                _ => Place::Entry(group, index, *field),
            };
            record.broken(row.rule, place, &[]);
        }
    }
}

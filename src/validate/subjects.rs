//! Finds the subject each row of results means, and rows that mean none or one already seen.

use super::record::Record;
use super::rule::Rule;
use crate::codes::Subject;
use crate::transcript::{Field, Group};

/// A row of results whose subject is known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    /// Position among the subjects of the transcript.
    pub(super) index: usize,
    pub(super) subject: &'a Subject,
}

/// Check the subjects of the transcript and return those that are known.
pub(super) fn check<'a>(record: &mut Record<'a>) -> Vec<Found<'a>> {
    let Some(level) = record.scope.level else {
        return Vec::new();
    };
    let codes = record.codes;
    let mut found: Vec<Found<'a>> = Vec::new();
    for (index, entry) in record.entries(Group::Subject).iter().enumerate() {
        let code = entry.value(Field::SubjectCode);
        let name = entry.value(Field::SubjectName);
        let by_code = code.and_then(|text| codes.subject(level, text));
        let by_name = name.and_then(|text| codes.subject(level, text));
        if let (Some(one), Some(other)) = (by_code, by_name)
            && one.slug != other.slug
        {
            record.broken_in(Rule::Cv2088SubjectConflict, index, Field::SubjectName, &[]);
            continue;
        }
        let Some(subject) = by_code.or(by_name) else {
            // A row without code and name is named by the required fields.
            if code.or(name).is_some() {
                record.broken_in(Rule::Cv2088Subject, index, Field::SubjectName, &[]);
            }
            continue;
        };
        if found.iter().any(|seen| seen.subject.slug == subject.slug) {
            record.broken_in(Rule::Cv2088SubjectDuplicate, index, Field::SubjectCode, &[]);
            continue;
        }
        found.push(Found { index, subject });
    }
    found
}

/// Name the compulsory subjects of the grade that `found` lacks.
pub(super) fn check_missing(record: &mut Record<'_>, found: &[Found<'_>], rule: Rule) {
    let (Some(level), Some(grade)) = (record.scope.level, record.scope.grade) else {
        return;
    };
    // Pupils who are not assessed may follow a plan of their own (TT 27 Đ8).
    if !record.assessed || record.transcript.subjects.is_empty() {
        return;
    }
    let codes = record.codes;
    let missing = codes.subjects_of(level).filter(|subject| {
        subject.is_required_in(grade) && !found.iter().any(|one| one.subject.slug == subject.slug)
    });
    for subject in missing {
        let args = [("subject", &*subject.name)];
        record.broken(rule, crate::transcript::Place::Record, &args);
    }
}

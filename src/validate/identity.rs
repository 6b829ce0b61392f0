//! Parses what identifies a transcript and decides which rules hold for it.

use super::record::Record;
use super::rule::Rule;
use super::rules::{Rules, Scope};
use crate::transcript::{
    Circular, Field, Identity, Level, PersonalNumber, Place, SchoolYear, Transcript,
    TranscriptCode, Violation,
};

/// The parts of an identity that could be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Parts {
    pub(super) code: Option<TranscriptCode>,
    pub(super) school_year: Option<SchoolYear>,
    pub(super) level: Option<Level>,
    pub(super) circular: Option<Circular>,
    pub(super) grade: Option<u8>,
    pub(super) personal_number: Option<PersonalNumber>,
}

impl Parts {
    pub(super) fn read(rules: &Rules, transcript: &Transcript) -> Self {
        let value = |field| transcript.value(field);
        let level = value(Field::Level).and_then(|text| rules.level(text));
        Self {
            code: value(Field::Code).and_then(|text| text.parse().ok()),
            school_year: value(Field::SchoolYear).and_then(|text| text.parse().ok()),
            level,
            circular: value(Field::Circular).and_then(|text| rules.circular(text)),
            grade: value(Field::Grade)
                .and_then(grade)
                .filter(|grade| level.is_none_or(|level| level.grades().contains(grade))),
            personal_number: value(Field::PersonalNumber).and_then(|text| text.parse().ok()),
        }
    }

    /// Return the identity, if every part of it could be read.
    pub(super) fn identity(&self) -> Option<Identity> {
        Some(Identity {
            code: self.code?,
            school_year: self.school_year?,
            level: self.level?,
            circular: self.circular?,
            grade: self.grade?,
            personal_number: self.personal_number.clone()?,
        })
    }
}

// "4", "04"; a list of the Ministry's own codes is not published.
fn grade(text: &str) -> Option<u8> {
    let valid = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let grade: u8 = valid.then(|| text.parse().ok()).flatten()?;
    (1..=12).contains(&grade).then_some(grade)
}

type Broken = (Rule, Field, String);

// What is present and cannot be read; what is absent is named by the required fields.
fn unreadable(rules: &Rules, parts: &Parts, transcript: &Transcript) -> Vec<Broken> {
    let grades = parts.level.map_or(1..=12, Level::grades);
    let grades = format!("{}-{}", grades.start(), grades.end());
    let absent = [
        (parts.code.is_none(), Rule::Cv2088Code, Field::Code, ""),
        (parts.school_year.is_none(), Rule::Cv2088SchoolYear, Field::SchoolYear, ""),
        (parts.level.is_none(), Rule::Cv2088Level, Field::Level, &rules.permitted_levels),
        (
            parts.circular.is_none(),
            Rule::Cv2088Circular,
            Field::Circular,
            &rules.permitted_circulars,
        ),
        (parts.grade.is_none(), Rule::Cv2088Grade, Field::Grade, &grades),
        (parts.personal_number.is_none(), Rule::Cv2088PersonalNumber, Field::PersonalNumber, ""),
    ];
    absent
        .into_iter()
        .filter(|(missing, _, field, _)| *missing && transcript.value(*field).is_some())
        .map(|(_, rule, field, permitted)| (rule, field, permitted.to_owned()))
        .collect()
}

/// Parse the identity of `transcript` alone; every part that is absent or wrong is a violation.
pub fn parse_identity(rules: &Rules, transcript: &Transcript) -> Result<Identity, Vec<Violation>> {
    let parts = Parts::read(rules, transcript);
    if let Some(identity) = parts.identity() {
        return Ok(identity);
    }
    let scope =
        Scope { level: parts.level, circular: parts.circular, grade: parts.grade, day: None };
    let absent = [
        Field::Code,
        Field::SchoolYear,
        Field::Level,
        Field::Circular,
        Field::Grade,
        Field::PersonalNumber,
    ]
    .into_iter()
    .filter(|field| transcript.value(*field).is_none())
    .map(|field| match field {
        Field::PersonalNumber => (Rule::Cv2088PersonalNumberMissing, field),
        _ => (Rule::Cv2088Required, field),
    });
    let wrong = unreadable(rules, &parts, transcript);
    let violations = absent
        .map(|(rule, field)| (rule, field, String::new()))
        .chain(wrong)
        .filter_map(|(rule, field, permitted)| {
            let args = [("permitted", permitted.as_str())];
            rules.violation(rule.name(), &scope, Place::General(field), &args)
        })
        .collect();
    Err(violations)
}

/// Check the parts of the identity and whether the circular is in force.
pub(super) fn check(record: &mut Record<'_>) {
    for (rule, field, permitted) in unreadable(record.rules, &record.parts, record.transcript) {
        record.broken_at(rule, field, &[("permitted", &permitted)]);
    }
    if record.value(Field::PersonalNumber).is_none() {
        let rule = if record.foreign {
            Rule::TtdlqgForeignNumber
        } else {
            Rule::Cv2088PersonalNumberMissing
        };
        record.broken_at(rule, Field::PersonalNumber, &[]);
    }
    let parts = &record.parts;
    if let (Some(circular), Some(grade), Some(year)) =
        (parts.circular, parts.grade, parts.school_year)
        && !record.rules.is_in_force(circular, grade, year)
    {
        record.broken_at(
            Rule::Cv2088CircularInForce,
            Field::Circular,
            &[("circular", circular.name())],
        );
    }
}

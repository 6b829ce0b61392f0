//! Holds the catalogue of procedures: who may be asked about how, for which years, and which fields are answered.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Date;
use serde::Deserialize;

mod file;

use crate::platform::texts::Bilingual;
use crate::transcript::{Field, Group, Level, SchoolYear, Transcript};

/// How a pupil may be named in a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Way {
    /// Transcript code and name.
    Code,
    /// Personal number, date of birth and name.
    Number,
}

impl Way {
    /// Return the name in configuration and in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Code => "code",
            Self::Number => "number",
        }
    }
}

/// Which school years a procedure needs when the request names none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Years {
    /// Every year of the level, the last being the newest closed one.
    WholeLevel,
    /// The newest closed year and those before it down to the first grade of the level.
    LevelSoFar,
    /// The newest closed year.
    Latest,
    /// Those named in the request, or the year of the transcript code.
    Named,
}

/// What a procedure may learn about a year of one level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Fields answered, in the order of [`Field`].
    pub fields: BTreeSet<Field>,
    required: Vec<Field>,
    required_always: Vec<Field>,
}

impl Scope {
    /// Return the needed fields that `transcript` does not have.
    pub fn missing(&self, transcript: &Transcript) -> Vec<Field> {
        let not_assessed =
            matches!(transcript.value(Field::NotAssessed), Some("1" | "true" | "TRUE"));
        let results = if not_assessed { &[][..] } else { &self.required[..] };
        self.required_always
            .iter()
            .chain(results)
            .copied()
            .filter(|field| !has(transcript, *field))
            .collect()
    }

    /// Return the part of `transcript` that may be answered.
    pub fn select(&self, transcript: &Transcript) -> Transcript {
        let pick = |fields: &crate::transcript::Fields| {
            let mut picked = crate::transcript::Fields::default();
            for (field, value) in fields.iter().filter(|(f, _)| self.fields.contains(f)) {
                picked.set(field, value);
            }
            picked
        };
        let entries = |fields: &[crate::transcript::Fields]| {
            fields.iter().map(pick).filter(|entry| !entry.is_empty()).collect()
        };
        Transcript {
            general: pick(&transcript.general),
            subjects: entries(&transcript.subjects),
            history: entries(&transcript.history),
            certificates: entries(&transcript.certificates),
        }
    }
}

fn has(transcript: &Transcript, field: Field) -> bool {
    let entries = match field.group() {
        Group::General => return transcript.value(field).is_some(),
        Group::Subject => &transcript.subjects,
        Group::History => &transcript.history,
        Group::Certificate => &transcript.certificates,
    };
    entries.iter().any(|entry| entry.value(field).is_some())
}

/// An administrative procedure (mã TTHC) that may ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Procedure {
    /// National code such as `1.001088`.
    pub code: Box<str>,
    /// Its name.
    pub name: Bilingual,
    /// Regulation it rests on.
    pub legal_basis: Box<str>,
    /// Where the code was read.
    pub source: Box<str>,
    /// How sure the code is: `high` or `medium`.
    pub confidence: Box<str>,
    /// Permitted ways of naming a pupil.
    pub ways: BTreeSet<Way>,
    /// Years needed by default.
    pub years: Years,
    /// What is answered, by level.
    pub levels: BTreeMap<Level, Scope>,
    from: Date,
    until: Option<Date>,
}

impl Procedure {
    /// Return the level, if the procedure is about one only.
    pub fn only_level(&self) -> Option<Level> {
        match self.levels.keys().collect::<Vec<_>>().as_slice() {
            [level] => Some(**level),
            _ => None,
        }
    }
}

/// A legal basis for using electronic data in place of paper, with the deadlines it sets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basis {
    from: Date,
    until: Option<Date>,
    /// Its short name.
    pub name: Bilingual,
    /// The article that sets the duty.
    pub article: Bilingual,
    /// Working hours to say what is missing, for a file handed in online.
    pub online_working_hours: u32,
    /// Working days to say so, for a file handed in at the counter or by post.
    pub counter_working_days: u32,
}

/// Every procedure that may ask, read once at start.
#[derive(Debug, Clone)]
pub struct Catalogue {
    final_grades: (i8, i8),
    other_grades: (i8, i8),
    bases: Vec<Basis>,
    procedures: BTreeMap<Box<str>, Procedure>,
}

impl Catalogue {
    /// Find the procedure `code` if it may be used on the day `on`.
    pub fn procedure(&self, code: &str, on: Date) -> Option<&Procedure> {
        self.procedures
            .get(code)
            .filter(|found| found.from <= on && found.until.is_none_or(|until| on <= until))
    }

    /// Walk over every procedure that may be used on the day `on`.
    pub fn procedures_on(&self, on: Date) -> impl Iterator<Item = &Procedure> {
        self.procedures
            .values()
            .filter(move |found| found.from <= on && found.until.is_none_or(|until| on <= until))
    }

    /// Return the legal basis in force on the day `on`.
    pub fn basis(&self, on: Date) -> Option<&Basis> {
        self.bases
            .iter()
            .find(|basis| basis.from <= on && basis.until.is_none_or(|until| on <= until))
    }

    /// Return the newest school year whose transcripts must exist on the day `on`.
    pub fn newest_closed(&self, on: Date, final_grades: bool) -> Option<SchoolYear> {
        let (month, day) = if final_grades { self.final_grades } else { self.other_grades };
        let closed = (on.month(), on.day()) >= (month, day);
        SchoolYear::starting(on.year() - if closed { 1 } else { 2 })
    }
}

#[cfg(test)]
mod tests {
    use crate::platform::config::Tables;
    use jiff::civil::date;

    use super::*;
    use crate::codes::Codes;

    #[test]
    fn every_procedure_has_the_name_and_basis_of_the_national_list() {
        let catalogue = Catalogue::load(&Tables::default()).unwrap();
        let codes = Codes::load(&Tables::default()).unwrap();
        assert_eq!(catalogue.procedures.len(), 10);
        for procedure in catalogue.procedures.values() {
            let listed = codes.procedure(&procedure.code).unwrap();
            assert_eq!(*listed.name, *procedure.name.vi, "{}", procedure.code);
            assert_eq!(listed.legal_basis, procedure.legal_basis);
            assert_eq!(listed.verified, &*procedure.confidence == "high");
        }
    }

    #[test]
    fn no_procedure_answers_parents_residence_or_the_personal_number() {
        let catalogue = Catalogue::load(&Tables::default()).unwrap();
        let never = [
            Field::PersonalNumber,
            Field::FatherName,
            Field::MotherName,
            Field::GuardianName,
            Field::Residence,
            Field::Ethnicity,
            Field::HomeroomNumber,
            Field::PrincipalNumber,
            Field::TeacherNumber,
        ];
        for procedure in catalogue.procedures.values() {
            for scope in procedure.levels.values() {
                for field in never {
                    assert!(!scope.fields.contains(&field), "{}", procedure.code);
                }
            }
        }
    }

    #[test]
    fn a_school_year_is_expected_from_the_day_its_transcripts_are_issued() {
        let catalogue = Catalogue::load(&Tables::default()).unwrap();
        let year = |on, last| catalogue.newest_closed(on, last).unwrap().start();
        assert_eq!(year(date(2026, 5, 19), true), 2024);
        assert_eq!(year(date(2026, 5, 20), true), 2025);
        assert_eq!(year(date(2026, 5, 20), false), 2024);
        assert_eq!(year(date(2026, 11, 23), false), 2025);
    }

    #[test]
    fn the_resolution_ends_with_february_2027() {
        let catalogue = Catalogue::load(&Tables::default()).unwrap();
        assert!(catalogue.basis(date(2025, 12, 31)).is_none());
        assert_eq!(catalogue.basis(date(2027, 2, 28)).unwrap().online_working_hours, 8);
        assert!(catalogue.basis(date(2027, 3, 1)).is_none());
    }

    #[test]
    fn a_pupil_who_is_not_assessed_needs_no_results() {
        let catalogue = Catalogue::load(&Tables::default()).unwrap();
        let scope = &catalogue.procedure("3.000181", date(2026, 6, 1)).unwrap().levels
            [&Level::LowerSecondary];
        let mut transcript = Transcript::default();
        transcript.general.set(Field::SchoolName, "Trường A");
        assert!(scope.missing(&transcript).contains(&Field::StudyYear));
        transcript.general.set(Field::NotAssessed, "1");
        assert_eq!(scope.missing(&transcript), [Field::Grade]);
    }
}

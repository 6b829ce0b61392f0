//! Works out which school years a question needs, from the question, the calendar and the signed grade.

use std::collections::BTreeSet;

use super::catalogue::Years;
use super::verdict::{Asked, Dossier, Evidence, choose};
use crate::transcript::{Field, Level, SchoolYear};

/// Return the years that follow from the question and the calendar, without a look at the register.
pub(super) fn asked_years(asked: Asked<'_>) -> BTreeSet<SchoolYear> {
    if !asked.question.school_years.is_empty() {
        return asked.question.school_years.iter().copied().collect();
    }
    let newest = |last| asked.catalogue.newest_closed(asked.today, last);
    match (asked.procedure.years, asked.level()) {
        (Years::WholeLevel, Some(level)) => back_from(newest(true), level.grades().count()),
        (Years::WholeLevel | Years::Latest, _) => back_from(newest(true), 1),
        (Years::LevelSoFar, _) => back_from(newest(false), 1),
        (Years::Named, _) => BTreeSet::new(),
    }
}

fn back_from(newest: Option<SchoolYear>, count: usize) -> BTreeSet<SchoolYear> {
    newest
        .into_iter()
        .flat_map(|last| {
            (0..count).filter_map(move |back| {
                SchoolYear::starting(last.start() - i16::try_from(back).unwrap_or(0))
            })
        })
        .collect()
}

/// Return every year that must be valid, once the person is established.
pub(super) fn needed_years(
    asked: Asked<'_>,
    level: Level,
    own: Option<&Dossier>,
    dossiers: &[&Dossier],
) -> BTreeSet<SchoolYear> {
    let mut years = asked_years(asked);
    if !asked.question.school_years.is_empty() {
        return years;
    }
    match asked.procedure.years {
        Years::Named => years.extend(own.map(|found| found.school_year)),
        Years::WholeLevel => {
            let newest = asked.catalogue.newest_closed(asked.today, true);
            years.extend(back_from(newest, level.grades().count()));
        }
        Years::LevelSoFar => {
            // The signed grade of the newest year says how many years of the level lie behind.
            if let Some(newest) = years.last().copied()
                && let Some(found) = choose(newest, own, dossiers)
                && let Evidence::Genuine(transcript) = &found.evidence
                && let Some(grade) = transcript.value(Field::Grade).and_then(grade_number)
                && level.grades().contains(&grade)
            {
                let behind = usize::from(grade - level.grades().start()) + 1;
                years.extend(back_from(Some(newest), behind));
            }
        }
        Years::Latest => {}
    }
    years
}

fn grade_number(text: &str) -> Option<u8> {
    text.trim().parse().ok()
}

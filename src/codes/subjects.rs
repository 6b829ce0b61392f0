//! Holds the subjects of each level with their names, grades and kind of assessment.

use std::ops::RangeInclusive;

use serde::Deserialize;

use super::list::{Index, rows, wrong_row};
use crate::platform::config::{ConfigError, Tables};
use crate::transcript::Level;

/// How a subject is assessed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assessment {
    /// A level T, H or C (primary, TT 27 Đ6).
    Level,
    /// Marks out of ten and comments (TT 22 Đ5).
    Mark,
    /// Comments only: Đ or CĐ (TT 22 Đ5).
    Comment,
}

/// A subject of one level of schooling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// Level it is taught at.
    pub level: Level,
    /// Our name for it in tables; the Ministry's codes are not published.
    pub slug: Box<str>,
    /// Its name on the printed form.
    pub name: Box<str>,
    /// Grades in which it may be taught.
    pub grades: RangeInclusive<u8>,
    /// Grades in which every pupil has it; `None` for electives.
    pub required_grades: Option<RangeInclusive<u8>>,
    /// One of the subjects an upper secondary pupil chooses four of.
    pub choice: bool,
    /// How it is assessed.
    pub assessment: Assessment,
    /// Grades with a periodic test at year end (primary, TT 27 Đ7).
    pub test_grades: Option<RangeInclusive<u8>>,
}

impl Subject {
    /// Tell whether every pupil of `grade` has this subject.
    pub fn is_required_in(&self, grade: u8) -> bool {
        holds(&self.required_grades, grade)
    }

    /// Tell whether the subject has a periodic test at the end of `grade`.
    pub fn has_test_in(&self, grade: u8) -> bool {
        holds(&self.test_grades, grade)
    }
}

fn holds(range: &Option<RangeInclusive<u8>>, grade: u8) -> bool {
    range.as_ref().is_some_and(|range| range.contains(&grade))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    level: String,
    slug: Box<str>,
    name: Box<str>,
    aliases: String,
    grades: String,
    required_grades: String,
    choice: u8,
    assessment: Assessment,
    test_grades: String,
}

/// The subjects of all levels.
#[derive(Debug, Default)]
pub(super) struct Subjects {
    all: Vec<Subject>,
    by_level: [Index; 3],
}

fn place(level: Level) -> usize {
    match level {
        Level::Primary => 0,
        Level::LowerSecondary => 1,
        Level::UpperSecondary => 2,
    }
}

fn range(text: &str) -> Option<RangeInclusive<u8>> {
    let (first, last) = text.split_once('-')?;
    Some(first.parse().ok()?..=last.parse().ok()?)
}

impl Subjects {
    pub(super) fn load(tables: &Tables) -> Result<Self, ConfigError> {
        let name = "code-lists/subjects.csv";
        let mut subjects = Self::default();
        for row in rows::<Row>(tables, name)? {
            let level = Level::from_slug(&row.level)
                .ok_or_else(|| wrong_row(name, &row.slug, "level is tieu_hoc, thcs or thpt"))?;
            let grades = range(&row.grades)
                .ok_or_else(|| wrong_row(name, &row.slug, "grades is a range such as 1-5"))?;
            let position = subjects.all.len();
            let index = &mut subjects.by_level[place(level)];
            index.add(&row.slug, position);
            index.add(&row.name, position);
            index.add_all(&row.aliases, position);
            subjects.all.push(Subject {
                level,
                slug: row.slug,
                name: row.name,
                grades,
                required_grades: range(&row.required_grades),
                choice: row.choice == 1,
                assessment: row.assessment,
                test_grades: range(&row.test_grades),
            });
        }
        Ok(subjects)
    }

    pub(super) fn find(&self, level: Level, text: &str) -> Option<&Subject> {
        let index = &self.by_level[place(level)];
        let found = index.find(text).or_else(|| {
            // "Ngoại ngữ 2 (Tiếng Pháp)": the language in brackets does not name another subject.
            let (name, _) = text.split_once('(')?;
            index.find(name.trim())
        });
        found.and_then(|position| self.all.get(position))
    }

    pub(super) fn of(&self, level: Level) -> impl Iterator<Item = &Subject> {
        self.all.iter().filter(move |subject| subject.level == level)
    }
}

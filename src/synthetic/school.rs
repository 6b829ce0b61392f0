//! Makes schools with their heads, classes and teachers.

use std::collections::HashMap;

use super::Setting;
use super::chance::{Chance, Purpose};
use super::person::{self, Adult};
use super::place::CommuneName;
use crate::codes::Subject;
use crate::transcript::Level;

/// How a school's program writes days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DayStyle {
    /// `2026-05-28`
    Iso,
    /// `28/05/2026`
    DayFirst,
}

impl DayStyle {
    /// Write `day`.
    pub(super) fn write(self, day: jiff::civil::Date) -> String {
        match self {
            Self::Iso => day.to_string(),
            Self::DayFirst => day.strftime("%d/%m/%Y").to_string(),
        }
    }
}

/// A made-up school.
#[derive(Debug)]
pub(super) struct School {
    pub(super) index: u64,
    pub(super) code: String,
    pub(super) name: String,
    pub(super) commune: CommuneName,
    /// A private school, which signs with certificates of a public authority.
    pub(super) private: bool,
    pub(super) principal: Adult,
    pub(super) principal_title: &'static str,
    pub(super) day_style: DayStyle,
    teachers: HashMap<Box<str>, Vec<Adult>>,
}

/// One class of a school.
#[derive(Debug, Clone)]
pub(super) struct Class {
    /// Number of the class within the whole run.
    pub(super) index: u64,
    pub(super) grade: u8,
    /// What follows the grade: `A`, `B2`.
    pub(super) letter: String,
    pub(super) homeroom: Adult,
    /// Slugs of subjects beyond those that everybody has.
    pub(super) chosen: Vec<Box<str>>,
}

impl Class {
    /// Return the name the class had in `grade`.
    pub(super) fn name_in(&self, grade: u8) -> String {
        format!("{grade}{}", self.letter)
    }
}

fn kind_of_school(level: Level) -> &'static str {
    match level {
        Level::Primary => "Trường Tiểu học",
        Level::LowerSecondary => "Trường Trung học cơ sở",
        Level::UpperSecondary => "Trường Trung học phổ thông",
    }
}

/// Draw the name of a school of `level` in the commune.
pub(super) fn school_name(setting: &Setting, chance: &mut Chance, commune: &str) -> String {
    let kind = kind_of_school(setting.options.level);
    let bare = commune.split_once(' ').map_or(commune, |(_, bare)| bare);
    if chance.percent(55) && bare.chars().any(char::is_alphabetic) {
        format!("{kind} {bare}")
    } else {
        format!("{kind} {}", chance.text(&setting.words.around.school_names))
    }
}

impl School {
    /// Draw the school number `index` of the run.
    pub(super) fn draw(setting: &Setting, index: u64) -> Self {
        let mut chance = Chance::of(setting.options.seed, setting.scope, Purpose::School, index, 0);
        let chance = &mut chance;
        let commune = chance.one(&setting.place.communes).cloned();
        let commune = commune.unwrap_or_else(|| CommuneName {
            code: "00000".to_owned(),
            full_name: setting.place.full_name.clone(),
        });
        let private = chance.percent(match setting.place.region.as_str() {
            "mountain" => 2,
            _ => 7,
        });
        let name = if private {
            let kind = kind_of_school(setting.options.level);
            let called = chance.text(&setting.words.around.private_names);
            format!("{kind} tư thục {called}")
        } else {
            school_name(setting, chance, &commune.full_name)
        };
        let deputy = chance.percent(15);
        Self {
            index,
            code: format!("{}{}{:03}", setting.place.code, commune.code, index % 1000),
            principal: person::adult(setting, chance, 52, 36),
            principal_title: if deputy { "Phó Hiệu trưởng" } else { "Hiệu trưởng" },
            day_style: if chance.percent(65) { DayStyle::DayFirst } else { DayStyle::Iso },
            teachers: teachers(setting, index),
            name,
            commune,
            private,
        }
    }

    /// Return who teaches the subject in the class; the homeroom teacher where the school has nobody.
    pub(super) fn teacher<'a>(&'a self, class: &'a Class, subject: &Subject) -> &'a Adult {
        let staff = self.teachers.get(&subject.slug).map_or(&[][..], Vec::as_slice);
        let count = u64::try_from(staff.len()).unwrap_or(1).max(1);
        let turn = usize::try_from(class.index / 3 % count).unwrap_or(0);
        staff.get(turn).unwrap_or(&class.homeroom)
    }
}

// Primary classes are taught by their own teacher, except in the subjects of specialists.
fn teachers(setting: &Setting, school: u64) -> HashMap<Box<str>, Vec<Adult>> {
    let mut chance = Chance::of(setting.options.seed, setting.scope, Purpose::Teacher, school, 0);
    let mut staff = HashMap::new();
    if setting.options.level == Level::Primary {
        return staff;
    }
    for subject in &setting.subjects {
        let people = (0..3).map(|_| person::adult(setting, &mut chance, 66, 24));
        staff.insert(subject.slug.clone(), people.collect());
    }
    staff
}

impl Class {
    /// Draw the class number `index` of the run, the `turn`-th of its school.
    pub(super) fn draw(setting: &Setting, index: u64, turn: u64) -> Self {
        let mut chance = Chance::of(setting.options.seed, setting.scope, Purpose::Class, index, 0);
        let chance = &mut chance;
        let grades = setting.options.level.grades();
        let count = u64::from(grades.end() - grades.start()) + 1;
        let step = u8::try_from(turn % count).unwrap_or(0);
        let row = turn / count;
        let letters = ["A", "B", "C", "D", "E", "G", "H"];
        let letter = match setting.options.level {
            Level::Primary => {
                let at = usize::try_from(row % 7).unwrap_or(0);
                let again = row / 7;
                match again {
                    0 => letters[at].to_owned(),
                    _ => format!("{}{again}", letters[at]),
                }
            }
            _ => format!("A{}", row % 99 + 1),
        };
        Self {
            index,
            grade: grades.start() + step,
            letter,
            homeroom: person::adult(
                setting,
                chance,
                if setting.options.level == Level::Primary { 86 } else { 68 },
                24,
            ),
            chosen: chosen(setting, chance, grades.start() + step),
        }
    }
}

// A foreign language in grades 1 and 2, and the language of an ethnic group, where a school offers it.
fn chosen(setting: &Setting, chance: &mut Chance, grade: u8) -> Vec<Box<str>> {
    let mut chosen = electives(setting, chance);
    let offered: &[(&str, u32)] = match (setting.options.level, grade) {
        (Level::Primary, 1 | 2) => &[("ngoai_ngu_1", 60), ("tieng_dan_toc", 3)],
        _ => &[("tieng_dan_toc", 2)],
    };
    for (slug, percent) in offered {
        if chance.percent(*percent) {
            chosen.push((*slug).into());
        }
    }
    chosen
}

// Four of the nine, at least three of them assessed by marks, as schools offer them.
fn electives(setting: &Setting, chance: &mut Chance) -> Vec<Box<str>> {
    let mut choice: Vec<&Subject> =
        setting.subjects.iter().filter(|subject| subject.choice).collect();
    let mut chosen: Vec<Box<str>> = Vec::new();
    let mut by_comment = 0;
    while chosen.len() < 4 && !choice.is_empty() {
        let last = i32::try_from(choice.len()).unwrap_or(1) - 1;
        let at = usize::try_from(chance.between(0, last)).unwrap_or(0);
        let subject = choice.remove(at);
        if subject.assessment == crate::codes::Assessment::Comment {
            // Art is chosen by few.
            if by_comment > 0 || !chance.percent(35) {
                continue;
            }
            by_comment += 1;
        }
        chosen.push(subject.slug.clone());
    }
    chosen
}

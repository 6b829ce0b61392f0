//! Makes pupils with their families, and the grown-ups of a school.

use jiff::civil::{Date, date};

use super::Setting;
use super::chance::Chance;
use super::name::{self, Bearer, Name};
use super::place::CommuneName;

/// A grown-up of a school: head, teacher, clerk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adult {
    /// Name.
    pub name: String,
    /// 12-digit personal number.
    pub number: String,
}

/// A parent or guardian.
#[derive(Debug, Clone)]
pub(super) struct Relative {
    pub(super) name: String,
    pub(super) occupation: String,
}

/// A made-up pupil.
#[derive(Debug, Clone)]
pub(super) struct Pupil {
    pub(super) name: Name,
    pub(super) female: bool,
    pub(super) birth: Date,
    pub(super) number: String,
    /// The pupil's 10-digit code in the Ministry's data base.
    pub(super) ministry_code: String,
    /// Code of the ethnic group.
    pub(super) group: String,
    pub(super) birth_place: String,
    pub(super) origin: String,
    pub(super) residence: String,
    pub(super) father: Option<Relative>,
    pub(super) mother: Option<Relative>,
    pub(super) guardian: Option<Relative>,
    pub(super) weight: String,
    pub(super) height: String,
}

// Each position gives another number below `modulus`, as `step` shares no factor with it.
fn scattered(position: u64, seed: u64, step: u64, modulus: u64) -> u64 {
    let start = seed.wrapping_mul(2_654_435_761) % modulus;
    (position % modulus * step + start) % modulus
}

fn personal_number(prefix: &str, female: bool, birth_year: i16, last: u64) -> String {
    let century = (birth_year - 1900) / 100 * 2 + i16::from(female);
    format!("{prefix}{century}{:02}{last:06}", birth_year % 100)
}

/// Draw a grown-up of at least `youngest` and at most 58 years at the start of the school year.
pub(super) fn adult(
    setting: &Setting,
    chance: &mut Chance,
    female_percent: u32,
    youngest: i32,
) -> Adult {
    let female = chance.percent(female_percent);
    let group = teacher_group(setting, chance);
    let bearer =
        Bearer { group: &group, region: &setting.place.region, female, adult: true, family: None };
    let name = name::draw(&setting.words, chance, bearer).full;
    let age = i16::try_from(chance.between(youngest, 58)).unwrap_or(40);
    let birth_year = setting.options.school_year.start() - age;
    let prefix = setting.place.birth(chance, &[]).0;
    let last = u64::try_from(chance.between(0, 999_999)).unwrap_or(0);
    Adult { name, number: personal_number(&prefix, female, birth_year, last) }
}

// Two in three teachers are Kinh wherever they teach; the others are of the people around them.
fn teacher_group(setting: &Setting, chance: &mut Chance) -> String {
    if chance.percent(66) {
        "01".to_owned()
    } else {
        chance.weighted_text(&setting.place.groups).to_owned()
    }
}

impl Pupil {
    /// Draw the pupil at `position` of the whole run, of `grade`, living near the commune `home`.
    pub(super) fn draw(
        setting: &Setting,
        chance: &mut Chance,
        position: u64,
        grade: u8,
        home: &CommuneName,
    ) -> Self {
        let around = &setting.words.around;
        let female = chance.permille(478);
        let group = chance.weighted_text(&setting.place.groups).to_owned();
        let parents = Parents::draw(setting, chance, &group);
        let bearer = Bearer {
            group: &group,
            region: &setting.place.region,
            female,
            adult: false,
            family: parents.family.as_deref(),
        };
        let name = name::draw(&setting.words, chance, bearer);
        let birth = birth_date(setting, chance, grade);
        let (prefix, birth_place) = setting.place.birth(chance, &around.hospitals);
        let last = scattered(position, setting.options.seed, 524_287, 1_000_000);
        let code = scattered(position, setting.options.seed, 15_485_863, 100_000_000);
        let (height, weight) = body(setting, chance, grade, female);
        Self {
            number: personal_number(&prefix, female, birth.year(), last),
            ministry_code: format!("{}{code:08}", setting.place.code),
            origin: setting.place.origin(chance),
            residence: setting.place.address(chance, home, &around.streets, &around.hamlets),
            name,
            female,
            birth,
            group,
            birth_place,
            father: parents.father,
            mother: parents.mother,
            guardian: parents.guardian,
            weight,
            height,
        }
    }
}

fn birth_date(setting: &Setting, chance: &mut Chance, grade: u8) -> Date {
    let late = i16::from(chance.permille(30));
    let year = setting.options.school_year.start() - i16::from(grade) - 5 - late;
    let first = date(year, 1, 1);
    let day = chance.between(0, 364);
    first.checked_add(jiff::Span::new().days(day)).unwrap_or(first)
}

fn body(setting: &Setting, chance: &mut Chance, grade: u8, female: bool) -> (String, String) {
    let age = i16::from(grade) + 5;
    let growth = &setting.words.around.growth;
    let row = growth.iter().find(|row| row.age == age);
    let means = row.map(|row| if female { row.girl } else { row.boy });
    let (height, weight) = means.unwrap_or((150.0, 42.0));
    let taller = chance.around(0.0, 1.0);
    let height = height + taller * 5.0;
    let weight = (weight + taller * 2.5 + chance.around(0.0, weight * 0.1)).max(13.0);
    let weight = if chance.percent(70) { format!("{weight:.0}") } else { format!("{weight:.1}") };
    (format!("{height:.0}"), weight)
}

struct Parents {
    father: Option<Relative>,
    mother: Option<Relative>,
    guardian: Option<Relative>,
    /// Family or clan the child bears; `None` lets the name draw one.
    family: Option<String>,
}

impl Parents {
    fn draw(setting: &Setting, chance: &mut Chance, group: &str) -> Self {
        let (father, father_family) = relative(setting, chance, group, false);
        let mixed = chance.percent(9);
        let mothers_group = if mixed { "01" } else { group };
        let (mother, mother_family) = relative(setting, chance, mothers_group, true);
        let by_mother = name::takes_mothers_clan(&setting.words, group) && !mixed;
        let family = if by_mother { mother_family.clone() } else { father_family };
        // Some children have only their mother, a few live with somebody else.
        let no_father = chance.permille(35);
        let guardian = chance.permille(18).then(|| {
            let woman = chance.percent(60);
            relative(setting, chance, group, woman).0
        });
        Self {
            family: if no_father && !by_mother { mother_family } else { family },
            father: (!no_father).then_some(father),
            mother: Some(mother),
            guardian,
        }
    }
}

fn relative(
    setting: &Setting,
    chance: &mut Chance,
    group: &str,
    female: bool,
) -> (Relative, Option<String>) {
    let bearer = Bearer { group, region: &setting.place.region, female, adult: true, family: None };
    let name = name::draw(&setting.words, chance, bearer);
    let family = (!name.family.is_empty()).then_some(name.family);
    let relative = Relative {
        name: name.full,
        occupation: chance.weighted_text(&setting.occupations).to_owned(),
    };
    (relative, family)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_personal_number_tells_century_sex_and_year() {
        assert_eq!(personal_number("048", true, 2017, 2681), "048317002681");
        assert_eq!(personal_number("001", false, 1978, 5), "001078000005");
    }

    #[test]
    fn scattered_numbers_do_not_repeat_within_the_modulus() {
        let drawn: HashSet<u64> =
            (0..100_000).map(|position| scattered(position, 42, 524_287, 1_000_000)).collect();
        assert_eq!(drawn.len(), 100_000);
    }
}

//! Puts one made-up pupil and year together as a transcript.

mod results;

use jiff::civil::{Date, date};

use super::Setting;
use super::chance::{Chance, Purpose};
use super::person::{Pupil, Relative};
use super::school::{self, Class, School};
use crate::codes::Subject;
use crate::transcript::{Field, Fields, Level, Transcript};

/// A made-up transcript, not yet signed.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub(super) transcript: Transcript,
    /// Day on which it was signed and issued.
    pub(super) issued_on: Date,
    /// Whether the homeroom teacher signs too.
    pub(super) homeroom_signs: bool,
    /// Minute of the working day at which the first signature was made.
    pub(super) minute: i32,
}

/// Make the transcript at `position` of the whole run, of a pupil of `class`.
pub(super) fn make(setting: &Setting, school: &School, class: &Class, position: u64) -> Made {
    let options = &setting.options;
    let mut chance = Chance::of(options.seed, setting.scope, Purpose::Pupil, position, 0);
    let chance = &mut chance;
    let pupil = Pupil::draw(setting, chance, position, class.grade, &school.commune);
    let subjects: Vec<&Subject> = setting
        .subjects
        .iter()
        .filter(|subject| {
            subject.is_required_in(class.grade) || class.chosen.contains(&subject.slug)
        })
        .collect();
    let mut writer = Writer { setting, school, class, transcript: Transcript::default() };
    writer.heading(chance, &pupil);
    writer.family(&pupil);
    let in_summer = match options.level {
        Level::Primary => writer.primary(chance, &pupil, &subjects),
        _ => writer.secondary(chance, &pupil, &subjects),
    };
    writer.history(chance);
    let issued_on = writer.days(chance, in_summer);
    Made {
        transcript: writer.transcript,
        issued_on,
        homeroom_signs: chance.percent(92),
        minute: chance.between(0, 480),
    }
}

struct Writer<'a> {
    setting: &'a Setting,
    school: &'a School,
    class: &'a Class,
    transcript: Transcript,
}

impl Writer<'_> {
    fn set(&mut self, field: Field, value: impl Into<Box<str>>) {
        self.transcript.general.set(field, value);
    }

    fn heading(&mut self, chance: &mut Chance, pupil: &Pupil) {
        let (setting, school, class) = (self.setting, self.school, self.class);
        let (place, options) = (&setting.place, &setting.options);
        let circular = match options.level {
            Level::Primary => "27/2020/TT-BGDĐT",
            _ => "22/2021/TT-BGDĐT",
        };
        self.set(Field::FormatVersion, "1.0");
        self.set(Field::Circular, circular);
        self.set(Field::Code, chance.uuid().to_string());
        self.set(Field::SchoolYear, options.school_year.to_string());
        self.set(Field::DepartmentCode, place.code.as_str());
        self.set(Field::DepartmentName, format!("Sở Giáo dục và Đào tạo {}", place.name));
        self.set(Field::SchoolCode, school.code.as_str());
        self.set(Field::SchoolName, school.name.as_str());
        if place.has_districts() {
            let bare = school.commune.full_name.split_once(' ');
            self.set(Field::SchoolDistrict, format!("Huyện {}", bare.map_or("", |(_, bare)| bare)));
        }
        self.set(Field::SchoolCommune, school.commune.full_name.as_str());
        self.set(Field::SchoolProvince, place.full_name.as_str());
        self.set(Field::Level, options.level.code());
        let entered = self.first_year();
        let number = chance.between(1, 1999);
        self.set(Field::RegisterNumber, format!("{number:04}/{entered}"));
        self.set(Field::StudentName, pupil.name.full.as_str());
        self.set(Field::PersonalNumber, pupil.number.as_str());
        self.set(Field::StudentCode, pupil.ministry_code.as_str());
        self.set(Field::Gender, if pupil.female { "Nữ" } else { "Nam" });
        self.set(Field::BirthDate, school.day_style.write(pupil.birth));
        self.set(Field::Weight, pupil.weight.as_str());
        self.set(Field::Height, pupil.height.as_str());
        self.set(Field::BirthPlace, pupil.birth_place.as_str());
        self.set(Field::Origin, pupil.origin.as_str());
        self.set(Field::Residence, pupil.residence.as_str());
        let group = setting.group_name(&pupil.group);
        self.set(Field::Ethnicity, group);
        self.set(Field::Nationality, "Việt Nam");
        let poor = if place.region == "mountain" { 140 } else { 25 };
        if chance.permille(poor) {
            self.set(Field::PolicyGroup, chance.text(&setting.words.around.policy_groups));
        }
        self.set(Field::PrincipalName, school.principal.name.as_str());
        self.set(Field::PrincipalNumber, school.principal.number.as_str());
        self.set(Field::PrincipalTitle, school.principal_title);
        self.set(Field::IssuePlace, place.name.as_str());
        self.set(Field::HomeroomName, class.homeroom.name.as_str());
        self.set(Field::HomeroomNumber, class.homeroom.number.as_str());
        self.set(Field::Grade, class.grade.to_string());
        self.set(Field::ClassName, class.name_in(class.grade));
    }

    // Occupations stand on secondary transcripts only.
    fn family(&mut self, pupil: &Pupil) {
        let secondary = self.setting.options.level != Level::Primary;
        let mut relative = |name: Field, occupation: Field, person: &Option<Relative>| {
            if let Some(person) = person {
                self.set(name, person.name.as_str());
                if secondary {
                    self.set(occupation, person.occupation.as_str());
                }
            }
        };
        relative(Field::FatherName, Field::FatherOccupation, &pupil.father);
        relative(Field::MotherName, Field::MotherOccupation, &pupil.mother);
        relative(Field::GuardianName, Field::GuardianOccupation, &pupil.guardian);
    }

    fn first_year(&self) -> i16 {
        let first = *self.setting.options.level.grades().start();
        let years = i16::from(self.class.grade - first);
        self.setting.options.school_year.start() - years
    }

    // Every year since the first of the level; a few pupils came from another school.
    fn history(&mut self, chance: &mut Chance) {
        let setting = self.setting;
        let level_start = *setting.options.level.grades().start();
        let came_in = chance
            .permille(45)
            .then(|| u8::try_from(chance.between(i32::from(level_start) + 1, 12)).unwrap_or(12))
            .filter(|grade| *grade <= self.class.grade);
        let before = chance.one(&setting.place.communes).map_or("", |commune| &commune.full_name);
        let elsewhere = school::school_name(setting, chance, before);
        let births = &setting.place.births;
        let at = usize::try_from(self.school.index).unwrap_or(0) % births.len().max(1);
        let old_province = births.get(at).map(|(place, _)| place.province.clone());
        for grade in level_start..=self.class.grade {
            let year = self.first_year() + i16::from(grade - level_start);
            let own = came_in.is_none_or(|came| grade >= came);
            let since = match came_in {
                Some(came) if own => self.first_year() + i16::from(came - level_start),
                _ => self.first_year(),
            };
            let mut row = Fields::default();
            row.set(Field::HistoryYear, format!("{year}-{}", year + 1));
            row.set(Field::HistoryClass, self.class.name_in(grade));
            row.set(Field::HistorySchool, if own { self.school.name.as_str() } else { &elsewhere });
            let province = match &old_province {
                Some(old) if year < 2025 => old,
                _ => &setting.place.full_name,
            };
            row.set(Field::HistoryProvince, province.as_str());
            row.set(Field::TransferredOn, self.school.day_style.write(date(since, 9, 5)));
            self.transcript.history.push(row);
        }
    }

    fn days(&mut self, chance: &mut Chance, in_summer: bool) -> Date {
        let year = self.setting.options.school_year.start() + 1;
        let last = *self.setting.options.level.grades().end();
        let issued = if in_summer {
            date(year, 8, 10).checked_add(jiff::Span::new().days(chance.between(0, 4)))
        } else {
            let first = if self.class.grade == last { 15 } else { 25 };
            date(year, 5, first).checked_add(jiff::Span::new().days(chance.between(0, 5)))
        };
        let issued = issued.unwrap_or(date(year, 5, 30));
        let created =
            issued.checked_sub(jiff::Span::new().days(chance.between(0, 4))).unwrap_or(issued);
        self.set(Field::CreatedOn, self.school.day_style.write(created));
        self.set(Field::IssuedOn, self.school.day_style.write(issued));
        issued
    }
}

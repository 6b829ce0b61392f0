//! Puts one made-up pupil and year together as a transcript.

use jiff::civil::{Date, date};

use super::Setting;
use super::chance::{Chance, Purpose};
use super::comment::{self, Band, Filling};
use super::person::{Pupil, Relative};
use super::primary;
use super::school::{self, Class, School};
use super::secondary;
use super::words::Sentences;
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
    let mut writer = Writer {
        setting,
        school,
        class,
        transcript: Transcript::default(),
    };
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
        self.set(
            Field::DepartmentName,
            format!("Sở Giáo dục và Đào tạo {}", place.name),
        );
        self.set(Field::SchoolCode, school.code.as_str());
        self.set(Field::SchoolName, school.name.as_str());
        if place.has_districts() {
            let bare = school.commune.full_name.split_once(' ');
            self.set(
                Field::SchoolDistrict,
                format!("Huyện {}", bare.map_or("", |(_, bare)| bare)),
            );
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
            self.set(
                Field::PolicyGroup,
                chance.text(&setting.words.around.policy_groups),
            );
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
        relative(
            Field::GuardianName,
            Field::GuardianOccupation,
            &pupil.guardian,
        );
    }

    fn first_year(&self) -> i16 {
        let first = *self.setting.options.level.grades().start();
        let years = i16::from(self.class.grade - first);
        self.setting.options.school_year.start() - years
    }

    fn comment(
        &self,
        chance: &mut Chance,
        pupil: &Pupil,
        sentences: &Sentences,
        band: Band,
        lengths: (i32, i32),
        subject: &str,
    ) -> String {
        let wanted = usize::try_from(chance.between(lengths.0, lengths.1)).unwrap_or(40);
        let class = self.class.name_in(self.class.grade);
        let filling = Filling {
            given: &pupil.name.given,
            subject,
            class: &class,
        };
        let most = if lengths.1 > 480 { 620 } else { 480 };
        comment::compose(chance, sentences, band, wanted, most, filling)
    }

    fn primary(&mut self, chance: &mut Chance, pupil: &Pupil, subjects: &[&Subject]) -> bool {
        let words = &self.setting.words.comments;
        let grade = self.class.grade;
        let results = primary::Results::draw(chance, subjects, grade);
        let band = results.year.band();
        for (subject, result) in subjects.iter().zip(&results.subjects) {
            let mut row = Fields::default();
            row.set(Field::SubjectCode, subject.slug.clone());
            row.set(Field::SubjectName, subject.name.clone());
            row.set(Field::SubjectLevel, result.level);
            if let Some(mark) = result.test {
                row.set(Field::SubjectTest, mark.to_string());
            }
            self.transcript.subjects.push(row);
        }
        for (field, value) in &results.traits {
            self.set(*field, *value);
        }
        let unexcused = if band == Band::Weak { 5 } else { 1 };
        self.set(
            Field::AbsencesExcused,
            (chance.between(0, 6) * chance.between(0, 1)).to_string(),
        );
        self.set(
            Field::AbsencesUnexcused,
            (chance.between(0, unexcused) * chance.between(0, 1)).to_string(),
        );
        let done = results.year != primary::YearResult::Incomplete;
        let flag = |yes: bool| if yes { "1" } else { "0" };
        self.set(Field::YearResult, results.year.text());
        self.set(Field::Promoted, flag(done));
        self.set(Field::GradeCompleted, flag(done));
        self.set(Field::PrimaryCompleted, flag(done && grade == 5));
        self.set(Field::CompletionNote, primary_note(done, grade));
        match results.year {
            primary::YearResult::Excellent => self.set(Field::Award, "Học sinh Xuất sắc"),
            primary::YearResult::Good if chance.percent(85) => {
                self.set(Field::Award, "Học sinh Tiêu biểu");
            }
            _ => {}
        }
        if chance.percent(6) {
            self.set(
                Field::OccasionalAward,
                chance.text(&words.awards.occasional),
            );
        }
        let kinds = [
            (Field::HomeroomComment, &words.homeroom, (40, 600)),
            (Field::QualityComment, &words.quality, (40, 300)),
            (Field::CompetencyComment, &words.competency, (40, 300)),
            (Field::SpecificCompetencyComment, &words.specific, (40, 340)),
        ];
        for (field, sentences, lengths) in kinds {
            let text = self.comment(chance, pupil, sentences, band, lengths, "");
            self.set(field, text);
        }
        !done
    }

    fn secondary(&mut self, chance: &mut Chance, pupil: &Pupil, subjects: &[&Subject]) -> bool {
        let words = &self.setting.words.comments;
        let results = secondary::Results::draw(chance, subjects);
        for (subject, result) in subjects.iter().zip(&results.subjects) {
            let row = self.secondary_row(chance, pupil, subject, result);
            self.transcript.subjects.push(row);
        }
        self.secondary_summary(&results);
        if chance.percent(5) {
            self.set(Field::Competitions, chance.text(&words.awards.competitions));
        }
        let band = results.study[2].band();
        let text = self.comment(chance, pupil, &words.homeroom, band, (40, 600), "");
        self.set(Field::HomeroomComment, text);
        let with_certificate = if self.class.grade >= 10 { 12 } else { 3 };
        if chance.percent(with_certificate)
            && let Some((name, kind)) = chance.one(&words.awards.certificates)
        {
            let mut row = Fields::default();
            row.set(Field::CertificateName, name.as_str());
            row.set(Field::CertificateKind, kind.as_str());
            self.transcript.certificates.push(row);
        }
        results.settled_in_summer()
    }

    fn secondary_row(
        &self,
        chance: &mut Chance,
        pupil: &Pupil,
        subject: &Subject,
        result: &secondary::SubjectResult,
    ) -> Fields {
        let teacher = self.school.teacher(self.class, subject);
        let mut row = Fields::default();
        row.set(Field::SubjectCode, subject.slug.clone());
        row.set(Field::SubjectName, subject.name.clone());
        row.set(Field::SubjectTerm1, result.term1.write());
        row.set(Field::SubjectTerm2, result.term2.write());
        row.set(Field::SubjectYear, result.year.write());
        if let Some(mark) = result.retest {
            row.set(Field::SubjectRetest, mark.write());
        }
        if chance.percent(85) {
            let band = match result.year {
                secondary::Mark::Tenths(75..) => Band::Good,
                secondary::Mark::Tenths(..50) | secondary::Mark::Failed => Band::Weak,
                _ => Band::Fair,
            };
            let sentences = &self.setting.words.comments.subject;
            let name = lower_first(&subject.name);
            let text = self.comment(chance, pupil, sentences, band, (40, 160), &name);
            row.set(Field::SubjectComment, text);
        }
        row.set(Field::TeacherName, teacher.name.as_str());
        row.set(Field::TeacherNumber, teacher.number.as_str());
        row
    }

    fn secondary_summary(&mut self, results: &secondary::Results) {
        let grade = self.class.grade;
        let values = [
            (Field::StudyTerm1, Some(results.study[0])),
            (Field::StudyTerm2, Some(results.study[1])),
            (Field::StudyYear, Some(results.study[2])),
            (Field::StudyRetested, results.study_retested),
            (Field::ConductTerm1, Some(results.conduct[0])),
            (Field::ConductTerm2, Some(results.conduct[1])),
            (Field::ConductYear, Some(results.conduct[2])),
            (Field::ConductRetrained, results.conduct_retrained),
        ];
        for (field, standing) in values {
            if let Some(standing) = standing {
                self.set(field, standing.code());
            }
        }
        if results.conduct_retrained.is_some() {
            self.set(
                Field::SummerTrainingNote,
                "Tham gia sinh hoạt hè tại địa phương, hoàn thành nhiệm vụ rèn luyện được giao.",
            );
        }
        self.set(Field::AbsencesTotal, results.absences.to_string());
        let promoted = results.promoted();
        let flag = if promoted { "1" } else { "0" };
        self.set(Field::Promoted, flag);
        self.set(Field::GradeCompleted, flag);
        self.set(Field::PromotionNote, promotion_note(promoted, grade));
        self.set(
            Field::CompletionNote,
            if promoted {
                format!("Hoàn thành chương trình lớp {grade}")
            } else {
                format!("Chưa hoàn thành chương trình lớp {grade}")
            },
        );
        if let Some(award) = results.award() {
            self.set(Field::Award, award);
        }
    }

    // Every year since the first of the level; a few pupils came from another school.
    fn history(&mut self, chance: &mut Chance) {
        let setting = self.setting;
        let level_start = *setting.options.level.grades().start();
        let came_in = chance
            .permille(45)
            .then(|| u8::try_from(chance.between(i32::from(level_start) + 1, 12)).unwrap_or(12))
            .filter(|grade| *grade <= self.class.grade);
        let before = chance
            .one(&setting.place.communes)
            .map_or("", |commune| &commune.full_name);
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
            row.set(
                Field::HistorySchool,
                if own {
                    self.school.name.as_str()
                } else {
                    &elsewhere
                },
            );
            let province = match &old_province {
                Some(old) if year < 2025 => old,
                _ => &setting.place.full_name,
            };
            row.set(Field::HistoryProvince, province.as_str());
            row.set(
                Field::TransferredOn,
                self.school.day_style.write(date(since, 9, 5)),
            );
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
        let created = issued
            .checked_sub(jiff::Span::new().days(chance.between(0, 4)))
            .unwrap_or(issued);
        self.set(Field::CreatedOn, self.school.day_style.write(created));
        self.set(Field::IssuedOn, self.school.day_style.write(issued));
        issued
    }
}

fn primary_note(done: bool, grade: u8) -> String {
    match (done, grade) {
        (true, 5) => "Hoàn thành chương trình tiểu học.".to_owned(),
        (true, _) => format!(
            "Hoàn thành chương trình lớp {grade}; Được lên lớp {}.",
            grade + 1
        ),
        (false, 5) => "Chưa hoàn thành chương trình tiểu học.".to_owned(),
        (false, _) => format!("Chưa hoàn thành chương trình lớp {grade}."),
    }
}

fn promotion_note(promoted: bool, grade: u8) -> String {
    match (promoted, grade) {
        (true, 9) => "Hoàn thành chương trình trung học cơ sở".to_owned(),
        (true, 12) => "Hoàn thành chương trình trung học phổ thông".to_owned(),
        (true, _) => format!("Được lên lớp {}", grade + 1),
        (false, _) => format!("Ở lại lớp {grade}"),
    }
}

fn lower_first(name: &str) -> String {
    let mut letters = name.chars();
    match letters.next() {
        Some(first) => first.to_lowercase().chain(letters).collect(),
        None => String::new(),
    }
}

//! Writes a year's results and the teachers' comments on them into a transcript.

use super::Writer;
use crate::codes::Subject;
use crate::synthetic::chance::Chance;
use crate::synthetic::comment::{self, Band, Filling};
use crate::synthetic::person::Pupil;
use crate::synthetic::words::Sentences;
use crate::synthetic::{primary, secondary};
use crate::transcript::{Field, Fields};

impl Writer<'_> {
    /// Write the results of a primary year; tells whether it is settled only in summer.
    pub(super) fn primary(
        &mut self,
        chance: &mut Chance,
        pupil: &Pupil,
        subjects: &[&Subject],
    ) -> bool {
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
        self.set(Field::AbsencesExcused, (chance.between(0, 6) * chance.between(0, 1)).to_string());
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
            self.set(Field::OccasionalAward, chance.text(&words.awards.occasional));
        }
        self.primary_comments(chance, pupil, band);
        !done
    }

    fn primary_comments(&mut self, chance: &mut Chance, pupil: &Pupil, band: Band) {
        let words = &self.setting.words.comments;
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
    }

    /// Write the results of a secondary year; tells whether it is settled only in summer.
    pub(super) fn secondary(
        &mut self,
        chance: &mut Chance,
        pupil: &Pupil,
        subjects: &[&Subject],
    ) -> bool {
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
        let filling = Filling { given: &pupil.name.given, subject, class: &class };
        let most = if lengths.1 > 480 { 620 } else { 480 };
        comment::compose(chance, sentences, band, wanted, most, filling)
    }
}

fn primary_note(done: bool, grade: u8) -> String {
    match (done, grade) {
        (true, 5) => "Hoàn thành chương trình tiểu học.".to_owned(),
        (true, _) => format!("Hoàn thành chương trình lớp {grade}; Được lên lớp {}.", grade + 1),
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

//! Makes a year's results of a primary pupil by TT 27/2020/TT-BGDĐT.

use super::chance::Chance;
use super::comment::Band;
use crate::codes::Subject;
use crate::transcript::Field;

/// Result of one subject.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SubjectResult {
    /// T, H, C or M (exempt).
    pub(super) level: &'static str,
    /// Mark of the test at year end, where the subject has one.
    pub(super) test: Option<i32>,
}

/// Result of the year (TT 27 Đ9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum YearResult {
    Incomplete,
    Complete,
    Good,
    Excellent,
}

impl YearResult {
    /// Return the text that stands on the transcript.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Excellent => "Hoàn thành xuất sắc",
            Self::Good => "Hoàn thành tốt",
            Self::Complete => "Hoàn thành",
            Self::Incomplete => "Chưa hoàn thành",
        }
    }

    /// Return how teachers speak of such a year.
    pub(super) fn band(self) -> Band {
        match self {
            Self::Excellent | Self::Good => Band::Good,
            Self::Complete => Band::Fair,
            Self::Incomplete => Band::Weak,
        }
    }
}

/// A year's results.
#[derive(Debug, Clone)]
pub(super) struct Results {
    /// In the order of the subjects handed in.
    pub(super) subjects: Vec<SubjectResult>,
    /// T, Đ or C of each quality and competency.
    pub(super) traits: Vec<(Field, &'static str)>,
    pub(super) year: YearResult,
}

/// Qualities and competencies of every grade.
const TRAITS: [Field; 13] = [
    Field::CompetencySelfStudy,
    Field::CompetencyCommunication,
    Field::CompetencyProblemSolving,
    Field::CompetencyLanguage,
    Field::CompetencyCalculation,
    Field::CompetencyScience,
    Field::CompetencyAesthetics,
    Field::CompetencyPhysical,
    Field::QualityPatriotism,
    Field::QualityKindness,
    Field::QualityDiligence,
    Field::QualityHonesty,
    Field::QualityResponsibility,
];

/// Competencies that grades 1 and 2 may be without.
const LATER_TRAITS: [Field; 2] = [Field::CompetencyTechnology, Field::CompetencyInformatics];

impl Results {
    /// Draw the results of a pupil of `grade` in `subjects`.
    pub(super) fn draw(chance: &mut Chance, subjects: &[&Subject], grade: u8) -> Self {
        // About a quarter excellent, a quarter good, one or two in a hundred not complete.
        let aim = match chance.between(0, 999) {
            0..=239 => YearResult::Excellent,
            240..=499 => YearResult::Good,
            500..=984 => YearResult::Complete,
            _ => YearResult::Incomplete,
        };
        let failing = usize::try_from(chance.between(0, 1)).unwrap_or(0);
        let subjects: Vec<SubjectResult> = subjects
            .iter()
            .enumerate()
            .map(|(index, subject)| {
                let fails = aim == YearResult::Incomplete && index == failing;
                one_subject(chance, aim, fails, subject, grade)
            })
            .collect();
        let later = if grade >= 3 { &LATER_TRAITS[..] } else { &[] };
        let traits =
            TRAITS.iter().chain(later).map(|field| (*field, one_trait(chance, aim))).collect();
        let mut results = Self { subjects, traits, year: YearResult::Incomplete };
        results.year = results.derive();
        results
    }

    /// Derive the year result by TT 27 Đ9.2.
    pub(super) fn derive(&self) -> YearResult {
        let counted = || self.subjects.iter().filter(|result| result.level != "M");
        let lowest = counted().filter_map(|result| result.test).min();
        let tests_from = |least| lowest.is_none_or(|mark| mark >= least);
        let all_t = counted().all(|result| result.level == "T")
            && self.traits.iter().all(|(_, value)| *value == "T");
        let none_c = counted().all(|result| result.level != "C")
            && self.traits.iter().all(|(_, value)| *value != "C");
        if all_t && tests_from(9) {
            YearResult::Excellent
        } else if all_t && tests_from(7) {
            YearResult::Good
        } else if none_c && tests_from(5) {
            YearResult::Complete
        } else {
            YearResult::Incomplete
        }
    }
}

fn one_subject(
    chance: &mut Chance,
    aim: YearResult,
    fails: bool,
    subject: &Subject,
    grade: u8,
) -> SubjectResult {
    let exempt = match &*subject.slug {
        "giao_duc_the_chat" => chance.permille(4),
        _ => false,
    };
    if exempt {
        return SubjectResult { level: "M", test: None };
    }
    let mark = match aim {
        _ if fails => chance.between(2, 4),
        YearResult::Excellent => chance.between(9, 10),
        YearResult::Good => chance.between(7, 10),
        YearResult::Complete => chance.between(5, 9),
        YearResult::Incomplete => chance.between(5, 7),
    };
    let level = match (aim, mark) {
        (_, ..=4) => "C",
        (YearResult::Excellent | YearResult::Good, _) | (_, 9..) => "T",
        (_, 7..) if chance.percent(45) => "T",
        _ => "H",
    };
    SubjectResult { level, test: subject.has_test_in(grade).then_some(mark) }
}

fn one_trait(chance: &mut Chance, aim: YearResult) -> &'static str {
    match aim {
        YearResult::Excellent | YearResult::Good => "T",
        YearResult::Complete if chance.percent(60) => "T",
        YearResult::Incomplete if chance.percent(12) => "C",
        _ => "Đ",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(levels: &[(&'static str, Option<i32>)], value: &'static str) -> Results {
        let subjects = levels.iter().map(|(level, test)| SubjectResult { level, test: *test });
        Results {
            subjects: subjects.collect(),
            traits: vec![(Field::QualityHonesty, value)],
            year: YearResult::Incomplete,
        }
    }

    #[test]
    fn the_year_result_follows_article_9() {
        let best = [("T", Some(9)), ("T", None)];
        assert_eq!(results(&best, "T").derive(), YearResult::Excellent);
        assert_eq!(results(&best, "Đ").derive(), YearResult::Complete);
        let good = [("T", Some(7)), ("T", Some(10))];
        assert_eq!(results(&good, "T").derive(), YearResult::Good);
        let fair = [("T", Some(6)), ("T", Some(10))];
        assert_eq!(results(&fair, "T").derive(), YearResult::Complete);
        assert_eq!(results(&fair, "C").derive(), YearResult::Incomplete);
        let weak = [("C", Some(4)), ("T", Some(10))];
        assert_eq!(results(&weak, "T").derive(), YearResult::Incomplete);
        let exempt = [("M", None), ("T", Some(10))];
        assert_eq!(results(&exempt, "T").derive(), YearResult::Excellent);
    }
}

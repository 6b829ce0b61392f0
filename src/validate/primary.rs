//! Checks a primary transcript by TT 27/2020: levels, tests, competencies, year result, promotion, award.

use super::record::Record;
use super::rule::Rule;
use super::subjects::{self, Found};
use crate::codes::{ResultList, plain};
use crate::transcript::{Field, Group};

/// Qualities and competencies, in the order of the form.
pub(super) const COMPETENCIES: [Field; 15] = [
    Field::CompetencySelfStudy,
    Field::CompetencyCommunication,
    Field::CompetencyProblemSolving,
    Field::CompetencyLanguage,
    Field::CompetencyCalculation,
    Field::CompetencyScience,
    Field::CompetencyTechnology,
    Field::CompetencyInformatics,
    Field::CompetencyAesthetics,
    Field::CompetencyPhysical,
    Field::QualityPatriotism,
    Field::QualityKindness,
    Field::QualityDiligence,
    Field::QualityHonesty,
    Field::QualityResponsibility,
];

/// Result of the year, from the lowest (TT 27 Đ9.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Year {
    NotCompleted,
    Completed,
    Well,
    Excellent,
}

impl Year {
    fn code(self) -> &'static str {
        match self {
            Self::NotCompleted => "CHT",
            Self::Completed => "HT",
            Self::Well => "HTT",
            Self::Excellent => "HTXS",
        }
    }

    fn from_code(code: &str) -> Option<Self> {
        [Self::NotCompleted, Self::Completed, Self::Well, Self::Excellent]
            .into_iter()
            .find(|year| year.code() == code)
    }
}

/// The lowest level and test seen so far; what could not be read makes the year impossible to judge.
#[derive(Debug, Clone, Copy)]
struct Seen {
    lowest: Lowest,
    lowest_test: Option<u8>,
    test_missing: bool,
    unreadable: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lowest {
    NotReached,
    Reached,
    Good,
}

/// Check a transcript of TT 27.
pub(super) fn check(record: &mut Record<'_>, found: &[Found<'_>]) {
    let mut seen = Seen {
        lowest: Lowest::Good,
        lowest_test: None,
        test_missing: false,
        unreadable: found.len() != record.transcript.subjects.len(),
    };
    for row in found {
        check_subject(record, row, &mut seen);
    }
    subjects::check_missing(record, found, Rule::Tt27SubjectMissing);
    for field in COMPETENCIES {
        let value = record.value(field);
        match record.result(field, ResultList::PrimaryCompetency, Rule::Tt27Competency) {
            Some(code) => seen.lowest = seen.lowest.min(lowest(code)),
            None => seen.unreadable |= value.is_some(),
        }
    }
    let claimed = record
        .result(Field::YearResult, ResultList::PrimaryYear, Rule::Tt27YearResultValue)
        .and_then(Year::from_code);
    let Some(claimed) = claimed else {
        return;
    };
    if record.assessed && !seen.unreadable && !found.is_empty() {
        check_year(record, claimed, &seen);
    }
    check_promotion(record, claimed);
    check_award(record, claimed);
}

fn lowest(code: &str) -> Lowest {
    match code {
        "T" => Lowest::Good,
        "H" | "Đ" => Lowest::Reached,
        _ => Lowest::NotReached,
    }
}

fn check_subject(record: &mut Record<'_>, row: &Found<'_>, seen: &mut Seen) {
    let Some(entry) = record.entries(Group::Subject).get(row.index) else {
        return;
    };
    let (index, subject) = (row.index, row.subject);
    let grade = record.scope.grade;
    if grade.is_some_and(|grade| !subject.grades.contains(&grade)) {
        let range = format!("{}-{}", subject.grades.start(), subject.grades.end());
        let args = [("permitted", range.as_str())];
        record.broken_in(Rule::Tt27SubjectGrade, index, Field::SubjectCode, &args);
    }
    let mut exempt = false;
    if let Some(text) = entry.value(Field::SubjectLevel) {
        match record.codes.result(ResultList::PrimarySubject, text) {
            Some("M") => exempt = true,
            Some(code) => seen.lowest = seen.lowest.min(lowest(code)),
            None => {
                seen.unreadable = true;
                let permitted = record.codes.permitted(ResultList::PrimarySubject);
                let args = [("permitted", permitted.as_str())];
                record.broken_in(Rule::Tt27SubjectLevel, index, Field::SubjectLevel, &args);
            }
        }
    } else {
        seen.unreadable = true;
    }
    let Some(text) = entry.value(Field::SubjectTest) else {
        let has_test = grade.is_some_and(|grade| subject.has_test_in(grade));
        if has_test && !exempt && record.assessed {
            seen.test_missing = true;
            record.broken_in(Rule::Tt27TestMissing, index, Field::SubjectTest, &[]);
        }
        return;
    };
    if subject.test_grades.is_none() {
        record.broken_in(Rule::Tt27TestSubject, index, Field::SubjectTest, &[]);
        return;
    }
    if record.codes.result(ResultList::PrimarySubject, text) == Some("M") {
        return;
    }
    match test_mark(text) {
        Some(mark) => seen.lowest_test = Some(seen.lowest_test.map_or(mark, |low| low.min(mark))),
        None => {
            seen.unreadable = true;
            record.broken_in(Rule::Tt27TestMark, index, Field::SubjectTest, &[]);
        }
    }
}

fn test_mark(text: &str) -> Option<u8> {
    let digits = (1..=2).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let mark: u8 = digits.then(|| text.parse().ok()).flatten()?;
    (mark <= 10).then_some(mark)
}

fn year_of(record: &Record<'_>, lowest: Lowest, lowest_test: u8) -> Year {
    let limits = &record.rules.limits;
    if lowest == Lowest::Good && lowest_test >= limits.test_excellent {
        Year::Excellent
    } else if lowest == Lowest::Good && lowest_test >= limits.test_good {
        Year::Well
    } else if lowest >= Lowest::Reached && lowest_test >= limits.test_passed {
        Year::Completed
    } else {
        Year::NotCompleted
    }
}

fn check_year(record: &mut Record<'_>, claimed: Year, seen: &Seen) {
    let best = year_of(record, seen.lowest, seen.lowest_test.unwrap_or(10));
    // A missing test may have had any mark, so only a claim above the best possible is wrong.
    let wrong = if seen.test_missing { claimed > best } else { claimed != best };
    if wrong {
        let name =
            record.codes.result_name(ResultList::PrimaryYear, best.code()).unwrap_or(best.code());
        let args = [("permitted", name)];
        record.broken_at(Rule::Tt27YearResult, Field::YearResult, &args);
    }
}

// The head may promote after extra support (TT 27 Đ11), so a difference is only noted.
fn check_promotion(record: &mut Record<'_>, claimed: Year) {
    let completed = claimed >= Year::Completed;
    let last_grade = record.scope.grade == Some(5);
    if let Some(promoted) = record.flag(Field::Promoted)
        && promoted != completed
        // At the end of the level schools write either.
        && !(last_grade && completed)
    {
        record.broken_at(Rule::Tt27Promotion, Field::Promoted, &[]);
    }
    if record.flag(Field::GradeCompleted).is_some_and(|flag| flag != completed) {
        record.broken_at(Rule::Tt27Completion, Field::GradeCompleted, &[]);
    }
    if record.flag(Field::PrimaryCompleted).is_some_and(|flag| flag != (completed && last_grade)) {
        record.broken_at(Rule::Tt27Completion, Field::PrimaryCompleted, &[]);
    }
}

fn check_award(record: &mut Record<'_>, claimed: Year) {
    let text = record.value(Field::Award).unwrap_or_default();
    let titles = titles(record, text);
    let wrong = titles.iter().any(|title| match *title {
        "XS" => claimed != Year::Excellent,
        "TB" => claimed < Year::Well,
        _ => false,
    });
    if wrong {
        record.broken_at(Rule::Tt27Award, Field::Award, &[]);
    }
    let mentioned = plain(text).contains("xuất sắc");
    if claimed == Year::Excellent && !mentioned && record.assessed {
        record.broken_at(Rule::Tt27AwardAbsent, Field::Award, &[]);
    }
}

/// Return the titles an award text gives: each part between commas, semicolons and points is one.
pub(super) fn titles<'a>(record: &Record<'a>, text: &str) -> Vec<&'a str> {
    let codes = record.codes;
    text.split([',', ';', '.', '\n'])
        .filter_map(|part| {
            let folded = plain(part);
            codes.result(ResultList::Award, record.rules.title(&folded))
        })
        .collect()
}

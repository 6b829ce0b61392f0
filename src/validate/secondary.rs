//! Checks a secondary transcript by TT 22/2021 or TT 43/2021: marks, averages, results, promotion, award.

use super::averages::{Results, Standing, Tenths, conduct_of_year, study_result, year_average};
use super::mark::Mark;
use super::primary::titles;
use super::record::Record;
use super::rule::Rule;
use super::subjects::{self, Found};
use crate::codes::{Assessment, ResultList, plain};
use crate::transcript::{Circular, Field, Group, Level, Place};

/// The four places of one subject, read; what cannot be read is `unreadable`.
#[derive(Debug, Clone, Copy)]
struct Row {
    comment_only: bool,
    term1: Option<Mark>,
    term2: Option<Mark>,
    year: Option<Mark>,
    retest: Option<Mark>,
    unreadable: bool,
}

/// The study results and conduct the transcript states.
#[derive(Debug, Clone, Copy, Default)]
struct Stated {
    study_year: Option<Standing>,
    study_retested: Option<Standing>,
    conduct_year: Option<Standing>,
    conduct_retrained: Option<Standing>,
}

/// Check a transcript of TT 22 or TT 43.
pub(super) fn check(record: &mut Record<'_>, found: &[Found<'_>], circular: Circular) {
    let rows: Vec<Row> = found.iter().map(|one| check_subject(record, one)).collect();
    subjects::check_missing(record, found, Rule::Tt22SubjectMissing);
    check_choice(record, found);
    let complete = found.len() == record.transcript.subjects.len();
    let needed = record.rules.scored_min(circular);
    let stated = check_results(record, &rows, complete, needed);
    check_promotion(record, &stated);
    check_award(record, &rows, &stated, complete);
}

fn read_mark(
    record: &mut Record<'_>,
    one: &Found<'_>,
    field: Field,
    row: &mut Row,
) -> Option<Mark> {
    let text = record.entries(Group::Subject).get(one.index)?.value(field)?;
    let mark = Mark::parse(record.codes, text).filter(|mark| match mark {
        Mark::Scored(_) => !row.comment_only,
        Mark::Passed | Mark::Failed => row.comment_only,
        Mark::Exempt => true,
    });
    if mark.is_none() {
        row.unreadable = true;
        let rule = if row.comment_only { Rule::Tt22CommentMark } else { Rule::Tt22Mark };
        record.broken_in(rule, one.index, field, &[]);
    }
    mark
}

fn check_subject(record: &mut Record<'_>, one: &Found<'_>) -> Row {
    let mut row = Row {
        comment_only: one.subject.assessment == Assessment::Comment,
        term1: None,
        term2: None,
        year: None,
        retest: None,
        unreadable: false,
    };
    row.term1 = read_mark(record, one, Field::SubjectTerm1, &mut row);
    row.term2 = read_mark(record, one, Field::SubjectTerm2, &mut row);
    row.year = read_mark(record, one, Field::SubjectYear, &mut row);
    row.retest = read_mark(record, one, Field::SubjectRetest, &mut row);
    if row.unreadable || !record.assessed {
        return row;
    }
    let (Some(term1), Some(term2), Some(year)) = (row.term1, row.term2, row.year) else {
        row.unreadable = true;
        record.broken_in(Rule::Tt22MarkMissing, one.index, Field::SubjectYear, &[]);
        return row;
    };
    check_year_mark(record, one.index, &row, (term1, term2, year));
    if row.retest.is_some() {
        let limit = record.rules.limits.retest_below;
        let allowed = match computed_year(term1, term2) {
            Some(Mark::Scored(mark)) => mark.value() < limit,
            Some(Mark::Failed) => true,
            Some(Mark::Passed | Mark::Exempt) => false,
            None => true,
        };
        if !allowed {
            record.broken_in(Rule::Tt22Retest, one.index, Field::SubjectRetest, &[]);
        }
    }
    row
}

// None where one term is exempt: the circular names no average then.
fn computed_year(term1: Mark, term2: Mark) -> Option<Mark> {
    match (term1, term2) {
        (Mark::Scored(term1), Mark::Scored(term2)) => {
            Some(Mark::Scored(year_average(term1, term2)))
        }
        (Mark::Exempt, Mark::Exempt) => Some(Mark::Exempt),
        (Mark::Passed | Mark::Failed, Mark::Passed | Mark::Failed) => Some(term2),
        _ => None,
    }
}

// Some software writes the result of the re-test over the year; both are accepted then.
fn check_year_mark(
    record: &mut Record<'_>,
    index: usize,
    row: &Row,
    (term1, term2, year): (Mark, Mark, Mark),
) {
    let Some(expected) = computed_year(term1, term2) else {
        return;
    };
    if year != expected && row.retest != Some(year) {
        let rule = if row.comment_only { Rule::Tt22CommentYear } else { Rule::Tt22YearAverage };
        record.broken_in(rule, index, Field::SubjectYear, &[]);
    }
}

fn check_choice(record: &mut Record<'_>, found: &[Found<'_>]) {
    let chosen = found.iter().filter(|one| one.subject.choice).count();
    let expected = record.rules.limits.chosen_subjects;
    let counts = record.scope.level == Some(Level::UpperSecondary)
        && record.assessed
        && !record.transcript.subjects.is_empty();
    if counts && chosen != expected {
        let count = expected.to_string();
        record.broken(Rule::Tt22ElectiveCount, Place::Record, &[("count", &count)]);
    }
}

fn stated(record: &mut Record<'_>, field: Field) -> Option<Standing> {
    record.result(field, ResultList::Secondary, Rule::Tt22ResultValue).and_then(Standing::from_code)
}

fn check_results(record: &mut Record<'_>, rows: &[Row], complete: bool, needed: usize) -> Stated {
    let term1 = stated(record, Field::StudyTerm1);
    let term2 = stated(record, Field::StudyTerm2);
    let conduct1 = stated(record, Field::ConductTerm1);
    let conduct2 = stated(record, Field::ConductTerm2);
    let all = Stated {
        study_year: stated(record, Field::StudyYear),
        study_retested: stated(record, Field::StudyRetested),
        conduct_year: stated(record, Field::ConductYear),
        conduct_retrained: stated(record, Field::ConductRetrained),
    };
    if complete && record.assessed {
        let study = [
            (Field::StudyTerm1, term1),
            (Field::StudyTerm2, term2),
            (Field::StudyYear, all.study_year),
            (Field::StudyRetested, all.study_retested),
        ];
        for (field, claimed) in study {
            check_study(record, rows, needed, (field, claimed));
        }
    }
    check_conduct(record, conduct1, conduct2, &all);
    all
}

/// Which mark of a subject a study result rests on.
type Reading = fn(&Row) -> Option<Mark>;

fn readings(field: Field) -> &'static [Reading] {
    match field {
        Field::StudyTerm1 => &[|row| row.term1],
        Field::StudyTerm2 => &[|row| row.term2],
        // Where a re-test was written over the year, the result may rest on either.
        Field::StudyYear => {
            &[|row| row.year, |row| computed_year(row.term1?, row.term2?).or(row.year)]
        }
        _ => &[|row| row.retest.or(row.year)],
    }
}

fn check_study(
    record: &mut Record<'_>,
    rows: &[Row],
    needed: usize,
    (field, claimed): (Field, Option<Standing>),
) {
    let Some(claimed) = claimed else {
        return;
    };
    if field == Field::StudyRetested && rows.iter().all(|row| row.retest.is_none()) {
        return;
    }
    let mut possible = readings(field)
        .iter()
        .filter_map(|reading| results(rows, needed, *reading))
        .map(|results| study_result(&results))
        .peekable();
    // Nothing to compare with where marks are missing; TT22.mark-missing names them.
    if possible.peek().is_some()
        && !possible.any(|one| one.strict == claimed || one.generous == claimed)
    {
        record.broken_at(Rule::Tt22StudyResult, field, &[]);
    }
}

// None where a mark is missing or there are too few marks to judge by the table.
fn results(rows: &[Row], needed: usize, mark: Reading) -> Option<Results> {
    let mut results = Results { scored_min: needed, ..Results::default() };
    for row in rows {
        match mark(row)? {
            Mark::Scored(tenths) => results.marks.push(tenths),
            Mark::Failed => results.failed_comments += 1,
            Mark::Passed | Mark::Exempt => {}
        }
    }
    (results.marks.len() >= needed).then_some(results)
}

fn check_conduct(
    record: &mut Record<'_>,
    term1: Option<Standing>,
    term2: Option<Standing>,
    all: &Stated,
) {
    if let (Some(term1), Some(term2), Some(year)) = (term1, term2, all.conduct_year)
        && conduct_of_year(term1, term2) != year
    {
        record.broken_at(Rule::Tt22ConductYear, Field::ConductYear, &[]);
    }
    if all.conduct_retrained.is_some()
        && all.conduct_year.is_some_and(|year| year != Standing::Failed)
    {
        record.broken_at(Rule::Tt22Retraining, Field::ConductRetrained, &[]);
    }
}

fn check_promotion(record: &mut Record<'_>, stated: &Stated) {
    let Some(promoted) = record.flag(Field::Promoted).filter(|_| record.assessed) else {
        return;
    };
    let limit = record.rules.limits.absences_max;
    let too_absent = absences(record).is_some_and(|absences| absences > f64::from(limit));
    if promoted && too_absent {
        let text = limit.to_string();
        record.broken_at(Rule::Tt22Absences, Field::Promoted, &[("limit", &text)]);
    }
    let study = stated.study_retested.or(stated.study_year);
    let conduct = stated.conduct_retrained.or(stated.conduct_year);
    let failed = [study, conduct].contains(&Some(Standing::Failed));
    if promoted && failed {
        record.broken_at(Rule::Tt22Promotion, Field::Promoted, &[]);
    }
    let last_grade = matches!(record.scope.grade, Some(9 | 12));
    let known = study.is_some() && conduct.is_some();
    if !promoted && known && !failed && !too_absent && !last_grade {
        record.broken_at(Rule::Tt22PromotionDenied, Field::Promoted, &[]);
    }
}

// Sessions may be halves; only their order with a whole limit matters, so a float is exact enough.
fn absences(record: &Record<'_>) -> Option<f64> {
    let number = |field| {
        let text = record.value(field)?;
        super::formats::is_number(text).then(|| text.parse::<f64>().ok()).flatten()
    };
    number(Field::AbsencesTotal).or_else(|| {
        let (excused, unexcused) =
            (number(Field::AbsencesExcused), number(Field::AbsencesUnexcused));
        excused.map_or(unexcused, |one| Some(one + unexcused.unwrap_or(0.0)))
    })
}

fn check_award(record: &mut Record<'_>, rows: &[Row], stated: &Stated, complete: bool) {
    let (Some(study), Some(conduct)) = (stated.study_year, stated.conduct_year) else {
        return;
    };
    let text = record.value(Field::Award).unwrap_or_default();
    let titles = titles(record, text);
    let good = study == Standing::Good && conduct == Standing::Good;
    let limits = record.rules.limits;
    let high = |mark: Tenths| mark.value() >= limits.award_mark;
    let high_marks = rows
        .iter()
        .filter_map(|row| row.year.and_then(Mark::tenths))
        .filter(|mark| high(*mark))
        .count();
    let unsure = !complete || rows.iter().any(|row| row.unreadable) || !record.assessed;
    let excellent = good && (high_marks >= limits.award_subjects || unsure);
    let wrong = titles.iter().any(|title| match *title {
        "XS" => !excellent,
        "G" => !good,
        _ => false,
    });
    if wrong {
        record.broken_at(Rule::Tt22Award, Field::Award, &[]);
    }
    let mentioned = plain(text);
    let named = mentioned.contains("giỏi") || mentioned.contains("xuất sắc");
    if good && !named && titles.is_empty() && record.assessed {
        record.broken_at(Rule::Tt22AwardAbsent, Field::Award, &[]);
    }
}

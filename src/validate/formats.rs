//! Checks the written form of dates, numbers, flags and numbers of signers, and the order of dates.

use jiff::civil::Date;

use super::Context;
use super::day::Day;
use super::record::Record;
use super::rule::Rule;
use crate::codes::ResultList;
use crate::transcript::{Field, Group, Place, SchoolYear};

const WHOLE: &str = "YYYY-MM-DD, dd/MM/yyyy";
const PARTIAL: &str = "YYYY-MM-DD, dd/MM/yyyy, MM/yyyy, yyyy";

const FLAGS: [Field; 5] = [
    Field::NotAssessed,
    Field::FromPaper,
    Field::Promoted,
    Field::GradeCompleted,
    Field::PrimaryCompleted,
];
const NUMBERS: [Field; 3] =
    [Field::AbsencesExcused, Field::AbsencesUnexcused, Field::AbsencesTotal];
const SIGNERS: [Field; 2] = [Field::PrincipalNumber, Field::HomeroomNumber];

/// Check forms that hold at every level.
pub(super) fn check(record: &mut Record<'_>, context: &Context) {
    for field in FLAGS {
        if let Some(text) = record.value(field)
            && record.codes.result(ResultList::Flag, text).is_none()
        {
            record.broken_at(Rule::Cv2088Flag, field, &[]);
        }
    }
    for field in NUMBERS {
        if record.value(field).is_some_and(|text| !is_number(text)) {
            record.broken_at(Rule::Cv2088Number, field, &[]);
        }
    }
    for (field, unit) in [(Field::Weight, "kg"), (Field::Height, "cm")] {
        if record.value(field).is_some_and(|text| !is_measure(text, unit)) {
            record.broken_at(Rule::Cv2088Measure, field, &[]);
        }
    }
    for field in SIGNERS {
        if record.value(field).is_some_and(|text| !is_personal_number(text)) {
            record.broken_at(Rule::Cv2088SignerNumber, field, &[]);
        }
    }
    for (index, entry) in record.entries(Group::Subject).iter().enumerate() {
        let wrong = |text| !is_personal_number(text);
        if entry.value(Field::TeacherNumber).is_some_and(wrong) {
            record.broken_in(Rule::Cv2088SignerNumber, index, Field::TeacherNumber, &[]);
        }
    }
    check_class(record);
    check_dates(record, context);
    check_history(record);
}

// "4A", "4/3", "Lớp 10A5": the number of the grade comes first; other names say nothing.
fn check_class(record: &mut Record<'_>) {
    let (Some(grade), Some(class)) = (record.scope.grade, record.value(Field::ClassName)) else {
        return;
    };
    let class = class
        .strip_prefix("Lớp")
        .or_else(|| class.strip_prefix("lớp"))
        .map_or(class, str::trim_start);
    let digits = class.len() - class.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let number = class[..digits].parse::<u8>();
    if digits > 0 && number != Ok(grade) {
        record.broken_at(Rule::Cv2088Class, Field::ClassName, &[]);
    }
}

fn day_at(record: &mut Record<'_>, field: Field, partial: bool) -> Option<Date> {
    let text = record.value(field)?;
    let day = Day::parse(text).filter(|day| partial || day.full().is_some());
    if day.is_none() {
        let permitted = if partial { PARTIAL } else { WHOLE };
        record.broken_at(Rule::Cv2088Date, field, &[("permitted", permitted)]);
    }
    day?.earliest()
}

fn check_dates(record: &mut Record<'_>, context: &Context) {
    let born = day_at(record, Field::BirthDate, true);
    let created = day_at(record, Field::CreatedOn, false);
    let issued = day_at(record, Field::IssuedOn, false);
    let begins = record.parts.school_year.and_then(|year| Date::new(year.start(), 7, 1).ok());
    let orders = [
        (begins, issued, Field::IssuedOn, "school_year"),
        (created, issued, Field::IssuedOn, "created_on"),
        (born, created.or(issued), Field::BirthDate, ""),
    ];
    for (before, after, field, name) in orders {
        let (Some(before), Some(after)) = (before, after) else {
            continue;
        };
        if after < before {
            // For a birth after the record was made, it is the record that came too early.
            let (field, name) = match field {
                Field::BirthDate => (Field::CreatedOn, "birth_date"),
                other => (other, name),
            };
            record.broken_at(Rule::Cv2088DateOrder, field, &[("after", name)]);
        }
    }
    if issued.is_some_and(|issued| issued > context.received_on) {
        record.broken_at(Rule::Cv2088IssueFuture, Field::IssuedOn, &[]);
    }
}

fn check_history(record: &mut Record<'_>) {
    let mut seen: Vec<SchoolYear> = Vec::new();
    let at = |index, field| Place::Entry(Group::History, index, field);
    for (index, entry) in record.entries(Group::History).iter().enumerate() {
        if let Some(text) = entry.value(Field::HistoryYear) {
            let year = text.parse::<SchoolYear>().ok();
            let latest = record.parts.school_year;
            match year {
                Some(year) if latest.is_none_or(|latest| year <= latest) => {
                    if seen.contains(&year) {
                        record.broken(
                            Rule::Cv2088HistoryDuplicate,
                            at(index, Field::HistoryYear),
                            &[],
                        );
                    }
                    seen.push(year);
                }
                _ => record.broken(Rule::Cv2088HistoryYear, at(index, Field::HistoryYear), &[]),
            }
        }
        let transferred = entry.value(Field::TransferredOn);
        if transferred.is_some_and(|text| Day::parse(text).and_then(Day::full).is_none()) {
            record.broken(
                Rule::Cv2088Date,
                at(index, Field::TransferredOn),
                &[("permitted", WHOLE)],
            );
        }
    }
}

/// Tell whether `text` is a number of at least 0 with at most 4 decimals (CV 2088 PL1 II.1).
pub(super) fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    match text.split_once('.') {
        Some((whole, decimals)) => digits(whole) && digits(decimals) && decimals.len() <= 4,
        None => digits(text),
    }
}

fn is_measure(text: &str, unit: &str) -> bool {
    let number = text.strip_suffix(unit).unwrap_or(text).trim_end();
    is_number(number) && number.bytes().any(|byte| (b'1'..=b'9').contains(&byte))
}

fn is_personal_number(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_at_most_four_decimals_and_a_point() {
        for text in ["0", "12", "3.5", "0.1234"] {
            assert!(is_number(text), "{text}");
        }
        for text in ["", ".5", "5.", "1,5", "-1", "0.12345", "1e3", "1.2.3"] {
            assert!(!is_number(text), "{text}");
        }
    }

    #[test]
    fn a_measure_may_name_its_unit() {
        assert!(is_measure("23.5", "kg") && is_measure("120 cm", "cm"));
        assert!(!is_measure("0", "kg") && !is_measure("23,5", "kg"));
    }
}

//! Compares the structure of a personal number with gender and year of birth.

use super::day::Day;
use super::record::Record;
use super::rule::Rule;
use crate::transcript::Field;

/// Check the pupil's personal number; a number may have been issued again, so these are warnings.
pub(super) fn check(record: &mut Record<'_>) {
    let Some(number) = record.parts.personal_number.clone() else {
        return;
    };
    let digits = number.digits();
    if record.codes.personal_number_prefix(&digits[..3]).is_none() {
        record.broken_at(Rule::Nd70NumberPrefix, Field::PersonalNumber, &[]);
    }
    let digit = digits.as_bytes()[3].wrapping_sub(b'0');
    let Some(century) = record.codes.personal_number_century(digit) else {
        return;
    };
    let gender = record.value(Field::Gender).and_then(|text| record.codes.gender(text));
    let differs = match gender {
        Some("1") => century.gender != 1,
        Some("2") => century.gender != 2,
        _ => false,
    };
    if differs {
        record.broken_at(Rule::Nd70NumberSex, Field::PersonalNumber, &[]);
    }
    let born = record.value(Field::BirthDate).and_then(Day::parse);
    let year_in_century: Option<i16> = digits[4..6].parse().ok();
    if let (Some(born), Some(year)) = (born, year_in_century)
        && born.year() != century.year_from.saturating_add(year)
    {
        record.broken_at(Rule::Nd70NumberYear, Field::PersonalNumber, &[]);
    }
}

//! Checks department, territory, gender, ethnic group and nationality against the code lists.

use jiff::civil::Date;

use super::Context;
use super::record::Record;
use super::rule::Rule;
use crate::transcript::Field;

/// Check every value that comes from a code list of the whole country.
pub(super) fn check(record: &mut Record<'_>, context: &Context) {
    check_department(record, context);
    check_place(record);
    let codes = record.codes;
    let unknown =
        |text: Option<&str>, known: &dyn Fn(&str) -> bool| text.is_some_and(|text| !known(text));
    if unknown(record.value(Field::Gender), &|text| codes.gender(text).is_some()) {
        record.broken_at(Rule::Qcvn109Gender, Field::Gender, &[]);
    }
    if unknown(record.value(Field::Nationality), &|text| codes.nationality(text).is_some()) {
        record.broken_at(Rule::Tcvn7217Nationality, Field::Nationality, &[]);
    }
    if unknown(record.value(Field::Ethnicity), &|text| codes.ethnic_group(text).is_some()) {
        let rule =
            if record.foreign { Rule::TtdlqgForeignEthnicGroup } else { Rule::Qd121EthnicGroup };
        record.broken_at(rule, Field::Ethnicity, &[]);
    }
}

fn check_department(record: &mut Record<'_>, context: &Context) {
    let Some(code) = record.value(Field::DepartmentCode) else {
        return;
    };
    match record.codes.department_province(code) {
        None => record.broken_at(Rule::Cv2088DepartmentCode, Field::DepartmentCode, &[]),
        Some(province) if province != context.participant_province => {
            record.broken_at(Rule::Cv2088DepartmentProvince, Field::DepartmentCode, &[])
        }
        Some(_) => {}
    }
}

// A school may write the territory of the day of issue or of the school year it speaks of.
fn check_place(record: &mut Record<'_>) {
    let Some(name) = record.value(Field::SchoolProvince) else {
        return;
    };
    let year_end =
        record.parts.school_year.and_then(|year| Date::new(year.start() + 1, 5, 31).ok());
    let days = [Some(record.day), year_end];
    let provinces: Vec<_> = days
        .into_iter()
        .flatten()
        .filter_map(|day| Some((record.codes.province_by_name(name, day)?, day)))
        .collect();
    if provinces.is_empty() {
        record.broken_at(Rule::Qd19Province, Field::SchoolProvince, &[]);
        return;
    }
    let Some(commune) = record.value(Field::SchoolCommune) else {
        return;
    };
    let known = provinces.iter().any(|(province, day)| {
        let found = record.codes.communes_named(commune, &province.code, *day);
        !found.is_empty()
    });
    if !known {
        record.broken_at(Rule::Qd19Commune, Field::SchoolCommune, &[]);
    }
}

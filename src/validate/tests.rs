//! Checks whole transcripts: severities, holds, legacy books, messages, speed.

use std::collections::BTreeSet;

use super::sample::{
    CODES, RULES, context, lower_secondary, primary, set, subject, upper_secondary,
};
use super::*;
use crate::platform::config::Tables;
use crate::platform::texts;
use crate::transcript::{Field, Place};

pub(super) fn run(transcript: Transcript) -> Checked {
    check(&RULES, &CODES, transcript, &context())
}

/// Return the ids of the rules `transcript` breaks; every message has its places filled.
pub(super) fn broken(transcript: Transcript) -> BTreeSet<String> {
    let checked = run(transcript);
    for violation in checked.violations() {
        let message = violation.message();
        let unfilled = message.vi.contains('{') || message.en.contains('{');
        assert!(!unfilled, "{}: {message:?}", violation.rule);
    }
    let rules = checked.violations().iter();
    rules.map(|violation| violation.rule.clone()).collect()
}

#[test]
fn the_samples_break_no_rule() {
    for transcript in [primary(), lower_secondary(), upper_secondary()] {
        assert_eq!(broken(transcript.clone()), BTreeSet::new());
        let Checked::Valid(valid) = run(transcript.clone()) else {
            panic!("not valid");
        };
        assert_eq!(valid.transcript, transcript);
        assert_eq!(parse_identity(&RULES, &transcript), Ok(valid.identity));
    }
}

#[test]
fn every_rule_has_a_text_in_both_languages_and_a_legal_source() {
    for (name, source) in RULES.names() {
        assert!(texts::has(&format!("rule.{name}")), "{name} has no text");
        assert!(!source.is_empty(), "{name} has no source");
    }
    for field in Field::ALL {
        let key = format!("validate.field.{}", field.name());
        assert!(texts::has(&key), "{key}");
    }
    for rule in Rule::ALL {
        assert!(RULES.severity(rule.name()).is_some(), "{}", rule.name());
    }
}

#[test]
fn every_rule_is_broken_by_a_test() {
    let text = [include_str!("tests.rs"), include_str!("mutations.rs")].concat();
    for rule in Rule::ALL {
        assert!(text.contains(rule.name()), "{}", rule.name());
    }
}

#[test]
fn a_good_year_without_its_title_is_noted() {
    let mut transcript = lower_secondary();
    for row in &mut transcript.subjects {
        if row.value(Field::SubjectYear) != Some("Đ") {
            for field in [Field::SubjectTerm1, Field::SubjectTerm2, Field::SubjectYear] {
                row.set(field, "9");
            }
        }
    }
    for field in [Field::StudyTerm1, Field::StudyTerm2, Field::StudyYear] {
        transcript.general.set(field, "Tốt");
    }
    assert_eq!(broken(transcript.clone()), ["TT22.award-absent".to_owned()].into());
    set(&mut transcript, &[(Field::Award, "Học sinh Xuất sắc")]);
    assert_eq!(broken(transcript), BTreeSet::new());
}

#[test]
fn a_pupil_tested_again_may_be_promoted_by_the_new_result() {
    let mut transcript = lower_secondary();
    for code in ["toan", "tin_hoc", "khoa_hoc_tu_nhien"] {
        for field in [Field::SubjectTerm1, Field::SubjectTerm2, Field::SubjectYear] {
            subject(&mut transcript, code).set(field, "3.0");
        }
        subject(&mut transcript, code).set(Field::SubjectRetest, "5.0");
    }
    for field in [Field::StudyTerm1, Field::StudyTerm2, Field::StudyYear] {
        transcript.general.set(field, "CĐ");
    }
    assert_eq!(broken(transcript.clone()), ["TT22.promotion".to_owned()].into());
    set(&mut transcript, &[(Field::StudyRetested, "Đ")]);
    assert_eq!(broken(transcript), BTreeSet::new());
}

#[test]
fn continuing_education_cites_its_own_circular_and_may_lack_conduct() {
    let mut transcript = lower_secondary();
    set(
        &mut transcript,
        &[
            (Field::Circular, "43/2021/TT-BGDĐT"),
            (Field::ConductTerm1, ""),
            (Field::ConductTerm2, ""),
            (Field::ConductYear, ""),
        ],
    );
    assert_eq!(broken(transcript.clone()), BTreeSet::new());
    subject(&mut transcript, "toan").set(Field::SubjectYear, "9.9");
    let checked = run(transcript);
    let average = &checked.violations()[0];
    assert_eq!(average.rule, "TT22.year-average");
    assert!(average.source.contains("43/2021"));
}

#[test]
fn a_legacy_transcript_keeps_its_own_values_and_is_not_recomputed() {
    let mut old = primary();
    set(
        &mut old,
        &[
            (Field::Circular, "22/2016/TT-BGDĐT"),
            (Field::SchoolYear, "2019-2020"),
            (Field::CreatedOn, "2020-06-10"),
            (Field::IssuedOn, "2020-06-15"),
            (Field::SchoolCommune, "Phường Phúc Xá"),
            (Field::YearResult, ""),
        ],
    );
    old.history[0].set(Field::HistoryYear, "2019-2020");
    for row in &mut old.subjects {
        row.set(Field::SubjectLevel, "HTT");
    }
    subject(&mut old, "dao_duc").set(Field::SubjectName, "Thủ công");
    subject(&mut old, "dao_duc").set(Field::SubjectCode, "thu_cong");
    assert_eq!(broken(old.clone()), BTreeSet::new());
    old.subjects[0].set(Field::SubjectLevel, "Giỏi");
    assert_eq!(broken(old), ["TT22-2016.value".to_owned()].into());

    let mut old = lower_secondary();
    set(
        &mut old,
        &[
            (Field::Circular, "58/2011/TT-BGDĐT"),
            (Field::SchoolYear, "2021-2022"),
            (Field::IssuedOn, "2022-05-30"),
            (Field::CreatedOn, "2022-05-30"),
            (Field::SchoolCommune, "Phường Phúc Xá"),
            (Field::StudyYear, "Đ"),
            (Field::ConductYear, "Khá"),
        ],
    );
    old.history[0].set(Field::HistoryYear, "2021-2022");
    assert_eq!(broken(old.clone()), ["TT58.value".to_owned()].into());
    set(&mut old, &[(Field::StudyYear, "Tb")]);
    assert_eq!(broken(old), BTreeSet::new());
}

#[test]
fn a_pupil_who_is_not_assessed_needs_no_grades() {
    let mut transcript = primary();
    set(&mut transcript, &[(Field::NotAssessed, "1"), (Field::YearResult, "")]);
    for field in super::primary::COMPETENCIES {
        transcript.general.set(field, "");
    }
    for row in &mut transcript.subjects {
        row.set(Field::SubjectLevel, "");
        row.set(Field::SubjectTest, "");
    }
    assert_eq!(broken(transcript), BTreeSet::new());
}

#[test]
fn a_pupil_without_number_is_held_and_the_text_names_what_is_missing() {
    let mut transcript = primary();
    set(&mut transcript, &[(Field::PersonalNumber, "")]);
    let Checked::Held { identity, violations, .. } = run(transcript.clone()) else {
        panic!("not held");
    };
    assert_eq!(identity, None);
    assert!(violations[0].message().vi.contains("Số định danh"));
    set(
        &mut transcript,
        &[(Field::Nationality, "Hàn Quốc"), (Field::Ethnicity, "Người nước ngoài")],
    );
    let expected = ["TTDLQG.foreign-ethnic-group", "TTDLQG.foreign-number"];
    assert_eq!(broken(transcript.clone()), expected.map(str::to_owned).into());
    assert!(matches!(run(transcript), Checked::Held { .. }));
}

#[test]
fn the_district_is_required_until_the_districts_ended() {
    let mut transcript = primary();
    set(
        &mut transcript,
        &[
            (Field::SchoolYear, "2024-2025"),
            (Field::CreatedOn, "2025-05-28"),
            (Field::IssuedOn, "2025-05-30"),
            (Field::SchoolCommune, "Phường Phúc Xá"),
            (Field::SchoolDistrict, ""),
        ],
    );
    transcript.history[0].set(Field::HistoryYear, "2024-2025");
    assert_eq!(broken(transcript.clone()), ["CV2088.required".to_owned()].into());
    set(&mut transcript, &[(Field::IssuedOn, "2025-07-01")]);
    assert_eq!(broken(transcript), ["CV2088.district".to_owned()].into());
}

#[test]
fn a_department_of_a_merged_province_belongs_to_the_province_of_today() {
    let mut transcript = primary();
    set(&mut transcript, &[(Field::DepartmentCode, "27")]);
    let context = Context { participant_province: "24".to_owned(), ..context() };
    let checked = check(&RULES, &CODES, transcript, &context);
    assert_eq!(checked.violations(), []);
}

#[test]
fn all_violations_come_at_once_and_none_holds_a_value() {
    let mut transcript = primary();
    set(
        &mut transcript,
        &[
            (Field::Gender, "SECRET-1"),
            (Field::BirthDate, "SECRET-2"),
            (Field::PersonalNumber, "SECRET-3"),
            (Field::YearResult, "SECRET-4"),
            (Field::SchoolProvince, "SECRET-5"),
        ],
    );
    subject(&mut transcript, "toan").set(Field::SubjectTest, "SECRET-6");
    let Checked::Rejected { violations, .. } = run(transcript) else {
        panic!("not rejected");
    };
    assert_eq!(violations.len(), 6);
    for violation in &violations {
        let shown = format!("{violation:?} {:?}", violation.message());
        assert!(!shown.contains("SECRET"), "{shown}");
        assert!(!violation.message().vi.contains('{'), "{shown}");
    }
}

#[test]
fn a_pointer_leads_to_the_row_of_the_subject() {
    let mut transcript = primary();
    subject(&mut transcript, "toan").set(Field::SubjectTest, "x");
    let checked = run(transcript);
    assert_eq!(checked.violations()[0].place.pointer(), "/subjects/1/subject_test");
}

#[test]
fn severities_are_configuration() {
    let load = |rule: &str, severity| {
        let settings = Settings { severity: [(rule.to_owned(), severity)].into() };
        Rules::load(&Tables::default(), &settings)
    };
    let mut transcript = primary();
    set(&mut transcript, &[(Field::YearResult, "Hoàn thành")]);
    let rules = load("TT27.year-result", Severity::Warning).unwrap();
    let checked = check(&rules, &CODES, transcript.clone(), &context());
    assert!(matches!(checked, Checked::Valid(valid) if valid.warnings.len() == 1));
    let rules = load("TT27.year-result", Severity::Off).unwrap();
    assert_eq!(check(&rules, &CODES, transcript.clone(), &context()).violations(), []);
    let error = load("TT27.no-such-rule", Severity::Off).unwrap_err();
    assert!(error.to_string().contains("validate.severity.TT27.no-such-rule"));

    set(&mut transcript, &[(Field::Code, "not a code"), (Field::YearResult, "Hoàn thành tốt")]);
    let rules = load("CV2088.code", Severity::Off).unwrap();
    let checked = check(&rules, &CODES, transcript, &context());
    assert!(matches!(checked, Checked::Held { identity: None, .. }));
}

#[test]
fn an_identity_alone_names_what_is_absent_and_what_is_wrong() {
    let mut transcript = primary();
    set(&mut transcript, &[(Field::Code, ""), (Field::Grade, "7"), (Field::PersonalNumber, "")]);
    let violations = parse_identity(&RULES, &transcript).unwrap_err();
    let found: Vec<_> = violations.iter().map(|one| one.rule.as_str()).collect();
    let expected = ["CV2088.required", "CV2088.personal-number-missing", "CV2088.grade"];
    assert_eq!(found, expected);
    assert_eq!(violations[0].place, Place::General(Field::Code));
}

#[test]
fn circulars_and_levels_are_found_in_the_spellings_schools_use() {
    for (text, circular) in [
        ("27/2020/TT-BGDĐT", Some(Circular::Tt27)),
        ("Thông tư số 27/2020/TT-BGDĐT", Some(Circular::Tt27)),
        ("TT22", Some(Circular::Tt22)),
        ("22/2016/TT-BGDĐT", Some(Circular::Tt22Of2016)),
        ("TT 43/2021", Some(Circular::Tt43)),
        ("1/2", None),
        ("", None),
        ("/", None),
    ] {
        assert_eq!(RULES.circular(text), circular, "{text}");
    }
    assert_eq!(RULES.level("Trung học cơ sở"), Some(Level::LowerSecondary));
    assert_eq!(RULES.level("2"), None);
}

#[test]
fn a_record_is_checked_in_well_under_a_millisecond() {
    use crate::platform::clock::{Clock, SystemClock};
    let clock = SystemClock;
    let records: Vec<_> = (0..500).map(|_| lower_secondary()).collect();
    let count = records.len() as u128;
    std::hint::black_box((run(primary()), run(lower_secondary())));
    let start = clock.monotonic();
    for record in records {
        std::hint::black_box(run(record));
    }
    let each = (clock.monotonic() - start).as_nanos() / count;
    // The budget is 20 µs on an idle core; the bound leaves room for a busy one.
    assert!(each < 1_000_000, "{each} ns");
}

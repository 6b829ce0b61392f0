use jiff::civil::date;

use super::*;
use crate::platform::config::Tables;
use crate::query::request::{QuestionLimits, parse};
use crate::transcript::Fields;

const CODE: &str = "123e4567-e89b-42d3-a456-556642440000";
const OTHER: &str = "223e4567-e89b-42d3-a456-556642440000";
const NAME: &str = "Hoàng Thị Thử";

fn question(subject: serde_json::Value, procedure: &str, years: &[&str]) -> Question {
    let mut body = serde_json::json!({
        "procedure": procedure, "case": "H01-1", "subject": subject,
        "officer": "018f3c5e-7d2a-7c11-9b1e-5a6f1f0e2d3c", "level": "thcs",
    });
    if !years.is_empty() {
        body["school_years"] = serde_json::json!(years);
    }
    let limits = QuestionLimits { school_years_max: 12, case_chars_max: 64 };
    parse(body.to_string().as_bytes(), limits).unwrap()
}

fn by_code(code: &str, name: &str) -> serde_json::Value {
    serde_json::json!({"transcript_code": code, "name": name})
}

fn by_number(birth_date: &str, name: &str) -> serde_json::Value {
    serde_json::json!({"personal_number": "001313000001", "birth_date": birth_date, "name": name})
}

fn dossier(code: &str, year: i16, grade: &str) -> Dossier {
    let mut general = Fields::default();
    for (field, value) in [
        (Field::StudentName, NAME),
        (Field::BirthDate, "09/05/2013"),
        (Field::PersonalNumber, "001313000001"),
        (Field::SchoolName, "Trường THCS Thử Nghiệm"),
        (Field::Grade, grade),
        (Field::StudyYear, "T"),
        (Field::ConductYear, "T"),
        (Field::Promoted, "1"),
        (Field::MotherName, "Trần Thị Mẹ"),
    ] {
        general.set(field, value);
    }
    let mut mark = Fields::default();
    mark.set(Field::SubjectName, "Toán");
    mark.set(Field::SubjectYear, "8.5");
    mark.set(Field::TeacherName, "Lê Văn Dạy");
    Dossier {
        code: code.parse().unwrap(),
        school_year: SchoolYear::starting(year).unwrap(),
        level: Level::LowerSecondary,
        status: Status::Effective,
        received_at: Some(Timestamp::UNIX_EPOCH),
        evidence: Evidence::Genuine(Box::new(Transcript {
            general,
            subjects: vec![mark],
            ..Transcript::default()
        })),
    }
}

fn edit(dossier: &mut Dossier, change: impl FnOnce(&mut Transcript)) {
    if let Evidence::Genuine(transcript) = &mut dossier.evidence {
        change(transcript);
    }
}

fn judged(question: &Question, dossiers: &[Dossier]) -> Decision {
    let catalogue = Catalogue::load(&Tables::default()).unwrap();
    let today = date(2026, 11, 23);
    let procedure = catalogue.procedure(&question.procedure, today).unwrap();
    let asked = Asked { question, procedure, catalogue: &catalogue, today };
    decide(asked, dossiers)
}

fn verdicts(decision: &Decision) -> Vec<(i16, Verdict)> {
    decision.years.iter().map(|year| (year.school_year.start(), year.verdict)).collect()
}

#[test]
fn each_single_fault_has_its_own_verdict() {
    let asked = question(by_code(CODE, "HOÀNG  thị thử"), "1.001088", &["2025-2026"]);
    let good = dossier(CODE, 2025, "8");
    let of = |change: &dyn Fn(&mut Dossier)| {
        let mut changed = good.clone();
        change(&mut changed);
        judged(&asked, &[changed]).overall
    };
    assert_eq!(of(&|_| {}), Verdict::Valid);
    assert_eq!(of(&|d| d.status = Status::Recalled), Verdict::Recalled);
    assert_eq!(of(&|d| d.status = Status::Superseded), Verdict::Superseded);
    assert_eq!(of(&|d| d.evidence = Evidence::Forged), Verdict::SignatureInvalid);
    assert_eq!(of(&|d| d.evidence = Evidence::Unreadable), Verdict::SourceUnavailable);
    assert_eq!(of(&|d| edit(d, |t| t.general.set(Field::StudyYear, ""))), Verdict::Incomplete);
    assert_eq!(
        of(&|d| edit(d, |t| t.general.set(Field::StudentName, "Hoàng Thị Khác"))),
        Verdict::IdentityMismatch
    );
    assert_eq!(of(&|d| d.code = OTHER.parse().unwrap()), Verdict::NotFound);
    assert_eq!(judged(&asked, &[]).overall, Verdict::NotFound);
}

#[test]
fn a_valid_year_gives_the_permitted_fields_and_no_others() {
    let asked = question(by_code(CODE, NAME), "1.001088", &["2025-2026"]);
    let decision = judged(&asked, &[dossier(CODE, 2025, "8")]);
    let given = decision.years[0].transcript.as_ref().unwrap();
    assert_eq!(given.value(Field::StudyYear), Some("T"));
    assert_eq!(given.value(Field::MotherName), None);
    assert_eq!(given.value(Field::PersonalNumber), None);
    assert_eq!(given.subjects[0].value(Field::SubjectYear), Some("8.5"));
    assert_eq!(given.subjects[0].value(Field::TeacherName), None);
}

#[test]
fn whether_a_number_exists_is_not_told_to_who_does_not_know_the_date_of_birth() {
    let wrong = question(by_number("2013-05-10", NAME), "1.001088", &["2025-2026"]);
    let known = judged(&wrong, &[dossier(CODE, 2025, "8")]);
    assert_eq!(known, judged(&wrong, &[]));
    assert_eq!(known.overall, Verdict::NotFound);
    let mut recalled = dossier(CODE, 2025, "8");
    recalled.status = Status::Recalled;
    assert_eq!(known, judged(&wrong, &[recalled]));
    let mut forged = dossier(CODE, 2025, "8");
    forged.evidence = Evidence::Forged;
    assert_eq!(known, judged(&wrong, &[forged]));
    let other_name =
        question(by_number("2013-05-09", "Hoàng Thị Khác"), "1.001088", &["2025-2026"]);
    assert_eq!(judged(&other_name, &[dossier(CODE, 2025, "8")]).overall, Verdict::IdentityMismatch);
    let right = question(by_number("2013-05-09", NAME), "1.001088", &["2025-2026"]);
    assert_eq!(judged(&right, &[dossier(CODE, 2025, "8")]).overall, Verdict::Valid);
}

#[test]
fn enrolment_in_grade_10_is_valid_only_with_all_four_years() {
    let asked = question(by_code(CODE, NAME), "3.000181", &[]);
    let mut four: Vec<Dossier> = (0..4)
        .map(|back| dossier(if back == 0 { CODE } else { OTHER }, 2025 - back, "9"))
        .collect();
    let whole = judged(&asked, &four);
    assert_eq!(whole.overall, Verdict::Valid);
    assert_eq!(verdicts(&whole).len(), 4);
    four.remove(2);
    let lacking = judged(&asked, &four);
    assert_eq!(lacking.overall, Verdict::NotFound);
    assert_eq!(verdicts(&lacking)[1], (2023, Verdict::NotFound));
}

#[test]
fn a_transfer_needs_the_years_from_the_first_grade_of_the_level() {
    let asked = question(by_code(CODE, NAME), "2.002481", &[]);
    let newest = dossier(CODE, 2025, "8");
    let decision = judged(&asked, std::slice::from_ref(&newest));
    assert_eq!(
        verdicts(&decision),
        [(2023, Verdict::NotFound), (2024, Verdict::NotFound), (2025, Verdict::Valid)]
    );
    let first = judged(&asked, &[dossier(CODE, 2025, "6")]);
    assert_eq!(first.overall, Verdict::Valid);
}

#[test]
fn the_year_of_the_code_is_always_judged_but_shown_only_when_needed() {
    let asked = question(by_code(CODE, NAME), "1.001088", &["2024-2025"]);
    let decision = judged(&asked, &[dossier(CODE, 2025, "8"), dossier(OTHER, 2024, "7")]);
    assert_eq!(decision.overall, Verdict::Valid);
    assert!(decision.years[0].transcript.is_some());
    assert!(decision.years[1].transcript.is_none());
}

#[test]
fn a_recalled_code_stays_recalled_although_a_new_one_is_in_force() {
    let mut old = dossier(CODE, 2025, "8");
    old.status = Status::Recalled;
    let dossiers = [old, dossier(OTHER, 2025, "8")];
    let by_old = question(by_code(CODE, NAME), "1.001088", &["2025-2026"]);
    assert_eq!(judged(&by_old, &dossiers).overall, Verdict::Recalled);
    let by_number = question(by_number("2013-05-09", NAME), "1.001088", &["2025-2026"]);
    assert_eq!(judged(&by_number, &dossiers).overall, Verdict::Valid);
}

#[test]
fn taking_evidence_away_never_improves_the_verdict() {
    let sets: Vec<Vec<Dossier>> = (0..81)
        .map(|mask: u32| {
            (0..4)
                .map(|year| {
                    let mut found =
                        dossier(if year == 3 { CODE } else { OTHER }, 2022 + year as i16, "9");
                    match (mask / 3u32.pow(year)) % 3 {
                        1 => found.status = Status::Recalled,
                        2 => found.evidence = Evidence::Forged,
                        _ => {}
                    }
                    found
                })
                .collect()
        })
        .collect();
    let asked = question(by_code(CODE, NAME), "3.000181", &[]);
    for set in sets {
        let with = judged(&asked, &set).overall;
        for gone in 0..set.len() {
            let mut less = set.clone();
            less.remove(gone);
            let without = judged(&asked, &less).overall;
            assert!(without != Verdict::Valid, "{with:?} became valid");
            let mut dark = set.clone();
            dark[gone].evidence = Evidence::Unreadable;
            assert!(judged(&asked, &dark).overall != Verdict::Valid);
        }
    }
}

#[test]
fn a_level_the_procedure_may_not_see_is_not_found() {
    let asked = question(by_code(CODE, NAME), "3.000181", &["2025-2026"]);
    let mut upper = dossier(CODE, 2025, "10");
    upper.level = Level::UpperSecondary;
    assert_eq!(judged(&asked, &[upper]), judged(&asked, &[]));
}

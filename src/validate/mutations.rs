//! Breaks one rule at a time in transcripts that break none.

use super::sample::{lower_secondary, primary, set, subject, upper_secondary};
use super::tests::broken;
use crate::transcript::{Field, Transcript};

type Change = fn(&mut Transcript);

fn changed(mut transcript: Transcript, change: Change) -> Transcript {
    change(&mut transcript);
    transcript
}

fn breaks(base: fn() -> Transcript, cases: &[(&str, Change)]) {
    for (rule, change) in cases {
        let found = broken(changed(base(), *change));
        assert_eq!(found, rule.split_whitespace().map(str::to_owned).collect(), "{rule}");
    }
}

#[test]
fn each_change_of_what_every_record_has_breaks_exactly_its_rule() {
    breaks(
        primary,
        &[
            ("CV2088.required", |t| set(t, &[(Field::SchoolName, "")])),
            ("CV2088.code", |t| {
                set(t, &[(Field::Code, "123e4567-e89b-12d3-a456-556642440000")]);
            }),
            ("CV2088.school-year", |t| set(t, &[(Field::SchoolYear, "2025-2027")])),
            ("CV2088.level", |t| set(t, &[(Field::Level, "mam_non")])),
            ("CV2088.circular", |t| set(t, &[(Field::Circular, "99/1999")])),
            ("CV2088.grade", |t| set(t, &[(Field::Grade, "6")])),
            ("CV2088.class", |t| set(t, &[(Field::ClassName, "5A")])),
            ("CV2088.circular-in-force", |t| {
                set(t, &[(Field::Circular, "22/2021/TT-BGDĐT")]);
            }),
            ("CV2088.personal-number", |t| {
                set(t, &[(Field::PersonalNumber, "01316000001")]);
            }),
            ("CV2088.personal-number-missing", |t| {
                set(t, &[(Field::PersonalNumber, "")]);
            }),
            ("CV2088.mother", |t| set(t, &[(Field::MotherName, "")])),
            ("CV2088.district", |t| set(t, &[(Field::SchoolDistrict, "")])),
            ("CV2088.history", |t| t.history.clear()),
            ("CV2088.transfer-date", |t| t.history[0].set(Field::TransferredOn, "")),
            ("CV2088.date", |t| set(t, &[(Field::IssuedOn, "05/2026")])),
            ("CV2088.date", |t| set(t, &[(Field::BirthDate, "31/02/2016")])),
            ("CV2088.date", |t| t.history[0].set(Field::TransferredOn, "2025")),
            ("CV2088.date-order", |t| set(t, &[(Field::CreatedOn, "2026-05-31")])),
            ("CV2088.date-order", |t| {
                set(t, &[(Field::CreatedOn, "2025-05-30"), (Field::IssuedOn, "2025-06-01")]);
            }),
            ("CV2088.issue-future", |t| set(t, &[(Field::IssuedOn, "2026-06-16")])),
            ("CV2088.number", |t| set(t, &[(Field::AbsencesExcused, "1,5")])),
            ("CV2088.measure", |t| set(t, &[(Field::Weight, "nhẹ")])),
            ("CV2088.flag", |t| set(t, &[(Field::FromPaper, "maybe")])),
            ("CV2088.signer-number", |t| set(t, &[(Field::PrincipalNumber, "123456789")])),
            ("CV2088.history-duplicate", |t| t.history.push(t.history[0].clone())),
            ("CV2088.history-year", |t| {
                t.history[0].set(Field::HistoryYear, "2026-2027");
            }),
            ("TTDLQG.homeroom", |t| set(t, &[(Field::HomeroomNumber, "")])),
        ],
    );
}

#[test]
fn each_change_of_a_listed_value_breaks_exactly_its_rule() {
    breaks(
        primary,
        &[
            ("CV2088.department-code", |t| set(t, &[(Field::DepartmentCode, "99")])),
            ("CV2088.department-province", |t| set(t, &[(Field::DepartmentCode, "79")])),
            ("QD19.province", |t| set(t, &[(Field::SchoolProvince, "Bắc Giang")])),
            ("QD19.commune", |t| set(t, &[(Field::SchoolCommune, "Phường Không Có")])),
            ("QCVN109.gender", |t| set(t, &[(Field::Gender, "Gái")])),
            ("QD121.ethnic-group", |t| set(t, &[(Field::Ethnicity, "Klingon")])),
            ("TCVN7217.nationality", |t| set(t, &[(Field::Nationality, "Atlantis")])),
            ("ND70.number-prefix", |t| set(t, &[(Field::PersonalNumber, "101316000001")])),
            ("ND70.number-sex", |t| set(t, &[(Field::PersonalNumber, "001216000001")])),
            ("ND70.number-year", |t| set(t, &[(Field::PersonalNumber, "001315000001")])),
            ("CV2088.subject-conflict TT27.subject-missing", |t| {
                subject(t, "toan").set(Field::SubjectName, "Tiếng Việt");
            }),
            ("CV2088.subject-duplicate", |t| t.subjects.push(t.subjects[0].clone())),
            ("CV2088.subject TT27.subject-missing", |t| {
                let row = subject(t, "toan");
                row.set(Field::SubjectCode, "xyz");
                row.set(Field::SubjectName, "Tiếng sao Hỏa");
            }),
            ("CV2088.subjects", |t| t.subjects.clear()),
        ],
    );
}

#[test]
fn each_change_of_a_primary_result_breaks_exactly_its_rule() {
    breaks(
        primary,
        &[
            ("TT27.subject-grade", |t| {
                let mut row = t.subjects[7].clone();
                row.set(Field::SubjectCode, "tu_nhien_xa_hoi");
                row.set(Field::SubjectName, "Tự nhiên và Xã hội");
                t.subjects.push(row);
            }),
            ("TT27.subject-level", |t| subject(t, "dao_duc").set(Field::SubjectLevel, "A")),
            ("TT27.subject-missing", |t| drop(t.subjects.pop())),
            ("TT27.test-mark", |t| subject(t, "toan").set(Field::SubjectTest, "8.5")),
            ("TT27.test-mark", |t| subject(t, "toan").set(Field::SubjectTest, "11")),
            ("TT27.test-subject", |t| subject(t, "dao_duc").set(Field::SubjectTest, "9")),
            ("TT27.test-missing", |t| subject(t, "toan").set(Field::SubjectTest, "")),
            ("TT27.competency", |t| set(t, &[(Field::QualityHonesty, "H")])),
            ("TT27.competency-missing", |t| {
                set(t, &[(Field::CompetencyInformatics, "")]);
            }),
            ("TT27.year-result-value", |t| set(t, &[(Field::YearResult, "Giỏi")])),
            ("TT27.year-result", |t| set(t, &[(Field::YearResult, "Hoàn thành")])),
            ("TT27.year-result", |t| subject(t, "toan").set(Field::SubjectTest, "6")),
            ("TT27.year-result", |t| subject(t, "dao_duc").set(Field::SubjectLevel, "H")),
            ("TT27.year-result", |t| set(t, &[(Field::QualityHonesty, "Đ")])),
            ("TT27.test-missing TT27.year-result", |t| {
                subject(t, "tieng_viet").set(Field::SubjectTest, "");
                set(t, &[(Field::QualityHonesty, "Đ")]);
            }),
            ("TT27.promotion", |t| set(t, &[(Field::Promoted, "0")])),
            ("TT27.completion", |t| set(t, &[(Field::GradeCompleted, "0")])),
            ("TT27.completion", |t| set(t, &[(Field::PrimaryCompleted, "1")])),
            ("TT27.award", |t| set(t, &[(Field::Award, "Học sinh Xuất sắc")])),
            ("TT27.award-absent", |t| {
                subject(t, "tieng_viet").set(Field::SubjectTest, "9");
                set(t, &[(Field::YearResult, "Hoàn thành xuất sắc")]);
            }),
        ],
    );
}

#[test]
fn each_change_of_a_secondary_result_breaks_exactly_its_rule() {
    breaks(
        lower_secondary,
        &[
            ("TTDLQG.required", |t| set(t, &[(Field::StudyYear, "")])),
            ("TT22.mark", |t| subject(t, "toan").set(Field::SubjectTerm1, "6.45")),
            ("TT22.mark", |t| subject(t, "toan").set(Field::SubjectYear, "Đ")),
            ("TT22.comment-mark", |t| {
                subject(t, "nghe_thuat").set(Field::SubjectYear, "8");
            }),
            ("TT22.mark-missing", |t| subject(t, "toan").set(Field::SubjectTerm1, "")),
            ("TT22.subject-missing", |t| drop(t.subjects.pop())),
            ("TT22.year-average", |t| subject(t, "toan").set(Field::SubjectYear, "6.4")),
            ("TT22.comment-year", |t| {
                subject(t, "nghe_thuat").set(Field::SubjectTerm1, "CĐ");
                set(t, &[(Field::StudyTerm1, "Đ")]);
                subject(t, "nghe_thuat").set(Field::SubjectYear, "CĐ");
                set(t, &[(Field::StudyYear, "Đ")]);
            }),
            ("TT22.retest", |t| subject(t, "toan").set(Field::SubjectRetest, "7")),
            ("TT22.result-value", |t| set(t, &[(Field::StudyTerm1, "G")])),
            ("TT22.study-result", |t| set(t, &[(Field::StudyTerm1, "T")])),
            ("TT22.study-result", |t| set(t, &[(Field::StudyYear, "Đ")])),
            ("TT22.conduct-year", |t| set(t, &[(Field::ConductTerm2, "K")])),
            ("TT22.retraining", |t| set(t, &[(Field::ConductRetrained, "Đ")])),
            ("TT22.promotion", |t| {
                let low = "CĐ";
                set(t, &[(Field::ConductTerm2, low), (Field::ConductYear, low)]);
            }),
            ("TT22.promotion-denied", |t| set(t, &[(Field::Promoted, "0")])),
            ("TT22.absences", |t| set(t, &[(Field::AbsencesTotal, "46")])),
            ("TT22.award", |t| set(t, &[(Field::Award, "Danh hiệu Học sinh Giỏi")])),
            ("TT22.award", |t| set(t, &[(Field::Award, "Học sinh Xuất sắc; Khen đột xuất")])),
        ],
    );
    breaks(
        upper_secondary,
        &[
            ("TT22.elective-count", |t| {
                t.subjects.retain(|row| row.value(Field::SubjectCode) != Some("am_nhac"));
            }),
            ("CV2088.subject", |t| {
                let mut row = t.subjects[0].clone();
                row.set(Field::SubjectCode, "khoa_hoc_tu_nhien");
                row.set(Field::SubjectName, "Khoa học tự nhiên");
                t.subjects.push(row);
            }),
        ],
    );
}

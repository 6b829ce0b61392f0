//! Tests the values of columns: codes, short forms, and every trap found in the dictionary.

use super::*;
use crate::transcript::{Field, Level};

#[test]
fn codes_come_from_the_lists_by_the_day_of_issue() {
    let record = mapped(primary());
    for (column, value) in [
        ("gioitinh", Some("2")),
        ("dantoc", Some("08")),
        ("quoctich", Some("VN")),
        ("macaphoc", Some("02")),
        ("makhoi", Some("4")),
        ("thongtintruong_diachi_matinh", Some("01")),
        ("thongtintruong_diachi_maxa", Some("00004")),
        // Yên Bái became part of Lào Cai, whose code Yên Bái had before: 15 by both ways.
        ("noisinh_matinh", Some("15")),
        ("noisinh_maxa", None),
        // Bắc Giang had 24 before Bắc Ninh took it.
        ("quequan_matinh", Some("24")),
        ("noiohiennay_matinh", Some("01")),
        ("noiohiennay_maxa", Some("00008")),
        ("ngaykyphathanh", Some("2026-05-28")),
    ] {
        assert_eq!(record.value(column), value, "{column}");
    }
    let mut old = primary();
    let general = &mut old.transcript.general;
    general.set(Field::IssuedOn, "2025-05-28");
    general.set(Field::SchoolCommune, "Phường Trúc Bạch");
    general.set(Field::Residence, "Phường Phúc Xá, Quận Ba Đình, TP. Hà Nội");
    general.set(Field::Origin, "Huyện Sóc Sơn, Hà Nội");
    let record = mapped(old);
    assert_eq!(record.value("thongtintruong_diachi_maxa"), Some("00004"));
    assert_eq!(record.value("noiohiennay_maxa"), Some("00097"));
    assert_eq!(record.value("quequan_matinh"), Some("01"));
}

#[test]
fn a_name_that_is_no_province_is_a_violation_for_the_school_only() {
    let mut transcript = primary();
    transcript.transcript.general.set(Field::SchoolProvince, "Tỉnh Mây");
    transcript.transcript.general.set(Field::BirthPlace, "Liên bang Nga");
    assert_eq!(
        refused(transcript),
        one("map.no-code", "/general/school_province", "thongtintruong_diachi_matinh")
    );
}

#[test]
fn the_circular_is_shortened_for_primary_only() {
    assert_eq!(mapped(primary()).value("thongtu"), Some("27/2020"));
    assert_eq!(mapped(secondary()).value("thongtu"), Some("Thông tư số 22/2021/TT-BGDĐT"));
    let mut transcript = primary();
    transcript.transcript.general.set(Field::Circular, "Thông tư 99/2099/TT-BGDĐT");
    assert_eq!(refused(transcript), one("map.too-long", "/general/circular", "thongtu"));
}

#[test]
fn a_long_subject_name_needs_a_short_form_for_secondary() {
    let text = xml(&mapped(secondary()));
    assert!(text.contains("<tenmonhoc>HĐTN, hướng nghiệp</tenmonhoc>"));
    assert!(text.contains("<tenmonhoc>NN1 (Tiếng Anh)</tenmonhoc>"));
    let mut transcript = secondary();
    let name = "Ngoại ngữ 1 (Tiếng Ba Lan)";
    transcript.transcript.subjects[2].set(Field::SubjectName, name);
    assert_eq!(refused(transcript), one("map.too-long", "/subjects/2/subject_name", "tenmonhoc"));
}

#[test]
fn every_subject_of_the_code_list_has_a_code_and_a_name_that_fits() {
    for (level, limit) in
        [(Level::Primary, 50), (Level::LowerSecondary, 20), (Level::UpperSecondary, 20)]
    {
        for subject in CODES.subjects_of(level) {
            let mut transcript = match level {
                Level::Primary => primary(),
                _ => secondary(),
            };
            transcript.identity.level = level;
            transcript.transcript.subjects.truncate(1);
            transcript.transcript.subjects[0].set(Field::SubjectCode, &*subject.slug);
            transcript.transcript.subjects[0].set(Field::SubjectName, &*subject.name);
            let record = mapped(transcript);
            let text = xml(&record);
            let row = text.split("<mamonhoc>").nth(1).unwrap();
            let (code, rest) = row.split_once("</mamonhoc><tenmonhoc>").unwrap();
            let (name, _) = rest.split_once("</tenmonhoc>").unwrap();
            assert_eq!(code.len(), 3, "{name}");
            assert!(name.chars().count() <= limit, "{name}");
        }
    }
}

#[test]
fn a_class_name_is_ten_characters_on_the_transcript_and_hundred_in_the_history() {
    let mut transcript = primary();
    let long = "4A chất lượng cao";
    transcript.transcript.history[0].set(Field::HistoryClass, long);
    assert!(xml(&mapped(transcript.clone())).contains(long));
    transcript.transcript.general.set(Field::ClassName, long);
    assert_eq!(refused(transcript), one("map.too-long", "/general/class_name", "tenlop"));
}

#[test]
fn a_subject_without_a_code_is_found_by_its_name_or_refused() {
    let mut transcript = primary();
    transcript.transcript.subjects[1].set(Field::SubjectCode, "M0042");
    assert!(xml(&mapped(transcript.clone())).contains("<mamonhoc>TOA</mamonhoc>"));
    transcript.transcript.subjects[1].set(Field::SubjectName, "Cưỡi ngựa");
    assert_eq!(refused(transcript), one("map.no-code", "/subjects/1/subject_code", "mamonhoc"));
}

#[test]
fn absences_are_summed_and_zero_is_not_sent() {
    assert_eq!(mapped(secondary()).value("sobuoinghi"), Some("2"));
    let mut transcript = secondary();
    transcript.transcript.general.set(Field::AbsencesTotal, "0");
    assert_eq!(mapped(transcript.clone()).value("sobuoinghi"), None);
    transcript.transcript.general.set(Field::AbsencesTotal, "2,5");
    assert_eq!(mapped(transcript.clone()).value("sobuoinghi"), Some("2.5"));
    transcript.transcript.general.set(Field::AbsencesTotal, "301");
    assert_eq!(
        refused(transcript),
        one("map.out-of-range", "/general/absences_total", "sobuoinghi")
    );
}

#[test]
fn term_results_may_be_absent_only_for_a_pupil_who_is_not_assessed() {
    let mut transcript = secondary();
    transcript.transcript.general.set(Field::StudyTerm1, "");
    assert_eq!(refused(transcript.clone()), one("map.required", "/general/study_term1", "hocky1"));
    transcript.transcript.general.set(Field::NotAssessed, "1");
    let record = mapped(transcript.clone());
    assert_eq!(record.value("hocky1"), None);
    validate(&batch(&[xml(&record)])).unwrap();
    // Conduct is required even then.
    transcript.transcript.general.set(Field::ConductTerm1, "");
    assert_eq!(
        refused(transcript),
        one("map.required", "/general/conduct_term1", "renluyenhocky1")
    );
}

#[test]
fn the_homeroom_number_is_required_for_primary_and_the_teachers_for_secondary() {
    let mut transcript = primary();
    transcript.transcript.general.set(Field::HomeroomNumber, "");
    assert_eq!(refused(transcript), one("map.required", "/general/homeroom_number", "soddcngvcn"));
    let mut transcript = secondary();
    transcript.transcript.general.set(Field::HomeroomNumber, "");
    mapped(transcript.clone());
    transcript.transcript.subjects[0].set(Field::TeacherNumber, "");
    assert_eq!(
        refused(transcript),
        one("map.required", "/subjects/0/teacher_number", "soddcngvbm")
    );
}

#[test]
fn exactly_one_column_holds_the_date_of_birth() {
    for (text, date, month, year) in [
        ("17/05/2016", Some("2016-05-17"), None, None),
        ("2016-05-17", Some("2016-05-17"), None, None),
        ("05/2016", None, Some("2016-05"), None),
        ("2016", None, None, Some("2016")),
    ] {
        let mut transcript = primary();
        transcript.transcript.general.set(Field::BirthDate, text);
        let record = mapped(transcript);
        assert_eq!(record.value("ngaythangnamsinh"), date, "{text}");
        assert_eq!(record.value("thangnamsinh"), month, "{text}");
        assert_eq!(record.value("namsinh"), year, "{text}");
        validate(&batch(&[xml(&record)])).unwrap();
    }
    let mut transcript = primary();
    transcript.transcript.general.set(Field::BirthDate, "");
    assert_eq!(refused(transcript), one("map.required", "/general/birth_date", "ngaythangnamsinh"));
}

#[test]
fn results_of_another_scale_are_not_translated() {
    let mut transcript = secondary();
    transcript.transcript.general.set(Field::StudyYear, "Giỏi");
    assert_eq!(refused(transcript), one("map.no-code", "/general/study_year", "canam"));
}

#[test]
fn the_history_takes_province_and_year_from_the_transcript_only_where_they_are_the_same() {
    let mut transcript = primary();
    transcript.transcript.history[0].set(Field::HistoryYear, "");
    let text = xml(&mapped(transcript.clone()));
    assert!(text.contains(
        "<dong><namhoc>2025-2026</namhoc><tenlop>4A</tenlop>\
         <tentruong>Trường Ánh Dương &amp; Bình Minh</tentruong><tentinh>Thành phố Hà Nội</tentinh>\
         <ngaytrangthaichuyenden>2021-09-01</ngaytrangthaichuyenden></dong>"
    ));
    let mut other = transcript.transcript.history[0].clone();
    other.set(Field::HistorySchool, "Trường Khác");
    transcript.transcript.history.push(other);
    let found = refused(transcript);
    assert_eq!(
        found
            .iter()
            .map(|(_, pointer, column)| (pointer.as_str(), column.as_str()))
            .collect::<Vec<_>>(),
        [
            ("/history/0/history_year", "namhoc"),
            ("/history/1/history_year", "namhoc"),
            ("/history/1/history_province", "tentinh"),
        ]
    );
}

#[test]
fn marks_are_written_with_a_point_or_as_a_word_code() {
    let text = xml(&mapped(secondary()));
    assert!(text.contains("<diemhocky1>8.5</diemhocky1><diemhocky2>9.0</diemhocky2>"));
    assert!(text.contains("<diemhocky1>Đ</diemhocky1>"));
    assert!(text.contains("<diemhocky1>M</diemhocky1><diemhocky2>M</diemhocky2>"));
    assert!(xml(&mapped(primary())).contains("<diemkiemtradinhky>8</diemkiemtradinhky>"));
    let mut transcript = primary();
    transcript.transcript.subjects[0].set(Field::SubjectTest, "9.5");
    assert_eq!(
        refused(transcript),
        one("map.wrong-form", "/subjects/0/subject_test", "diemkiemtradinhky")
    );
}

#[test]
fn a_recalled_record_says_so() {
    let record = map(&MAPPING, &CODES, primary(), &stamp(Event::Cancel, 2)).unwrap();
    assert_eq!(record.value("trangthaithongtinhocba"), Some("2"));
    assert!(xml(&record).contains("<sukien>CANCEL</sukien><phienban>2</phienban>"));
}

#[test]
fn both_awards_reach_the_one_column_of_secondary() {
    assert_eq!(
        mapped(secondary()).value("ndungkhenthuong"),
        Some("Học sinh Xuất sắc; Giải ba cờ vua cấp tỉnh")
    );
}

#[test]
fn a_character_that_xml_cannot_carry_is_refused() {
    let mut transcript = primary();
    transcript.transcript.general.set(Field::StudentName, "An\u{1}");
    assert_eq!(refused(transcript), one("map.wrong-form", "/general/student_name", "hovaten"));
}

#[test]
fn every_violation_of_a_record_is_found_at_once() {
    let mut transcript = secondary();
    transcript.transcript.general.set(Field::Ethnicity, "Người sao Hoả");
    transcript.transcript.general.set(Field::ClassName, "Lớp 9 chuyên Toán");
    transcript.transcript.subjects[0].set(Field::SubjectYear, "11");
    assert_eq!(refused(transcript).len(), 3);
}

#[test]
fn transcripts_that_break_no_rule_are_mapped() {
    use crate::validate::{Checked, sample};
    for transcript in [sample::primary(), sample::lower_secondary(), sample::upper_secondary()] {
        let checked =
            crate::validate::check(&sample::RULES, &CODES, transcript, &sample::context());
        let Checked::Valid(valid) = checked else {
            panic!("{:?}", checked.violations());
        };
        let record = mapped(valid);
        validate(&batch(&[xml(&record)])).unwrap();
    }
}

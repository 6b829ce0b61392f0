//! Builds transcripts that break no rule, for tests of this and later modules.

use std::sync::LazyLock;

use jiff::civil::date;

use super::{Context, Rules, Settings};
use crate::codes::Codes;
use crate::platform::config::Tables;
use crate::transcript::{Field, Fields, Transcript};

/// The built-in code lists.
pub(crate) static CODES: LazyLock<Codes> = LazyLock::new(|| {
    Codes::load(&Tables::default()).expect("the built-in lists are read by a test")
});

/// The built-in rules.
pub(crate) static RULES: LazyLock<Rules> = LazyLock::new(|| {
    Rules::load(&Tables::default(), &Settings::default())
        .expect("the built-in rules are read by a test")
});

/// A sender of Hà Nội, on a day after every sample was issued.
pub(crate) fn context() -> Context {
    Context { participant_province: "01".to_owned(), received_on: date(2026, 6, 15) }
}

/// Set fields of the general group.
pub(crate) fn set(transcript: &mut Transcript, values: &[(Field, &str)]) {
    for (field, value) in values {
        transcript.general.set(*field, *value);
    }
}

/// Return the row of the subject with `code`.
pub(crate) fn subject<'a>(transcript: &'a mut Transcript, code: &str) -> &'a mut Fields {
    transcript
        .subjects
        .iter_mut()
        .find(|entry| entry.value(Field::SubjectCode) == Some(code))
        .expect("the sample has the subject")
}

fn common(level: &str, circular: &str, grade: &str, class: &str) -> Transcript {
    let mut transcript = Transcript::default();
    set(
        &mut transcript,
        &[
            (Field::FormatVersion, "1.0"),
            (Field::Circular, circular),
            (Field::Code, "123e4567-e89b-42d3-a456-556642440000"),
            (Field::SchoolYear, "2025-2026"),
            (Field::DepartmentCode, "01"),
            (Field::DepartmentName, "Sở Giáo dục và Đào tạo Hà Nội"),
            (Field::SchoolCode, "01001401"),
            (Field::SchoolName, "Trường Mẫu Số Một"),
            (Field::SchoolDistrict, "Quận Ba Đình"),
            (Field::SchoolCommune, "Phường Ba Đình"),
            (Field::SchoolProvince, "Thành phố Hà Nội"),
            (Field::Level, level),
            (Field::RegisterNumber, "SDB-0001"),
            (Field::StudentName, "Nguyễn Thị Mẫu"),
            (Field::StudentCode, "0123456789"),
            (Field::Gender, "Nữ"),
            (Field::Weight, "30.5"),
            (Field::Height, "135"),
            (Field::AbsencesExcused, "2"),
            (Field::AbsencesUnexcused, "0"),
            (Field::BirthPlace, "Hà Nội"),
            (Field::Origin, "Xã Ba Vì, Hà Nội"),
            (Field::Residence, "Phường Ba Đình, Hà Nội"),
            (Field::Ethnicity, "Kinh"),
            (Field::Nationality, "Việt Nam"),
            (Field::MotherName, "Trần Thị Mẹ"),
            (Field::PrincipalName, "Lê Văn Trưởng"),
            (Field::PrincipalNumber, "001070000001"),
            (Field::PrincipalTitle, "Hiệu trưởng"),
            (Field::IssuePlace, "Hà Nội"),
            (Field::CreatedOn, "2026-05-28"),
            (Field::IssuedOn, "2026-05-30"),
            (Field::HomeroomName, "Phạm Thị Chủ"),
            (Field::HomeroomNumber, "001180000002"),
            (Field::Grade, grade),
            (Field::ClassName, class),
            (Field::Promoted, "1"),
            (Field::HomeroomComment, "Em chăm ngoan, học đều các môn."),
        ],
    );
    let mut year = Fields::default();
    year.set(Field::HistoryYear, "2025-2026");
    year.set(Field::HistoryClass, class);
    year.set(Field::HistorySchool, "Trường Mẫu Số Một");
    year.set(Field::HistoryProvince, "Hà Nội");
    year.set(Field::TransferredOn, "2025-09-05");
    transcript.history.push(year);
    transcript
}

/// A valid primary transcript of grade 4 with the result Hoàn thành tốt.
pub(crate) fn primary() -> Transcript {
    let mut transcript = common("02", "27/2020/TT-BGDĐT", "4", "4A");
    set(
        &mut transcript,
        &[
            (Field::BirthDate, "17/05/2016"),
            (Field::PersonalNumber, "001316000001"),
            (Field::YearResult, "Hoàn thành tốt"),
            (Field::GradeCompleted, "1"),
            (Field::CompletionNote, "Hoàn thành chương trình lớp 4; Được lên lớp 5."),
            (Field::QualityComment, "Biết giúp đỡ bạn bè."),
            (Field::CompetencyComment, "Tự giác học tập."),
            (Field::SpecificCompetencyComment, "Diễn đạt rõ ràng."),
        ],
    );
    for field in super::primary::COMPETENCIES {
        transcript.general.set(field, "T");
    }
    for (code, name, test) in [
        ("tieng_viet", "Tiếng Việt", "8"),
        ("toan", "Toán", "9"),
        ("ngoai_ngu_1", "Tiếng Anh", "9"),
        ("lich_su_dia_li", "Lịch sử và Địa lí", "9"),
        ("khoa_hoc", "Khoa học", "10"),
        ("tin_hoc", "Tin học và Công nghệ (Tin học)", "9"),
        ("cong_nghe", "Tin học và Công nghệ (Công nghệ)", "9"),
        ("dao_duc", "Đạo đức", ""),
        ("giao_duc_the_chat", "Giáo dục thể chất", ""),
        ("am_nhac", "Nghệ thuật (Âm nhạc)", ""),
        ("mi_thuat", "Nghệ thuật (Mĩ thuật)", ""),
        ("hoat_dong_trai_nghiem", "Hoạt động trải nghiệm", ""),
    ] {
        let mut entry = Fields::default();
        entry.set(Field::SubjectCode, code);
        entry.set(Field::SubjectName, name);
        entry.set(Field::SubjectLevel, "T");
        entry.set(Field::SubjectTest, test);
        transcript.subjects.push(entry);
    }
    transcript
}

fn secondary(mut transcript: Transcript, subjects: &[(&str, &str, [&str; 3])]) -> Transcript {
    set(
        &mut transcript,
        &[
            (Field::AbsencesTotal, "2"),
            (Field::PromotionNote, "Được lên lớp"),
            (Field::StudyTerm1, "K"),
            (Field::StudyTerm2, "K"),
            (Field::StudyYear, "K"),
            (Field::ConductTerm1, "T"),
            (Field::ConductTerm2, "T"),
            (Field::ConductYear, "T"),
        ],
    );
    for (code, name, [term1, term2, year]) in subjects {
        let mut entry = Fields::default();
        entry.set(Field::SubjectCode, *code);
        entry.set(Field::SubjectName, *name);
        entry.set(Field::SubjectTerm1, *term1);
        entry.set(Field::SubjectTerm2, *term2);
        entry.set(Field::SubjectYear, *year);
        entry.set(Field::SubjectComment, "Tiếp thu tốt.");
        entry.set(Field::TeacherName, "Vũ Văn Bộ");
        entry.set(Field::TeacherNumber, "001085000003");
        transcript.subjects.push(entry);
    }
    transcript
}

/// A valid lower secondary transcript of grade 8 with the results Khá and Tốt.
pub(crate) fn lower_secondary() -> Transcript {
    let mut transcript = common("03", "22/2021/TT-BGDĐT", "8", "8A1");
    set(
        &mut transcript,
        &[(Field::BirthDate, "2012-03-08"), (Field::PersonalNumber, "001312000004")],
    );
    secondary(
        transcript,
        &[
            ("ngu_van", "Ngữ văn", ["7.0", "7.1", "7.1"]),
            ("toan", "Toán", ["6.4", "6.5", "6.5"]),
            ("ngoai_ngu_1", "Tiếng Anh", ["7.5", "8.0", "7.8"]),
            ("giao_duc_cong_dan", "Giáo dục công dân", ["8.0", "8.5", "8.3"]),
            ("lich_su_dia_li", "Lịch sử và Địa lí", ["7.2", "7.0", "7.1"]),
            ("khoa_hoc_tu_nhien", "Khoa học tự nhiên", ["6.8", "7.4", "7.2"]),
            ("cong_nghe", "Công nghệ", ["8", "8", "8"]),
            ("tin_hoc", "Tin học", ["6.0", "6.0", "6.0"]),
            ("giao_duc_the_chat", "Giáo dục thể chất", ["Đ", "Đ", "Đ"]),
            ("nghe_thuat", "Nghệ thuật", ["Đ", "Đ", "Đ"]),
            (
                "hoat_dong_trai_nghiem_huong_nghiep",
                "Hoạt động trải nghiệm, hướng nghiệp",
                ["Đ", "Đ", "Đ"],
            ),
            ("noi_dung_giao_duc_dia_phuong", "Nội dung giáo dục của địa phương", ["Đ", "Đ", "Đ"]),
        ],
    )
}

/// A valid upper secondary transcript of grade 11 with the results Khá and Tốt.
pub(crate) fn upper_secondary() -> Transcript {
    let mut transcript = common("04", "22/2021/TT-BGDĐT", "11", "11A5");
    set(
        &mut transcript,
        &[(Field::BirthDate, "2009-11-20"), (Field::PersonalNumber, "001309000005")],
    );
    secondary(
        transcript,
        &[
            ("ngu_van", "Ngữ văn", ["7.0", "7.1", "7.1"]),
            ("toan", "Toán", ["6.4", "6.5", "6.5"]),
            ("ngoai_ngu_1", "Ngoại ngữ 1", ["7.5", "8.0", "7.8"]),
            ("lich_su", "Lịch sử", ["7.2", "7.0", "7.1"]),
            ("giao_duc_quoc_phong_an_ninh", "GDQP-AN", ["8.0", "8.0", "8.0"]),
            ("vat_li", "Vật lí", ["6.8", "7.4", "7.2"]),
            ("hoa_hoc", "Hóa học", ["6.5", "6.5", "6.5"]),
            ("dia_li", "Địa lí", ["7.0", "7.0", "7.0"]),
            ("am_nhac", "Âm nhạc", ["Đ", "Đ", "Đ"]),
            ("giao_duc_the_chat", "Giáo dục thể chất", ["Đ", "Đ", "Đ"]),
            (
                "hoat_dong_trai_nghiem_huong_nghiep",
                "Hoạt động trải nghiệm, hướng nghiệp",
                ["Đ", "Đ", "Đ"],
            ),
            ("noi_dung_giao_duc_dia_phuong", "Nội dung giáo dục của địa phương", ["Đ", "Đ", "Đ"]),
        ],
    )
}

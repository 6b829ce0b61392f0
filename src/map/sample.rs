//! Builds valid transcripts of made-up pupils for the tests of this module.

use std::num::NonZeroU32;
use std::sync::LazyLock;

use uuid::Uuid;

use super::{Event, Mapping, Stamp};
use crate::codes::Codes;
use crate::platform::config::Tables;
use crate::transcript::{
    Circular, Field, Fields, Identity, Level, RecordId, Transcript, ValidTranscript,
};

pub(crate) static CODES: LazyLock<Codes> =
    LazyLock::new(|| Codes::load(&Tables::default()).expect("the built-in lists are tested"));

pub(crate) static MAPPING: LazyLock<Mapping> =
    LazyLock::new(|| Mapping::load(&Tables::default(), &CODES).expect("the tables are tested"));

pub(super) fn stamp(event: Event, version: u32) -> Stamp {
    Stamp {
        record_id: RecordId(Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001)),
        event,
        version: NonZeroU32::new(version).unwrap(),
        updated_at: "2026-05-28T02:12:31Z".parse().unwrap(),
    }
}

fn fields(pairs: &[(Field, &str)]) -> Fields {
    let mut fields = Fields::default();
    for (field, value) in pairs {
        fields.set(*field, *value);
    }
    fields
}

fn general(level: &str, circular: &str, grade: &str, class: &str) -> Fields {
    fields(&[
        (Field::FormatVersion, "1.0"),
        (Field::Circular, circular),
        (Field::Code, "123e4567-e89b-42d3-a456-556642440000"),
        (Field::SchoolYear, "2025-2026"),
        (Field::DepartmentCode, "01"),
        (Field::DepartmentName, "Sở Giáo dục và Đào tạo Hà Nội"),
        (Field::SchoolCode, "0100004001"),
        (Field::SchoolName, "Trường Ánh Dương & Bình Minh"),
        (Field::SchoolCommune, "Phường Ba Đình"),
        (Field::SchoolProvince, "Thành phố Hà Nội"),
        (Field::Level, level),
        (Field::RegisterNumber, "12/2021"),
        (Field::StudentName, "Nguyễn Thị Mẫu"),
        (Field::PersonalNumber, "001316000001"),
        (Field::StudentCode, "0123456789"),
        (Field::Gender, "Nữ"),
        (Field::BirthDate, "17/05/2016"),
        (Field::BirthPlace, "Xã Mẫu, Huyện Mẫu, Tỉnh Yên Bái"),
        (Field::Origin, "Tỉnh Bắc Giang"),
        (Field::Residence, "Số 5 phố Mẫu, Phường Ngọc Hà, Hà Nội"),
        (Field::Ethnicity, "H'Mông"),
        (Field::Nationality, "Việt Nam"),
        (Field::MotherName, "Trần Thị Giả"),
        (Field::PrincipalName, "Lê Văn Hiệu"),
        (Field::PrincipalNumber, "001070000002"),
        (Field::PrincipalTitle, "Hiệu trưởng"),
        (Field::IssuePlace, "Hà Nội"),
        (Field::CreatedOn, "2026-05-25"),
        (Field::IssuedOn, "28/05/2026"),
        (Field::HomeroomName, "Phạm Thị Chủ"),
        (Field::HomeroomNumber, "001185000003"),
        (Field::Grade, grade),
        (Field::ClassName, class),
        (Field::Promoted, "1"),
        (Field::GradeCompleted, "1"),
        (Field::HomeroomComment, "Chăm ngoan <rất> tốt\r\nCần phát huy."),
        (Field::AbsencesExcused, "2"),
        (Field::AbsencesUnexcused, "0"),
        (Field::Award, "Học sinh Xuất sắc"),
    ])
}

fn valid(level: Level, circular: Circular, grade: u8, transcript: Transcript) -> ValidTranscript {
    let value = |field| transcript.value(field).unwrap();
    ValidTranscript {
        identity: Identity {
            code: value(Field::Code).parse().unwrap(),
            school_year: value(Field::SchoolYear).parse().unwrap(),
            level,
            circular,
            grade,
            personal_number: value(Field::PersonalNumber).parse().unwrap(),
        },
        transcript,
        warnings: Vec::new(),
    }
}

fn history(class: &str) -> Vec<Fields> {
    vec![fields(&[
        (Field::HistoryYear, "2025-2026"),
        (Field::HistoryClass, class),
        (Field::HistorySchool, "Trường Ánh Dương & Bình Minh"),
        (Field::TransferredOn, "01/09/2021"),
    ])]
}

/// A pupil of grade 4 under TT 27.
pub(crate) fn primary() -> ValidTranscript {
    let mut general = general("02", "27/2020/TT-BGDĐT", "4", "4A");
    general.set(Field::YearResult, "Hoàn thành xuất sắc");
    for field in Field::ALL {
        let name = field.name();
        if name.ends_with("_comment") && name.contains("compet") || name == "quality_comment" {
            general.set(*field, "Em tự giác học tập.");
        } else if name.starts_with("competency_") || name.starts_with("quality_") {
            general.set(*field, "Đ");
        }
    }
    let subjects = [
        ("tieng_viet", "Tiếng Việt", "T", Some("9")),
        ("toan", "Toán", "Hoàn thành", Some("8.0")),
        ("am_nhac", "Nghệ thuật (Âm nhạc)", "M", None),
    ];
    let subjects = subjects.map(|(code, name, level, test)| {
        let mut row = fields(&[
            (Field::SubjectCode, code),
            (Field::SubjectName, name),
            (Field::SubjectLevel, level),
        ]);
        row.set(Field::SubjectTest, test.unwrap_or_default());
        row
    });
    let transcript = Transcript {
        general,
        subjects: subjects.to_vec(),
        history: history("4A"),
        certificates: Vec::new(),
    };
    valid(Level::Primary, Circular::Tt27, 4, transcript)
}

/// A pupil of grade 9 under TT 22.
pub(super) fn secondary() -> ValidTranscript {
    let mut general = general("03", "Thông tư số 22/2021/TT-BGDĐT", "9", "9A1");
    for (field, value) in [
        (Field::PromotionNote, "Được lên lớp 10"),
        (Field::StudyTerm1, "Khá"),
        (Field::StudyTerm2, "T"),
        (Field::StudyYear, "T"),
        (Field::ConductTerm1, "T"),
        (Field::ConductTerm2, "T"),
        (Field::ConductYear, "Tốt"),
        (Field::FatherOccupation, "Nông dân"),
        (Field::OccasionalAward, "Giải ba cờ vua cấp tỉnh"),
    ] {
        general.set(field, value);
    }
    let subjects = [
        ("ngu_van", "Ngữ văn", "8,5", "9.0", "8.8"),
        (
            "hoat_dong_trai_nghiem_huong_nghiep",
            "Hoạt động trải nghiệm, hướng nghiệp",
            "Đạt",
            "Đ",
            "Đ",
        ),
        ("ngoai_ngu_1", "Ngoại ngữ 1 (Tiếng Anh)", "10", "9.5", "9.7"),
        ("giao_duc_the_chat", "Giáo dục thể chất", "M", "Miễn", "M"),
    ];
    let subjects = subjects.map(|(code, name, term1, term2, year)| {
        fields(&[
            (Field::SubjectCode, code),
            (Field::SubjectName, name),
            (Field::SubjectTerm1, term1),
            (Field::SubjectTerm2, term2),
            (Field::SubjectYear, year),
            (Field::SubjectComment, "Tiến bộ rõ rệt"),
            (Field::TeacherName, "Đỗ Văn Dạy"),
            (Field::TeacherNumber, "001180000004"),
        ])
    });
    let transcript = Transcript {
        general,
        subjects: subjects.to_vec(),
        history: history("9A1"),
        certificates: vec![fields(&[
            (Field::CertificateName, "Nghề phổ thông"),
            (Field::CertificateKind, "Giỏi"),
        ])],
    };
    valid(Level::LowerSecondary, Circular::Tt22, 9, transcript)
}

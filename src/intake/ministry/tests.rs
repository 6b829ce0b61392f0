//! Tests reading and writing of the Ministry's XML.

use proptest::prelude::*;

use super::*;
use crate::platform::config::Tables;
use crate::transcript::{Field, Fields, Group, Place, Severity, Transcript, Violation};

fn profile() -> Profile {
    Profile::load(&Tables::default()).unwrap()
}

fn data(inside: &str) -> Vec<u8> {
    format!("<DU_LIEU_HOC_BA Id=\"d1\">{inside}</DU_LIEU_HOC_BA>").into_bytes()
}

fn rules(violations: &[Violation]) -> Vec<(&str, String)> {
    violations
        .iter()
        .map(|violation| (violation.rule.as_str(), violation.place.pointer()))
        .collect()
}

#[test]
fn every_data_tag_of_cv_2088_is_read_into_its_own_field() {
    let profile = profile();
    let text = Tables::default().read("code-lists/dictionary/cv2088.csv").unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<(String, String)> = reader
        .records()
        .map(|row| row.unwrap())
        .map(|row| (row[0].to_owned(), row[2].to_owned()))
        .collect();
    assert_eq!(rows.len(), 88);
    let mut fields = std::collections::BTreeSet::new();
    for (group, tag) in rows {
        let group = match group.as_str() {
            "signers" | "signature" => continue,
            "subjects" => Group::Subject,
            "history" => Group::History,
            _ => Group::General,
        };
        let (_, field) = profile.field(group, &tag).unwrap_or_else(|| panic!("{tag}"));
        assert!(profile.has(Family::Primary, field), "{tag}");
        // NAM_HOC gives the school year a second time.
        assert!(fields.insert(field) || tag == "NAM_HOC", "{tag}");
    }
    assert_eq!(fields.len(), 73);
}

#[test]
fn every_field_has_a_tag_in_at_least_one_family() {
    let profile = profile();
    for field in Field::ALL {
        assert!(Family::ALL.iter().any(|family| profile.has(*family, *field)), "{}", field.name());
    }
}

#[test]
fn both_spellings_of_the_doubtful_tags_are_read() {
    let profile = profile();
    for (one, other, field) in [
        ("THONG_SO_BUOI_NGHI_KHONG_PHEP", "TONG_SO_BUOI_NGHI_KHONG_PHEP", Field::AbsencesUnexcused),
        (
            "NANG_LUC_GIAO_TIEP_HOC_TAC",
            "NANG_LUC_GIAO_TIEP_HOP_TAC",
            Field::CompetencyCommunication,
        ),
    ] {
        for tag in [one, other] {
            let decoded = decode(&data(&format!("<{tag}>1</{tag}>")), &profile).unwrap();
            assert_eq!(decoded.transcript.value(field), Some("1"), "{tag}");
            assert!(decoded.warnings.is_empty());
        }
    }
}

#[test]
fn the_school_year_is_read_in_either_place() {
    let profile = profile();
    let octets = data(
        "<THONG_TIN_CHUNG><NAM_HOC>2025</NAM_HOC><TEN_NAM_HOC>2025-2026</TEN_NAM_HOC>\
         </THONG_TIN_CHUNG><QUA_TRINH_HOC_TAP><QUA_TRINH><NAM_HOC>2024-2025</NAM_HOC>\
         <TEN_LOP>3A</TEN_LOP></QUA_TRINH></QUA_TRINH_HOC_TAP>",
    );
    let transcript = decode(&octets, &profile).unwrap().transcript;
    assert_eq!(transcript.value(Field::SchoolYear), Some("2025-2026"));
    assert_eq!(transcript.history[0].value(Field::HistoryYear), Some("2024-2025"));
    assert_eq!(transcript.value(Field::ClassName), None);
    let wrong = data("<NAM_HOC>2024-2025</NAM_HOC><TEN_NAM_HOC>2025-2026</TEN_NAM_HOC>");
    let violations = decode(&wrong, &profile).unwrap_err();
    assert_eq!(violations[0].rule, "CV2088.contradicting-tags");
}

#[test]
fn a_list_without_row_tags_is_one_row_each() {
    let profile = profile();
    let octets = data(
        "<QUA_TRINH_HOC_TAP><TEN_LOP>1A</TEN_LOP></QUA_TRINH_HOC_TAP>\
         <QUA_TRINH_HOC_TAP><TEN_LOP>2A</TEN_LOP></QUA_TRINH_HOC_TAP>",
    );
    let transcript = decode(&octets, &profile).unwrap().transcript;
    let classes: Vec<_> =
        transcript.history.iter().map(|row| row.value(Field::HistoryClass).unwrap()).collect();
    assert_eq!(classes, ["1A", "2A"]);
}

#[test]
fn an_unknown_tag_is_a_warning_that_names_its_path() {
    let octets = data(
        "<TONG_KET><BANG_DIEM><MON_HOC><MA_MON_HOC>toan</MA_MON_HOC></MON_HOC>\
         <MON_HOC><GHI_CHU><A>x</A></GHI_CHU></MON_HOC></BANG_DIEM></TONG_KET>",
    );
    let decoded = decode(&octets, &profile()).unwrap();
    assert_eq!(
        rules(&decoded.warnings),
        [(
            "CV2088.unknown-tag",
            "/HOC_BA/DU_LIEU_HOC_BA/TONG_KET/BANG_DIEM/MON_HOC[2]/GHI_CHU".to_owned()
        )]
    );
    assert_eq!(decoded.transcript.subjects.len(), 1);
}

#[test]
fn a_repeated_tag_and_a_tag_in_a_value_are_errors() {
    let octets = data(
        "<THONG_TIN_CHUNG><HO_VA_TEN>An</HO_VA_TEN><HO_VA_TEN>Bình</HO_VA_TEN>\
         <GIOI_TINH><B>Nam</B></GIOI_TINH></THONG_TIN_CHUNG>",
    );
    let violations = decode(&octets, &profile()).unwrap_err();
    assert_eq!(
        rules(&violations),
        [
            ("CV2088.duplicate-tag", "/HOC_BA/DU_LIEU_HOC_BA/THONG_TIN_CHUNG/HO_VA_TEN".to_owned()),
            ("CV2088.nested-tag", "/HOC_BA/DU_LIEU_HOC_BA/THONG_TIN_CHUNG/GIOI_TINH".to_owned()),
        ]
    );
    for violation in violations {
        assert_eq!(violation.severity, Severity::Error);
        assert!(crate::platform::texts::has(&format!("rule.{}", violation.rule)));
    }
}

#[test]
fn values_are_trimmed_and_composed_and_empty_ones_absent() {
    let octets =
        data("<HO_VA_TEN>  Nguye\u{302}\u{303}n &amp; &#xD;Con </HO_VA_TEN><NOI_SINH></NOI_SINH>");
    let transcript = decode(&octets, &profile()).unwrap().transcript;
    assert_eq!(transcript.value(Field::StudentName), Some("Nguyễn & \rCon"));
    assert_eq!(transcript.value(Field::BirthPlace), None);
}

#[test]
fn octets_that_are_no_data_region_are_refused_without_a_panic() {
    let profile = profile();
    for octets in [
        &b""[..],
        b"\xff",
        b"<A></A>",
        b"<DU_LIEU_HOC_BA><TONG_KET>",
        b"<DU_LIEU_HOC_BA>&x;</DU_LIEU_HOC_BA><DU_LIEU_HOC_BA></DU_LIEU_HOC_BA>",
        b"<DU_LIEU_HOC_BA><HO_VA_TEN>&x;</HO_VA_TEN></DU_LIEU_HOC_BA>",
        b"<!DOCTYPE a><DU_LIEU_HOC_BA></DU_LIEU_HOC_BA>",
    ] {
        let violations = decode(octets, &profile).unwrap_err();
        assert_eq!(violations.last().unwrap().rule, "CV2088.unreadable");
    }
}

#[test]
fn rows_beyond_the_limit_are_refused() {
    let rows = "<MON_HOC></MON_HOC>".repeat(201);
    let octets = data(&format!("<BANG_DIEM>{rows}</BANG_DIEM>"));
    let violations = decode(&octets, &profile()).unwrap_err();
    assert_eq!(violations[0].rule, "CV2088.too-many-rows");
}

#[test]
fn a_pointer_is_written_in_the_tags_of_the_document() {
    let profile = profile();
    let place = Place::Entry(Group::Subject, 2, Field::SubjectLevel);
    assert_eq!(
        pointer(&profile, Family::Primary, &place),
        "/HOC_BA/DU_LIEU_HOC_BA/TONG_KET/BANG_DIEM/MON_HOC[3]/MUC_DAT_DUOC"
    );
    assert_eq!(
        pointer(&profile, Family::Primary, &Place::General(Field::AbsencesUnexcused)),
        "/HOC_BA/DU_LIEU_HOC_BA/THONG_TIN_CHUNG/THONG_SO_BUOI_NGHI_KHONG_PHEP"
    );
    assert_eq!(
        pointer(&profile, Family::Secondary, &Place::Signer("CBQL".to_owned())),
        "/HOC_BA/DANH_SACH_THONG_TIN_KY/CBQL"
    );
}

#[test]
fn what_cannot_be_written_is_an_error() {
    let profile = profile();
    let mut transcript = Transcript::default();
    let mut out = Vec::new();
    assert_eq!(encode(&transcript, &profile, "d", &mut out), Err(EncodeError::NoFamily));
    transcript.general.set(Field::Grade, "3");
    transcript.general.set(Field::StudyYear, "T");
    assert_eq!(
        encode(&transcript, &profile, "d", &mut out),
        Err(EncodeError::NoTag(Field::StudyYear))
    );
    assert!(out.is_empty());
}

#[test]
fn a_table_with_a_wrong_entry_is_named() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("mappings")).unwrap();
    let text = Tables::default().read(FILE).unwrap();
    for (from, to, named) in [
        ("[\"format_version\", ", "[\"format_versions\", ", "format_versions"),
        ("\"THONG_TU\"]", "\"THONG TU\"]", "THONG TU"),
        ("\"THONG_TU\"]", "\"PHIEN_BAN\"]", "PHIEN_BAN"),
    ] {
        std::fs::write(directory.path().join(FILE), text.replace(from, to)).unwrap();
        let tables = Tables::new(Some(directory.path().to_owned()));
        let error = Profile::load(&tables).unwrap_err().to_string();
        assert!(error.contains(FILE) && error.contains(named), "{error}");
    }
}

fn value() -> impl Strategy<Value = String> {
    "[A-Za-zÀ-ỹ0-9&<>\"' \r\n\t]{1,12}".prop_filter_map("empty", |text| {
        use unicode_normalization::UnicodeNormalization;
        let text: String = text.trim().nfc().collect();
        (!text.trim().is_empty()).then_some(text)
    })
}

fn fields(family: Family, group: Group) -> impl Strategy<Value = Fields> {
    let profile = profile();
    let all: Vec<Field> = Field::ALL
        .iter()
        .copied()
        .filter(|field| field.group() == group && profile.has(family, *field))
        .collect();
    proptest::collection::vec((proptest::sample::select(all), value()), 1..12).prop_map(|pairs| {
        let mut fields = Fields::default();
        for (field, value) in pairs {
            fields.set(field, value);
        }
        fields
    })
}

fn transcript(family: Family, grade: &'static str) -> impl Strategy<Value = Transcript> {
    let rows = |group| match (family, group) {
        (Family::Primary, Group::Certificate) => Just(Vec::new()).boxed(),
        _ => proptest::collection::vec(fields(family, group), 0..4).boxed(),
    };
    (
        fields(family, Group::General),
        rows(Group::Subject),
        rows(Group::History),
        rows(Group::Certificate),
    )
        .prop_map(move |(mut general, subjects, history, certificates)| {
            general.set(Field::Grade, grade);
            Transcript { general, subjects, history, certificates }
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back_equal(
        transcript in prop_oneof![
            transcript(Family::Primary, "4"),
            transcript(Family::Secondary, "9"),
        ]
    ) {
        let profile = profile();
        let mut octets = Vec::new();
        encode(&transcript, &profile, "d-1", &mut octets).unwrap();
        let decoded = decode(&octets, &profile).unwrap();
        prop_assert_eq!(decoded.transcript, transcript);
    }

    #[test]
    fn no_octets_make_the_decoder_panic(octets in "[<>/&;=\"a-zA-Z_#0-9 ]{0,60}") {
        let profile = profile();
        let _ = decode(octets.as_bytes(), &profile);
        let _ = decode(&data(&octets), &profile);
    }
}

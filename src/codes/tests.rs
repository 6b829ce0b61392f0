//! Looks codes and names up in the built-in lists.

use std::sync::LazyLock;

use jiff::civil::date;

use super::*;

static CODES: LazyLock<Codes> = LazyLock::new(|| Codes::load(&Tables::default()).unwrap());

#[test]
fn there_are_63_provinces_before_the_merger_and_34_after() {
    assert_eq!(CODES.provinces_on(date(2025, 6, 30)).count(), 63);
    assert_eq!(CODES.provinces_on(date(2025, 7, 1)).count(), 34);
    assert_eq!(CODES.provinces_on(date(2024, 1, 1)).count(), 63);
    assert_eq!(CODES.provinces_on(date(2026, 5, 1)).count(), 34);
}

#[test]
fn a_reused_code_names_another_province_after_the_merger() {
    for (code, before, after) in [
        ("15", "Yên Bái", "Lào Cai"),
        ("24", "Bắc Giang", "Bắc Ninh"),
        ("44", "Quảng Bình", "Quảng Trị"),
        ("52", "Bình Định", "Gia Lai"),
        ("80", "Long An", "Tây Ninh"),
        ("82", "Tiền Giang", "Đồng Tháp"),
        ("91", "Kiên Giang", "An Giang"),
    ] {
        let name = |on| &*CODES.province_by_code(code, on).unwrap().name;
        assert_eq!(name(date(2025, 6, 30)), before);
        assert_eq!(name(date(2025, 7, 1)), after);
    }
    assert!(CODES.province_by_code("27", date(2025, 7, 1)).is_none());
}

#[test]
fn a_province_is_found_by_any_usual_spelling_of_its_name() {
    let today = date(2026, 6, 1);
    for (name, code) in [
        ("Thành phố Hồ Chí Minh", "79"),
        ("TP. Hồ Chí Minh", "79"),
        ("TP.HCM", "79"),
        ("tỉnh KHÁNH HÒA", "56"),
        ("Khánh Hoà", "56"),
        ("Đồng Nai", "75"),
        ("Thừa Thiên Huế", "46"),
    ] {
        let found = CODES.province_by_name(name, today);
        assert_eq!(found.map(|province| &*province.code), Some(code), "{name}");
    }
    assert!(CODES.province_by_name("Bắc Giang", today).is_none());
    let then = CODES.province_by_name("Bắc Giang", date(2025, 5, 30)).unwrap();
    assert_eq!((&*then.code, &*then.today), ("24", "24"));
    assert!(CODES.province_by_name("", today).is_none());
    assert!(CODES.province_by_name("Tỉnh ", today).is_none());
}

#[test]
fn dong_nai_became_a_city_in_2026() {
    let full = |on| &*CODES.province_by_code("75", on).unwrap().full_name;
    assert_eq!(full(date(2026, 4, 29)), "Tỉnh Đồng Nai");
    assert_eq!(full(date(2026, 4, 30)), "Thành phố Đồng Nai");
}

#[test]
fn a_commune_is_found_in_its_province_and_time() {
    let today = date(2026, 6, 1);
    let before = date(2025, 5, 30);
    let found = CODES.commune_by_name("Phường Yên Hòa", "01", today).unwrap();
    assert_eq!(&*found.full_name, "Phường Yên Hoà");
    assert_eq!(CODES.commune_by_name("P. Yên Hoà", "01", today), Some(found));
    assert_eq!(CODES.commune_by_code(&found.code, today), Some(found));
    assert!(CODES.commune_by_name("Yên Hoà", "79", today).is_none());
    let old = CODES.commune_by_name("Phường Cống Vị", "01", before).unwrap();
    assert_eq!(old.became.len(), 2);
    assert!(CODES.commune_by_name("Phường Cống Vị", "01", today).is_none());
    assert_eq!(CODES.communes_of("01", today).count(), 126);
}

#[test]
fn an_ethnic_group_is_found_by_name_alias_or_code() {
    for (text, code) in [
        ("Kinh", "01"),
        ("kinh", "01"),
        ("H'Mông", "08"),
        ("Mông", "08"),
        ("Bru - Vân Kiều", "23"),
        ("Ê Đê", "12"),
        ("54", "54"),
    ] {
        assert_eq!(CODES.ethnic_group(text), Some(code), "{text}");
    }
    assert_eq!(CODES.ethnic_group("55"), None);
    assert_eq!(CODES.ethnic_group(""), None);
    assert_eq!(CODES.ethnic_group_name("02"), Some("Tày"));
}

#[test]
fn a_row_that_is_not_published_is_switched_on_in_the_table() {
    let directory = tempfile::tempdir().unwrap();
    let lists = directory.path().join("code-lists");
    std::fs::create_dir(&lists).unwrap();
    let text = "code,name,aliases,enabled\n01,Kinh,,1\n55,Người nước ngoài,,1\n";
    std::fs::write(lists.join("ethnic-groups.csv"), text).unwrap();
    let codes = Codes::load(&Tables::new(Some(directory.path().to_owned()))).unwrap();
    assert_eq!(codes.ethnic_group("Người nước ngoài"), Some("55"));
}

#[test]
fn a_wrong_list_is_named_with_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let lists = directory.path().join("code-lists");
    std::fs::create_dir(&lists).unwrap();
    std::fs::write(lists.join("genders.csv"), "code,name,aliases\n1,Nam\n").unwrap();
    let error = Codes::load(&Tables::new(Some(directory.path().to_owned()))).unwrap_err();
    assert!(error.to_string().contains("code-lists/genders.csv:2"), "{error}");
}

#[test]
fn gender_and_nationality_are_found_by_words_or_code() {
    assert_eq!(CODES.gender("Nữ"), Some("2"));
    assert_eq!(CODES.gender("nam"), Some("1"));
    assert_eq!(CODES.gender("0"), Some("0"));
    assert_eq!(CODES.gender("3"), None);
    assert_eq!(CODES.nationality("Việt Nam"), Some("VN"));
    assert_eq!(CODES.nationality("VN"), Some("VN"));
    assert_eq!(CODES.nationality("Hàn Quốc"), Some("KR"));
    assert_eq!(CODES.nationality("Atlantis"), None);
}

#[test]
fn a_subject_is_found_by_the_names_teachers_use() {
    for (level, text, slug) in [
        (Level::Primary, "Tiếng Anh", "ngoai_ngu_1"),
        (Level::Primary, "Nghệ thuật (Âm nhạc)", "am_nhac"),
        (Level::Primary, "Tin học và Công nghệ (Tin học)", "tin_hoc"),
        (Level::LowerSecondary, "Ngoại ngữ 2 (Tiếng Pháp)", "ngoai_ngu_2"),
        (Level::LowerSecondary, "HĐTN, HN", "hoat_dong_trai_nghiem_huong_nghiep"),
        (Level::UpperSecondary, "Hoá học", "hoa_hoc"),
        (Level::UpperSecondary, "Vật Lý", "vat_li"),
        (Level::UpperSecondary, "toan", "toan"),
    ] {
        let found = CODES.subject(level, text).map(|subject| &*subject.slug);
        assert_eq!(found, Some(slug), "{text}");
    }
    assert!(CODES.subject(Level::Primary, "Hóa học").is_none());
}

#[test]
fn tests_are_held_in_the_subjects_of_the_circular_only() {
    let tested = |grade| {
        CODES
            .subjects_of(Level::Primary)
            .filter(|subject| subject.has_test_in(grade))
            .map(|subject| &*subject.slug)
            .collect::<Vec<_>>()
    };
    assert_eq!(tested(1), ["tieng_viet", "toan"]);
    assert_eq!(tested(3).len(), 5);
    assert_eq!(tested(4).len(), 7);
}

#[test]
fn a_result_is_found_by_code_or_words() {
    let find = |list, text| CODES.result(list, text);
    assert_eq!(find(ResultList::PrimaryYear, "Hoàn thành xuất sắc"), Some("HTXS"));
    assert_eq!(find(ResultList::Secondary, "Chưa đạt"), Some("CĐ"));
    assert_eq!(find(ResultList::Secondary, "CĐ"), Some("CĐ"));
    assert_eq!(find(ResultList::Secondary, "CD"), None);
    assert_eq!(CODES.result_name(ResultList::PrimaryYear, "HT"), Some("Hoàn thành"));
    assert_eq!(CODES.permitted(ResultList::PrimaryCompetency), "T, Đ, C");
}

#[test]
fn personal_number_tables_know_province_sex_and_century() {
    assert_eq!(CODES.personal_number_prefix("015"), Some("Yên Bái"));
    assert_eq!(CODES.personal_number_prefix("101"), None);
    let century = CODES.personal_number_century(3).unwrap();
    assert_eq!((century.gender, century.year_from), (2, 2000));
}

#[test]
fn procedures_are_found_by_their_national_code() {
    assert!(CODES.procedure("1.001088").unwrap().verified);
    assert!(CODES.procedure("9.999999").is_none());
}

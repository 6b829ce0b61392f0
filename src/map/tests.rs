//! Tests the national records against the dictionary, its schema and the traps found in it.

use std::io::Write;
use std::process::{Command, Stdio};

use super::dictionary::{Fault, FaultKind};
use super::sample::{CODES, MAPPING, primary, secondary, stamp};
use super::*;
use crate::transcript::{Field, Level};

fn mapped(transcript: ValidTranscript) -> NationalRecord {
    map(&MAPPING, &CODES, transcript, &stamp(Event::New, 1)).unwrap()
}

fn refused(transcript: ValidTranscript) -> Vec<(String, String, String)> {
    let violations = map(&MAPPING, &CODES, transcript, &stamp(Event::New, 1)).unwrap_err();
    violations
        .into_iter()
        .map(|violation| {
            let message = violation.message();
            assert!(
                !message.vi.contains('{') && !message.en.contains('{'),
                "{message:?}"
            );
            assert!(message.vi != message.en, "{message:?}");
            let column = violation.args.iter().find(|(name, _)| name == "column");
            let column = column.map(|(_, column)| column.clone()).unwrap_or_default();
            (violation.rule, violation.place.pointer(), column)
        })
        .collect()
}

fn one(rule: &str, pointer: &str, column: &str) -> Vec<(String, String, String)> {
    vec![(rule.to_owned(), pointer.to_owned(), column.to_owned())]
}

fn xml(record: &NationalRecord) -> String {
    let mut out = Vec::new();
    record.to_xml(&mut out);
    String::from_utf8(out).unwrap()
}

const SEAL: &str = "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\"></Signature>";

fn batch(records: &[String]) -> String {
    let records: String = records
        .iter()
        .map(|record| record.replace("</BanGhi>", &format!("{SEAL}</BanGhi>")))
        .collect();
    format!(
        "<LoBanGhi Id=\"lo-1\" createdAt=\"2026-05-28T09:12:31+07:00\" messageId=\"m-1\" \
         participant=\"p-1\">{records}{SEAL}</LoBanGhi>"
    )
}

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/national/batch-1.xsd");

// Err holds what the validator said.
fn validate(batch: &str) -> Result<(), String> {
    let mut child = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema", SCHEMA, "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xmllint is needed: apt-get install libxml2-utils");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(batch.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    match output.status.code() {
        Some(0) => Ok(()),
        // The document is not valid; any other code is a fault of the schema or the document's form.
        Some(3) => Err(said),
        _ => panic!("{said}"),
    }
}

#[test]
fn the_schema_is_the_dictionary() {
    let expected = schema::xsd(MAPPING.dictionary());
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(SCHEMA, &expected).unwrap();
    }
    let stored = std::fs::read_to_string(SCHEMA).unwrap();
    assert!(
        stored == expected,
        "run with UPDATE_GOLDEN=1 and review the difference"
    );
}

#[test]
fn mapped_records_validate_against_the_schema() {
    let mut cancelled = stamp(Event::Cancel, 3);
    cancelled.record_id = crate::transcript::RecordId(uuid::Uuid::from_u128(7));
    let records = [
        xml(&mapped(primary())),
        xml(&map(&MAPPING, &CODES, secondary(), &cancelled).unwrap()),
    ];
    validate(&batch(&records)).unwrap();
}

#[test]
fn the_schema_and_the_strict_check_refuse_the_same_records() {
    let record = xml(&mapped(primary()));
    let second = xml(&mapped(secondary()));
    for (record, from, to) in [
        (
            &record,
            "<thongtu>27/2020</thongtu>",
            "<thongtu>27/2020/TT-BGDĐT</thongtu>",
        ),
        (&record, "<thongtu>27/2020</thongtu>", ""),
        (&record, "<gioitinh>2</gioitinh>", "<gioitinh>3</gioitinh>"),
        (&record, "<gioitinh>2</gioitinh>", "<gioitinh></gioitinh>"),
        (
            &record,
            "<mucdatduoc>T</mucdatduoc>",
            "<mucdatduoc>K</mucdatduoc>",
        ),
        (&record, "<mucdatduoc>T</mucdatduoc>", "<la>T</la>"),
        (&record, "<diemkiemtradinhky>9<", "<diemkiemtradinhky>9.5<"),
        (&record, "2016-05-17", "17/05/2016"),
        (&record, "<namhoc>2025-2026<", "<namhoc>2025<"),
        (&record, "<tenlop>4A</tenlop><xeploai>", "<xeploai>"),
        (
            &record,
            "<ngaythangnamsinh>2016-05-17</ngaythangnamsinh>",
            "",
        ),
        (
            &record,
            "</ngaythangnamsinh>",
            "</ngaythangnamsinh><namsinh>2016</namsinh>",
        ),
        (&record, "<phienban>1<", "<phienban>0<"),
        (&record, "<sukien>NEW<", "<sukien>UPdate<"),
        (
            &record,
            "T09:12:31</thoigiancapnhat>",
            "T09:12:31+07:00</thoigiancapnhat>",
        ),
        (
            &record,
            "<trichluc>0</trichluc>",
            "<trichluc>false</trichluc>",
        ),
        (&record, "<masogd>01</masogd>", "<masogd>001</masogd>"),
        (
            &record,
            "<sodinhdanh>001316000001<",
            "<sodinhdanh>01316000001<",
        ),
        (&second, "<diemhocky1>8.5<", "<diemhocky1>10.5<"),
        (&second, "<sobuoinghi>2<", "<sobuoinghi>0<"),
        (&second, "<sobuoinghi>2<", "<sobuoinghi>301<"),
        (&second, "<canam>T<", "<canam>G<"),
        (&second, "<gvbm>Đỗ Văn Dạy</gvbm>", ""),
        (
            &second,
            "<soddcngvbm>001180000004</soddcngvbm><gvbm>Đỗ Văn Dạy</gvbm>",
            "<gvbm>Đỗ Văn Dạy</gvbm><soddcngvbm>001180000004</soddcngvbm>",
        ),
        (
            &second,
            "<tenmonhoc>HĐTN, hướng nghiệp<",
            "<tenmonhoc>Hoạt động trải nghiệm, hướng nghiệp<",
        ),
    ] {
        let broken = record.replacen(from, to, 1);
        assert_ne!(&broken, record, "{from}");
        assert!(validate(&batch(&[broken.clone()])).is_err(), "schema: {to}");
        let received = MAPPING.dictionary().check_record(broken.as_bytes());
        assert!(!received.faults.is_empty(), "check: {to}");
    }
}

#[test]
fn a_record_is_written_in_canonical_form_with_its_columns_in_order() {
    let text = xml(&mapped(primary()));
    assert!(text.starts_with(
        "<BanGhi Id=\"b-01970000-0000-7000-8000-000000000001\" bang=\"thongtinsohocbasotieuhoc\">\
         <idbanghi>01970000-0000-7000-8000-000000000001</idbanghi><sukien>NEW</sukien>\
         <phienban>1</phienban><thoigiancapnhat>2026-05-28T09:12:31</thoigiancapnhat>\
         <thongtinsohocbasotieuhoc><trangthaithongtinhocba>1</trangthaithongtinhocba>\
         <trichluc>0</trichluc><phienbanthongtinhocba>1.0</phienbanthongtinhocba>\
         <thongtu>27/2020</thongtu>"
    ));
    assert!(text.contains("<nxetgvcn>Chăm ngoan &lt;rất&gt; tốt&#xD;\nCần phát huy.</nxetgvcn>"));
    assert!(text.contains(
        "<dsbangdiem><dong><mamonhoc>TVI</mamonhoc><tenmonhoc>Tiếng Việt</tenmonhoc>\
         <mucdatduoc>T</mucdatduoc><diemkiemtradinhky>9</diemkiemtradinhky></dong>"
    ));
    assert!(text.ends_with("</dong></dsbangdiem></thongtinsohocbasotieuhoc></BanGhi>"));
    assert!(!text.contains("/>"));
    // xmllint writes C14N 1.0; what we write is already in that form.
    let mut child = Command::new("xmllint")
        .args(["--nonet", "--c14n", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("xmllint is needed: apt-get install libxml2-utils");
    child
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
}

#[test]
fn a_mapped_record_is_received_without_a_fault() {
    for (transcript, table) in [
        (primary(), "thongtinsohocbasotieuhoc"),
        (secondary(), "thongtinsohocbasothcsthpt"),
    ] {
        let record = mapped(transcript);
        let sealed = xml(&record).replace("</BanGhi>", &format!("{SEAL}</BanGhi>"));
        let received = MAPPING.dictionary().check_record(sealed.as_bytes());
        assert_eq!(received.faults, []);
        assert_eq!(received.table.as_deref(), Some(table));
        assert_eq!(received.event, Some(Event::New));
        assert_eq!(received.version.map(u32::from), Some(1));
        assert_eq!(received.record_id, Some(record.record_id().to_string()));
        assert!(received.has_seal);
    }
}

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
    transcript
        .transcript
        .general
        .set(Field::SchoolProvince, "Tỉnh Mây");
    transcript
        .transcript
        .general
        .set(Field::BirthPlace, "Liên bang Nga");
    assert_eq!(
        refused(transcript),
        one(
            "map.no-code",
            "/general/school_province",
            "thongtintruong_diachi_matinh"
        )
    );
}

#[test]
fn the_circular_is_shortened_for_primary_only() {
    assert_eq!(mapped(primary()).value("thongtu"), Some("27/2020"));
    assert_eq!(
        mapped(secondary()).value("thongtu"),
        Some("Thông tư số 22/2021/TT-BGDĐT")
    );
    let mut transcript = primary();
    transcript
        .transcript
        .general
        .set(Field::Circular, "Thông tư 99/2099/TT-BGDĐT");
    assert_eq!(
        refused(transcript),
        one("map.too-long", "/general/circular", "thongtu")
    );
}

#[test]
fn a_long_subject_name_needs_a_short_form_for_secondary() {
    let text = xml(&mapped(secondary()));
    assert!(text.contains("<tenmonhoc>HĐTN, hướng nghiệp</tenmonhoc>"));
    assert!(text.contains("<tenmonhoc>NN1 (Tiếng Anh)</tenmonhoc>"));
    let mut transcript = secondary();
    let name = "Ngoại ngữ 1 (Tiếng Ba Lan)";
    transcript.transcript.subjects[2].set(Field::SubjectName, name);
    assert_eq!(
        refused(transcript),
        one("map.too-long", "/subjects/2/subject_name", "tenmonhoc")
    );
}

#[test]
fn every_subject_of_the_code_list_has_a_code_and_a_name_that_fits() {
    for (level, limit) in [
        (Level::Primary, 50),
        (Level::LowerSecondary, 20),
        (Level::UpperSecondary, 20),
    ] {
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
            let row = &record
                .rows
                .iter()
                .find(|rows| rows[0].len() > 3 && rows[0].len() != 5);
            let row = &row.unwrap()[0];
            assert_eq!(row[0].as_ref().unwrap().len(), 3, "{}", subject.name);
            assert!(row[1].as_ref().unwrap().chars().count() <= limit);
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
    assert_eq!(
        refused(transcript),
        one("map.too-long", "/general/class_name", "tenlop")
    );
}

#[test]
fn a_subject_without_a_code_is_found_by_its_name_or_refused() {
    let mut transcript = primary();
    transcript.transcript.subjects[1].set(Field::SubjectCode, "M0042");
    assert!(xml(&mapped(transcript.clone())).contains("<mamonhoc>TOA</mamonhoc>"));
    transcript.transcript.subjects[1].set(Field::SubjectName, "Cưỡi ngựa");
    assert_eq!(
        refused(transcript),
        one("map.no-code", "/subjects/1/subject_code", "mamonhoc")
    );
}

#[test]
fn absences_are_summed_and_zero_is_not_sent() {
    assert_eq!(mapped(secondary()).value("sobuoinghi"), Some("2"));
    let mut transcript = secondary();
    transcript.transcript.general.set(Field::AbsencesTotal, "0");
    assert_eq!(mapped(transcript.clone()).value("sobuoinghi"), None);
    transcript
        .transcript
        .general
        .set(Field::AbsencesTotal, "2,5");
    assert_eq!(mapped(transcript.clone()).value("sobuoinghi"), Some("2.5"));
    transcript
        .transcript
        .general
        .set(Field::AbsencesTotal, "301");
    assert_eq!(
        refused(transcript),
        one("map.out-of-range", "/general/absences_total", "sobuoinghi")
    );
}

#[test]
fn term_results_may_be_absent_only_for_a_pupil_who_is_not_assessed() {
    let mut transcript = secondary();
    transcript.transcript.general.set(Field::StudyTerm1, "");
    assert_eq!(
        refused(transcript.clone()),
        one("map.required", "/general/study_term1", "hocky1")
    );
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
    assert_eq!(
        refused(transcript),
        one("map.required", "/general/homeroom_number", "soddcngvcn")
    );
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
    assert_eq!(
        refused(transcript),
        one("map.required", "/general/birth_date", "ngaythangnamsinh")
    );
}

#[test]
fn results_of_another_scale_are_not_translated() {
    let mut transcript = secondary();
    transcript.transcript.general.set(Field::StudyYear, "Giỏi");
    assert_eq!(
        refused(transcript),
        one("map.no-code", "/general/study_year", "canam")
    );
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
        one(
            "map.wrong-form",
            "/subjects/0/subject_test",
            "diemkiemtradinhky"
        )
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
    transcript
        .transcript
        .general
        .set(Field::StudentName, "An\u{1}");
    assert_eq!(
        refused(transcript),
        one("map.wrong-form", "/general/student_name", "hovaten")
    );
}

#[test]
fn every_violation_of_a_record_is_found_at_once() {
    let mut transcript = secondary();
    transcript
        .transcript
        .general
        .set(Field::Ethnicity, "Người sao Hoả");
    transcript
        .transcript
        .general
        .set(Field::ClassName, "Lớp 9 chuyên Toán");
    transcript.transcript.subjects[0].set(Field::SubjectYear, "11");
    assert_eq!(refused(transcript).len(), 3);
}

#[test]
fn what_is_no_record_is_refused_without_a_panic() {
    let record = xml(&mapped(primary()));
    let check = |text: &str| MAPPING.dictionary().check_record(text.as_bytes()).faults;
    let malformed = [Fault {
        column: String::new(),
        kind: FaultKind::Malformed,
    }];
    for text in [
        "",
        "<",
        "<BanGhi",
        "<x></x>",
        "text",
        "<BanGhi Id=\"b\" Id=\"c\"></BanGhi>",
    ] {
        assert_eq!(check(text), malformed, "{text}");
    }
    for end in (0..record.len()).filter(|end| record.is_char_boundary(*end)) {
        assert!(!check(&record[..end]).is_empty(), "{end}");
    }
    assert!(!check(&format!("{record}{record}")).is_empty());
    assert!(!check(&record.replace("<dong>", "<dong>x")).is_empty());
    let unknown = record.replace("bang=\"thongtinsohocbasotieuhoc\"", "bang=\"khac\"");
    assert_eq!(check(&unknown)[0].kind, FaultKind::Unknown);
    let other = record.replace("Id=\"b-0197", "Id=\"b-0198");
    assert_eq!(check(&other)[0].column, "Id");
    let sealed_first = record.replace("<idbanghi>", &format!("{SEAL}<idbanghi>"));
    assert!(!check(&sealed_first).is_empty());
    assert_eq!(MAPPING.dictionary().check_record(b"\xff").faults, malformed);
}

#[test]
fn a_wrong_table_is_named_with_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("mappings")).unwrap();
    let file = FILES[0];
    let text = Tables::default().read(file).unwrap();
    let line = |needle: &str| {
        let before = text.find(needle).unwrap();
        text[..before].matches('\n').count() + 1
    };
    for (from, to, named) in [
        (
            "hovaten = { from = \"student_name\" }",
            "hovaten = { from = \"pupil\" }",
            format!("{file}:{}: columns.hovaten", line("hovaten = ")),
        ),
        (
            "hovaten = { from = \"student_name\" }",
            "",
            format!("{file}: columns.hovaten: the required column has no rule"),
        ),
        (
            "hovaten = { from = \"student_name\" }",
            "hovaten = { op = \"absent\" }",
            format!(
                "{file}:{}: columns.hovaten: the column is required",
                line("hovaten = ")
            ),
        ),
        (
            "hovaten = { from = \"student_name\" }",
            "hovaten = { from = \"subject_name\" }",
            format!("{file}:{}: columns.hovaten", line("hovaten = ")),
        ),
        (
            "short = \"circulars\"",
            "short = \"subjects\"",
            format!("{file}:{}: columns.thongtu", line("thongtu = ")),
        ),
        (
            "mamonhoc = {",
            "mamonho = {",
            format!(
                "{file}:{}: rows.dsbangdiem.columns.mamonho",
                line("mamonhoc = ")
            ),
        ),
        (
            "op = \"gender\"",
            "op = \"sex\"",
            format!("{file}:{}", line("op = \"gender\", from")),
        ),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(directory.path().join(file), text.replacen(from, to, 1)).unwrap();
        let tables = Tables::new(Some(directory.path().to_owned()));
        let error = Mapping::load(&tables, &CODES).unwrap_err().to_string();
        assert!(error.starts_with(&named), "{error} / {named}");
    }
}

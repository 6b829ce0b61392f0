//! Tests the national records against the dictionary, its schema and the traps found in it.

mod values;

use std::io::Write;
use std::process::{Command, Stdio};

use super::dictionary::{Fault, FaultKind};
use super::sample::{CODES, MAPPING, primary, secondary, stamp};
use super::*;

fn mapped(transcript: ValidTranscript) -> NationalRecord {
    map(&MAPPING, &CODES, transcript, &stamp(Event::New, 1)).unwrap()
}

fn refused(transcript: ValidTranscript) -> Vec<(String, String, String)> {
    let violations = map(&MAPPING, &CODES, transcript, &stamp(Event::New, 1)).unwrap_err();
    violations
        .into_iter()
        .map(|violation| {
            let message = violation.message();
            assert!(!message.vi.contains('{') && !message.en.contains('{'), "{message:?}");
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
    child.stdin.take().unwrap().write_all(batch.as_bytes()).unwrap();
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
    assert!(stored == expected, "run with UPDATE_GOLDEN=1 and review the difference");
}

#[test]
fn mapped_records_validate_against_the_schema() {
    let mut cancelled = stamp(Event::Cancel, 3);
    cancelled.record_id = crate::transcript::RecordId(uuid::Uuid::from_u128(7));
    let records =
        [xml(&mapped(primary())), xml(&map(&MAPPING, &CODES, secondary(), &cancelled).unwrap())];
    validate(&batch(&records)).unwrap();
}

#[test]
fn the_schema_and_the_strict_check_refuse_the_same_records() {
    let record = xml(&mapped(primary()));
    let second = xml(&mapped(secondary()));
    for (record, from, to) in [
        (&record, "<thongtu>27/2020</thongtu>", "<thongtu>27/2020/TT-BGDĐT</thongtu>"),
        (&record, "<thongtu>27/2020</thongtu>", ""),
        (&record, "<gioitinh>2</gioitinh>", "<gioitinh>3</gioitinh>"),
        (&record, "<gioitinh>2</gioitinh>", "<gioitinh></gioitinh>"),
        (&record, "<mucdatduoc>T</mucdatduoc>", "<mucdatduoc>K</mucdatduoc>"),
        (&record, "<mucdatduoc>T</mucdatduoc>", "<la>T</la>"),
        (&record, "<diemkiemtradinhky>9<", "<diemkiemtradinhky>9.5<"),
        (&record, "2016-05-17", "17/05/2016"),
        (&record, "<namhoc>2025-2026<", "<namhoc>2025<"),
        (&record, "<tenlop>4A</tenlop><xeploai>", "<xeploai>"),
        (&record, "<ngaythangnamsinh>2016-05-17</ngaythangnamsinh>", ""),
        (&record, "</ngaythangnamsinh>", "</ngaythangnamsinh><namsinh>2016</namsinh>"),
        (&record, "<phienban>1<", "<phienban>0<"),
        (&record, "<sukien>NEW<", "<sukien>UPdate<"),
        (&record, "T09:12:31</thoigiancapnhat>", "T09:12:31+07:00</thoigiancapnhat>"),
        (&record, "<trichluc>0</trichluc>", "<trichluc>false</trichluc>"),
        (&record, "<masogd>01</masogd>", "<masogd>001</masogd>"),
        (&record, "<sodinhdanh>001316000001<", "<sodinhdanh>01316000001<"),
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
        assert!(validate(&batch(std::slice::from_ref(&broken))).is_err(), "schema: {to}");
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
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
}

#[test]
fn a_mapped_record_is_received_without_a_fault() {
    for (transcript, table) in
        [(primary(), "thongtinsohocbasotieuhoc"), (secondary(), "thongtinsohocbasothcsthpt")]
    {
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
fn what_is_no_record_is_refused_without_a_panic() {
    let record = xml(&mapped(primary()));
    let check = |text: &str| MAPPING.dictionary().check_record(text.as_bytes()).faults;
    let malformed = [Fault { column: String::new(), kind: FaultKind::Malformed }];
    for text in ["", "<", "<BanGhi", "<x></x>", "text", "<BanGhi Id=\"b\" Id=\"c\"></BanGhi>"] {
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
            format!("{file}:{}: columns.hovaten: the column is required", line("hovaten = ")),
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
            format!("{file}:{}: rows.dsbangdiem.columns.mamonho", line("mamonhoc = ")),
        ),
        ("op = \"gender\"", "op = \"sex\"", format!("{file}:{}", line("op = \"gender\", from"))),
    ] {
        assert!(text.contains(from), "{from}");
        std::fs::write(directory.path().join(file), text.replacen(from, to, 1)).unwrap();
        let tables = Tables::new(Some(directory.path().to_owned()));
        let error = Mapping::load(&tables, &CODES).unwrap_err().to_string();
        assert!(error.starts_with(&named), "{error} / {named}");
    }
}

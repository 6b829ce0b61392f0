//! Tests the strict reading of NDJSON lines and the equality of the schemas with the fields.

mod schemas;

use super::*;
use crate::transcript::Field;

fn settings() -> Settings {
    Settings { line_bytes_max: 100_000, rows_max: 3, value_chars_max: 50 }
}

fn signers() -> Vec<SignerRule> {
    [("GVCN", false), ("CBQL", true), ("KY_PHAT_HANH", true)]
        .into_iter()
        .map(|(tag, required)| SignerRule {
            tag: tag.to_owned(),
            required,
            repeated: false,
            organisation: tag == "KY_PHAT_HANH",
            named_by: None,
        })
        .collect()
}

const SIGNATURES: &str = r#"{"CBQL":"a..b","KY_PHAT_HANH":"c..d"}"#;

fn line(record: &str) -> String {
    format!("{{\"record\":{record},\"signatures\":{SIGNATURES}}}")
}

fn fault(line: &str) -> (String, String) {
    let fault = decode(line.as_bytes(), &settings(), &signers()).unwrap_err();
    let violation = fault.violation();
    let message = violation.message();
    assert!(!message.vi.contains("line.") && !message.vi.contains('{'), "{message:?}");
    assert!(message.vi != message.en);
    (violation.rule, fault.pointer)
}

#[test]
fn the_octets_are_canonical_and_the_transcript_is_of_the_same_octets() {
    let text = line(
        "{ \"subjects\" : [ {\"subject_name\":\"To\\u00e1n\", \"subject_code\":\"toan\"} ],\
         \"general\":{\"student_name\":\"Nguyễn \\\"A\\\" \\/ B\",\"code\":\"x\"}, \"history\": [] }",
    );
    let line = decode(text.as_bytes(), &settings(), &signers()).unwrap();
    assert_eq!(
        std::str::from_utf8(&line.record_octets).unwrap(),
        "{\"general\":{\"code\":\"x\",\"student_name\":\"Nguyễn \\\"A\\\" / B\"},\"history\":[],\
         \"subjects\":[{\"subject_code\":\"toan\",\"subject_name\":\"Toán\"}]}"
    );
    let read: Transcript = serde_json::from_slice(&line.record_octets).unwrap();
    assert_eq!(read, line.transcript);
    assert_eq!(line.signatures["CBQL"], "a..b");
}

#[test]
fn a_written_line_is_read_back_equal() {
    let mut transcript = Transcript::default();
    transcript.general.set(Field::StudentName, "Lê \"Thị\" Mẫu");
    transcript.history.push(Default::default());
    transcript.history[0].set(Field::HistoryClass, "4A");
    let octets = record_octets(&transcript).unwrap();
    let signatures: BTreeMap<String, String> = serde_json::from_str(SIGNATURES).unwrap();
    let mut out = Vec::new();
    write_line(&octets, &signatures, &mut out);
    assert_eq!(out.pop(), Some(b'\n'));
    let line = decode(&out, &settings(), &signers()).unwrap();
    assert_eq!(line.record_octets, octets);
    assert_eq!(line.transcript, transcript);
    assert_eq!(line.signatures, signatures);
}

#[test]
fn a_duplicate_member_is_refused_at_every_level() {
    for (text, pointer) in [
        (
            format!(
                "{{\"record\":{{\"general\":{{}}}},\"record\":{{\"general\":{{}}}},\"signatures\":{SIGNATURES}}}"
            ),
            "/record",
        ),
        (
            format!(
                "{{\"record\":{{\"general\":{{}}}},\"signatures\":{SIGNATURES},\"signatures\":{SIGNATURES}}}"
            ),
            "/signatures",
        ),
        (line("{\"general\":{},\"general\":{}}"), "/record/general"),
        (line("{\"general\":{},\"history\":[],\"history\":[]}"), "/record/history"),
        (line("{\"general\":{\"code\":\"a\",\"\\u0063ode\":\"b\"}}"), "/record/general/code"),
        (
            line(
                "{\"general\":{},\"subjects\":[{},{\"subject_code\":\"a\",\"subject_code\":\"a\"}]}",
            ),
            "/record/subjects/1/subject_code",
        ),
        (
            "{\"record\":{\"general\":{}},\"signatures\":{\"CBQL\":\"a..b\",\"CBQL\":\"a..b\"}}"
                .to_owned(),
            "/signatures/CBQL",
        ),
    ] {
        assert_eq!(fault(&text), ("line.duplicate-member".to_owned(), pointer.to_owned()));
    }
}

#[test]
fn an_unknown_member_is_refused_at_every_level() {
    for (text, pointer) in [
        ("{\"x\":1}".to_owned(), ""),
        (line("{\"general\":{},\"teachers\":[]}"), "/record"),
        (line("{\"general\":{\"religion\":\"x\"}}"), "/record/general"),
        // A field of another group is unknown here.
        (line("{\"general\":{\"subject_code\":\"x\"}}"), "/record/general"),
        (
            "{\"record\":{\"general\":{}},\"signatures\":{\"VAN_THU\":\"a..b\"}}".to_owned(),
            "/signatures",
        ),
    ] {
        assert_eq!(fault(&text), ("line.unknown-member".to_owned(), pointer.to_owned()));
    }
}

#[test]
fn a_line_without_a_required_signature_has_its_own_rule() {
    for text in [
        "{\"record\":{\"general\":{}}}",
        "{\"record\":{\"general\":{}},\"signatures\":{}}",
        "{\"record\":{\"general\":{}},\"signatures\":{\"CBQL\":\"a..b\",\"GVCN\":\"a..b\"}}",
    ] {
        assert_eq!(fault(text), ("line.missing-signature".to_owned(), "/signatures".to_owned()));
    }
    for token in ["", "a.b.c", "a..", "..b", "a..b..c", "a..b=", "a..b\\u0022"] {
        let text =
            format!("{{\"record\":{{\"general\":{{}}}},\"signatures\":{{\"CBQL\":\"{token}\"}}}}");
        assert_eq!(
            fault(&text),
            ("line.not-detached-jws".to_owned(), "/signatures/CBQL".to_owned())
        );
    }
}

#[test]
fn values_must_be_in_normal_form_already() {
    for value in ["", " a", "a ", "e\\u0301", "Nguye\\u0302\\u0303n", "a\\u0001", "\\uffff"] {
        assert_eq!(
            fault(&line(&format!("{{\"general\":{{\"student_name\":\"{value}\"}}}}"))),
            ("line.not-normal".to_owned(), "/record/general/student_name".to_owned()),
            "{value}"
        );
    }
    let long = "á".repeat(51);
    let text = line(&format!("{{\"general\":{{\"student_name\":\"{long}\"}}}}"));
    assert_eq!(fault(&text).0, "line.value-too-long");
    let fits = line(&format!("{{\"general\":{{\"student_name\":\"{}\"}}}}", &long[2..]));
    decode(fits.as_bytes(), &settings(), &signers()).unwrap();
}

#[test]
fn other_types_and_depths_are_refused() {
    let deep = "[".repeat(50_000);
    for (text, rule, pointer) in [
        ("[]".to_owned(), "line.wrong-type", ""),
        (line("[]"), "line.wrong-type", "/record"),
        (line("null"), "line.wrong-type", "/record"),
        (line("{}"), "line.missing-member", "/record"),
        ("{\"signatures\":{}}".to_owned(), "line.missing-member", ""),
        (line("{\"general\":{\"code\":1}}"), "line.wrong-type", "/record/general/code"),
        (line("{\"general\":{\"code\":null}}"), "line.wrong-type", "/record/general/code"),
        (line("{\"general\":{},\"subjects\":{}}"), "line.wrong-type", "/record/subjects"),
        (line("{\"general\":{},\"subjects\":[1]}"), "line.wrong-type", "/record/subjects/0"),
        (
            line("{\"general\":{},\"subjects\":[{},{},{},{}]}"),
            "line.too-many-rows",
            "/record/subjects",
        ),
        (format!("{{\"record\":{deep}"), "line.wrong-type", "/record"),
        (
            line(&format!("{{\"general\":{{\"code\":{deep}")),
            "line.wrong-type",
            "/record/general/code",
        ),
    ] {
        assert_eq!(fault(&text), (rule.to_owned(), pointer.to_owned()), "{pointer}");
    }
}

#[test]
fn what_is_no_json_is_refused_without_a_panic() {
    let whole = line("{\"general\":{\"student_name\":\"Nguyễn\"}}");
    for end in (0..whole.len()).filter(|end| whole.is_char_boundary(*end)) {
        assert_eq!(fault(&whole[..end]).0, "line.not-json", "{end}");
    }
    for text in [
        format!("{whole}{whole}"),
        whole.replace("Nguyễn", "\\ud800"),
        whole.replace("Nguyễn", "\u{1}"),
        whole.replace("\"signatures\"", "'signatures'"),
    ] {
        assert_eq!(fault(&text).0, "line.not-json");
    }
    let kind = |octets: &[u8]| decode(octets, &settings(), &signers()).unwrap_err().kind;
    assert_eq!(kind(b"{\"record\":\"\xff\"}"), LineFaultKind::NotUtf8);
    assert_eq!(kind(&[b' '; 100_001]), LineFaultKind::TooLong(100_000));
}

#[test]
fn a_fault_never_holds_a_value() {
    let secret = "001316000001";
    for record in [
        format!("{{\"general\":\"{secret}\"}}"),
        format!("{{\"general\":{{\"{secret}\":\"x\"}}}}"),
        format!("{{\"general\":{{\"code\":{secret}}}}}"),
    ] {
        let fault = decode(line(&record).as_bytes(), &settings(), &signers()).unwrap_err();
        assert!(!format!("{fault} {fault:?} {:?}", fault.violation()).contains(secret));
    }
}

#[test]
fn lines_are_split_and_those_too_long_passed_over() {
    let text = b"one\r\n\n  \ntoo long a line\nfour\r\nfive!\nlast";
    for capacity in [1, 3, 64] {
        let source = io::BufReader::with_capacity(capacity, &text[..]);
        let mut lines = Lines::new(source, 5);
        let mut seen = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            let octets = line.octets.map(|octets| String::from_utf8(octets.to_vec()).unwrap());
            assert!(
                text[line.offset as usize..]
                    .starts_with(octets.as_deref().unwrap_or("too").as_bytes())
            );
            seen.push((line.number, octets));
        }
        let line = |number, text: &str| (number, Some(text.to_owned()));
        assert_eq!(
            seen,
            [line(1, "one"), (4, None), line(5, "four"), line(6, "five!"), line(7, "last")]
        );
    }
}

#[test]
fn a_line_one_byte_too_long_is_refused() {
    let mut lines = Lines::new(&b"123456\n123456\r\n12345\r\n"[..], 5);
    let mut lengths = Vec::new();
    while let Some(line) = lines.next_line().unwrap() {
        lengths.push(line.octets.map(<[u8]>::len));
    }
    // Six bytes fit the buffer because of \r; the decoder refuses them.
    assert_eq!(lengths, [Some(6), None, Some(5)]);
    let settings = Settings { line_bytes_max: 5, ..settings() };
    let fault = decode(b"123456", &settings, &signers()).unwrap_err();
    assert_eq!(fault.kind, LineFaultKind::TooLong(5));
}

//! Tests lists: streamed verification, cutting into records, and sealed elements.

use std::io::BufReader;

use super::super::xml::XmlFaultKind as Kind;
use super::*;

fn verify(text: &str) -> Result<VerifiedList, ListFault> {
    verifier().verify_list(|| Ok(BufReader::with_capacity(11, text.as_bytes())))
}

fn refused(text: &str) -> &'static str {
    verify(text).map(|_| ()).unwrap_err().code()
}

fn scanned(text: &str) -> Kind {
    verifier().scan(text.as_bytes()).unwrap_err().kind
}

fn three() -> String {
    list(&[record("1", "7"), record("2", "8"), record("3", "9")])
}

#[test]
fn a_list_is_verified_scanned_and_cut_into_its_records() {
    let text = three();
    let verified = verify(&text).unwrap();
    assert_eq!(verified.records, 3);
    assert_eq!(verified.signing_time, AT.parse().unwrap());
    assert_eq!(verified.certificate, SCHOOL.seal.signer().certificate_der());
    let verifier = verifier();
    let summary = verifier.scan(text.as_bytes()).unwrap();
    assert_eq!((summary.records, summary.signatures), (3, 1));
    assert_eq!(summary.bytes, text.len() as u64);
    let records: Result<Vec<_>, _> = verifier.records(text.as_bytes()).collect();
    let records = records.unwrap();
    assert_eq!(records.len(), 3);
    for (index, slice) in records.iter().enumerate() {
        assert_eq!(slice.index, index as u64);
        let start = usize::try_from(slice.offset).unwrap();
        assert_eq!(&text.as_bytes()[start..start + slice.bytes.len()], slice.bytes);
        let verified = verifier.verify_record(&slice.bytes, &slice.inherited).unwrap();
        assert!(String::from_utf8(verified.data).unwrap().contains(&format!("D-{}", index + 1)));
    }
}

#[test]
fn a_list_may_be_pretty_and_commented_around_its_records() {
    let text = three().replace("</HOC_BA>", "</HOC_BA><!-- c -->");
    assert_eq!(verify(&text).unwrap().records, 3);
    let marked = format!("\u{feff}<?xml version=\"1.0\" encoding=\"UTF-8\"?>\r\n{text}\r\n");
    assert_eq!(verify(&marked).unwrap().records, 3);
    let lines = three().replace("<HOC_BA>", "\n<HOC_BA>");
    let verifier = verifier();
    let records: Vec<_> = verifier.records(lines.as_bytes()).map(Result::unwrap).collect();
    assert_eq!(records.iter().map(|slice| slice.line).collect::<Vec<_>>(), [2, 4, 6]);
}

#[test]
fn what_stands_on_the_root_is_inherited_by_the_records() {
    let text = "<DANH_SACH_HOC_BA xmlns:x=\"urn:x\" xml:lang=\"vi\"><HOC_BA/></DANH_SACH_HOC_BA>";
    let slice = verifier().records(text.as_bytes()).next().unwrap().unwrap();
    assert_eq!(slice.bytes, b"<HOC_BA/>");
    assert_eq!(slice.inherited.namespaces, [("x".to_owned(), "urn:x".to_owned())]);
    assert_eq!(slice.inherited.xml_attributes, [("xml:lang".to_owned(), "vi".to_owned())]);
}

#[test]
fn a_changed_list_is_refused_whole() {
    let text = three();
    let signature = &text[text.rfind("<Signature ").unwrap()..text.rfind("</DANH").unwrap()];
    let from = text.find("<HOC_BA><DU_LIEU_HOC_BA Id=\"D-2\"").unwrap();
    let until = from + text[from..].find("</HOC_BA>").unwrap() + "</HOC_BA>".len();
    let second = &text[from..until];
    for (changed, code) in [
        (text.replace("<DIEM>8<", "<DIEM>9<"), "data-digest"),
        (text.replace(second, ""), "data-digest"),
        (text.replace(second, &format!("{second}{second}")), "data-digest"),
        (text.replace(signature, ""), "signature-missing"),
        (text.replace(signature, &format!("{signature}{signature}")), "signature-repeated"),
        (text.replace("<DANH_SACH_HOC_BA id=\"dataDanhSach\">", "<DANH_SACH_HOC_BA>"), "reference-target"),
        (text.replacen("dataDanhSach", "khac", 1), "reference-target"),
        (text.replace("<TONG_KET>", "<TONG_KET id=\"dataDanhSach\">"), "duplicate-id"),
        (text.replace("T09:12:31+07:00</SigningTime></SignatureProperty></SignatureProperties></Object></Signature></DANH",
                      "T09:12:32+07:00</SigningTime></SignatureProperty></SignatureProperties></Object></Signature></DANH"),
         "signing-time-digest"),
        (text.replace(signature, &format!("<X>{signature}</X>")), "unexpected-element"),
        (text.replace("</DANH_SACH_HOC_BA>", "x</DANH_SACH_HOC_BA>"), "unexpected-text"),
        (text[..text.len() - 5].to_owned(), "xml-truncated"),
    ] {
        assert!(changed != text, "{code}");
        assert_eq!(refused(&changed), code);
    }
    // The list's signature is not a signature of one of its records, and the other way round.
    let of_record = record("4", "5");
    let start = of_record.find("<Signature ").unwrap();
    let end = of_record.find("</Signature>").unwrap() + "</Signature>".len();
    assert_eq!(refused(&text.replace(signature, &of_record[start..end])), "reference-target");
}

#[test]
fn a_document_of_another_shape_is_refused_at_its_place() {
    assert_eq!(scanned("<HOC_BA/>"), Kind::WrongRoot);
    assert_eq!(scanned("<DANH_SACH_HOC_BA xmlns=\"urn:x\"/>"), Kind::WrongRoot);
    assert_eq!(scanned("<DANH_SACH_HOC_BA><X/></DANH_SACH_HOC_BA>"), Kind::UnexpectedElement);
    assert_eq!(scanned("<DANH_SACH_HOC_BA>x</DANH_SACH_HOC_BA>"), Kind::UnexpectedText);
    let text = three();
    let fault = verifier().scan(&text.as_bytes()[..text.len() - 3]).unwrap_err();
    assert_eq!((fault.kind, fault.offset), (Kind::Truncated, text.len() as u64 - 3));
}

#[test]
fn every_record_has_its_own_allowance() {
    let mut settings = settings();
    settings.xml.nodes_max = 120;
    settings.xml.record_bytes_max = 20_000;
    let strict = Verifier::new(profile(), settings);
    let text = list(&[(); 50].map(|()| "<HOC_BA><A></A></HOC_BA>".to_owned()));
    assert!(strict.scan(text.as_bytes()).is_ok());
    let inside = "<A></A>".repeat(119);
    let full = list(&[(); 3].map(|()| format!("<HOC_BA>{inside}</HOC_BA>")));
    assert_eq!(strict.scan(full.as_bytes()).unwrap().records, 3);
    let over = list(&[format!("<HOC_BA>{inside}<B></B></HOC_BA>")]);
    assert_eq!(strict.scan(over.as_bytes()).unwrap_err().kind, Kind::TooManyNodes);
    let sized = |size: usize| list(&[format!("<HOC_BA>{}</HOC_BA>", "x".repeat(size - 17))]);
    assert!(strict.scan(sized(20_000).as_bytes()).is_ok());
    assert_eq!(strict.records(sized(20_000).as_bytes()).count(), 1);
    let fault = strict.scan(sized(20_001).as_bytes()).unwrap_err();
    assert_eq!(fault.kind, Kind::RecordTooLarge);
    let fault = strict.records(sized(20_001).as_bytes()).next().unwrap().unwrap_err();
    assert_eq!(fault.kind, Kind::RecordTooLarge);
}

#[test]
fn a_sealed_element_gives_back_what_was_sealed() {
    let element = "<GOI_TIN Id=\"m-1\"><BAN_GHI>á &amp; b</BAN_GHI></GOI_TIN>";
    let at = AT.parse().unwrap();
    let sealed = seal_element(element.as_bytes(), "m-1", &SCHOOL.seal, at).unwrap();
    let verifier = verifier();
    let verified = verifier.verify_sealed_element(&sealed).unwrap();
    assert_eq!(verified.data, element.as_bytes());
    assert_eq!(verified.signing_time, at);
    let text = String::from_utf8(sealed).unwrap();
    let code = |text: &str| verifier.verify_sealed_element(text.as_bytes()).unwrap_err().code();
    assert_eq!(code(&text.replace("á", "à")), "data-digest");
    assert_eq!(code(&text.replace("<BAN_GHI>", "<BAN_GHI id=\"m-1\">")), "duplicate-id");
    assert_eq!(code(element), "signature-missing");
    let wrapped = format!("<GOI_TIN Id=\"m-2\">{text}</GOI_TIN>");
    assert_eq!(code(&wrapped), "signature-missing");
    let rsa = seal_element(element.as_bytes(), "m-1", &SCHOOL.principal, at).unwrap();
    assert!(verifier.verify_sealed_element(&rsa).is_ok());
    assert!(seal_element(b"no element", "m-1", &SCHOOL.seal, at).is_err());
}

#[test]
fn a_sealed_message_has_limits_of_its_own() {
    let message = |records: usize| {
        let inside = "<BAN_GHI></BAN_GHI>".repeat(records);
        let element = format!("<GOI_TIN Id=\"m-1\">{inside}</GOI_TIN>");
        seal_element(element.as_bytes(), "m-1", &SCHOOL.seal, AT.parse().unwrap()).unwrap()
    };
    let verifier = verifier();
    assert!(verifier.verify_sealed_element(&message(19_000)).is_ok());
    let many = verifier.verify_sealed_element(&message(20_000)).unwrap_err();
    assert_eq!(many.code(), "xml-too-many-nodes");
    let large = verifier.verify_sealed_element(&message(27_000)).unwrap_err();
    assert_eq!(large.code(), "record-too-large");
}

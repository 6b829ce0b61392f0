//! Tests that no change of a signed record is believed: refused, or the data is exactly what was signed.

use proptest::prelude::*;

use super::super::tree::Inherited;
use super::*;

fn verify(text: &str) -> Result<VerifiedRecord, Vec<SignatureFault>> {
    verifier().verify_record(text.as_bytes(), &Inherited::default())
}

fn refused(text: &str) -> Vec<String> {
    codes(verify(text))
}

fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    let start = text.find(from).unwrap();
    let end = start + text[start..].find(to).unwrap() + to.len();
    &text[start..end]
}

fn all(code: &str) -> Vec<String> {
    ["GVCN", "CBQL", "KY_PHAT_HANH"].map(|role| format!("{role}:{code}")).to_vec()
}

#[test]
fn a_signed_record_is_verified_and_gives_the_octets_that_were_digested() {
    let verified = verify(&record("1", "9")).unwrap();
    assert_eq!(verified.data, data("D-1", "9").into_bytes());
    assert_eq!(verified.data_sha256, certificate::fingerprint(&verified.data));
    let roles: Vec<&str> = verified.signers.iter().map(|signer| signer.role.as_str()).collect();
    assert_eq!(roles, ["GVCN", "CBQL", "KY_PHAT_HANH"]);
    let principal = &verified.signers[1];
    assert_eq!(principal.signing_time, AT.parse().unwrap());
    assert_eq!(principal.personal_number.as_deref(), Some("001085000001"));
    assert_eq!(principal.signed_on.as_deref(), Some("2026-05-28"));
    assert_eq!(principal.certificate, SCHOOL.principal.signer().certificate_der());
    assert!(principal.subject_name.starts_with("CN=Trần Văn Hiệu,O=Trường Mẫu\\, cơ sở"));
    assert_eq!(verified.signers[2].personal_number, None);
}

#[test]
fn a_record_may_be_written_otherwise_as_long_as_its_octets_are_the_same() {
    let signed = record("1", "9");
    let expected = verify(&signed).unwrap().data;
    for (from, to) in [
        ("<DIEM>9</DIEM>", "<DIEM >9<!-- c --></DIEM >"),
        ("<DIEM>9</DIEM>", "<DIEM><![CDATA[9]]></DIEM>"),
        ("<DIEM>9</DIEM>", "<DIEM>&#57;</DIEM>"),
        ("Id=\"D-1\"", "Id = 'D-1'"),
        ("&lt;giỏi&gt;", "&#60;giỏi>"),
        ("<HOC_BA>", "<HOC_BA>\n  "),
        ("<SignatureValue>", "<SignatureValue>\n "),
        ("</NGAY_KY>", "</NGAY_KY>\n"),
    ] {
        let changed = signed.replace(from, to);
        assert_ne!(changed, signed);
        assert_eq!(verify(&changed).unwrap().data, expected, "{to}");
    }
}

#[test]
fn the_teacher_is_optional_but_never_wrong() {
    let signed = record("1", "9");
    let teacher = between(&signed, "<GVCN>", "</GVCN>");
    let verified = verify(&signed.replace(teacher, "")).unwrap();
    assert_eq!(verified.signers.len(), 2);
    let bad = teacher.replace("2026-05-28T09:12:31", "2026-05-28T09:12:32");
    assert_eq!(refused(&signed.replace(teacher, &bad)), ["GVCN:signing-time-digest"]);
    let principal = between(&signed, "<CBQL>", "</CBQL>");
    assert_eq!(refused(&signed.replace(principal, "")), ["CBQL:signer-missing"]);
}

#[test]
fn a_forged_mark_is_refused_by_every_signature() {
    assert_eq!(refused(&record("1", "4").replace("<DIEM>4<", "<DIEM>9<")), all("data-digest"));
    let name = record("1", "4").replace("Hồng Ánh", "Hồng  Ánh");
    assert_eq!(refused(&name), all("data-digest"));
}

#[test]
fn signatures_of_another_record_are_refused() {
    let (one, two) = (record("1", "4"), record("2", "9"));
    let theirs = between(&two, "<CBQL>", "</CBQL>");
    let ours = between(&one, "<CBQL>", "</CBQL>");
    assert_eq!(refused(&one.replace(ours, theirs)), ["CBQL:reference-target"]);
    let renamed = one.replace("D-1", "D-2");
    let ours = between(&renamed, "<CBQL>", "</CBQL>");
    assert_eq!(
        refused(&renamed.replace(ours, theirs)),
        ["GVCN:signature-invalid", "CBQL:data-digest", "KY_PHAT_HANH:signature-invalid"]
    );
}

#[test]
fn signatures_swapped_between_roles_still_name_their_signers() {
    // Both are valid signatures of this data; that the principal's certificate stands in the block
    // of the seal is for the registry of approved certificates, so the blocks must tell it truly.
    let signed = record("1", "9");
    let principal = between(&signed, "<CBQL>", "</CBQL>").to_owned();
    let own = between(&principal, "<Signature ", "</Signature>");
    let seal = between(&signed, "<KY_PHAT_HANH>", "</KY_PHAT_HANH>").to_owned();
    let theirs = between(&seal, "<Signature ", "</Signature>");
    let swapped = signed.replace(own, "@").replace(theirs, own).replace('@', theirs);
    let verified = verify(&swapped).unwrap();
    assert_eq!(verified.signers[1].certificate, SCHOOL.seal.signer().certificate_der());
    assert_eq!(verified.signers[2].certificate, SCHOOL.principal.signer().certificate_der());
}

#[test]
fn wrapped_moved_and_doubled_data_is_refused() {
    let signed = record("1", "4");
    let real = between(&signed, "<DU_LIEU_HOC_BA", "</DU_LIEU_HOC_BA>").to_owned();
    let forged = data("D-1", "9");
    let other = data("D-9", "9");
    let list_end = "</DANH_SACH_THONG_TIN_KY>";
    for (changed, code) in [
        (signed.replace(&real, &format!("{forged}{real}")), "data-region-repeated"),
        (signed.replace(&real, &format!("{other}{real}")), "data-region-repeated"),
        (signed.replace(&real, &format!("{real}{other}")), "data-region-repeated"),
        (signed.replace(&real, &format!("<X>{real}</X>{other}")), "unexpected-element"),
        (signed.replace(&real, &format!("<X>{real}</X>")), "unexpected-element"),
        (
            signed.replace(&real, &other).replace(list_end, &format!("{real}{list_end}")),
            "data-region-repeated",
        ),
        (
            signed.replace(&real, &other).replacen("<Object ", &format!("{real}<Object "), 1),
            "data-region-repeated",
        ),
        (
            signed.replace(&real, &other.replace("<TONG_KET>", &format!("{real}<TONG_KET>"))),
            "data-region-repeated",
        ),
        (signed.replace(&real, ""), "data-region-missing"),
        (format!("<HOC_BA>{}{signed}</HOC_BA>", other), "unexpected-element"),
        (signed.replace("Id=\"D-1\"", ""), "data-region-without-id"),
    ] {
        assert_eq!(refused(&changed), [code]);
    }
    let outside =
        signed.replace(&real, &format!("<x:DU_LIEU_HOC_BA xmlns:x=\"u\" Id=\"D-1\"/>{real}"));
    assert_eq!(refused(&outside), ["unexpected-element"]);
}

#[test]
fn misplaced_repeated_and_stripped_signatures_are_refused() {
    let signed = record("1", "9");
    let block = between(&signed, "<CBQL>", "</CBQL>").to_owned();
    let signature = between(&block, "<Signature ", "</Signature>").to_owned();
    let twice = block.replace(&signature, &format!("{signature}{signature}"));
    for (changed, code) in [
        (signed.replace(&signature, ""), "CBQL:signature-missing"),
        (signed.replace(&block, &twice), "CBQL:signature-repeated"),
        (signed.replace(&block, &format!("{block}{block}")), "CBQL:signer-repeated"),
        (signed.replace(&block, &format!("{block}{signature}")), "signature-misplaced"),
        (signed.replace(&block, &format!("{block}<GVBM>{signature}</GVBM>")), "unknown-signer"),
        (signed.replace(&signature, &format!("<Y>{signature}</Y>")), "CBQL:signature-missing"),
        (
            signed.replace(&signature, &format!("{signature}<Y>{signature}</Y>")),
            "signature-misplaced",
        ),
        (signed.replace("</HOC_BA>", &format!("{signature}</HOC_BA>")), "signature-misplaced"),
        (signed.replace("<TONG_KET>", &format!("<TONG_KET>{signature}")), "signature-misplaced"),
        (signed.replace("<CBQL>", "<CBQL>x"), "CBQL:unexpected-text"),
        (signed.replace("<HOC_BA>", "<HO_SO>").replace("</HOC_BA>", "</HO_SO>"), "wrong-root"),
    ] {
        assert_eq!(refused(&changed), [code]);
    }
    let none =
        signed.replace(between(&signed, "<DANH_SACH_THONG", "</DANH_SACH_THONG_TIN_KY>"), "");
    assert_eq!(refused(&none), ["signers-list-missing"]);
}

#[test]
fn two_elements_with_one_id_are_refused_whatever_the_attribute_is_called() {
    let signed = record("1", "9");
    for attribute in ["Id", "id", "ID"] {
        let changed =
            signed.replace("<TONG_KET>", &format!("<TONG_KET {attribute}=\"1-CBQL-time\">"));
        assert_eq!(refused(&changed), ["duplicate-id"]);
    }
    let both = signed.replace("Id=\"D-1\"", "Id=\"D-1\" id=\"D-1\"");
    assert_eq!(refused(&both), ["duplicate-id"]);
}

#[test]
fn the_inside_of_a_signature_is_held_to_its_shape() {
    let signed = record("1", "9");
    let block = between(&signed, "<CBQL>", "</CBQL>").to_owned();
    let change = |from: &str, to: &str| {
        assert!(block.contains(from), "{from}");
        refused(&signed.replace(&block, &block.replacen(from, to, 1)))
    };
    let reference = between(&block, "<Reference URI=\"#D-1\">", "</Reference>");
    let info = between(&block, "<SignedInfo>", "</SignedInfo>");
    let key_info = between(&block, "<KeyInfo>", "</KeyInfo>");
    let object = between(&block, "<Object ", "</Object>");
    let name = between(&block, "<X509SubjectName>", "</X509SubjectName>");
    for (from, to, code) in [
        (reference, format!("{reference}{reference}"), "reference-count"),
        (reference, String::new(), "reference-count"),
        ("URI=\"#D-1\"", "URI=\"#1-CBQL-time\"".to_owned(), "signature-invalid"),
        ("URI=\"#D-1\"", "URI=\"http://example.org/x\"".to_owned(), "signature-invalid"),
        (info, format!("{info}{info}"), "signature-shape"),
        (info, String::new(), "signature-shape"),
        ("<SignatureValue>", "<SignatureValue/><SignatureValue>".to_owned(), "key-info-shape"),
        ("<SignatureValue>", "<SignatureValue>!".to_owned(), "signature-shape"),
        (key_info, format!("{key_info}{key_info}"), "signing-time-missing"),
        (key_info, String::new(), "key-info-shape"),
        ("<X509Data>", "<KeyName>x</KeyName><X509Data>".to_owned(), "key-info-shape"),
        ("</X509Data>", "</X509Data><X509Data/>".to_owned(), "key-info-shape"),
        (name, String::new(), "key-info-shape"),
        (name, format!("{name}{name}"), "key-info-shape"),
        (name, "<X509SubjectName>CN=Ai Đó</X509SubjectName>".to_owned(), "subject-name-mismatch"),
        ("<X509Certificate>", "<X509Certificate>AAAA".to_owned(), "certificate-unreadable"),
        (object, String::new(), "signing-time-missing"),
        (object, format!("{object}<Object/>"), "signature-shape"),
        ("rsa-sha256", "rsa-sha512".to_owned(), "signature-invalid"),
        ("xmldsig-more#rsa-sha256", "xmldsig-more#ecdsa-sha256".to_owned(), "key-mismatch"),
        (
            "xmldsig-more#rsa-sha256",
            "xmldsig-more#hmac-sha256".to_owned(),
            "algorithm-not-permitted",
        ),
        (
            "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
            "http://www.w3.org/2000/09/xmldsig#rsa-sha1".to_owned(),
            "weak-algorithm",
        ),
        (
            "http://www.w3.org/2001/04/xmlenc#sha256",
            "http://www.w3.org/2000/09/xmldsig#sha1".to_owned(),
            "weak-algorithm",
        ),
        (
            "REC-xml-c14n-20010315",
            "REC-xml-c14n-20010315#WithComments".to_owned(),
            "algorithm-not-permitted",
        ),
        ("<SignedInfo>", "<SignedInfo>x".to_owned(), "signature-shape"),
        ("<SigningTime>", "<SigningTime>x".to_owned(), "signing-time-form"),
        (
            "<SigningTime>2026-05-28T09",
            "<SigningTime>2026-05-28T08".to_owned(),
            "signing-time-digest",
        ),
        ("+07:00</SigningTime>", "</SigningTime>".to_owned(), "signing-time-form"),
        ("</SigningTime>", "</SigningTime><SigningTime/>".to_owned(), "signing-time-missing"),
        (
            "<SignatureProperties>",
            "<SignatureProperties><SignatureProperty/>".to_owned(),
            "signing-time-missing",
        ),
    ] {
        assert_eq!(change(from, &to), [format!("CBQL:{code}")], "{from} -> {to}");
    }
    let xslt = "<Transforms><Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\"/>";
    assert_eq!(change("<Transforms>", xslt), ["CBQL:transform-not-permitted"]);
    let twice = between(&block, "<Transform ", "</Transform>");
    assert_eq!(change(twice, &format!("{twice}{twice}")), ["CBQL:transform-not-permitted"]);
    let enveloped = format!("<Transform Algorithm=\"{}\"/>{twice}", algorithm::ENVELOPED_TRANSFORM);
    assert_eq!(change(twice, &enveloped), ["CBQL:signature-invalid"]);
}

#[test]
fn a_certificate_of_another_key_is_refused() {
    let signed = record("1", "9");
    let block = between(&signed, "<KY_PHAT_HANH>", "</KY_PHAT_HANH>").to_owned();
    let key_info = between(&block, "<KeyInfo>", "</KeyInfo>");
    let teacher = between(&signed, "<GVCN>", "</GVCN>");
    let theirs = between(teacher, "<KeyInfo>", "</KeyInfo>");
    let changed = signed.replace(&block, &block.replace(key_info, theirs));
    assert_eq!(refused(&changed), ["KY_PHAT_HANH:signature-invalid"]);
}

#[test]
fn references_that_are_signed_but_point_elsewhere_are_refused() {
    // A signer who signs everything rightly, but other than this record's data.
    let signed = record("1", "9");
    let moved = signed.replace("<DU_LIEU_HOC_BA Id=\"D-1\">", "<DU_LIEU_HOC_BA Id=\"D-2\">");
    assert_eq!(refused(&moved), all("reference-target"));
}

#[test]
fn a_small_key_is_weak() {
    let mut small = profile();
    small.algorithms.rsa_bits_min = 3072;
    let strict = Verifier::new(small, settings());
    let result = strict.verify_record(record("1", "9").as_bytes(), &Inherited::default());
    assert_eq!(codes(result), ["CBQL:weak-algorithm"]);
}

#[test]
fn a_record_is_limited_in_bytes() {
    let padded = |size: usize| {
        let signed = record("1", "9");
        let room = size - signed.len() - 7;
        signed.replace("<GVCN>", &format!("<!--{}--><GVCN>", "x".repeat(room)))
    };
    let mut settings = settings();
    settings.xml.record_bytes_max = 40_000;
    let strict = Verifier::new(profile(), settings);
    let verify = |text: &str| strict.verify_record(text.as_bytes(), &Inherited::default());
    assert_eq!(padded(40_000).len(), 40_000);
    assert!(verify(&padded(40_000)).is_ok());
    assert_eq!(codes(verify(&padded(40_001))), ["record-too-large"]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]
    #[test]
    fn a_changed_byte_is_refused_or_changes_nothing(
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
        how in 0..3,
    ) {
        static SIGNED: LazyLock<(Verifier, Vec<u8>)> =
            LazyLock::new(|| (verifier(), record("1", "9").into_bytes()));
        let (verifier, signed) = &*SIGNED;
        let mut bytes = signed.clone();
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] ^= byte,
            1 => bytes.insert(at, byte),
            _ => drop(bytes.remove(at)),
        }
        if let Ok(verified) = verifier.verify_record(&bytes, &Inherited::default()) {
            prop_assert_eq!(verified.data, data("D-1", "9").into_bytes());
        }
    }

    #[test]
    fn nothing_makes_the_verifier_panic(text in super::canonical::documents(), cut in any::<prop::sample::Index>()) {
        let verifier = verifier();
        let _ = verifier.verify_record(text.as_bytes(), &Inherited::default());
        let cut = &text.as_bytes()[..cut.index(text.len())];
        let _ = verifier.verify_record(cut, &Inherited::default());
        let _ = verifier.scan(cut);
        let _ = verifier.verify_sealed_element(text.as_bytes());
    }
}

//! Tests that an independent verifier, xmlsec1, agrees with what is made here.

use std::path::Path;
use std::process::Command;

use super::*;

// Return whether xmlsec1 believes `text`; `None` when it is not installed.
fn xmlsec1_believes(text: &str, ids: &[(&str, &str)], at: &str) -> Option<bool> {
    if Command::new("xmlsec1").arg("--version").output().is_err() {
        eprintln!("SKIPPED: xmlsec1 is not installed; signatures were not verified independently");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let path: &Path = &dir.path().join("signed.xml");
    std::fs::write(path, text).unwrap();
    let mut command = Command::new("xmlsec1");
    command.arg("--verify").arg("--enabled-key-data").arg("x509").arg("--insecure");
    for (attribute, element) in ids {
        command.arg(format!("--id-attr:{attribute}")).arg(element);
    }
    command.args(["--node-xpath", at]).arg(path);
    Some(command.output().unwrap().status.success())
}

const IDS: [(&str, &str); 2] =
    [("Id", "DU_LIEU_HOC_BA"), ("Id", "http://www.w3.org/2000/09/xmldsig#:Object")];

fn signature_of(role: &str) -> String {
    format!("//{role}/*[local-name()='Signature']")
}

#[test]
fn xmlsec1_believes_every_signature_of_a_record_and_no_forged_one() {
    let signed = record("1", "4");
    let forged = signed.replace("<DIEM>4<", "<DIEM>9<");
    for role in ["GVCN", "CBQL", "KY_PHAT_HANH"] {
        let Some(believed) = xmlsec1_believes(&signed, &IDS, &signature_of(role)) else {
            return;
        };
        assert!(believed, "{role}");
        assert_eq!(xmlsec1_believes(&forged, &IDS, &signature_of(role)), Some(false), "{role}");
    }
}

#[test]
fn xmlsec1_believes_the_signature_of_a_list() {
    let text = list(&[record("1", "7"), record("2", "8")]);
    let ids = [("id", "DANH_SACH_HOC_BA"), IDS[1]];
    let own = "/DANH_SACH_HOC_BA/*[local-name()='Signature']";
    let Some(believed) = xmlsec1_believes(&text, &ids, own) else {
        return;
    };
    assert!(believed);
    let changed = text.replace("<DIEM>8<", "<DIEM>9<");
    assert_eq!(xmlsec1_believes(&changed, &ids, own), Some(false));
    // Within the list, the records' own signatures stay as good as they were alone.
    let first = "/DANH_SACH_HOC_BA/HOC_BA[2]//CBQL/*[local-name()='Signature']";
    assert_eq!(xmlsec1_believes(&text, &IDS, first), Some(true));
}

#[test]
fn xmlsec1_believes_a_sealed_element() {
    let element = "<GOI_TIN Id=\"m-1\"><BAN_GHI>á &amp; b</BAN_GHI></GOI_TIN>";
    for signer in [&SCHOOL.seal, &SCHOOL.principal] {
        let sealed = seal_element(element.as_bytes(), "m-1", signer, AT.parse().unwrap()).unwrap();
        let text = String::from_utf8(sealed).unwrap();
        let ids = [("Id", "GOI_TIN"), IDS[1]];
        let own = "/GOI_TIN/*[local-name()='Signature']";
        let Some(believed) = xmlsec1_believes(&text, &ids, own) else {
            return;
        };
        assert!(believed);
    }
}

// A signature for xmlsec1 to fill in, over `uri` and over its own SigningTime.
fn template(uri: &str, enveloped: bool, method: &str, c14n: &str, digest: &str) -> String {
    let transform = if enveloped {
        format!("<Transform Algorithm=\"{}\"/>", algorithm::ENVELOPED_TRANSFORM)
    } else {
        String::new()
    };
    let reference = |uri: &str, transform: &str| {
        format!(
            "<Reference URI=\"{uri}\">\n<Transforms>{transform}<Transform Algorithm=\"{c14n}\"/></Transforms>\
             <DigestMethod Algorithm=\"{digest}\"/><DigestValue></DigestValue></Reference>\n"
        )
    };
    format!(
        "<ds:Signature xmlns:ds=\"{ns}\" Id=\"s\">{body}</ds:Signature>",
        ns = algorithm::DSIG_NAMESPACE,
        body = format!(
            "<SignedInfo>\n<CanonicalizationMethod Algorithm=\"{c14n}\"/>\n\
             <SignatureMethod Algorithm=\"{method}\"/>{}{}</SignedInfo><SignatureValue></SignatureValue>\
             <KeyInfo><X509Data><X509SubjectName/><X509Certificate/></X509Data></KeyInfo>\
             <Object Id=\"t\"><SignatureProperties><SignatureProperty Target=\"#s\">\
             <x:SigningTime xmlns:x=\"urn:t\">2026-05-28T09:12:31+07:00</x:SigningTime>\
             </SignatureProperty></SignatureProperties></Object>",
            reference(uri, &transform),
            reference("#t", "")
        )
        .replace("</", "@/")
        .replace('<', "<ds:")
        .replace("@/", "</ds:")
        .replace("ds:x:", "x:")
    )
}

// Let xmlsec1 sign `text` in place; `None` when it is not installed.
fn signed_by_xmlsec1(
    text: &str,
    key: &KeyPair,
    certificate: &rcgen::Certificate,
    ids: &[&str],
) -> Option<String> {
    if Command::new("xmlsec1").arg("--version").output().is_err() {
        eprintln!("SKIPPED: xmlsec1 is not installed; no foreign signatures were verified");
        return None;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (key, certificate) =
        (file("k.pem", &key.serialize_pem()), file("c.pem", &certificate.pem()));
    let mut command = Command::new("xmlsec1");
    command.args(["--sign", "--privkey-pem", &format!("{key},{certificate}")]);
    for id in ids {
        command.arg("--id-attr:Id").arg(id);
    }
    let output = command.arg(file("t.xml", text)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // xmlsec1 leaves the name empty; it is not signed, and may be written in many ways.
    let name = "<ds:X509SubjectName>c=vn; CN=\"Truong Mau, co so A\"</ds:X509SubjectName>";
    let signed = String::from_utf8(output.stdout).unwrap();
    Some(signed.replace("<ds:X509SubjectName/>", name))
}

fn certified(key: &KeyPair) -> rcgen::Certificate {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "VN");
    params.distinguished_name.push(DnType::CommonName, "Truong Mau, co so A");
    params.self_signed(key).unwrap()
}

const INCLUSIVE: &str = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315";
const EXCLUSIVE: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
const SHA256: &str = "http://www.w3.org/2001/04/xmlenc#sha256";
const SHA512: &str = "http://www.w3.org/2001/04/xmlenc#sha512";
const MORE: &str = "http://www.w3.org/2001/04/xmldsig-more#";

#[test]
fn signatures_made_by_xmlsec1_are_verified_for_every_method() {
    let rsa = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let p256 = KeyPair::generate().unwrap();
    let p384 = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap();
    let verifier = verifier();
    for (key, method, c14n, digest) in [
        (&rsa, "rsa-sha256", INCLUSIVE, SHA256),
        (&rsa, "rsa-sha384", EXCLUSIVE, SHA512),
        (&rsa, "rsa-sha512", INCLUSIVE, SHA512),
        (&p256, "ecdsa-sha256", EXCLUSIVE, SHA256),
        (&p384, "ecdsa-sha384", INCLUSIVE, SHA256),
    ] {
        let method = format!("{MORE}{method}");
        let signature = template("#m-1", true, &method, c14n, digest);
        let text = format!(
            "<a:GOI xmlns:a=\"urn:a\" xmlns=\"urn:d\" Id=\"m-1\">\n<B a:y='2' x=\"1\"/>á&#13;{signature}\n</a:GOI>"
        );
        let ids = ["urn:a:GOI", "http://www.w3.org/2000/09/xmldsig#:Object"];
        let certificate = certified(key);
        let Some(signed) = signed_by_xmlsec1(&text, key, &certificate, &ids) else {
            return;
        };
        let verified = verifier.verify_sealed_element(signed.as_bytes()).unwrap();
        assert_eq!(verified.certificate, certificate.der().as_ref());
        let changed = signed.replace("y=\"2\"", "y=\"3\"").replace("y='2'", "y='3'");
        let fault = verifier.verify_sealed_element(changed.as_bytes()).unwrap_err();
        assert_eq!(fault, FaultKind::DataDigest, "{method} {c14n}");
    }
}

#[test]
fn a_list_signed_with_another_method_is_read_a_second_time() {
    let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let method = format!("{MORE}rsa-sha256");
    let signature = template("#l", true, &method, EXCLUSIVE, SHA512);
    let text = format!(
        "<DANH_SACH_HOC_BA Id=\"l\" xmlns:u=\"urn:unused\">{}\n{signature}</DANH_SACH_HOC_BA>",
        record("1", "7")
    );
    // The records' own signatures come first in the document: tell xmlsec1 which one to fill in.
    let inner = text.find("<HOC_BA>").unwrap()..text.find("</HOC_BA>").unwrap() + 9;
    let bare = text.replace(&text[inner], "<HOC_BA><A>1</A></HOC_BA>");
    let ids = ["DANH_SACH_HOC_BA", "http://www.w3.org/2000/09/xmldsig#:Object"];
    let Some(signed) = signed_by_xmlsec1(&bare, &key, &certified(&key), &ids) else {
        return;
    };
    let opened = std::cell::Cell::new(0);
    let verifier = verifier();
    let verify = |text: &str| {
        verifier.verify_list(|| {
            opened.set(opened.get() + 1);
            Ok(std::io::Cursor::new(text.to_owned()))
        })
    };
    assert_eq!(verify(&signed).unwrap().records, 1);
    assert_eq!(opened.get(), 2);
    let changed = signed.replace("<A>1<", "<A>2<");
    assert_eq!(verify(&changed).unwrap_err().code(), "data-digest");
}

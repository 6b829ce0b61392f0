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
    command
        .arg("--verify")
        .arg("--enabled-key-data")
        .arg("x509")
        .arg("--insecure");
    for (attribute, element) in ids {
        command.arg(format!("--id-attr:{attribute}")).arg(element);
    }
    command.args(["--node-xpath", at]).arg(path);
    Some(command.output().unwrap().status.success())
}

const IDS: [(&str, &str); 2] = [
    ("Id", "DU_LIEU_HOC_BA"),
    ("Id", "http://www.w3.org/2000/09/xmldsig#:Object"),
];

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
        assert_eq!(
            xmlsec1_believes(&forged, &IDS, &signature_of(role)),
            Some(false),
            "{role}"
        );
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

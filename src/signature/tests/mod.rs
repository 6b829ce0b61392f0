//! Tests verification against everything an attacker may do to a signed document.

mod canonical;
mod interop;
mod json;
mod lists;
mod mutants;
mod reading;

use std::sync::{Arc, LazyLock};

use rcgen::{CertificateParams, DnType, KeyPair, SigningKey};

use super::*;
use crate::platform::config::Tables;

pub(super) const AT: &str = "2026-05-28T02:12:31Z";

// A signer whose key is made by the certificate library, so that nothing here holds a private key.
pub(super) struct TestSigner {
    key: KeyPair,
    algorithm: SignatureAlgorithm,
    certificate: Vec<u8>,
}

impl TestSigner {
    pub(super) fn p256(name: &str) -> Self {
        Self::new(name, KeyPair::generate().unwrap(), SignatureAlgorithm::EcdsaP256Sha256)
    }

    pub(super) fn rsa(name: &str) -> Self {
        let key = KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        Self::new(name, key, SignatureAlgorithm::RsaPkcs1Sha256)
    }

    fn new(name: &str, key: KeyPair, algorithm: SignatureAlgorithm) -> Self {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(DnType::CountryName, "VN");
        params.distinguished_name.push(DnType::OrganizationName, "Trường Mẫu, cơ sở \"A\"");
        params.distinguished_name.push(DnType::CommonName, name);
        Self { certificate: params.self_signed(&key).unwrap().der().to_vec(), key, algorithm }
    }
}

impl Signer for TestSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    fn chain_der(&self) -> &[Vec<u8>] {
        &[]
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        let signature = self.key.sign(message).map_err(|_| SignError::KeyFailed)?;
        Ok(match self.algorithm {
            SignatureAlgorithm::EcdsaP256Sha256 => raw_of(&signature),
            _ => signature,
        })
    }
}

// Turn the DER of an ECDSA signature into r || s of 32 bytes each.
fn raw_of(der: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 2;
    for _ in 0..2 {
        let len = usize::from(der[at + 1]);
        let number = &der[at + 2..at + 2 + len];
        let number = &number[number.len().saturating_sub(32)..];
        out.extend(std::iter::repeat_n(0, 32 - number.len()));
        out.extend_from_slice(number);
        at += 2 + len;
    }
    out
}

pub(super) fn settings() -> Settings {
    Settings {
        xml: XmlLimits {
            depth_max: 32,
            attributes_max: 64,
            namespaces_max: 32,
            start_tag_bytes_max: 8192,
            text_bytes_max: 65536,
            nodes_max: 5000,
            record_bytes_max: 262_144,
        },
        sealed_bytes_max: 500_000,
        sealed_nodes_max: 20_000,
        key_cache_entries: 100,
        jws_bytes_max: 65536,
    }
}

pub(super) fn profile() -> Profile {
    Tables::default().parse("mappings/signature-profile.toml").unwrap()
}

pub(super) fn verifier() -> Verifier {
    Verifier::new(profile(), settings())
}

pub(super) struct School {
    pub(super) teacher: XmlSigner,
    pub(super) principal: XmlSigner,
    pub(super) seal: XmlSigner,
}

fn xml_signer(signer: TestSigner) -> XmlSigner {
    XmlSigner::new(Arc::new(signer), false).unwrap()
}

pub(super) static SCHOOL: LazyLock<School> = LazyLock::new(|| School {
    teacher: xml_signer(TestSigner::p256("Nguyễn Thị Giáo")),
    principal: xml_signer(TestSigner::rsa("Trần Văn Hiệu")),
    seal: xml_signer(TestSigner::p256("Trường Tiểu học Mẫu")),
});

pub(super) fn data(id: &str, mark: &str) -> String {
    format!(
        "<DU_LIEU_HOC_BA Id=\"{id}\"><THONG_TIN_CHUNG><HO_VA_TEN>Lê Thị Hồng Ánh</HO_VA_TEN>\
         <SO_CCCD>001315000001</SO_CCCD></THONG_TIN_CHUNG><TONG_KET><DIEM>{mark}</DIEM>\
         <NHAN_XET_GVCN>Chăm &amp; ngoan,\n&lt;giỏi&gt; toán</NHAN_XET_GVCN></TONG_KET></DU_LIEU_HOC_BA>"
    )
}

pub(super) fn record(id: &str, mark: &str) -> String {
    let data_id = format!("D-{id}");
    record_of(id, &data_id, &data(&data_id, mark))
}

pub(super) fn record_of(id: &str, data_id: &str, data: &str) -> String {
    let at = AT.parse().unwrap();
    let signer = |role, signer| RecordSigner {
        role,
        signed_on: Some("2026-05-28"),
        personal_number: (role != "KY_PHAT_HANH").then_some("001085000001"),
        signer,
        at,
    };
    let signers = [
        signer("GVCN", &SCHOOL.teacher),
        signer("CBQL", &SCHOOL.principal),
        signer("KY_PHAT_HANH", &SCHOOL.seal),
    ];
    let mut out = Vec::new();
    sign_record(&profile(), id, data.as_bytes(), data_id, &signers, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

pub(super) fn list(records: &[String]) -> String {
    let mut writer = ListWriter::begin(Vec::new(), &profile(), "dataDanhSach").unwrap();
    for record in records {
        writer.record(record.as_bytes()).unwrap();
    }
    let out = writer.finish(&SCHOOL.seal, AT.parse().unwrap()).unwrap();
    String::from_utf8(out).unwrap()
}

pub(super) fn codes(result: Result<VerifiedRecord, Vec<SignatureFault>>) -> Vec<String> {
    let faults = result.map(|_| ()).unwrap_err();
    assert!(!faults.is_empty());
    let told = |fault: &SignatureFault| match &fault.role {
        Some(role) => format!("{role}:{}", fault.code()),
        None => fault.code().to_owned(),
    };
    faults.iter().map(told).collect()
}

#[test]
fn every_reason_code_has_a_text_in_both_languages() {
    use crate::platform::texts;
    let source = concat!(include_str!("../fault.rs"), include_str!("../xml.rs"));
    let mut count = 0;
    for line in source.lines().filter(|line| line.contains("=> \"")) {
        let code = line.split('"').nth(1).unwrap();
        assert!(texts::has(&format!("signature.fault.{code}")), "{code}");
        count += 1;
    }
    assert!(count > 50);
}

#[test]
fn the_configured_limits_are_all_there() {
    #[derive(serde::Deserialize)]
    struct Part {
        signature: Settings,
        trust: serde_json::Value,
    }
    let part: Part = crate::platform::config::load(None, std::iter::empty()).unwrap();
    assert_eq!(part.signature.xml.depth_max, 32);
    assert!(part.trust.is_object());
}

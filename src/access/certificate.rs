//! Reads what the registry keeps of a certificate: digests and validity, never the name in it.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use x509_parser::parse_x509_certificate;
use x509_parser::pem::Pem;

use super::{AccessError, Reason};

/// Bytes a certificate file may have.
const BYTES_MAX: usize = 64 * 1024;

/// SHA-256 of something, written as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
pub struct Fingerprint(pub [u8; 32]);

impl Fingerprint {
    /// Digest `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        let mut value = [0; 32];
        value.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(value)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Say that a text is not a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a fingerprint; permitted: 64 lower-case hexadecimal digits")]
pub struct NotAFingerprint;

impl FromStr for Fingerprint {
    type Err = NotAFingerprint;

    fn from_str(text: &str) -> Result<Self, NotAFingerprint> {
        let digits = text.as_bytes();
        let canonical = |digit: &u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
        if digits.len() != 64 || !digits.iter().all(canonical) {
            return Err(NotAFingerprint);
        }
        let mut value = [0; 32];
        for (byte, pair) in value.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| NotAFingerprint)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| NotAFingerprint)?;
        }
        Ok(Self(value))
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

/// What is kept of a certificate; a person's name in it is left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CertificateFacts {
    /// SHA-256 of the DER.
    pub fingerprint: Fingerprint,
    /// SHA-256 of the public key (SubjectPublicKeyInfo).
    pub spki_sha256: Fingerprint,
    /// Beginning of its validity.
    #[schema(value_type = String, format = DateTime)]
    pub not_before: Timestamp,
    /// End of its validity.
    #[schema(value_type = String, format = DateTime)]
    pub not_after: Timestamp,
}

impl CertificateFacts {
    /// Read exactly one end-entity certificate, PEM or DER.
    pub fn read(bytes: &[u8]) -> Result<Self, AccessError> {
        let malformed = || AccessError::Impossible(Reason::CertificateMalformed);
        if bytes.len() > BYTES_MAX {
            return Err(malformed());
        }
        if !bytes.starts_with(b"-----") && bytes.first() == Some(&0x30) {
            return Self::read_der(bytes);
        }
        let mut pems = Pem::iter_from_buffer(bytes);
        let pem = pems.next().and_then(Result::ok).ok_or_else(malformed)?;
        if pem.label != "CERTIFICATE" || pems.next().is_some() {
            return Err(malformed());
        }
        Self::read_der(&pem.contents)
    }

    fn read_der(der: &[u8]) -> Result<Self, AccessError> {
        let malformed = || AccessError::Impossible(Reason::CertificateMalformed);
        let (rest, certificate) = parse_x509_certificate(der).map_err(|_| malformed())?;
        if !rest.is_empty() {
            return Err(malformed());
        }
        if certificate.is_ca() {
            return Err(AccessError::Impossible(Reason::CertificateIsCa));
        }
        let time = |seconds: i64| Timestamp::from_second(seconds).map_err(|_| malformed());
        let validity = certificate.validity();
        Ok(Self {
            fingerprint: Fingerprint::of(der),
            spki_sha256: Fingerprint::of(certificate.public_key().raw),
            not_before: time(validity.not_before.timestamp())?,
            not_after: time(validity.not_after.timestamp())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::listener::test_pki::TestPki;

    #[test]
    fn pem_and_der_of_a_certificate_give_the_same_facts() {
        let made = TestPki::new().client("client");
        let facts = CertificateFacts::read(&made.der).unwrap();
        assert_eq!(facts, CertificateFacts::read(made.pem.as_bytes()).unwrap());
        assert!(facts.not_before < facts.not_after);
        assert_ne!(facts.fingerprint, facts.spki_sha256);
        let text = serde_json::to_string(&facts).unwrap();
        assert_eq!(facts, serde_json::from_str(&text).unwrap());
    }

    #[test]
    fn anything_but_one_end_entity_certificate_is_refused() {
        let pki = TestPki::new();
        let made = pki.client("client");
        let ca = std::fs::read(pki.ca_file()).unwrap();
        let key = std::fs::read(&made.key_file).unwrap();
        let mut trailing = made.der.clone();
        trailing.push(0);
        let reason = |bytes: &[u8]| match CertificateFacts::read(bytes) {
            Err(AccessError::Impossible(reason)) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(&ca), Reason::CertificateIsCa);
        for wrong in [
            made.pem.repeat(2).as_bytes(),
            &key,
            &trailing,
            &made.der[..50],
            b"",
            b"text",
            &vec![0x30; BYTES_MAX + 1],
        ] {
            assert_eq!(reason(wrong), Reason::CertificateMalformed);
        }
    }

    #[test]
    fn a_fingerprint_has_one_written_form() {
        let text = "0a".repeat(32);
        assert_eq!(text.parse::<Fingerprint>().unwrap().to_string(), text);
        for wrong in ["", "0a", &"0A".repeat(32), &"+1".repeat(32), &"é".repeat(32)] {
            assert!(wrong.parse::<Fingerprint>().is_err(), "{wrong}");
        }
    }
}

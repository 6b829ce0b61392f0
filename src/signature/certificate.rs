//! Reads signers' certificates once, keeps their parsed keys, and compares subject names.

use std::sync::{Arc, OnceLock, RwLock};

use aws_lc_rs::digest;
use aws_lc_rs::signature::ParsedPublicKey;
use x509_parser::prelude::{FromDer, X509Certificate};
use x509_parser::public_key::PublicKey;
use x509_parser::x509::X509Name;

use super::algorithm::{KeyKind, SignatureMethod};
use super::fault::FaultKind;
use super::recent::Recent;

/// SHA-256 of a certificate's DER.
pub type Fingerprint = [u8; 32];

/// Return the SHA-256 of `der`.
pub fn fingerprint(der: &[u8]) -> Fingerprint {
    let mut out = [0; 32];
    out.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
    out
}

/// A signer's certificate as far as a signature needs it; whether to believe it is for `trust`.
pub struct SignerKey {
    der: Vec<u8>,
    fingerprint: Fingerprint,
    kind: KeyKind,
    public_key: Vec<u8>,
    subject: String,
    subject_parts: Vec<NamePart>,
    matched_name: OnceLock<String>,
    parsed: RwLock<Vec<(SignatureMethod, ParsedPublicKey)>>,
}

impl SignerKey {
    /// Read a certificate; anything that is not exactly one DER certificate is refused.
    pub fn from_der(der: &[u8]) -> Result<Self, FaultKind> {
        let unreadable = |_| FaultKind::CertificateUnreadable;
        let (rest, certificate) = X509Certificate::from_der(der).map_err(unreadable)?;
        if !rest.is_empty() {
            return Err(FaultKind::CertificateUnreadable);
        }
        let info = certificate.public_key();
        let kind = match info.parsed() {
            Ok(PublicKey::RSA(key)) => KeyKind::Rsa(key.key_size()),
            Ok(PublicKey::EC(_)) => curve(info),
            _ => KeyKind::Other,
        };
        Ok(Self {
            fingerprint: fingerprint(der),
            kind,
            public_key: info.subject_public_key.data.to_vec(),
            subject: written_name(certificate.subject()),
            subject_parts: certificate_parts(certificate.subject()),
            matched_name: OnceLock::new(),
            parsed: RwLock::new(Vec::new()),
            der: der.to_vec(),
        })
    }

    /// Return the certificate.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Return the SHA-256 of the certificate.
    pub fn fingerprint(&self) -> &Fingerprint {
        &self.fingerprint
    }

    /// Return the kind of the key.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Return the subject in the form of RFC 4514, most specific part first.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// Tell whether `written` names the subject; order, case, spacing and type names may differ.
    pub fn is_named(&self, written: &str) -> bool {
        if self.matched_name.get().is_some_and(|name| name == written) {
            return true;
        }
        let matches = written_parts(written).is_some_and(|parts| parts == self.subject_parts);
        if matches {
            // The same software writes the same name every time; remembering it saves the parsing.
            let _ = self.matched_name.set(written.to_owned());
        }
        matches
    }

    /// Verify `signature` of `message`.
    pub fn verify(
        &self,
        method: SignatureMethod,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), FaultKind> {
        let invalid = |_| FaultKind::SignatureInvalid;
        let known = |parsed: &[(SignatureMethod, ParsedPublicKey)]| {
            parsed.iter().position(|(known, _)| *known == method)
        };
        if let Ok(parsed) = self.parsed.read()
            && let Some(at) = known(&parsed)
        {
            return parsed[at].1.verify_sig(message, signature).map_err(invalid);
        }
        let algorithm = method.verification(self.kind).ok_or(FaultKind::KeyMismatch)?;
        let key = ParsedPublicKey::new(algorithm, &self.public_key)
            .map_err(|_| FaultKind::KeyMismatch)?;
        let result = key.verify_sig(message, signature).map_err(invalid);
        if let Ok(mut parsed) = self.parsed.write()
            && known(&parsed).is_none()
        {
            parsed.push((method, key));
        }
        result
    }
}

fn curve(info: &x509_parser::x509::SubjectPublicKeyInfo<'_>) -> KeyKind {
    let named = info.algorithm.parameters.as_ref().and_then(|p| p.as_oid().ok());
    match named.map(|oid| oid.to_id_string()).as_deref() {
        Some("1.2.840.10045.3.1.7") => KeyKind::P256,
        Some("1.3.132.0.34") => KeyKind::P384,
        _ => KeyKind::Other,
    }
}

/// Parsed certificates by fingerprint, bounded; the same signers sign hundreds of records.
pub struct KeyCache {
    keys: Recent<Fingerprint, SignerKey>,
}

impl KeyCache {
    /// Keep at most `entries_max` keys.
    pub fn new(entries_max: usize) -> Self {
        Self { keys: Recent::new(entries_max) }
    }

    /// Return the key of the certificate `der`, reading it if it is not at hand.
    pub fn key(&self, der: &[u8]) -> Result<Arc<SignerKey>, FaultKind> {
        let print = fingerprint(der);
        if let Some(key) = self.keys.find(&print) {
            return Ok(key);
        }
        let key = Arc::new(SignerKey::from_der(der)?);
        self.keys.keep(print, Arc::clone(&key));
        Ok(key)
    }
}

/// One attribute of a name, made comparable: type as short name or OID, value folded.
type NamePart = (String, String);

const TYPES: [(&str, &[&str]); 16] = [
    ("2.5.4.3", &["CN"]),
    ("2.5.4.4", &["SN", "SURNAME"]),
    ("2.5.4.5", &["SERIALNUMBER"]),
    ("2.5.4.6", &["C"]),
    ("2.5.4.7", &["L"]),
    ("2.5.4.8", &["ST", "S", "SP"]),
    ("2.5.4.9", &["STREET"]),
    ("2.5.4.10", &["O"]),
    ("2.5.4.11", &["OU"]),
    ("2.5.4.12", &["T", "TITLE"]),
    ("2.5.4.20", &["PHONE", "TELEPHONENUMBER"]),
    ("2.5.4.42", &["GN", "G", "GIVENNAME"]),
    ("2.5.4.97", &["ORGANIZATIONIDENTIFIER"]),
    ("0.9.2342.19200300.100.1.1", &["UID", "USERID"]),
    ("0.9.2342.19200300.100.1.25", &["DC"]),
    ("1.2.840.113549.1.9.1", &["E", "EMAIL", "EMAILADDRESS"]),
];

fn fold(value: &str) -> String {
    let words: Vec<String> = value.split_whitespace().map(str::to_lowercase).collect();
    words.join(" ")
}

fn certificate_parts(name: &X509Name<'_>) -> Vec<NamePart> {
    let mut parts: Vec<NamePart> = name
        .iter_attributes()
        .map(|attribute| {
            let value = match attribute.as_str() {
                Ok(text) => fold(text),
                Err(_) => hex_form(attribute.as_slice()),
            };
            (attribute.attr_type().to_id_string(), value)
        })
        .collect();
    parts.sort_unstable();
    parts
}

fn hex_form(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("#{}", digits.concat())
}

/// Write `name` in the form of RFC 4514, most specific part first.
pub fn written_name(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = name
        .iter_attributes()
        .map(|attribute| {
            let oid = attribute.attr_type().to_id_string();
            let kind = TYPES
                .iter()
                .find(|(known, _)| *known == oid)
                .map_or(oid.as_str(), |(_, names)| names[0]);
            let value = match attribute.as_str() {
                Ok(text) => escaped(text),
                Err(_) => hex_form(attribute.as_slice()),
            };
            format!("{kind}={value}")
        })
        .collect();
    parts.reverse();
    parts.join(",")
}

fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for (at, c) in value.char_indices() {
        let last = at + c.len_utf8() == value.len();
        let edge = (c == ' ' && (at == 0 || last)) || (c == '#' && at == 0);
        if edge || matches!(c, ',' | '+' | '"' | '\\' | '<' | '>' | ';') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

// Read a name in the form of RFC 4514, or RFC 1779 with its quotes and semicolons.
fn written_parts(written: &str) -> Option<Vec<NamePart>> {
    let mut parts = Vec::new();
    let mut rest = written.trim();
    while !rest.is_empty() {
        let (kind, after) = rest.split_once('=')?;
        let (value, tail) = value_of(after.trim_start())?;
        let kind = kind.trim().to_uppercase();
        let kind = kind.strip_prefix("OID.").unwrap_or(&kind);
        let oid = TYPES
            .iter()
            .find(|(oid, names)| *oid == kind || names.contains(&kind))
            .map_or(kind, |(oid, _)| oid);
        parts.push((oid.to_owned(), fold(&value)));
        rest = tail.trim_start();
    }
    parts.sort_unstable();
    Some(parts)
}

// Return the value up to the next separator, unescaped, and what follows the separator.
fn value_of(text: &str) -> Option<(String, &str)> {
    let mut bytes = Vec::new();
    let mut quoted = false;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => {
                let (next, escaped) = chars.next()?;
                let pair = text.get(next..next + 2);
                match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
                    Some(byte) => {
                        bytes.push(byte);
                        chars.next();
                    }
                    None => bytes.extend_from_slice(escaped.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
            ',' | '+' | ';' if !quoted => {
                return Some((String::from_utf8(bytes).ok()?, &text[at + 1..]));
            }
            _ => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    (!quoted).then_some(())?;
    Some((String::from_utf8(bytes).ok()?, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_compared_without_regard_to_order_case_and_spacing() {
        let one = written_parts("CN=Trường Tiểu học A,O=UBND  phường B, C=VN");
        let two = written_parts("c=vn, o=\"ubnd phường b\" ; CN=TRƯỜNG tiểu học a");
        assert!(one.is_some());
        assert_eq!(one, two);
        assert_ne!(one, written_parts("CN=Trường Tiểu học A,C=VN"));
    }

    #[test]
    fn escapes_of_rfc_4514_are_understood() {
        let parts = written_parts(r"CN=A\, B\C3\A0,UID=CCCD:001085000001").unwrap();
        assert_eq!(parts[1].1, "a, bà");
        assert_eq!(parts[0].1, "cccd:001085000001");
        assert_eq!(written_parts("OID.2.5.4.3=x"), written_parts("cn=X"));
        assert_eq!(written_parts("no equals"), None);
        assert_eq!(written_parts("CN=\"open"), None);
    }
}

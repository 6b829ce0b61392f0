//! Makes and verifies JSON Web Signatures (RFC 7515), detached over canonical JSON (RFC 8785) and compact.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::algorithm::SignatureMethod;
use super::fault::FaultKind;
use super::reference::{decode, parse_time};
use super::writing::vietnam_time;
use super::{SignError, Signer, Verifier};

/// A JWS that verifies; whether to believe the signer is for `trust`.
#[derive(Debug, Clone)]
pub struct VerifiedJws {
    /// The signer's certificate, DER (first of `x5c`).
    pub certificate: Vec<u8>,
    /// Further certificates of `x5c`, DER.
    pub chain: Vec<Vec<u8>>,
    /// Subject of the certificate (RFC 4514).
    pub subject_name: String,
    /// `sigT`: signed, but a claim of the signer.
    pub signing_time: Timestamp,
    /// `typ`, if there is one.
    pub kind: Option<String>,
}

impl VerifiedJws {
    /// Return what is known of the signer as the block `role` of a record.
    pub fn into_block(self, role: &str) -> super::SignerBlock {
        super::SignerBlock {
            role: role.to_owned(),
            signing_time: self.signing_time,
            signed_on: None,
            personal_number: None,
            certificate: self.certificate,
            chain: self.chain,
            subject_name: self.subject_name,
        }
    }
}

#[derive(Serialize)]
struct WrittenHeader<'a> {
    alg: &'a str,
    #[serde(rename = "sigT")]
    signing_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    typ: Option<&'a str>,
    x5c: Vec<String>,
}

// Header parameters that have no meaning here are refused, not ignored; so are members that occur twice.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadHeader {
    alg: String,
    #[serde(rename = "sigT")]
    signing_time: String,
    x5c: Vec<String>,
    typ: Option<String>,
    #[serde(rename = "cty")]
    _content_type: Option<String>,
    #[serde(rename = "kid")]
    _key_id: Option<String>,
    b64: Option<bool>,
    crit: Option<Vec<String>>,
}

/// Return the canonical octets of `value` (RFC 8785).
pub fn canonical_json<T: Serialize>(value: &T) -> Result<Vec<u8>, SignError> {
    serde_json_canonicalizer::to_vec(value)
        .map_err(|_| SignError::Shape("the JSON has no canonical form"))
}

/// Sign `payload` (canonical JSON) and return `header..signature` (RFC 7515, appendix F).
pub fn sign_detached(
    payload: &[u8],
    signer: &dyn Signer,
    at: Timestamp,
) -> Result<String, SignError> {
    let (input, header_len) = signing_input(payload, signer, at, None)?;
    let signature = signer.sign(input.as_bytes())?;
    let mut token = input[..header_len].to_owned();
    token.push_str("..");
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

/// Sign `payload` and return `header.payload.signature`; `typ` says what kind of statement it is.
pub fn sign_compact(
    payload: &[u8],
    typ: &str,
    signer: &dyn Signer,
    at: Timestamp,
) -> Result<String, SignError> {
    let (mut token, _) = signing_input(payload, signer, at, Some(typ))?;
    let signature = signer.sign(token.as_bytes())?;
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut token);
    Ok(token)
}

fn signing_input(
    payload: &[u8],
    signer: &dyn Signer,
    at: Timestamp,
    typ: Option<&str>,
) -> Result<(String, usize), SignError> {
    let own = std::iter::once(signer.certificate_der());
    let chain = signer.chain_der().iter().map(Vec::as_slice);
    let header = WrittenHeader {
        alg: signer.algorithm().jws_name(),
        signing_time: vietnam_time(at),
        typ,
        x5c: own.chain(chain).map(|der| STANDARD.encode(der)).collect(),
    };
    let header = canonical_json(&header)?;
    let mut input = URL_SAFE_NO_PAD.encode(header);
    let header_len = input.len();
    input.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut input);
    Ok((input, header_len))
}

impl Verifier {
    /// Verify the detached `token` over `payload` (canonical JSON, as [`canonical_json`] makes it).
    pub fn verify_detached(&self, token: &str, payload: &[u8]) -> Result<VerifiedJws, FaultKind> {
        let [header, middle, signature] = self.split(token)?;
        if !middle.is_empty() {
            return Err(FaultKind::JwsShape);
        }
        let mut input = String::with_capacity(header.len() + payload.len() / 3 * 4 + 8);
        input.push_str(header);
        input.push('.');
        URL_SAFE_NO_PAD.encode_string(payload, &mut input);
        self.verify_parts(header, input.as_bytes(), signature)
    }

    /// Verify the compact `token` and return its payload.
    pub fn verify_compact(&self, token: &str) -> Result<(Vec<u8>, VerifiedJws), FaultKind> {
        let [header, middle, signature] = self.split(token)?;
        let payload = decode_url(middle).filter(|payload| !payload.is_empty());
        let payload = payload.ok_or(FaultKind::JwsShape)?;
        let input = &token.as_bytes()[..header.len() + 1 + middle.len()];
        let verified = self.verify_parts(header, input, signature)?;
        Ok((payload, verified))
    }

    fn split<'t>(&self, token: &'t str) -> Result<[&'t str; 3], FaultKind> {
        if token.len() > self.jws_bytes_max() {
            return Err(FaultKind::JwsShape);
        }
        let mut parts = token.split('.');
        let found = [(); 3].map(|()| parts.next());
        match (found, parts.next()) {
            ([Some(header), Some(middle), Some(signature)], None) => {
                Ok([header, middle, signature])
            }
            _ => Err(FaultKind::JwsShape),
        }
    }

    fn verify_parts(
        &self,
        header: &str,
        input: &[u8],
        signature: &str,
    ) -> Result<VerifiedJws, FaultKind> {
        let header = decode_url(header).ok_or(FaultKind::JwsShape)?;
        let header: ReadHeader =
            serde_json::from_slice(&header).map_err(|_| FaultKind::JwsShape)?;
        check_extensions(&header)?;
        let method = SignatureMethod::from_jws(&header.alg)
            .filter(|method| self.profile().algorithms.signature.contains(method))
            .ok_or(FaultKind::AlgorithmNotPermitted)?;
        if header.x5c.is_empty() || header.x5c.len() > self.profile().certificates_max {
            return Err(FaultKind::KeyInfoShape);
        }
        let certificates: Option<Vec<Vec<u8>>> =
            header.x5c.iter().map(|text| decode(text)).collect();
        let mut certificates = certificates.ok_or(FaultKind::CertificateUnreadable)?;
        let key = self.keys().key(&certificates.remove(0))?;
        self.check_key(&key, method)?;
        let signature = decode_url(signature).ok_or(FaultKind::JwsShape)?;
        key.verify(method, input, &signature)?;
        Ok(VerifiedJws {
            certificate: key.der().to_vec(),
            chain: certificates,
            subject_name: key.subject().to_owned(),
            signing_time: parse_time(&header.signing_time).ok_or(FaultKind::SigningTimeForm)?,
            kind: header.typ,
        })
    }
}

// RFC 7515, 4.1.11: every name in `crit` must be understood and present; RFC 7797: only `b64` true.
fn check_extensions(header: &ReadHeader) -> Result<(), FaultKind> {
    if header.b64 == Some(false) {
        return Err(FaultKind::JwsExtension);
    }
    let Some(critical) = &header.crit else {
        return Ok(());
    };
    let understood = |name: &String| name == "sigT" || (name == "b64" && header.b64.is_some());
    if critical.is_empty() || !critical.iter().all(understood) {
        return Err(FaultKind::JwsExtension);
    }
    Ok(())
}

fn decode_url(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

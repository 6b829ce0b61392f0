//! Verifies one Signature element: shape, key, SignedInfo, then its two references.

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;

use super::Verifier;
use super::algorithm::{
    Canonicalisation, DSIG_NAMESPACE, DigestAlgorithm, ENVELOPED_TRANSFORM, KeyKind,
    SignatureMethod, is_weak,
};
use super::c14n::Method;
use super::certificate::SignerKey;
use super::fault::FaultKind;
use super::tree::{Element, Inherited};

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);
const INCLUSIVE_NAMESPACES: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
// Prefixes in one PrefixList; namespaces in scope are limited far below.
const PREFIXES_MAX: usize = 64;

/// Where a signature stands, which decides what its data reference may name.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Id of the data; `None` when the data has none and only `URI=""` may name it.
    pub(crate) id: Option<&'a str>,
    /// Whether the signature stands inside of the data (list, sealed element).
    pub(crate) enveloped: bool,
}

/// How the data is to be digested, and the digest that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DataReference {
    pub(crate) method: Method,
    pub(crate) digest: DigestAlgorithm,
    pub(crate) value: Vec<u8>,
}

/// A signature whose key, SignedInfo and SigningTime are right; its data is still to be compared.
pub(crate) struct CheckedSignature {
    pub(crate) key: Arc<SignerKey>,
    pub(crate) chain: Vec<Vec<u8>>,
    pub(crate) subject_name: String,
    pub(crate) signing_time: Timestamp,
    pub(crate) data: DataReference,
}

struct Parts<'t> {
    signed_info: Element<'t>,
    value: Element<'t>,
    key_info: Element<'t>,
    object: Element<'t>,
}

struct Reference<'t> {
    uri: &'t str,
    enveloped: bool,
    method: Method,
    digest: DigestAlgorithm,
    value: Vec<u8>,
}

impl Verifier {
    /// Check everything of `signature` but the digest of its data, in the order key, SignedInfo, SigningTime.
    pub(crate) fn check_signature(
        &self,
        signature: Element<'_>,
        target: Target<'_>,
        inherited: &Inherited,
    ) -> Result<CheckedSignature, FaultKind> {
        let parts = parts_of(signature)?;
        let (key, chain, subject_name) = self.key_of(parts.key_info)?;
        let (method, canonicalisation) = self.methods_of(parts.signed_info)?;
        self.check_key(&key, method)?;
        let references = self.references_of(parts.signed_info)?;
        let mut octets = Vec::with_capacity(2048);
        parts
            .signed_info
            .canonicalise(canonicalisation, inherited, None, |b| {
                octets.extend_from_slice(b)
            });
        let value = decode(parts.value.text().ok_or(FaultKind::SignatureShape)?)
            .ok_or(FaultKind::SignatureShape)?;
        key.verify(method, &octets, &value)?;
        let (data, time) = self.assign(references, target, parts.object)?;
        let signing_time = self.signing_time(parts.object)?;
        octets.clear();
        let (element, reference) = time;
        element.canonicalise(reference.method, inherited, None, |b| {
            octets.extend_from_slice(b)
        });
        if reference.digest.digest(&octets).as_ref() != reference.value {
            return Err(FaultKind::SigningTimeDigest);
        }
        Ok(CheckedSignature {
            key,
            chain,
            subject_name,
            signing_time,
            data,
        })
    }

    fn key_of(
        &self,
        key_info: Element<'_>,
    ) -> Result<(Arc<SignerKey>, Vec<Vec<u8>>, String), FaultKind> {
        let mut inside = key_info.children();
        let data = inside
            .next()
            .filter(|data| data.is(DSIG_NAMESPACE, "X509Data"))
            .ok_or(FaultKind::KeyInfoShape)?;
        if inside.next().is_some() || key_info.has_own_text() || data.has_own_text() {
            return Err(FaultKind::KeyInfoShape);
        }
        let mut name = None;
        let mut certificates = Vec::new();
        for child in data.children() {
            let text = child.text();
            match child.tag().local() {
                _ if child.tag().namespace() != DSIG_NAMESPACE => {
                    return Err(FaultKind::KeyInfoShape);
                }
                "X509SubjectName" if name.is_none() => {
                    name = Some(text.ok_or(FaultKind::KeyInfoShape)?);
                }
                "X509Certificate" if certificates.len() < self.profile.certificates_max => {
                    let text = text.ok_or(FaultKind::KeyInfoShape)?;
                    certificates.push(decode(text).ok_or(FaultKind::CertificateUnreadable)?);
                }
                // Hints that say nothing the certificate does not say; nothing is taken from them.
                "X509IssuerSerial" | "X509SKI" => {}
                _ => return Err(FaultKind::KeyInfoShape),
            }
        }
        let name = name.ok_or(FaultKind::KeyInfoShape)?;
        if certificates.is_empty() {
            return Err(FaultKind::KeyInfoShape);
        }
        let key = self.keys.key(&certificates.remove(0))?;
        if !key.is_named(name) {
            return Err(FaultKind::SubjectNameMismatch);
        }
        Ok((key, certificates, name.trim().to_owned()))
    }

    fn methods_of(&self, signed_info: Element<'_>) -> Result<(SignatureMethod, Method), FaultKind> {
        let mut children = signed_info.children();
        let first = dsig(children.next(), "CanonicalizationMethod")?;
        let canonicalisation = self.canonicalisation_of(first)?;
        let second = dsig(children.next(), "SignatureMethod")?;
        // Children of a signature method are parameters (HMACOutputLength, PSS) that nothing here needs.
        if second.children().next().is_some() || second.has_own_text() {
            return Err(FaultKind::AlgorithmNotPermitted);
        }
        let uri = algorithm_of(second)?;
        if is_weak(uri) {
            return Err(FaultKind::WeakAlgorithm);
        }
        let method = SignatureMethod::from_uri(uri)
            .filter(|method| self.profile.algorithms.signature.contains(method))
            .ok_or(FaultKind::AlgorithmNotPermitted)?;
        Ok((method, canonicalisation))
    }

    /// Check that `key` may be used with `method` under the profile.
    pub(crate) fn check_key(
        &self,
        key: &SignerKey,
        method: SignatureMethod,
    ) -> Result<(), FaultKind> {
        let permitted = &self.profile.algorithms;
        if let KeyKind::Rsa(bits) = key.kind() {
            // A modulus whose first bit is 0 counts as the next smaller size; none of ours has it.
            if bits < permitted.rsa_bits_min {
                return Err(FaultKind::WeakAlgorithm);
            }
            if bits > permitted.rsa_bits_max {
                return Err(FaultKind::KeyMismatch);
            }
        }
        match method.verification(key.kind()) {
            Some(_) => Ok(()),
            None => Err(FaultKind::KeyMismatch),
        }
    }

    fn canonicalisation_of(&self, element: Element<'_>) -> Result<Method, FaultKind> {
        let algorithm = Canonicalisation::from_uri(algorithm_of(element)?)
            .filter(|method| self.profile.algorithms.canonicalisation.contains(method))
            .ok_or(FaultKind::AlgorithmNotPermitted)?;
        let mut prefixes = Vec::new();
        let mut children = element.children();
        if let Some(child) = children.next() {
            let listed = algorithm == Canonicalisation::Exclusive
                && child.is(INCLUSIVE_NAMESPACES, "InclusiveNamespaces")
                && child.children().next().is_none()
                && children.next().is_none();
            let list = child.tag().attribute("PrefixList").filter(|_| listed);
            let list = list.ok_or(FaultKind::AlgorithmNotPermitted)?;
            prefixes = list
                .split_whitespace()
                .take(PREFIXES_MAX)
                .map(|prefix| if prefix == "#default" { "" } else { prefix }.to_owned())
                .collect();
        }
        Ok(Method {
            algorithm,
            prefixes,
        })
    }

    fn references_of<'t>(&self, info: Element<'t>) -> Result<[Reference<'t>; 2], FaultKind> {
        let mut references = info.children().skip(2);
        let first = references.next().ok_or(FaultKind::ReferenceCount)?;
        let second = references.next().ok_or(FaultKind::ReferenceCount)?;
        if references.next().is_some() {
            return Err(FaultKind::ReferenceCount);
        }
        Ok([self.reference_of(first)?, self.reference_of(second)?])
    }

    fn reference_of<'t>(&self, element: Element<'t>) -> Result<Reference<'t>, FaultKind> {
        let element = dsig(Some(element), "Reference")?;
        let uri = element
            .tag()
            .attribute("URI")
            .ok_or(FaultKind::ReferenceTarget)?;
        let mut children = element.children().peekable();
        let mut enveloped = false;
        let mut method = None;
        if let Some(transforms) = children.next_if(|child| child.is(DSIG_NAMESPACE, "Transforms")) {
            let mut count = 0;
            for transform in transforms.children() {
                count += 1;
                let transform = dsig(Some(transform), "Transform")?;
                // After canonicalisation there are octets, on which no further transform works.
                if count > self.profile.transforms_max || method.is_some() {
                    return Err(FaultKind::TransformNotPermitted);
                }
                if algorithm_of(transform)? == ENVELOPED_TRANSFORM {
                    enveloped = !std::mem::replace(&mut enveloped, true);
                    if !enveloped || transform.children().next().is_some() {
                        return Err(FaultKind::TransformNotPermitted);
                    }
                } else {
                    let found = self.canonicalisation_of(transform);
                    method = Some(found.map_err(|_| FaultKind::TransformNotPermitted)?);
                }
            }
        }
        let digest_method = dsig(children.next(), "DigestMethod")?;
        let digest_uri = algorithm_of(digest_method)?;
        if is_weak(digest_uri) {
            return Err(FaultKind::WeakAlgorithm);
        }
        let digest = DigestAlgorithm::from_uri(digest_uri)
            .filter(|digest| self.profile.algorithms.digest.contains(digest))
            .ok_or(FaultKind::AlgorithmNotPermitted)?;
        let value = dsig(children.next(), "DigestValue")?;
        let value = value
            .text()
            .and_then(decode)
            .ok_or(FaultKind::SignatureShape)?;
        if children.next().is_some() {
            return Err(FaultKind::SignatureShape);
        }
        Ok(Reference {
            uri,
            enveloped,
            method: method.unwrap_or_else(Method::inclusive),
            digest,
            value,
        })
    }

    // Say which reference names the data and which the signing time, and refuse everything else.
    #[expect(clippy::type_complexity, reason = "a pair of pairs, used once")]
    fn assign<'t>(
        &self,
        references: [Reference<'t>; 2],
        target: Target<'_>,
        object: Element<'t>,
    ) -> Result<(DataReference, (Element<'t>, Reference<'t>)), FaultKind> {
        let mut data = None;
        let mut time = None;
        for reference in references {
            let id = reference.uri.strip_prefix('#').filter(|id| !id.is_empty());
            let names_data = match (id, target.id) {
                (Some(id), Some(target)) => id == target,
                (None, _) => reference.uri.is_empty() && target.enveloped,
                _ => false,
            };
            if names_data {
                if reference.enveloped != target.enveloped {
                    return Err(FaultKind::TransformNotPermitted);
                }
                let found = DataReference {
                    method: reference.method,
                    digest: reference.digest,
                    value: reference.value,
                };
                if data.replace(found).is_some() {
                    return Err(FaultKind::ReferenceRepeated);
                }
                continue;
            }
            let id = id.ok_or(FaultKind::ReferenceTarget)?;
            let named = object
                .subtree()
                .find(|element| self.id_of(*element) == Some(id))
                .ok_or(FaultKind::ReferenceTarget)?;
            if reference.enveloped {
                return Err(FaultKind::TransformNotPermitted);
            }
            if time.replace((named, reference)).is_some() {
                return Err(FaultKind::ReferenceRepeated);
            }
        }
        Ok((
            data.ok_or(FaultKind::ReferenceTarget)?,
            time.ok_or(FaultKind::ReferenceTarget)?,
        ))
    }

    // Object holds SignatureProperties, which holds one SignatureProperty, which holds SigningTime: so
    // whichever of the four a reference names, it covers exactly this time.
    fn signing_time(&self, object: Element<'_>) -> Result<Timestamp, FaultKind> {
        let properties = only_child(object, "SignatureProperties")?;
        let property = only_child(properties, "SignatureProperty")?;
        let mut children = property.children();
        // The namespace of SigningTime is not laid down: tax software uses one of its own.
        let time = children
            .next()
            .filter(|time| time.tag().local() == "SigningTime" && children.next().is_none())
            .ok_or(FaultKind::SigningTimeMissing)?;
        if property.has_own_text() {
            return Err(FaultKind::SigningTimeMissing);
        }
        let text = time.text().ok_or(FaultKind::SigningTimeMissing)?;
        parse_time(text.trim()).ok_or(FaultKind::SigningTimeForm)
    }

    /// Return the id of `element`, if it has one.
    pub(crate) fn id_of<'t>(&self, element: Element<'t>) -> Option<&'t str> {
        element
            .tag()
            .attributes()
            .find(|attribute| self.profile.is_id_attribute(attribute.name))
            .map(|attribute| attribute.value)
    }
}

fn parts_of(signature: Element<'_>) -> Result<Parts<'_>, FaultKind> {
    let mut children = signature.children();
    let parts = Parts {
        signed_info: dsig(children.next(), "SignedInfo")?,
        value: dsig(children.next(), "SignatureValue")?,
        key_info: dsig(children.next(), "KeyInfo").map_err(|_| FaultKind::KeyInfoShape)?,
        object: dsig(children.next(), "Object").map_err(|_| FaultKind::SigningTimeMissing)?,
    };
    if children.next().is_some() || signature.has_own_text() {
        return Err(FaultKind::SignatureShape);
    }
    if parts.signed_info.has_own_text() || parts.object.has_own_text() {
        return Err(FaultKind::SignatureShape);
    }
    Ok(parts)
}

fn dsig<'t>(element: Option<Element<'t>>, local: &str) -> Result<Element<'t>, FaultKind> {
    element
        .filter(|element| element.is(DSIG_NAMESPACE, local))
        .ok_or(FaultKind::SignatureShape)
}

fn only_child<'t>(element: Element<'t>, local: &str) -> Result<Element<'t>, FaultKind> {
    let mut children = element.children();
    let child = dsig(children.next(), local).map_err(|_| FaultKind::SigningTimeMissing)?;
    if children.next().is_some() || element.has_own_text() {
        return Err(FaultKind::SigningTimeMissing);
    }
    Ok(child)
}

fn algorithm_of(element: Element<'_>) -> Result<&str, FaultKind> {
    element
        .tag()
        .attribute("Algorithm")
        .ok_or(FaultKind::SignatureShape)
}

/// Decode Base64 in which white space may stand anywhere.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if !text.contains(super::markup::is_space) {
        return BASE64.decode(text).ok();
    }
    let dense: Vec<u8> = text
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    BASE64.decode(dense).ok()
}

/// Read `YYYY-MM-DDThh:mm:ssTZD` (CV 2088 PL1 §II.1); fractions of a second are tolerated.
pub(crate) fn parse_time(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let shaped = bytes.len() >= 20
        && bytes.len() <= 40
        && bytes[4] == b'-'
        && bytes[10] == b'T'
        && bytes[13] == b':'
        && bytes[16] == b':'
        && text.is_ascii()
        && !text.contains('[');
    if !shaped {
        return None;
    }
    text.parse().ok()
}

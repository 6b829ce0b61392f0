//! Verifies one Signature element: shape, key, SignedInfo, then its two references.

use std::sync::Arc;

use jiff::Timestamp;

use super::Verifier;
use super::algorithm::{DSIG_NAMESPACE, DigestAlgorithm, KeyKind, SignatureMethod, is_weak};
use super::c14n::Method;
use super::certificate::SignerKey;
use super::fault::FaultKind;
use super::reference::{Reference, algorithm_of, decode, dsig, parse_time};
use super::tree::{Element, Inherited};

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

// What KeyInfo says.
struct NamedKey {
    key: Arc<SignerKey>,
    chain: Vec<Vec<u8>>,
    subject_name: String,
}

struct Parts<'t> {
    signed_info: Element<'t>,
    value: Element<'t>,
    key_info: Element<'t>,
    object: Element<'t>,
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
        let NamedKey { key, chain, subject_name } = self.key_of(parts.key_info)?;
        let (method, canonicalisation) = self.methods_of(parts.signed_info)?;
        self.check_key(&key, method)?;
        let references = self.references_of(parts.signed_info)?;
        let mut octets = Vec::with_capacity(2048);
        parts
            .signed_info
            .canonicalise(canonicalisation, inherited, None, |b| octets.extend_from_slice(b));
        let value = decode(parts.value.text().ok_or(FaultKind::SignatureShape)?)
            .ok_or(FaultKind::SignatureShape)?;
        key.verify(method, &octets, &value)?;
        let (data, time) = self.assign(references, target, parts.object)?;
        let signing_time = self.signing_time(parts.object)?;
        octets.clear();
        let (element, reference) = time;
        element.canonicalise(reference.method, inherited, None, |b| octets.extend_from_slice(b));
        if reference.digest.digest(&octets).as_ref() != reference.value {
            return Err(FaultKind::SigningTimeDigest);
        }
        Ok(CheckedSignature { key, chain, subject_name, signing_time, data })
    }

    fn key_of(&self, key_info: Element<'_>) -> Result<NamedKey, FaultKind> {
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
        Ok(NamedKey { key, chain: certificates, subject_name: name.trim().to_owned() })
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

    // Say which reference names the data and which the signing time, and refuse everything else.
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
        Ok((data.ok_or(FaultKind::ReferenceTarget)?, time.ok_or(FaultKind::ReferenceTarget)?))
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

fn only_child<'t>(element: Element<'t>, local: &str) -> Result<Element<'t>, FaultKind> {
    let mut children = element.children();
    let child = dsig(children.next(), local).map_err(|_| FaultKind::SigningTimeMissing)?;
    if children.next().is_some() || element.has_own_text() {
        return Err(FaultKind::SigningTimeMissing);
    }
    Ok(child)
}

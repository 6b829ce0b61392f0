//! Reads the references of a SignedInfo and the small things signatures are made of.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use jiff::Timestamp;

use super::Verifier;
use super::algorithm::{
    Canonicalisation, DSIG_NAMESPACE, DigestAlgorithm, ENVELOPED_TRANSFORM, is_weak,
};
use super::c14n::Method;
use super::fault::FaultKind;
use super::tree::Element;

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::RequireCanonical),
);
const INCLUSIVE_NAMESPACES: &str = "http://www.w3.org/2001/10/xml-exc-c14n#";
// Prefixes in one PrefixList; namespaces in scope are limited far below.
const PREFIXES_MAX: usize = 64;

/// One Reference of a SignedInfo, its algorithms permitted.
pub(super) struct Reference<'t> {
    pub(super) uri: &'t str,
    pub(super) enveloped: bool,
    pub(super) method: Method,
    pub(super) digest: DigestAlgorithm,
    pub(super) value: Vec<u8>,
}

impl Verifier {
    /// Read the method of a CanonicalizationMethod or Transform.
    pub(super) fn canonicalisation_of(&self, element: Element<'_>) -> Result<Method, FaultKind> {
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
        Ok(Method { algorithm, prefixes })
    }

    /// Read the two references, which come after the two methods.
    pub(super) fn references_of<'t>(
        &self,
        info: Element<'t>,
    ) -> Result<[Reference<'t>; 2], FaultKind> {
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
        let uri = element.tag().attribute("URI").ok_or(FaultKind::ReferenceTarget)?;
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
        let value = value.text().and_then(decode).ok_or(FaultKind::SignatureShape)?;
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
}

/// Take `element` if it is `local` of XML-DSig.
pub(super) fn dsig<'t>(
    element: Option<Element<'t>>,
    local: &str,
) -> Result<Element<'t>, FaultKind> {
    element.filter(|element| element.is(DSIG_NAMESPACE, local)).ok_or(FaultKind::SignatureShape)
}

/// Return the attribute Algorithm.
pub(super) fn algorithm_of(element: Element<'_>) -> Result<&str, FaultKind> {
    element.tag().attribute("Algorithm").ok_or(FaultKind::SignatureShape)
}

/// Decode Base64 in which white space may stand anywhere.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let text = text.trim();
    if !text.contains(super::markup::is_space) {
        return BASE64.decode(text).ok();
    }
    let dense: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
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

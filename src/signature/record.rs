//! Verifies one record: every signer at its place, every signature over exactly this record's data.

use std::collections::HashSet;

use jiff::Timestamp;

use super::Verifier;
use super::algorithm::DSIG_NAMESPACE;
use super::fault::{FaultKind, SignatureFault};
use super::octets::Octets;
use super::reader::XmlReader;
pub use super::tree::Inherited;
use super::tree::{Element, Tree};
use super::xml::{XmlFaultKind, XmlLimits};
use super::xmldsig::{CheckedSignature, Target};

/// A record whose signatures all verify; whether to believe the signers is for `trust`.
#[derive(Debug, Clone)]
pub struct VerifiedRecord {
    /// Canonical octets of the data region that were digested: the only thing to read the record from.
    pub data: Vec<u8>,
    /// SHA-256 of `data`.
    pub data_sha256: [u8; 32],
    /// Signers, in the order of the document.
    pub signers: Vec<SignerBlock>,
}

/// One signature that verifies.
#[derive(Debug, Clone)]
pub struct SignerBlock {
    /// Tag of the block (`CBQL`).
    pub role: String,
    /// SigningTime: signed, but a claim of the signer.
    pub signing_time: Timestamp,
    /// Day of signing as written in the block (`NGAY_KY`); not signed.
    pub signed_on: Option<String>,
    /// Personal number as written in the block (`SO_CCCD`); not signed.
    pub personal_number: Option<String>,
    /// The signer's certificate, DER.
    pub certificate: Vec<u8>,
    /// Further certificates of KeyInfo, DER; hints for building the chain.
    pub chain: Vec<Vec<u8>>,
    /// X509SubjectName as written; names the certificate's subject.
    pub subject_name: String,
}

/// An element with an enveloped signature that verifies (a list, or what the gateway sealed).
#[derive(Debug, Clone)]
pub struct VerifiedSeal {
    /// Canonical octets without the signature: the only thing to read the element from.
    pub data: Vec<u8>,
    /// SHA-256 of `data`.
    pub data_sha256: [u8; 32],
    /// SigningTime.
    pub signing_time: Timestamp,
    /// The signer's certificate, DER.
    pub certificate: Vec<u8>,
    /// Further certificates of KeyInfo, DER.
    pub chain: Vec<Vec<u8>>,
    /// X509SubjectName as written.
    pub subject_name: String,
}

// Nobody reads more faults of one record; a hostile one could have a hundred thousand.
const FAULTS_MAX: usize = 32;

struct Block<'t> {
    element: Element<'t>,
    signature: Element<'t>,
    role: &'t str,
    signed_on: Option<String>,
    personal_number: Option<String>,
}

impl Verifier {
    /// Verify the record `bytes` (one element as received) that stood below `inherited`.
    ///
    /// All faults are told at once: those of the record's shape, or else the first of each signer.
    pub fn verify_record(
        &self,
        bytes: &[u8],
        inherited: &Inherited,
    ) -> Result<VerifiedRecord, Vec<SignatureFault>> {
        let limits = &self.settings.xml;
        let mut reader = XmlReader::fragment(bytes, &inherited.namespaces, limits);
        let tree = tree_of(bytes.len(), &mut reader, limits).map_err(|kind| vec![kind.into()])?;
        let root = tree
            .root()
            .filter(|root| root.is(&self.profile.namespace, &self.profile.record_root))
            .ok_or_else(|| vec![FaultKind::WrongRoot.into()])?;
        let (data, blocks) = self.places(&tree, root)?;
        self.check_ids(&tree).map_err(|kind| vec![kind.into()])?;
        let id = self.id_of(data).ok_or_else(|| vec![FaultKind::DataRegionWithoutId.into()])?;
        let target = Target { id: Some(id), enveloped: false };
        let mut octets = Octets::new(data, None, inherited, bytes.len());
        let mut faults = Vec::new();
        let mut signers = Vec::with_capacity(blocks.len());
        for block in blocks {
            let checked = self
                .check_signature(block.signature, target, inherited)
                .and_then(|checked| octets.compare(&checked).map(|()| checked));
            match checked {
                Ok(checked) => signers.push(block.with(checked)),
                Err(kind) => faults.push(kind.of(block.role)),
            }
        }
        match octets.into_data() {
            Some((data, data_sha256)) if faults.is_empty() => {
                Ok(VerifiedRecord { data, data_sha256, signers })
            }
            _ => Err(faults),
        }
    }

    /// Verify an element that carries its signature as a direct child, over itself without it.
    pub fn verify_sealed_element(&self, bytes: &[u8]) -> Result<VerifiedSeal, FaultKind> {
        let inherited = Inherited::default();
        let mut reader = XmlReader::new(bytes, &self.sealed_limits);
        let tree = tree_of(bytes.len(), &mut reader, &self.sealed_limits)?;
        let root = tree.root().ok_or(FaultKind::WrongRoot)?;
        self.check_ids(&tree)?;
        let mut own = root.children().filter(|child| is_signature(*child));
        let signature = own.next().ok_or(FaultKind::SignatureMissing)?;
        if own.next().is_some() {
            return Err(FaultKind::SignatureRepeated);
        }
        let target = Target { id: self.id_of(root), enveloped: true };
        let checked = self.check_signature(signature, target, &inherited)?;
        let mut octets = Octets::new(root, Some(signature), &inherited, bytes.len());
        octets.compare(&checked)?;
        let (data, data_sha256) = octets.into_data().ok_or(FaultKind::SignatureMissing)?;
        Ok(VerifiedSeal {
            data,
            data_sha256,
            signing_time: checked.signing_time,
            certificate: checked.key.der().to_vec(),
            chain: checked.chain,
            subject_name: checked.subject_name,
        })
    }

    // Find the data region and the signer blocks at their only permitted places.
    fn places<'t>(
        &self,
        tree: &'t Tree,
        root: Element<'t>,
    ) -> Result<(Element<'t>, Vec<Block<'t>>), Vec<SignatureFault>> {
        let profile = &self.profile;
        let space = profile.namespace.as_str();
        let one = |kind: FaultKind| vec![SignatureFault::from(kind)];
        if root.has_own_text() {
            return Err(one(FaultKind::UnexpectedText));
        }
        let mut data = None;
        let mut list = None;
        for child in root.children() {
            if child.is(space, &profile.data_region) {
                if data.replace(child).is_some() {
                    return Err(one(FaultKind::DataRegionRepeated));
                }
            } else if child.is(space, &profile.signers_list) {
                if list.replace(child).is_some() {
                    return Err(one(FaultKind::SignersListRepeated));
                }
            } else if is_signature(child) {
                return Err(one(FaultKind::SignatureMisplaced));
            } else {
                return Err(one(FaultKind::UnexpectedElement));
            }
        }
        let data = data.ok_or_else(|| one(FaultKind::DataRegionMissing))?;
        let list = list.ok_or_else(|| one(FaultKind::SignersListMissing))?;
        // Nothing may be taken for a data region, a record or a signature anywhere else.
        let (mut named, mut signatures) = (0, 0);
        for element in tree.elements() {
            let tag = element.tag();
            let local = tag.local();
            if local == profile.data_region || local == profile.record_root {
                named += 1;
            } else if local == "Signature" && tag.namespace() == DSIG_NAMESPACE {
                signatures += 1;
            }
        }
        if named != 2 {
            return Err(one(FaultKind::DataRegionRepeated));
        }
        let blocks = self.blocks(list)?;
        if signatures != blocks.len() {
            return Err(one(FaultKind::SignatureMisplaced));
        }
        Ok((data, blocks))
    }

    fn blocks<'t>(&self, list: Element<'t>) -> Result<Vec<Block<'t>>, Vec<SignatureFault>> {
        let profile = &self.profile;
        let mut faults: Vec<SignatureFault> = Vec::new();
        if list.has_own_text() {
            faults.push(FaultKind::UnexpectedText.into());
        }
        let mut blocks: Vec<Block<'t>> = Vec::new();
        for element in list.children() {
            if faults.len() >= FAULTS_MAX {
                return Err(faults);
            }
            let role = element.tag().local();
            let rule =
                profile.signer(role).filter(|rule| element.is(&profile.namespace, &rule.tag));
            let Some(rule) = rule else {
                faults.push(if is_signature(element) {
                    FaultKind::SignatureMisplaced.into()
                } else {
                    FaultKind::UnknownSigner.into()
                });
                continue;
            };
            if !rule.repeated && blocks.iter().any(|block| block.role == role) {
                faults.push(FaultKind::SignerRepeated.of(role));
                continue;
            }
            match self.block(element, role) {
                Ok(block) => blocks.push(block),
                Err(kind) => faults.push(kind.of(role)),
            }
        }
        for rule in profile.signers.iter().filter(|rule| rule.required) {
            if !list.children().any(|child| child.is(&profile.namespace, &rule.tag)) {
                faults.push(FaultKind::SignerMissing.of(&rule.tag));
            }
        }
        if faults.is_empty() { Ok(blocks) } else { Err(faults) }
    }

    fn block<'t>(&self, element: Element<'t>, role: &'t str) -> Result<Block<'t>, FaultKind> {
        if element.has_own_text() {
            return Err(FaultKind::UnexpectedText);
        }
        let mut signatures = element.children().filter(|child| is_signature(*child));
        let signature = signatures.next().ok_or(FaultKind::SignatureMissing)?;
        if signatures.next().is_some() {
            return Err(FaultKind::SignatureRepeated);
        }
        let text_of = |tag: &str| -> Result<Option<String>, FaultKind> {
            let mut found =
                element.children().filter(|child| child.is(&self.profile.namespace, tag));
            let Some(child) = found.next() else {
                return Ok(None);
            };
            if found.next().is_some() {
                return Err(FaultKind::UnexpectedElement);
            }
            let text = child.text().ok_or(FaultKind::UnexpectedElement)?.trim();
            Ok((!text.is_empty()).then(|| text.to_owned()))
        };
        Ok(Block {
            signed_on: text_of(&self.profile.signed_on_tag)?,
            personal_number: text_of(&self.profile.personal_number_tag)?,
            element,
            signature,
            role,
        })
    }

    fn check_ids(&self, tree: &Tree) -> Result<(), FaultKind> {
        let mut seen = HashSet::new();
        for element in tree.elements() {
            let tag = element.tag();
            for attribute in tag.attributes() {
                let is_id = self.profile.is_id_attribute(attribute.name);
                if is_id && !seen.insert(attribute.value) {
                    return Err(FaultKind::DuplicateId);
                }
            }
        }
        Ok(())
    }
}

impl Block<'_> {
    fn with(self, checked: CheckedSignature) -> SignerBlock {
        debug_assert!(self.element.children().any(|child| child == self.signature));
        SignerBlock {
            role: self.role.to_owned(),
            signing_time: checked.signing_time,
            signed_on: self.signed_on,
            personal_number: self.personal_number,
            certificate: checked.key.der().to_vec(),
            chain: checked.chain,
            subject_name: checked.subject_name,
        }
    }
}

fn tree_of(
    size: usize,
    reader: &mut XmlReader<'_, &[u8]>,
    limits: &XmlLimits,
) -> Result<Tree, FaultKind> {
    if size > limits.record_bytes_max {
        return Err(FaultKind::Xml(reader.fault(XmlFaultKind::RecordTooLarge)));
    }
    Tree::read(reader, size).map_err(FaultKind::Xml)
}

/// Tell whether `element` is a Signature of XML-DSig.
pub(crate) fn is_signature(element: Element<'_>) -> bool {
    element.is(DSIG_NAMESPACE, "Signature")
}

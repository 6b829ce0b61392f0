//! Keeps the canonical octets and digests of one element while signatures are compared with them.

use super::algorithm::DigestAlgorithm;
use super::c14n::Method;
use super::fault::FaultKind;
use super::tree::{Element, Inherited};
use super::xmldsig::CheckedSignature;

/// Canonical octets and digests of one element, each computed once however many signatures name it.
pub(super) struct Octets<'t, 'i> {
    element: Element<'t>,
    inherited: &'i Inherited,
    without: Option<Element<'t>>,
    size: usize,
    forms: Vec<(Method, Vec<u8>)>,
    digests: Vec<(usize, DigestAlgorithm, Vec<u8>)>,
}

impl<'t, 'i> Octets<'t, 'i> {
    pub(super) fn new(
        element: Element<'t>,
        without: Option<Element<'t>>,
        inherited: &'i Inherited,
        size: usize,
    ) -> Self {
        Self { element, inherited, without, size, forms: Vec::new(), digests: Vec::new() }
    }

    /// Compare the digest that was signed with that of the element.
    pub(super) fn compare(&mut self, checked: &CheckedSignature) -> Result<(), FaultKind> {
        let reference = &checked.data;
        let form = match self.forms.iter().position(|(method, _)| *method == reference.method) {
            Some(form) => form,
            None => {
                let mut octets = Vec::with_capacity(self.size);
                self.element.canonicalise(
                    reference.method.clone(),
                    self.inherited,
                    self.without,
                    |bytes| octets.extend_from_slice(bytes),
                );
                self.forms.push((reference.method.clone(), octets));
                self.forms.len() - 1
            }
        };
        let known = self
            .digests
            .iter()
            .find(|(of, algorithm, _)| *of == form && *algorithm == reference.digest);
        let same = match known {
            Some((_, _, digest)) => *digest == reference.value,
            None => {
                let digest = reference.digest.digest(&self.forms[form].1);
                let same = digest.as_ref() == reference.value;
                self.digests.push((form, reference.digest, digest.as_ref().to_vec()));
                same
            }
        };
        if same { Ok(()) } else { Err(FaultKind::DataDigest) }
    }

    /// Give the octets that were digested and their SHA-256; nothing if nothing was compared.
    pub(super) fn into_data(mut self) -> Option<(Vec<u8>, [u8; 32])> {
        if self.forms.is_empty() {
            return None;
        }
        let (_, data) = self.forms.swap_remove(0);
        let mut sha256 = [0; 32];
        let known = self
            .digests
            .iter()
            .find(|(of, algorithm, _)| *of == 0 && *algorithm == DigestAlgorithm::Sha256);
        match known {
            Some((_, _, digest)) => sha256.copy_from_slice(digest),
            None => sha256.copy_from_slice(DigestAlgorithm::Sha256.digest(&data).as_ref()),
        }
        Some((data, sha256))
    }
}

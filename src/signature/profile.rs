//! Describes where signatures stand in a document and which algorithms they may use, as data.

use serde::Deserialize;

use super::algorithm::{Canonicalisation, DigestAlgorithm, SignatureMethod};

/// The shape of signed documents; the Ministry's stands in `config/mappings/signature-profile.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Name and version of the profile, told in evidence.
    pub name: String,
    /// Namespace of the document's own elements; empty for none.
    pub namespace: String,
    /// Root of a batch (`DANH_SACH_HOC_BA`).
    pub list_root: String,
    /// Root of one record (`HOC_BA`).
    pub record_root: String,
    /// The signed part of a record (`DU_LIEU_HOC_BA`).
    pub data_region: String,
    /// The element that holds the signer blocks (`DANH_SACH_THONG_TIN_KY`).
    pub signers_list: String,
    /// Element of a signer block that holds the day of signing; not covered by any signature.
    pub signed_on_tag: String,
    /// Element of a signer block that holds the signer's personal number; not covered by any signature.
    pub personal_number_tag: String,
    /// Attributes that carry an id (`Id`, `id`, `ID`).
    pub id_attributes: Vec<String>,
    /// Signer blocks, in no fixed order in the document.
    pub signers: Vec<SignerRule>,
    /// Most transforms in one Reference.
    pub transforms_max: usize,
    /// Most certificates in one KeyInfo.
    pub certificates_max: usize,
    /// Permitted algorithms.
    pub algorithms: Algorithms,
}

/// One kind of signer block.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerRule {
    /// Element name of the block (`CBQL`).
    pub tag: String,
    /// Whether a record without it is refused.
    pub required: bool,
    /// Whether it may occur more than once (subject teachers).
    #[serde(default)]
    pub repeated: bool,
    /// Whether an organisation signs here, not a person.
    #[serde(default)]
    pub organisation: bool,
    /// Field of the record that holds the personal number of who signs here.
    #[serde(default)]
    pub named_by: Option<String>,
}

/// Permitted algorithms, by their identifiers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Algorithms {
    /// Canonicalisation of SignedInfo and of references.
    pub canonicalisation: Vec<Canonicalisation>,
    /// Signature methods.
    pub signature: Vec<SignatureMethod>,
    /// Digest methods.
    pub digest: Vec<DigestAlgorithm>,
    /// Smallest RSA modulus, in bits.
    pub rsa_bits_min: usize,
    /// Largest RSA modulus, in bits (a huge key is an attack on the processor).
    pub rsa_bits_max: usize,
}

impl Profile {
    /// Return the rule of the signer block `tag`.
    pub fn signer(&self, tag: &str) -> Option<&SignerRule> {
        self.signers.iter().find(|rule| rule.tag == tag)
    }

    /// Tell whether the unprefixed attribute `name` carries an id.
    pub fn is_id_attribute(&self, name: &str) -> bool {
        self.id_attributes.iter().any(|id| id == name)
    }
}

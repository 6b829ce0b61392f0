//! Verifies and makes XML and JSON signatures; knows no transcript.

pub mod algorithm;
pub mod c14n;
pub mod certificate;
pub mod fault;
pub mod jws;
pub mod list;
mod markup;
mod meter;
mod octets;
pub mod profile;
pub mod reader;
pub mod recent;
pub mod record;
mod reference;
pub mod scope;
pub mod tree;
mod walk;
pub mod writing;
pub mod xml;
mod xmldsig;

pub use algorithm::SignatureAlgorithm;
pub use fault::{FaultKind, ListFault, SignatureFault};
pub use list::{RecordSlice, Records, ScanSummary, VerifiedList};
pub use profile::Profile;
pub use record::{Inherited, SignerBlock, VerifiedRecord, VerifiedSeal};
pub use writing::{ListWriter, RecordSigner, XmlSigner, seal_element, sign_record};
pub use xml::{XmlFault, XmlFaultKind, XmlLimits};

use serde::Deserialize;

use certificate::KeyCache;

/// Limits of signed documents, section `[signature]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Limits that every XML document must keep.
    pub xml: XmlLimits,
    /// Largest sealed message (a national batch), in bytes.
    pub sealed_bytes_max: usize,
    /// Most elements, texts and comments of a sealed message.
    pub sealed_nodes_max: usize,
    /// How many parsed signer keys are kept in memory.
    pub key_cache_entries: usize,
    /// Longest JWS token accepted, in bytes.
    pub jws_bytes_max: usize,
}

/// Say why a signature could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The key refused or failed.
    #[error("the signing key failed")]
    KeyFailed,
    /// The key cannot be reached now (a token that is slow or absent).
    #[error("the signing key is not reachable")]
    Unreachable,
    /// The signer's certificate cannot be read.
    #[error("the signer's certificate cannot be read")]
    Certificate,
    /// What is to be signed has not the shape that is needed.
    #[error("what is to be signed has the wrong shape: {0}")]
    Shape(&'static str),
    /// The result could not be written.
    #[error("the signed document could not be written: {0}")]
    Output(#[from] std::io::Error),
}

/// The one seam to private keys; implemented in `seal`, handed out by `app`.
pub trait Signer: Send + Sync {
    /// Return what [`Signer::sign`] computes.
    fn algorithm(&self) -> SignatureAlgorithm;
    /// Return the signer's certificate, DER.
    fn certificate_der(&self) -> &[u8];
    /// Return the certificates between the signer's and the root, DER, nearest first.
    fn chain_der(&self) -> &[Vec<u8>];
    /// Sign `message` (not yet digested); an ECDSA signature is raw `r || s`.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError>;
}

/// Verifies documents of one profile; shared by all threads, holds a bounded cache of keys.
pub struct Verifier {
    profile: Profile,
    settings: Settings,
    sealed_limits: XmlLimits,
    keys: KeyCache,
}

impl Verifier {
    /// Make a verifier of documents of `profile` within the limits of `settings`.
    pub fn new(profile: Profile, settings: Settings) -> Self {
        let keys = KeyCache::new(settings.key_cache_entries);
        let sealed_limits = XmlLimits {
            record_bytes_max: settings.sealed_bytes_max,
            nodes_max: settings.sealed_nodes_max,
            ..settings.xml.clone()
        };
        Self { profile, settings, sealed_limits, keys }
    }

    /// Return the profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Return the limits of XML documents.
    pub fn limits(&self) -> &XmlLimits {
        &self.settings.xml
    }

    /// Return the cache of signers' keys, for [`jws`].
    pub fn keys(&self) -> &KeyCache {
        &self.keys
    }

    /// Return the longest JWS token accepted, in bytes.
    pub fn jws_bytes_max(&self) -> usize {
        self.settings.jws_bytes_max
    }
}

#[cfg(test)]
mod tests;

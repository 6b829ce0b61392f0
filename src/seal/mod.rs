//! Makes the gateway's own signature and holds the only door to its keys.

mod file;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

pub use file::FileSigner;

use crate::signature::Signer;

/// Where the gateway's sealing key stands, section `[seal]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Private key: PKCS#8 in PEM, or a PKCS#12 file (`.p12`, `.pfx`) that also holds the certificate.
    pub key_file: PathBuf,
    /// Certificate in PEM, then the certificates above it; not used with PKCS#12.
    pub certificate_file: PathBuf,
    /// File that holds the password of the PKCS#12 file.
    pub password_file: PathBuf,
    /// Sign with RSASSA-PSS where the key is RSA; otherwise with PKCS#1 v1.5.
    pub rsa_pss: bool,
}

/// Say why a key cannot be used; never with anything of the key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key file that others than its owner may read.
    #[error("{path} may be read by others; set its mode to 0600")]
    Exposed {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no key of a permitted kind.
    #[error("{path} holds no usable key (PKCS#8, P-256, P-384 or RSA of 2048 bits or more)")]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no certificate.
    #[error("{path} holds no usable certificate")]
    Certificate {
        /// The file.
        path: PathBuf,
    },
    /// Key and certificate are not a pair.
    #[error("the certificate in {path} belongs to another key")]
    Mismatch {
        /// The certificate's file.
        path: PathBuf,
    },
    /// The password of the PKCS#12 file is wrong.
    #[error("{path} cannot be opened with its password")]
    Password {
        /// The file.
        path: PathBuf,
    },
    /// A setting is missing.
    #[error("{0} is needed")]
    Missing(&'static str),
}

/// Open the key that `settings` name.
pub fn open(settings: &Settings) -> Result<Arc<dyn Signer>, KeyError> {
    Ok(Arc::new(FileSigner::open(settings)?))
}

#[cfg(test)]
mod tests;

//! Builds TLS configurations of servers and clients from PEM files: TLS 1.3, no resumption, aws-lc-rs.

use std::path::Path;
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, ServerConfig, SupportedProtocolVersion};

/// Say why no TLS configuration could be made; every case names the file.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read or is not PEM.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file holds no certificate.
    #[error("{path}: holds no certificate")]
    NoCertificate {
        /// The file.
        path: String,
    },
    /// A certificate is not one the TLS library can use, or does not fit its key.
    #[error("{path}: {source}")]
    Rejected {
        /// The file.
        path: String,
        /// What the TLS library said.
        source: rustls::Error,
    },
}

/// Lowest version of the protocol that is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Versions {
    /// TLS 1.3 only.
    #[default]
    Tls13,
    /// TLS 1.2 too, for a peer that a person has decided to serve although it is old.
    Tls12AndTls13,
}

impl Versions {
    /// Choose from the setting `tls12_permitted`.
    pub fn permitting_tls12(permitted: bool) -> Self {
        if permitted { Self::Tls12AndTls13 } else { Self::Tls13 }
    }

    fn protocols(self) -> &'static [&'static SupportedProtocolVersion] {
        static NEW: [&SupportedProtocolVersion; 1] = [&TLS13];
        static OLD_TOO: [&SupportedProtocolVersion; 2] = [&TLS13, &TLS12];
        match self {
            Self::Tls13 => &NEW,
            Self::Tls12AndTls13 => &OLD_TOO,
        }
    }
}

/// A certificate chain (leaf first) and its private key, as PEM files.
#[derive(Debug, Clone, Copy)]
pub struct Credential<'a> {
    /// PEM file with the certificate and its intermediates.
    pub certificate_file: &'a Path,
    /// PEM file with the private key (PKCS#8, SEC1 or PKCS#1).
    pub key_file: &'a Path,
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// Make the configuration of a server; with `client_ca_file`, a client certificate of it is required.
///
/// Sessions are never resumed: a resumed session would skip the check of a certificate that has
/// been revoked since (promise P9).
pub fn server_config(
    own: Credential<'_>,
    client_ca_file: Option<&Path>,
    versions: Versions,
) -> Result<ServerConfig, TlsError> {
    let builder = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions.protocols())
        .map_err(|source| rejected(own.certificate_file, source))?;
    let builder = match client_ca_file {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let roots = Arc::new(roots(path)?);
            let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
                .build()
                .map_err(|error| file_fault(path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let (chain, key) = credential(own)?;
    let mut config = builder
        .with_single_cert(chain, key)
        .map_err(|source| rejected(own.certificate_file, source))?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = alpn();
    Ok(config)
}

/// Make the configuration of a client that believes only the roots in `roots_file`.
pub fn client_config(
    roots_file: &Path,
    own: Option<Credential<'_>>,
    versions: Versions,
) -> Result<ClientConfig, TlsError> {
    let builder = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions.protocols())
        .map_err(|source| rejected(roots_file, source))?
        .with_root_certificates(roots(roots_file)?);
    let mut config = match own {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let (chain, key) = credential(own)?;
            builder
                .with_client_auth_cert(chain, key)
                .map_err(|source| rejected(own.certificate_file, source))?
        }
    };
    config.resumption = Resumption::disabled();
    config.alpn_protocols = alpn();
    Ok(config)
}

/// Make the configuration of a client that believes nobody, for clients that speak plain HTTP only.
pub fn client_config_without_roots() -> ClientConfig {
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(Versions::Tls13.protocols())
        .expect("aws-lc-rs has cipher suites for TLS 1.3")
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth()
}

fn alpn() -> Vec<Vec<u8>> {
    vec![b"h2".to_vec(), b"http/1.1".to_vec()]
}

/// Read all certificates of the PEM file at `path`, in order; at least one.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect)
        .map_err(|error| pem_fault(path, &error))?;
    if found.is_empty() {
        return Err(TlsError::NoCertificate { path: path.display().to_string() });
    }
    Ok(found)
}

fn roots(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|source| rejected(path, source))?;
    }
    Ok(store)
}

type ChainAndKey = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn credential(own: Credential<'_>) -> Result<ChainAndKey, TlsError> {
    let chain = certificates(own.certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(own.key_file)
        .map_err(|error| pem_fault(own.key_file, &error))?;
    Ok((chain, key))
}

fn pem_fault(path: &Path, error: &pem::Error) -> TlsError {
    match error {
        pem::Error::Io(source) => file_fault(path, source),
        pem::Error::NoItemsFound => file_fault(path, "holds no private key"),
        // The parser's message can quote the content, and the content can be a key.
        _ => file_fault(path, "is not valid PEM"),
    }
}

fn file_fault(path: &Path, reason: impl ToString) -> TlsError {
    TlsError::File { path: path.display().to_string(), reason: reason.to_string() }
}

fn rejected(path: &Path, source: rustls::Error) -> TlsError {
    TlsError::Rejected { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn files(folder: &Path) -> (std::path::PathBuf, std::path::PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (certificate, key) = (folder.join("own.crt"), folder.join("own.key"));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (certificate, key)
    }

    #[test]
    fn a_server_offers_no_resumption() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate_file, key_file) = files(folder.path());
        let own = Credential { certificate_file: &certificate_file, key_file: &key_file };
        let config = server_config(own, Some(&certificate_file), Versions::Tls13).unwrap();
        assert_eq!(config.send_tls13_tickets, 0);
        assert!(!config.session_storage.can_cache());
        assert_eq!(config.alpn_protocols, alpn());
    }

    #[test]
    fn every_error_names_the_file_and_shows_no_content() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate_file, key_file) = files(folder.path());
        let other = folder.path().join("other");
        fs::create_dir(&other).unwrap();
        let (_, foreign_key) = files(&other);
        let empty = folder.path().join("empty.pem");
        fs::write(&empty, "").unwrap();
        let broken = folder.path().join("broken.pem");
        let content = "-----BEGIN PRIVATE KEY-----\nSECRETSECRET!\n-----END PRIVATE KEY-----\n";
        fs::write(&broken, content).unwrap();
        let missing = folder.path().join("missing.pem");
        let cases = [
            (&missing, &key_file, "missing.pem"),
            (&empty, &key_file, "empty.pem"),
            (&certificate_file, &empty, "empty.pem"),
            (&certificate_file, &broken, "broken.pem"),
            (&certificate_file, &foreign_key, "own.crt"),
        ];
        for (certificate_file, key_file, named) in cases {
            let own = Credential { certificate_file, key_file };
            let error = server_config(own, None, Versions::Tls13).unwrap_err();
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(named), "{shown}");
            assert!(!shown.contains("SECRET"), "{shown}");
        }
    }
}

//! Makes certificates for tests: an authority, a server and clients that live as long as a test says.

use std::fs;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::ClientConfig;
use time::{Duration, OffsetDateTime};

use crate::platform::tls::{self, Credential, Versions};

/// An authority with its files in a folder of its own.
pub(crate) struct TestPki {
    issuer: CertifiedIssuer<'static, KeyPair>,
    folder: tempfile::TempDir,
}

/// A made certificate and its files.
pub(crate) struct TestCertificate {
    pub(crate) certificate_file: PathBuf,
    pub(crate) key_file: PathBuf,
    pub(crate) der: Vec<u8>,
    pub(crate) pem: String,
}

impl TestPki {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ca.crt"), issuer.pem()).unwrap();
        Self { issuer, folder }
    }

    pub(crate) fn ca_file(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn server(&self) -> TestCertificate {
        self.make("server", ExtendedKeyUsagePurpose::ServerAuth, 30)
    }

    pub(crate) fn client(&self, name: &str) -> TestCertificate {
        self.make(name, ExtendedKeyUsagePurpose::ClientAuth, 30)
    }

    pub(crate) fn expired_client(&self, name: &str) -> TestCertificate {
        self.make(name, ExtendedKeyUsagePurpose::ClientAuth, -1)
    }

    fn make(&self, name: &str, usage: ExtendedKeyUsagePurpose, days: i64) -> TestCertificate {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let now = OffsetDateTime::now_utc();
        params.not_before = now - Duration::days(10);
        params.not_after = now + Duration::days(days);
        params.extended_key_usages = vec![usage];
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let certificate_file = self.folder.path().join(format!("{name}.crt"));
        let key_file = self.folder.path().join(format!("{name}.key"));
        fs::write(&certificate_file, certificate.pem()).unwrap();
        fs::write(&key_file, key.serialize_pem()).unwrap();
        TestCertificate {
            certificate_file,
            key_file,
            der: certificate.der().to_vec(),
            pem: certificate.pem(),
        }
    }

    /// Make a client that believes this authority and shows `own`.
    pub(crate) fn client_config(&self, own: Option<&TestCertificate>) -> ClientConfig {
        let own = own.map(|own| Credential {
            certificate_file: &own.certificate_file,
            key_file: &own.key_file,
        });
        tls::client_config(&self.ca_file(), own, Versions::Tls13).unwrap()
    }
}

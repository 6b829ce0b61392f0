use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::x509::X509;
use rcgen::{CertificateParams, KeyPair};

use super::*;
use crate::platform::config::Tables;
use crate::signature::{Profile, SignatureAlgorithm, Verifier, XmlSigner, jws, seal_element};

struct Folder {
    dir: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path
    }

    fn settings(&self, key: &KeyPair, rsa_pss: bool) -> Settings {
        let certificate = CertificateParams::default().self_signed(key).unwrap();
        Settings {
            key_file: self.file("key.pem", key.serialize_pem().as_bytes()),
            certificate_file: self.file("cert.pem", certificate.pem().as_bytes()),
            password_file: PathBuf::new(),
            rsa_pss,
        }
    }
}

fn verifier() -> Verifier {
    #[derive(serde::Deserialize)]
    struct Part {
        signature: crate::signature::Settings,
    }
    let part: Part = crate::platform::config::load(None, std::iter::empty()).unwrap();
    let profile: Profile = Tables::default().parse("mappings/signature-profile.toml").unwrap();
    Verifier::new(profile, part.signature)
}

fn prove(signer: Arc<dyn Signer>) {
    let at = "2026-05-28T02:12:31Z".parse().unwrap();
    let verifier = verifier();
    let token = jws::sign_detached(b"{}", signer.as_ref(), at).unwrap();
    assert!(verifier.verify_detached(&token, b"{}").is_ok());
    let xml = XmlSigner::new(signer, true).unwrap();
    let sealed = seal_element(b"<A Id=\"a\"></A>", "a", &xml, at).unwrap();
    assert_eq!(verifier.verify_sealed_element(&sealed).unwrap().data, b"<A Id=\"a\"></A>");
}

#[test]
fn keys_of_every_permitted_kind_seal() {
    for (kind, pss, expected) in [
        (&rcgen::PKCS_ECDSA_P256_SHA256, false, SignatureAlgorithm::EcdsaP256Sha256),
        (&rcgen::PKCS_ECDSA_P384_SHA384, false, SignatureAlgorithm::EcdsaP384Sha384),
        (&rcgen::PKCS_RSA_SHA256, false, SignatureAlgorithm::RsaPkcs1Sha256),
        (&rcgen::PKCS_RSA_SHA256, true, SignatureAlgorithm::RsaPssSha256),
    ] {
        let folder = Folder::new();
        let key = KeyPair::generate_for(kind).unwrap();
        let signer = open(&folder.settings(&key, pss)).unwrap();
        assert_eq!(signer.algorithm(), expected);
        prove(signer);
    }
}

#[test]
fn a_pkcs12_file_opens_with_its_password_only() {
    let folder = Folder::new();
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::default().self_signed(&key).unwrap();
    let private = PKey::private_key_from_der(key.serialized_der()).unwrap();
    let public = X509::from_der(certificate.der()).unwrap();
    let store =
        Pkcs12::builder().name("seal").pkey(&private).cert(&public).build2("mật khẩu").unwrap();
    let settings = |password: &str| Settings {
        key_file: folder.file("seal.p12", &store.to_der().unwrap()),
        certificate_file: PathBuf::new(),
        password_file: folder.file("password", password.as_bytes()),
        rsa_pss: false,
    };
    prove(open(&settings("mật khẩu\n")).unwrap());
    let wrong = open(&settings("khác")).err().unwrap();
    assert!(matches!(wrong, KeyError::Password { .. }));
    let missing = Settings { password_file: PathBuf::new(), ..settings("") };
    assert!(matches!(open(&missing), Err(KeyError::Missing(_))));
}

#[test]
fn a_key_that_others_may_read_is_refused() {
    let folder = Folder::new();
    let settings = folder.settings(&KeyPair::generate().unwrap(), false);
    std::fs::set_permissions(&settings.key_file, Permissions::from_mode(0o604)).unwrap();
    assert!(matches!(open(&settings), Err(KeyError::Exposed { .. })));
    std::fs::set_permissions(&settings.key_file, Permissions::from_mode(0o440)).unwrap();
    assert!(open(&settings).is_ok());
}

#[test]
fn what_is_no_key_or_no_certificate_is_refused() {
    let folder = Folder::new();
    let good = folder.settings(&KeyPair::generate().unwrap(), false);
    let bad = folder.file("bad.pem", b"-----BEGIN nothing-----");
    let with = |key: &PathBuf, certificate: &PathBuf| Settings {
        key_file: key.clone(),
        certificate_file: certificate.clone(),
        ..good.clone()
    };
    let error = |settings: Settings| open(&settings).err().unwrap();
    assert!(matches!(error(with(&bad, &good.certificate_file)), KeyError::Key { .. }));
    assert!(matches!(error(with(&good.key_file, &bad)), KeyError::Certificate { .. }));
    let none = PathBuf::from("/nonexistent/key.pem");
    assert!(matches!(error(with(&none, &bad)), KeyError::Unreadable { .. }));
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let foreign = folder.settings(&ed25519, false);
    assert!(matches!(error(foreign), KeyError::Key { .. }));
}

//! Signs with a private key from a file, PKCS#8 or PKCS#12.

use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaKeyPair,
};
use openssl::pkcs12::Pkcs12;
use openssl::pkey::PKey;
use openssl::x509::X509;
use zeroize::Zeroizing;

use super::{KeyError, Settings};
use crate::signature::{SignError, SignatureAlgorithm, Signer};

const RSA_BYTES_MIN: usize = 256;

enum Key {
    Ecdsa(EcdsaKeyPair),
    Rsa(RsaKeyPair),
}

/// A signer whose private key was read from a file.
pub struct FileSigner {
    key: Key,
    algorithm: SignatureAlgorithm,
    certificate: Vec<u8>,
    chain: Vec<Vec<u8>>,
    random: SystemRandom,
}

impl std::fmt::Debug for FileSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FileSigner").field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl FileSigner {
    /// Read the key and certificate that `settings` name.
    pub fn open(settings: &Settings) -> Result<Self, KeyError> {
        let given = |path: &'_ Path, name| {
            let missing = path.as_os_str().is_empty();
            if missing { Err(KeyError::Missing(name)) } else { Ok(()) }
        };
        given(&settings.key_file, "seal.key_file")?;
        let extension = settings.key_file.extension().and_then(|name| name.to_str());
        let mut signer = if matches!(extension, Some("p12" | "pfx")) {
            given(&settings.password_file, "seal.password_file")?;
            Self::from_pkcs12(&settings.key_file, &settings.password_file)?
        } else {
            given(&settings.certificate_file, "seal.certificate_file")?;
            Self::from_pem_files(&settings.key_file, &settings.certificate_file)?
        };
        if settings.rsa_pss {
            signer.algorithm = match signer.algorithm {
                SignatureAlgorithm::RsaPkcs1Sha256 => SignatureAlgorithm::RsaPssSha256,
                other => other,
            };
        }
        Ok(signer)
    }

    /// Read a PKCS#8 key and a certificate (followed by those above it), both PEM.
    pub fn from_pem_files(key_file: &Path, certificate_file: &Path) -> Result<Self, KeyError> {
        let key = read_secret(key_file)?;
        let bad_key = || KeyError::Key { path: key_file.to_owned() };
        let private = PKey::private_key_from_pem(&key).map_err(|_| bad_key())?;
        let pkcs8 = Zeroizing::new(private.private_key_to_pkcs8().map_err(|_| bad_key())?);
        let pem = read(certificate_file)?;
        let bad_certificate = || KeyError::Certificate { path: certificate_file.to_owned() };
        let stack = X509::stack_from_pem(&pem).map_err(|_| bad_certificate())?;
        let mut ders = Vec::with_capacity(stack.len());
        for certificate in stack {
            ders.push(certificate.to_der().map_err(|_| bad_certificate())?);
        }
        if ders.is_empty() {
            return Err(bad_certificate());
        }
        let certificate = ders.remove(0);
        Self::assemble(&pkcs8, certificate, ders, key_file, certificate_file)
    }

    /// Read a PKCS#12 file whose password stands in `password_file`.
    pub fn from_pkcs12(file: &Path, password_file: &Path) -> Result<Self, KeyError> {
        let path = || file.to_owned();
        let bytes = read_secret(file)?;
        let password = read_secret(password_file)?;
        let password =
            std::str::from_utf8(&password).map_err(|_| KeyError::Password { path: path() })?;
        let store = Pkcs12::from_der(&bytes).map_err(|_| KeyError::Key { path: path() })?;
        let opened = store
            .parse2(password.trim_end_matches(['\r', '\n']))
            .map_err(|_| KeyError::Password { path: path() })?;
        let private = opened.pkey.ok_or_else(|| KeyError::Key { path: path() })?;
        let pkcs8 = private.private_key_to_pkcs8().map_err(|_| KeyError::Key { path: path() })?;
        let pkcs8 = Zeroizing::new(pkcs8);
        let certificate = opened
            .cert
            .and_then(|certificate| certificate.to_der().ok())
            .ok_or_else(|| KeyError::Certificate { path: path() })?;
        let above = opened.ca.into_iter().flatten();
        let chain: Result<Vec<_>, _> = above.map(|certificate| certificate.to_der()).collect();
        let chain = chain.map_err(|_| KeyError::Certificate { path: path() })?;
        Self::assemble(&pkcs8, certificate, chain, file, file)
    }

    /// Make a signer of a PKCS#8 key (DER) and its certificate (DER).
    pub fn from_der(
        pkcs8: &[u8],
        certificate: Vec<u8>,
        chain: Vec<Vec<u8>>,
    ) -> Result<Self, KeyError> {
        let memory = Path::new("(memory)");
        Self::assemble(pkcs8, certificate, chain, memory, memory)
    }

    fn assemble(
        pkcs8: &[u8],
        certificate: Vec<u8>,
        chain: Vec<Vec<u8>>,
        key_file: &Path,
        certificate_file: &Path,
    ) -> Result<Self, KeyError> {
        let (key, algorithm) =
            read_key(pkcs8).ok_or_else(|| KeyError::Key { path: key_file.to_owned() })?;
        let public = match &key {
            Key::Ecdsa(pair) => pair.public_key().as_ref(),
            Key::Rsa(pair) => pair.public_key().as_ref(),
        };
        match public_key_of(&certificate) {
            Some(certified) if certified == public => {}
            Some(_) => {
                return Err(KeyError::Mismatch { path: certificate_file.to_owned() });
            }
            None => {
                return Err(KeyError::Certificate { path: certificate_file.to_owned() });
            }
        }
        Ok(Self { key, algorithm, certificate, chain, random: SystemRandom::new() })
    }
}

fn read_key(pkcs8: &[u8]) -> Option<(Key, SignatureAlgorithm)> {
    if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8) {
        return Some((Key::Ecdsa(pair), SignatureAlgorithm::EcdsaP256Sha256));
    }
    if let Ok(pair) = EcdsaKeyPair::from_pkcs8(&ECDSA_P384_SHA384_FIXED_SIGNING, pkcs8) {
        return Some((Key::Ecdsa(pair), SignatureAlgorithm::EcdsaP384Sha384));
    }
    let pair = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
    (pair.public_modulus_len() >= RSA_BYTES_MIN)
        .then_some((Key::Rsa(pair), SignatureAlgorithm::RsaPkcs1Sha256))
}

fn public_key_of(certificate: &[u8]) -> Option<Vec<u8>> {
    use x509_parser::prelude::{FromDer, X509Certificate};
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    Some(certificate.public_key().subject_public_key.data.to_vec())
}

impl Signer for FileSigner {
    fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    fn certificate_der(&self) -> &[u8] {
        &self.certificate
    }

    fn chain_der(&self) -> &[Vec<u8>] {
        &self.chain
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        match &self.key {
            Key::Ecdsa(pair) => pair
                .sign(&self.random, message)
                .map(|signature| signature.as_ref().to_vec())
                .map_err(|_| SignError::KeyFailed),
            Key::Rsa(pair) => {
                let encoding = match self.algorithm {
                    SignatureAlgorithm::RsaPssSha256 => &RSA_PSS_SHA256,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &self.random, message, &mut signature)
                    .map_err(|_| SignError::KeyFailed)?;
                Ok(signature)
            }
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    std::fs::read(path).map_err(|source| KeyError::Unreadable { path: path.to_owned(), source })
}

// A secret that others may read is refused: a mistake in its mode must not pass unseen.
fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    use std::os::unix::fs::PermissionsExt;
    let unreadable = |source| KeyError::Unreadable { path: PathBuf::from(path), source };
    let mode = std::fs::metadata(path).map_err(unreadable)?.permissions().mode();
    // Kubernetes mounts secrets readable by the group of the pod; only others are shut out.
    if mode & 0o007 != 0 {
        return Err(KeyError::Exposed { path: path.to_owned() });
    }
    read(path).map(Zeroizing::new)
}

//! Names the algorithms of XML-DSig and JWS and binds each to the kind of key it may be used with.

use aws_lc_rs::digest;
use aws_lc_rs::signature as aws;
use serde::Deserialize;

/// Namespace of XML-DSig.
pub const DSIG_NAMESPACE: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Identifier of the enveloped-signature transform.
pub const ENVELOPED_TRANSFORM: &str = "http://www.w3.org/2000/09/xmldsig#enveloped-signature";

/// What a [`super::Signer`] computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureAlgorithm {
    /// ECDSA on P-256 with SHA-256; raw `r || s`.
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384; raw `r || s`.
    EcdsaP384Sha384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RsaPkcs1Sha256,
    /// RSASSA-PSS with SHA-256, MGF1 with SHA-256, salt of 32 bytes.
    RsaPssSha256,
}

impl SignatureAlgorithm {
    /// Return the XML-DSig method.
    pub fn xml_method(self) -> SignatureMethod {
        match self {
            Self::EcdsaP256Sha256 => SignatureMethod::EcdsaSha256,
            Self::EcdsaP384Sha384 => SignatureMethod::EcdsaSha384,
            Self::RsaPkcs1Sha256 => SignatureMethod::RsaSha256,
            Self::RsaPssSha256 => SignatureMethod::RsaPssSha256,
        }
    }

    /// Return the JWS `alg` (RFC 7518, 3.1).
    pub fn jws_name(self) -> &'static str {
        match self {
            Self::EcdsaP256Sha256 => "ES256",
            Self::EcdsaP384Sha384 => "ES384",
            Self::RsaPkcs1Sha256 => "RS256",
            Self::RsaPssSha256 => "PS256",
        }
    }
}

/// Canonicalisation of XML, always without comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum Canonicalisation {
    /// Canonical XML 1.0.
    #[serde(rename = "http://www.w3.org/TR/2001/REC-xml-c14n-20010315")]
    Inclusive,
    /// Exclusive XML Canonicalization 1.0.
    #[serde(rename = "http://www.w3.org/2001/10/xml-exc-c14n#")]
    Exclusive,
}

impl Canonicalisation {
    /// Return the identifier.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Inclusive => "http://www.w3.org/TR/2001/REC-xml-c14n-20010315",
            Self::Exclusive => "http://www.w3.org/2001/10/xml-exc-c14n#",
        }
    }

    /// Recognise an identifier.
    pub fn from_uri(uri: &str) -> Option<Self> {
        [Self::Inclusive, Self::Exclusive].into_iter().find(|method| method.uri() == uri)
    }
}

/// Digest of a reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum DigestAlgorithm {
    /// SHA-256.
    #[serde(rename = "http://www.w3.org/2001/04/xmlenc#sha256")]
    Sha256,
    /// SHA-384.
    #[serde(rename = "http://www.w3.org/2001/04/xmldsig-more#sha384")]
    Sha384,
    /// SHA-512.
    #[serde(rename = "http://www.w3.org/2001/04/xmlenc#sha512")]
    Sha512,
}

impl DigestAlgorithm {
    /// Return the identifier.
    pub fn uri(self) -> &'static str {
        match self {
            Self::Sha256 => "http://www.w3.org/2001/04/xmlenc#sha256",
            Self::Sha384 => "http://www.w3.org/2001/04/xmldsig-more#sha384",
            Self::Sha512 => "http://www.w3.org/2001/04/xmlenc#sha512",
        }
    }

    /// Recognise an identifier.
    pub fn from_uri(uri: &str) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|method| method.uri() == uri)
    }

    pub(crate) fn implementation(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha256 => &digest::SHA256,
            Self::Sha384 => &digest::SHA384,
            Self::Sha512 => &digest::SHA512,
        }
    }

    pub(crate) fn digest(self, octets: &[u8]) -> digest::Digest {
        digest::digest(self.implementation(), octets)
    }
}

/// Tell whether `uri` names SHA-1 or older, alone or within a signature method.
pub(crate) fn is_weak(uri: &str) -> bool {
    let uri = uri.to_ascii_lowercase();
    uri.ends_with("sha1")
        || uri.ends_with("md5")
        || uri.contains("sha1-rsa")
        || uri.contains("ripemd")
}

/// Kind of a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA with a modulus of so many bits.
    Rsa(usize),
    /// NIST P-256.
    P256,
    /// NIST P-384.
    P384,
    /// Any other.
    Other,
}

/// Signature method of XML-DSig, or the same under its JWS name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SignatureMethod {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    #[serde(rename = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256")]
    RsaSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    #[serde(rename = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384")]
    RsaSha384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    #[serde(rename = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512")]
    RsaSha512,
    /// RSASSA-PSS with SHA-256 and default parameters (RFC 9231, 2.3.10).
    #[serde(rename = "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1")]
    RsaPssSha256,
    /// RSASSA-PSS with SHA-384 and default parameters.
    #[serde(rename = "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1")]
    RsaPssSha384,
    /// RSASSA-PSS with SHA-512 and default parameters.
    #[serde(rename = "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1")]
    RsaPssSha512,
    /// ECDSA with SHA-256; here only with P-256.
    #[serde(rename = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256")]
    EcdsaSha256,
    /// ECDSA with SHA-384; here only with P-384.
    #[serde(rename = "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384")]
    EcdsaSha384,
}

const METHODS: [(SignatureMethod, &str, &str); 8] = [
    (SignatureMethod::RsaSha256, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256", "RS256"),
    (SignatureMethod::RsaSha384, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha384", "RS384"),
    (SignatureMethod::RsaSha512, "http://www.w3.org/2001/04/xmldsig-more#rsa-sha512", "RS512"),
    (
        SignatureMethod::RsaPssSha256,
        "http://www.w3.org/2007/05/xmldsig-more#sha256-rsa-MGF1",
        "PS256",
    ),
    (
        SignatureMethod::RsaPssSha384,
        "http://www.w3.org/2007/05/xmldsig-more#sha384-rsa-MGF1",
        "PS384",
    ),
    (
        SignatureMethod::RsaPssSha512,
        "http://www.w3.org/2007/05/xmldsig-more#sha512-rsa-MGF1",
        "PS512",
    ),
    (SignatureMethod::EcdsaSha256, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256", "ES256"),
    (SignatureMethod::EcdsaSha384, "http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha384", "ES384"),
];

impl SignatureMethod {
    /// Return the XML-DSig identifier.
    pub fn uri(self) -> &'static str {
        METHODS.iter().find(|(method, _, _)| *method == self).map_or("", |(_, uri, _)| uri)
    }

    /// Recognise an XML-DSig identifier.
    pub fn from_uri(uri: &str) -> Option<Self> {
        METHODS.iter().find(|(_, known, _)| *known == uri).map(|(method, _, _)| *method)
    }

    /// Recognise a JWS `alg`.
    pub fn from_jws(name: &str) -> Option<Self> {
        METHODS.iter().find(|(_, _, known)| *known == name).map(|(method, _, _)| *method)
    }

    /// Return the verification for a key of `kind`; `None` when method and key do not fit.
    pub(crate) fn verification(
        self,
        kind: KeyKind,
    ) -> Option<&'static dyn aws::VerificationAlgorithm> {
        match (self, kind) {
            (Self::RsaSha256, KeyKind::Rsa(_)) => Some(&aws::RSA_PKCS1_2048_8192_SHA256),
            (Self::RsaSha384, KeyKind::Rsa(_)) => Some(&aws::RSA_PKCS1_2048_8192_SHA384),
            (Self::RsaSha512, KeyKind::Rsa(_)) => Some(&aws::RSA_PKCS1_2048_8192_SHA512),
            (Self::RsaPssSha256, KeyKind::Rsa(_)) => Some(&aws::RSA_PSS_2048_8192_SHA256),
            (Self::RsaPssSha384, KeyKind::Rsa(_)) => Some(&aws::RSA_PSS_2048_8192_SHA384),
            (Self::RsaPssSha512, KeyKind::Rsa(_)) => Some(&aws::RSA_PSS_2048_8192_SHA512),
            (Self::EcdsaSha256, KeyKind::P256) => Some(&aws::ECDSA_P256_SHA256_FIXED),
            (Self::EcdsaSha384, KeyKind::P384) => Some(&aws::ECDSA_P384_SHA384_FIXED),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_is_recognised_by_its_identifiers() {
        for (method, uri, jws) in METHODS {
            assert_eq!(SignatureMethod::from_uri(uri), Some(method));
            assert_eq!(SignatureMethod::from_jws(jws), Some(method));
            assert_eq!(method.uri(), uri);
        }
    }

    #[test]
    fn a_method_is_never_used_with_a_key_of_another_kind() {
        assert!(SignatureMethod::RsaSha256.verification(KeyKind::P256).is_none());
        assert!(SignatureMethod::EcdsaSha256.verification(KeyKind::P384).is_none());
        assert!(SignatureMethod::EcdsaSha256.verification(KeyKind::Rsa(2048)).is_none());
        assert!(SignatureMethod::EcdsaSha384.verification(KeyKind::Other).is_none());
    }

    #[test]
    fn sha1_is_recognised_as_weak() {
        assert!(is_weak("http://www.w3.org/2000/09/xmldsig#rsa-sha1"));
        assert!(is_weak("http://www.w3.org/2000/09/xmldsig#sha1"));
        assert!(is_weak("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha1"));
        assert!(!is_weak("http://www.w3.org/2001/04/xmlenc#sha256"));
    }
}

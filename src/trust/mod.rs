//! Decides which signers' certificates to believe.

mod anchors;
pub mod roles;
mod files;
mod subject;

use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use anchors::Anchors;
pub use files::TrustError;
pub use subject::{Subject, SubjectCode};

/// Which signers to believe, section `[trust]` of the configuration.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The public certification authorities under the National Root CA.
    pub public_ca: SystemSettings,
    /// The government's own service for official duty (VGCA).
    pub official_duty: SystemSettings,
    /// How far a signing time may lie in the future, in seconds (clocks of schools differ).
    pub clock_skew_s: u32,
    /// Most certificates between the signer's and the anchor.
    pub chain_length_max: u32,
    /// How many checked certificates are kept in memory.
    pub cache_entries: usize,
    /// Extended key usages (OIDs) one of which a signer's certificate must have, where it has any.
    pub extended_key_usages: Vec<String>,
}

/// One trust system.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SystemSettings {
    /// Root certificates: PEM files, or folders of `.pem` and `.crt` files.
    pub anchors: Vec<PathBuf>,
    /// Certificates of issuing authorities that signers often leave out; believed only under an anchor.
    pub intermediates: Vec<PathBuf>,
}

/// The two trust systems of the law (rules of the domain, 5.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrustSystem {
    /// Public certification authorities under the National Root CA.
    PublicCa,
    /// Chuyên dùng công vụ: the government's service for official duty.
    OfficialDuty,
}

impl TrustSystem {
    /// Return the name used in stored evidence.
    pub fn name(self) -> &'static str {
        match self {
            Self::PublicCa => "public_ca",
            Self::OfficialDuty => "official_duty",
        }
    }
}

/// As what a certificate is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SignerPurpose {
    /// A person signs (GVCN, CBQL).
    Person,
    /// An organisation seals (KY_PHAT_HANH, a list).
    Organisation,
}

/// A decision that may be impossible.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// Everything that was checked is right.
    Confirmed,
    /// Something is wrong.
    Refuted,
    /// Something needed to decide is not at hand.
    CannotDecide,
}

/// Why a certificate is not believed; the text is `trust.reason.<code>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It is not a certificate.
    Unreadable,
    /// No chain leads to a configured anchor.
    UnknownIssuer,
    /// No anchors are configured at all.
    NoAnchors,
    /// It, or one above it, was not yet valid at the signing time.
    NotYetValid,
    /// It, or one above it, had expired at the signing time.
    Expired,
    /// A rule of the path is broken: CA flag, path length, key usage of a CA, name constraints.
    PathRule,
    /// A signature in the chain is wrong, or uses an algorithm or key that is too weak.
    ChainSignature,
    /// Its key usage permits neither digital signature nor non-repudiation.
    KeyUsage,
    /// Its extended key usages permit none of the configured ones.
    ExtendedKeyUsage,
    /// It is the certificate of an authority.
    IsAuthority,
    /// It has a critical extension that is not understood.
    CriticalExtension,
    /// An organisation's certificate where a person must sign, or the other way round.
    WrongKind,
    /// The signing time lies in the future.
    SigningTimeInFuture,
}

impl Reason {
    /// Return the stable reason code.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "certificate-unreadable",
            Self::UnknownIssuer => "unknown-issuer",
            Self::NoAnchors => "no-anchors",
            Self::NotYetValid => "not-yet-valid",
            Self::Expired => "expired",
            Self::PathRule => "path-rule",
            Self::ChainSignature => "chain-signature",
            Self::KeyUsage => "key-usage",
            Self::ExtendedKeyUsage => "extended-key-usage",
            Self::IsAuthority => "is-authority",
            Self::CriticalExtension => "critical-extension",
            Self::WrongKind => "wrong-kind",
            Self::SigningTimeInFuture => "signing-time-in-future",
        }
    }
}

/// Whether a certificate was revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Revocation {
    /// No CRL and no OCSP answer was looked at.
    NotChecked,
}

impl Revocation {
    /// Return the name used in stored evidence; the text is `trust.revocation.<code>`.
    pub fn code(self) -> &'static str {
        match self {
            Self::NotChecked => "not-checked",
        }
    }
}

/// What is known of a signer's certificate at a signing time.
#[derive(Debug, Clone)]
pub struct CertificateVerdict {
    /// Whether to believe it.
    pub decision: Decision,
    /// Why not; empty when confirmed.
    pub reasons: Vec<Reason>,
    /// The system its chain ended in; told by the chain alone.
    pub system: Option<TrustSystem>,
    /// Revocation is evidence of its own and not part of `decision` while it is not checked.
    pub revocation: Revocation,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
    /// Serial number, hexadecimal; empty when unreadable.
    pub serial: String,
    /// Issuer as written in the certificate (RFC 4514).
    pub issuer: String,
    /// Who it names.
    pub subject: Subject,
    /// Beginning and end of its validity.
    pub validity: Option<(Timestamp, Timestamp)>,
}

impl CertificateVerdict {
    /// Tell whether to believe the certificate.
    pub fn is_confirmed(&self) -> bool {
        self.decision == Decision::Confirmed
    }

    /// Return the person's 12-digit number, where the certificate carries one.
    pub fn personal_number(&self) -> Option<&str> {
        self.subject.personal_number()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::texts;

    #[test]
    fn every_reason_and_system_has_a_text_in_both_languages() {
        let source = include_str!("mod.rs");
        let body = source.split("fn code(self)").nth(1).unwrap_or_default();
        let codes: Vec<&str> = body
            .lines()
            .take_while(|line| !line.starts_with("    }"))
            .filter_map(|line| line.split('"').nth(1))
            .collect();
        assert_eq!(codes.len(), 13);
        for code in codes {
            assert!(texts::has(&format!("trust.reason.{code}")), "{code}");
        }
        assert!(texts::has(&format!("trust.revocation.{}", Revocation::NotChecked.code())));
        for system in [TrustSystem::PublicCa, TrustSystem::OfficialDuty] {
            assert!(texts::has(&format!("trust.system.{}", system.name())));
        }
    }

    #[test]
    fn the_configuration_that_is_built_in_is_readable() {
        #[derive(Deserialize)]
        struct Part {
            trust: Settings,
        }
        let part: Part = crate::platform::config::load(None, std::iter::empty()).unwrap();
        assert!(part.trust.public_ca.anchors.is_empty());
    }
}

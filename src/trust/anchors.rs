//! Builds chains from signers' certificates to configured anchors, at the signing time.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use openssl::error::ErrorStack;
use openssl::stack::Stack;
use openssl::x509::store::{X509Store, X509StoreBuilder};
use openssl::x509::verify::{X509VerifyFlags, X509VerifyParam};
use openssl::x509::{X509, X509PurposeId, X509StoreContext};
use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use super::files::{TrustError, certificates};
use super::{
    CertificateVerdict, Decision, Reason, Revocation, Settings, SignerPurpose, Subject,
    SubjectCode, SystemSettings, TrustSystem,
};
use crate::signature::certificate::{Fingerprint, fingerprint, written_name};
use crate::signature::recent::Recent;

// OpenSSL's level of 112 bits: RSA of 2048 bits, no SHA-1 below the anchor.
const SECURITY_LEVEL: i32 = 2;

struct System {
    name: TrustSystem,
    anchors: Vec<X509>,
    intermediates: Vec<X509>,
}

/// Anchors of both trust systems, with a bounded memory of certificates already checked.
pub struct Anchors {
    systems: Vec<System>,
    settings: Settings,
    seen: Recent<[u8; 32], Found>,
}

// What a chain was found to be; holds for every time within its window.
struct Found {
    details: Details,
    chain: Result<(TrustSystem, Window), Reason>,
}

type Window = (Timestamp, Timestamp);

#[derive(Clone)]
struct Details {
    fingerprint: Fingerprint,
    serial: String,
    issuer: String,
    subject: Subject,
    validity: Option<Window>,
    faults: Vec<Reason>,
}

impl Anchors {
    /// Load the anchors that `settings` name.
    pub fn load(settings: Settings) -> Result<Self, TrustError> {
        let system = |name, part: &SystemSettings| -> Result<System, TrustError> {
            Ok(System {
                name,
                anchors: certificates(&part.anchors)?,
                intermediates: certificates(&part.intermediates)?,
            })
        };
        Ok(Self {
            systems: vec![
                system(TrustSystem::OfficialDuty, &settings.official_duty)?,
                system(TrustSystem::PublicCa, &settings.public_ca)?,
            ],
            seen: Recent::new(settings.cache_entries),
            settings,
        })
    }

    /// Return how many anchors `system` has.
    pub fn count(&self, system: TrustSystem) -> usize {
        let found = self.systems.iter().find(|known| known.name == system);
        found.map_or(0, |found| found.anchors.len())
    }

    /// Judge `certificate` (DER) as a signer's for `purpose`, as of the signing time `at`.
    ///
    /// `hints` are further certificates that came with the signature; they are believed only when the
    /// chain through them ends in an anchor. `now` bounds how far `at` may lie in the future.
    pub fn check(
        &self,
        certificate: &[u8],
        hints: &[Vec<u8>],
        at: Timestamp,
        now: Timestamp,
        purpose: SignerPurpose,
    ) -> CertificateVerdict {
        let found = self.found(certificate, hints, at);
        let details = &found.details;
        let mut reasons = details.faults.clone();
        let mut system = None;
        match &found.chain {
            Ok((name, _)) => system = Some(*name),
            Err(reason) if !reasons.contains(reason) => reasons.push(*reason),
            Err(_) => {}
        }
        if is_wrong_kind(&details.subject, purpose) {
            reasons.push(Reason::WrongKind);
        }
        let skew = SignedDuration::from_secs(i64::from(self.settings.clock_skew_s));
        if at.duration_since(now) > skew {
            reasons.push(Reason::SigningTimeInFuture);
        }
        let decision = match reasons.as_slice() {
            [] => Decision::Confirmed,
            [Reason::NoAnchors] => Decision::CannotDecide,
            _ => Decision::Refuted,
        };
        CertificateVerdict {
            decision,
            reasons,
            system,
            revocation: Revocation::NotChecked,
            fingerprint: details.fingerprint,
            serial: details.serial.clone(),
            issuer: details.issuer.clone(),
            subject: details.subject.clone(),
            validity: details.validity,
        }
    }

    fn found(&self, certificate: &[u8], hints: &[Vec<u8>], at: Timestamp) -> Arc<Found> {
        let key = key_of(certificate, hints);
        let known = self.seen.find(&key);
        let holds = known.as_ref().is_some_and(|found| match &found.chain {
            Ok((_, (from, until))) => *from <= at && at <= *until,
            Err(_) => true,
        });
        if let (Some(found), true) = (known, holds) {
            return found;
        }
        let found = Arc::new(self.examine(certificate, hints, at));
        // A failure by time says nothing about other times.
        if !matches!(found.chain, Err(Reason::Expired | Reason::NotYetValid)) {
            self.seen.keep(key, Arc::clone(&found));
        }
        found
    }

    fn examine(&self, certificate: &[u8], hints: &[Vec<u8>], at: Timestamp) -> Found {
        let details = self.details(certificate);
        let chain = if details.validity.is_some() {
            self.chain(certificate, hints, at)
        } else {
            Err(Reason::Unreadable)
        };
        Found { details, chain }
    }

    fn details(&self, der: &[u8]) -> Details {
        let mut details = Details {
            fingerprint: fingerprint(der),
            serial: String::new(),
            issuer: String::new(),
            subject: Subject::default(),
            validity: None,
            faults: Vec::new(),
        };
        let Ok(([], certificate)) = X509Certificate::from_der(der) else {
            details.faults.push(Reason::Unreadable);
            return details;
        };
        details.serial = hexadecimal(certificate.raw_serial());
        details.issuer = written_name(certificate.issuer());
        details.subject = Subject::read(certificate.subject());
        details.validity = window_of(&certificate);
        for extension in certificate.extensions() {
            match extension.parsed_extension() {
                ParsedExtension::BasicConstraints(basic) if basic.ca => {
                    details.faults.push(Reason::IsAuthority);
                }
                ParsedExtension::KeyUsage(usage)
                    if !usage.digital_signature() && !usage.non_repudiation() =>
                {
                    details.faults.push(Reason::KeyUsage);
                }
                ParsedExtension::ExtendedKeyUsage(_) if !self.permits_usage(&certificate) => {
                    details.faults.push(Reason::ExtendedKeyUsage);
                }
                _ => {}
            }
        }
        details
    }

    fn permits_usage(&self, certificate: &X509Certificate<'_>) -> bool {
        let Ok(Some(extension)) = certificate.extended_key_usage() else {
            return false;
        };
        let usage = extension.value;
        let named = [
            (usage.any, "2.5.29.37.0"),
            (usage.server_auth, "1.3.6.1.5.5.7.3.1"),
            (usage.client_auth, "1.3.6.1.5.5.7.3.2"),
            (usage.code_signing, "1.3.6.1.5.5.7.3.3"),
            (usage.email_protection, "1.3.6.1.5.5.7.3.4"),
            (usage.time_stamping, "1.3.6.1.5.5.7.3.8"),
            (usage.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
        ];
        let permitted =
            |oid: &str| self.settings.extended_key_usages.iter().any(|known| known == oid);
        named.iter().any(|(set, oid)| *set && permitted(oid))
            || usage.other.iter().any(|oid| permitted(&oid.to_id_string()))
    }

    fn chain(
        &self,
        certificate: &[u8],
        hints: &[Vec<u8>],
        at: Timestamp,
    ) -> Result<(TrustSystem, Window), Reason> {
        if self.systems.iter().all(|system| system.anchors.is_empty()) {
            return Err(Reason::NoAnchors);
        }
        let certificate = X509::from_der(certificate).map_err(|_| Reason::Unreadable)?;
        let mut worst = Reason::UnknownIssuer;
        for system in self.systems.iter().filter(|system| !system.anchors.is_empty()) {
            let path = self.path(system, &certificate, hints, at);
            match path.unwrap_or(Err(Reason::Unreadable)) {
                Ok(window) => return Ok((system.name, window)),
                // The system that knows the issuer has the better reason.
                Err(Reason::UnknownIssuer) => {}
                Err(reason) => worst = reason,
            }
        }
        Err(worst)
    }

    fn path(
        &self,
        system: &System,
        certificate: &X509,
        hints: &[Vec<u8>],
        at: Timestamp,
    ) -> Result<Result<Window, Reason>, ErrorStack> {
        let store = self.store(system, at)?;
        let mut untrusted = Stack::new()?;
        for known in &system.intermediates {
            untrusted.push(known.clone())?;
        }
        for hint in hints {
            // A hint that is no certificate helps nobody and harms nobody.
            if let Ok(hint) = X509::from_der(hint) {
                untrusted.push(hint)?;
            }
        }
        let mut context = X509StoreContext::new()?;
        context.init(&store, certificate, &untrusted, |context| {
            if !context.verify_cert()? {
                return Ok(Err(reason_of(context.error().as_raw())));
            }
            let mut window = (Timestamp::MIN, Timestamp::MAX);
            for link in context.chain().into_iter().flatten() {
                let der = link.to_der()?;
                let own = X509Certificate::from_der(&der).ok();
                let Some((from, until)) = own.and_then(|(_, link)| window_of(&link)) else {
                    return Ok(Err(Reason::Unreadable));
                };
                window = (window.0.max(from), window.1.min(until));
            }
            Ok(Ok(window))
        })
    }

    fn store(&self, system: &System, at: Timestamp) -> Result<X509Store, ErrorStack> {
        let mut builder = X509StoreBuilder::new()?;
        for anchor in &system.anchors {
            builder.add_cert(anchor.clone())?;
        }
        let mut rules = X509VerifyParam::new()?;
        rules.set_flags(X509VerifyFlags::TRUSTED_FIRST)?;
        rules.set_time(at.as_second());
        rules.set_auth_level(SECURITY_LEVEL);
        // What the signer's own certificate may be used for is judged by `details`.
        rules.set_purpose(X509PurposeId::ANY)?;
        rules.set_depth(i32::try_from(self.settings.chain_length_max).unwrap_or(i32::MAX));
        builder.set_param(&rules)?;
        Ok(builder.build())
    }
}

fn key_of(certificate: &[u8], hints: &[Vec<u8>]) -> [u8; 32] {
    if hints.is_empty() {
        return fingerprint(certificate);
    }
    let prints = hints.iter().map(|hint| fingerprint(hint));
    let all: Vec<u8> = std::iter::once(fingerprint(certificate)).chain(prints).flatten().collect();
    fingerprint(&all)
}

fn is_wrong_kind(subject: &Subject, purpose: SignerPurpose) -> bool {
    match (&subject.code, purpose) {
        (Some(SubjectCode::Organisation(_)), SignerPurpose::Person) => true,
        (
            Some(SubjectCode::PersonalNumber(_) | SubjectCode::OtherPersonal),
            SignerPurpose::Organisation,
        ) => true,
        // Certificates for official duty often carry no code; the registry of approved ones decides.
        _ => false,
    }
}

fn window_of(certificate: &X509Certificate<'_>) -> Option<Window> {
    let validity = certificate.validity();
    let from = Timestamp::from_second(validity.not_before.timestamp()).ok()?;
    let until = Timestamp::from_second(validity.not_after.timestamp()).ok()?;
    Some((from, until))
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

// Error numbers of openssl/x509_vfy.h.
fn reason_of(error: i32) -> Reason {
    match error {
        9 => Reason::NotYetValid,
        10 => Reason::Expired,
        4 | 6 | 7 | 66..=68 => Reason::ChainSignature,
        34 => Reason::CriticalExtension,
        22 | 24 | 25 | 32 | 37 | 38 | 41 | 47..=53 => Reason::PathRule,
        26 | 39 => Reason::KeyUsage,
        _ => Reason::UnknownIssuer,
    }
}

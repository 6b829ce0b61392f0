//! Binds each signature to the person the signed record names for it.

use std::collections::HashMap;

use super::{Anchors, CertificateVerdict, SignerPurpose};
use crate::signature::profile::SignerRule;
use crate::signature::{Profile, SignerBlock};
use crate::transcript::{Field, Transcript};

/// A signature in a role its signer does not have; the text of `code` is `rule.trust.<code>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoleFault {
    /// The signer block.
    pub role: String,
    /// Stable reason code.
    pub code: &'static str,
}

/// Say as what a certificate signs in the block `role`.
pub fn purpose_of(profile: &Profile, role: &str) -> SignerPurpose {
    match profile.signer(role) {
        Some(rule) if rule.organisation => SignerPurpose::Organisation,
        _ => SignerPurpose::Person,
    }
}

/// Judge every signer's certificate; `now` bounds how far a signing time may lie in the future.
pub fn judge(
    anchors: &Anchors,
    profile: &Profile,
    signers: &[SignerBlock],
    now: jiff::Timestamp,
) -> Vec<CertificateVerdict> {
    signers
        .iter()
        .map(|signer| {
            let purpose = purpose_of(profile, &signer.role);
            anchors.check(&signer.certificate, &signer.chain, signer.signing_time, now, purpose)
        })
        .collect()
}

/// Check that each signer is who the record says, as far as certificates tell.
///
/// One person may hold several offices, but signs each with the number the record names for it;
/// a certificate never stands for a person and for an organisation at once (QĐ 1789 Đ7, Đ12).
pub fn check(
    profile: &Profile,
    signers: &[SignerBlock],
    verdicts: &[CertificateVerdict],
    transcript: &Transcript,
) -> Vec<RoleFault> {
    let mut faults = Vec::new();
    let mut first: HashMap<[u8; 32], (&SignerRule, Option<&str>)> = HashMap::new();
    for (signer, verdict) in signers.iter().zip(verdicts) {
        let Some(rule) = profile.signer(&signer.role) else { continue };
        let mut fault = |code| faults.push(RoleFault { role: signer.role.clone(), code });
        let named = rule
            .named_by
            .as_deref()
            .and_then(Field::from_name)
            .and_then(|field| transcript.value(field));
        let certified = verdict.personal_number();
        let written = [signer.personal_number.as_deref(), named];
        if let Some(certified) = certified
            && written.into_iter().flatten().any(|number| number != certified)
        {
            fault("signer-number-differs");
        }
        match first.get(&verdict.fingerprint) {
            None => {
                first.insert(verdict.fingerprint, (rule, named));
            }
            Some((other, _)) if other.organisation != rule.organisation => {
                fault("one-certificate-two-kinds");
            }
            Some((other, number)) if other.tag != rule.tag && *number != named => {
                fault("one-certificate-two-persons");
            }
            Some(_) => {}
        }
    }
    faults
}

//! Issues development certificates, fast enough for every signer of a synthetic school.

use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::layout::Role;
use super::{Layout, PkiError};
use crate::platform::clock::Clock;
use crate::seal::FileSigner;
use crate::signature::Signer;
use crate::trust::TrustSystem;

const DAY_S: i64 = 86_400;
// Old school years are signed too, so development certificates reach far into the past.
const AUTHORITY_DAYS: (i64, i64) = (15 * 365, 15 * 365);
const LEAF_DAYS: (i64, i64) = (10 * 365, 5 * 365);

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    Server,
    Client,
    Person,
    Organisation,
}

/// A certificate that is to be issued.
#[derive(Debug, Clone)]
pub(super) struct Leaf {
    pub(super) role: Role,
    pub(super) issuer: Role,
    pub(super) file: String,
    pub(super) name: String,
    pub(super) organisation: String,
    pub(super) usage: Usage,
    pub(super) hosts: Vec<String>,
    pub(super) code: Option<String>,
    pub(super) province: Option<String>,
    pub(super) personal_number: Option<String>,
}

const ORGANISATION: &str = "Học bạ số (môi trường phát triển)";

impl Leaf {
    pub(super) fn machine(
        role: Role,
        issuer: Role,
        file: &str,
        usage: Usage,
        hosts: &[&str],
    ) -> Self {
        Self {
            role,
            issuer,
            file: file.to_owned(),
            name: format!("{file} (phát triển)"),
            organisation: ORGANISATION.to_owned(),
            usage,
            hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
            code: None,
            province: None,
            personal_number: None,
        }
    }

    pub(super) fn organisation(role: Role, issuer: Role, file: &str) -> Self {
        Self::machine(role, issuer, file, Usage::Organisation, &[])
    }

    pub(super) fn person(role: Role, file: &str, name: &str, number: &str) -> Self {
        Self {
            name: name.to_owned(),
            code: Some(format!("CCCD:{number}")),
            personal_number: Some(number.to_owned()),
            ..Self::machine(role, Role::TlsCa, file, Usage::Person, &[])
        }
    }

    pub(super) fn participant(province: &str) -> Self {
        let file = format!("participant-{province}");
        Self {
            organisation: format!("Sở GDĐT tỉnh mã {province} (phát triển)"),
            province: Some(province.to_owned()),
            ..Self::machine(Role::Participant, Role::TlsCa, &file, Usage::Client, &[])
        }
    }
}

/// A certificate with its key, in memory.
pub struct IssuedSigner {
    /// The certificate, DER.
    pub certificate_der: Vec<u8>,
    /// The key, PKCS#8 DER.
    pub key_pkcs8: Zeroizing<Vec<u8>>,
    /// Certificates between it and the root, DER.
    pub chain_der: Vec<Vec<u8>>,
}

impl IssuedSigner {
    /// Make a signer of it.
    pub fn signer(&self) -> Result<Arc<dyn Signer>, PkiError> {
        let signer = FileSigner::from_der(
            &self.key_pkcs8,
            self.certificate_der.clone(),
            self.chain_der.clone(),
        )?;
        Ok(Arc::new(signer))
    }
}

/// A certification authority for development.
pub(super) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate_der: Vec<u8>,
    // Certificates from this one up to, but without, the root.
    chain_der: Vec<Vec<u8>>,
    key_pem: Zeroizing<String>,
}

impl Authority {
    pub(super) fn new(
        name: &str,
        above: Option<&Self>,
        clock: &dyn Clock,
    ) -> Result<Self, PkiError> {
        let key = KeyPair::generate()?;
        let key_pem = Zeroizing::new(key.serialize_pem());
        let mut params = authority_params(name);
        (params.not_before, params.not_after) = window(clock, AUTHORITY_DAYS)?;
        let certificate = match above {
            Some(above) => params.signed_by(&key, &above.issuer)?,
            None => params.self_signed(&key)?,
        };
        let certificate_der = certificate.der().to_vec();
        let mut chain_der = Vec::new();
        if let Some(above) = above {
            chain_der.push(certificate_der.clone());
            chain_der.extend(above.chain_der.iter().cloned());
        }
        Ok(Self { issuer: Issuer::new(params, key), certificate_der, chain_der, key_pem })
    }

    // Open an authority below a root. The library cannot read a certificate back; name and key are all
    // that issuing needs of it.
    fn open(layout: &Layout, role: Role) -> Result<Self, PkiError> {
        let entry = layout.only(role)?;
        let key_pem = Zeroizing::new(layout.read_key(entry)?);
        let chain_der = layout.read_certificates(entry)?;
        let certificate_der = chain_der.first().cloned().ok_or(PkiError::Missing(role))?;
        let issuer = Issuer::new(authority_params(&entry.name), KeyPair::from_pem(&key_pem)?);
        Ok(Self { issuer, certificate_der, chain_der, key_pem })
    }

    pub(super) fn certificate_der(&self) -> &[u8] {
        &self.certificate_der
    }

    pub(super) fn key_pem(&self) -> &str {
        &self.key_pem
    }

    pub(super) fn issue(&self, leaf: &Leaf, clock: &dyn Clock) -> Result<IssuedSigner, PkiError> {
        let mut params = CertificateParams::new(leaf.hosts.clone())?;
        let names = &mut params.distinguished_name;
        *names = rcgen::DistinguishedName::new();
        names.push(DnType::CountryName, "VN");
        names.push(DnType::OrganizationName, leaf.organisation.as_str());
        names.push(DnType::CommonName, leaf.name.as_str());
        if let Some(code) = &leaf.code {
            names.push(user_id(), code.as_str());
        }
        (params.not_before, params.not_after) = window(clock, LEAF_DAYS)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        params.key_usages.push(KeyUsagePurpose::DigitalSignature);
        if matches!(leaf.usage, Usage::Person | Usage::Organisation) {
            params.key_usages.push(KeyUsagePurpose::ContentCommitment);
        }
        params.extended_key_usages = match leaf.usage {
            Usage::Server => vec![ExtendedKeyUsagePurpose::ServerAuth],
            Usage::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
            Usage::Person => {
                vec![ExtendedKeyUsagePurpose::ClientAuth, ExtendedKeyUsagePurpose::EmailProtection]
            }
            Usage::Organisation => vec![ExtendedKeyUsagePurpose::EmailProtection],
        };
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(IssuedSigner {
            certificate_der: certificate.der().to_vec(),
            key_pkcs8: Zeroizing::new(key.serialize_der()),
            chain_der: self.chain_der.clone(),
        })
    }
}

fn user_id() -> DnType {
    DnType::CustomDnType(vec![0, 9, 2342, 19_200_300, 100, 1, 1])
}

fn authority_params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CountryName, "VN");
    params.distinguished_name.push(DnType::OrganizationName, ORGANISATION);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params
}

fn window(
    clock: &dyn Clock,
    (back, ahead): (i64, i64),
) -> Result<(OffsetDateTime, OffsetDateTime), PkiError> {
    let now = clock.now().as_second();
    let at = |second| OffsetDateTime::from_unix_timestamp(second).map_err(|_| PkiError::Clock);
    Ok((at(now - back * DAY_S)?, at(now + ahead * DAY_S)?))
}

/// Whom a person's certificate names.
#[derive(Debug, Clone, Copy)]
pub struct PersonSubject<'a> {
    /// Full name.
    pub name: &'a str,
    /// The school.
    pub organisation: &'a str,
    /// Personal number for the UID (`CCCD:`); certificates for official duty usually have none.
    pub personal_number: Option<&'a str>,
}

/// Whom an organisation's certificate names.
#[derive(Debug, Clone, Copy)]
pub struct OrganisationSubject<'a> {
    /// Name of the school or department.
    pub name: &'a str,
    /// The body above it.
    pub parent: &'a str,
    /// Code for the UID with its kind (`MST:0100000001`, `MNS:1000001`).
    pub code: Option<&'a str>,
}

/// The issuing authorities of both trust systems, for the signers of synthetic schools.
pub struct Issuers {
    official_duty: Authority,
    public_ca: Authority,
}

impl Issuers {
    /// Open the issuing authorities of `layout`.
    pub fn open(layout: &Layout) -> Result<Self, PkiError> {
        Ok(Self {
            official_duty: Authority::open(layout, Role::OfficialDutyIssuing)?,
            public_ca: Authority::open(layout, Role::PublicIssuing)?,
        })
    }

    /// Choose the trust system of the school or person `key`, always the same for the same seed.
    pub fn system_for(seed: u64, key: &str, official_duty_percent: u64) -> TrustSystem {
        // FNV-1a: not for secrecy, only to spread.
        let start = 0xcbf2_9ce4_8422_2325_u64 ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = key
            .bytes()
            .fold(start, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
        if (hash >> 32) % 100 < official_duty_percent {
            TrustSystem::OfficialDuty
        } else {
            TrustSystem::PublicCa
        }
    }

    /// Issue a person's certificate (teacher, principal) with a new P-256 key.
    pub fn person(
        &self,
        system: TrustSystem,
        subject: PersonSubject<'_>,
        clock: &dyn Clock,
    ) -> Result<IssuedSigner, PkiError> {
        let code = subject.personal_number.map(|number| format!("CCCD:{number}"));
        self.signer(system, Usage::Person, subject.name, subject.organisation, code, clock)
    }

    /// Issue an organisation's certificate (seal of a school or department) with a new P-256 key.
    pub fn organisation(
        &self,
        system: TrustSystem,
        subject: OrganisationSubject<'_>,
        clock: &dyn Clock,
    ) -> Result<IssuedSigner, PkiError> {
        let code = subject.code.map(str::to_owned);
        self.signer(system, Usage::Organisation, subject.name, subject.parent, code, clock)
    }

    fn signer(
        &self,
        system: TrustSystem,
        usage: Usage,
        name: &str,
        organisation: &str,
        code: Option<String>,
        clock: &dyn Clock,
    ) -> Result<IssuedSigner, PkiError> {
        let (authority, issuer) = match system {
            TrustSystem::OfficialDuty => (&self.official_duty, Role::OfficialDutyIssuing),
            TrustSystem::PublicCa => (&self.public_ca, Role::PublicIssuing),
        };
        let leaf = Leaf {
            name: name.to_owned(),
            organisation: organisation.to_owned(),
            code,
            ..Leaf::machine(Role::SchoolSigner, issuer, "", usage, &[])
        };
        authority.issue(&leaf, clock)
    }
}

//! Makes a development PKI in a folder: machines, persons, seals and two trust systems of signers.

mod issue;
mod layout;

pub use issue::{IssuedSigner, Issuers, OrganisationSubject, PersonSubject};
pub use layout::{Entry, Layout, Role};

use std::path::{Path, PathBuf};

use crate::platform::clock::Clock;
use crate::seal::KeyError;
use issue::{Authority, Leaf, Usage};
use layout::Writer;

/// Say why the development PKI could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum PkiError {
    /// There is already one in the folder.
    #[error("{path} already holds a PKI")]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The index is not one of ours.
    #[error("{path} is not the index of a development PKI: {source}")]
    Index {
        /// The index file.
        path: PathBuf,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// The index names nothing of that role.
    #[error("the development PKI has no {0:?}")]
    Missing(Role),
    /// A certificate could not be made.
    #[error("a certificate could not be made: {0}")]
    Certificate(#[from] rcgen::Error),
    /// A key that was just made cannot be used.
    #[error("a key cannot be used: {0}")]
    Key(#[from] KeyError),
    /// The clock shows a time that certificates cannot express.
    #[error("the clock shows a time that certificates cannot express")]
    Clock,
}

/// The development PKI.
pub struct Pki;

// Names say everywhere that these certificates are for development.
const AUTHORITIES: [(Role, Option<Role>, &str, &str); 7] = [
    (Role::TlsCa, None, "tls-ca", "CA máy chủ phát triển"),
    (Role::SandboxCa, None, "sandbox-ca", "CA giả lập hệ thống quốc gia"),
    (Role::SandboxClientCa, None, "sandbox-client-ca", "CA kết nối giả lập quốc gia"),
    (Role::OfficialDutyRoot, None, "official-duty-root", "Root chuyên dùng phát triển"),
    (
        Role::OfficialDutyIssuing,
        Some(Role::OfficialDutyRoot),
        "official-duty-ca",
        "CA chuyên dùng phát triển",
    ),
    (Role::PublicRoot, None, "public-root", "Root công cộng phát triển"),
    (Role::PublicIssuing, Some(Role::PublicRoot), "public-ca", "CA công cộng phát triển"),
];

impl Pki {
    /// Make a PKI in the empty or missing folder `dir`, with one participant for each of `provinces`.
    pub fn create(dir: &Path, provinces: &[String], clock: &dyn Clock) -> Result<Layout, PkiError> {
        let mut writer = Writer::begin(dir)?;
        let mut authorities: Vec<(Role, Authority)> = Vec::new();
        for (role, above, file, name) in AUTHORITIES {
            let issuer = authorities.iter().find(|(known, _)| Some(*known) == above);
            let authority = Authority::new(name, issuer.map(|(_, issuer)| issuer), clock)?;
            writer.authority(role, file, name, &authority)?;
            authorities.push((role, authority));
        }
        for leaf in leaves(provinces) {
            let (_, issuer) = authorities
                .iter()
                .find(|(role, _)| *role == leaf.issuer)
                .ok_or(PkiError::Missing(leaf.issuer))?;
            let issued = issuer.issue(&leaf, clock)?;
            writer.leaf(&leaf, &issued)?;
        }
        writer.finish()
    }
}

fn leaves(provinces: &[String]) -> Vec<Leaf> {
    let local = ["localhost", "127.0.0.1", "::1"];
    let mut all = vec![
        Leaf::machine(Role::Server, Role::TlsCa, "server", Usage::Server, &local),
        Leaf::machine(
            Role::SandboxServer,
            Role::SandboxCa,
            "sandbox-server",
            Usage::Server,
            &local,
        ),
        Leaf::machine(
            Role::GatewayClient,
            Role::SandboxClientCa,
            "gateway-client",
            Usage::Client,
            &[],
        ),
        Leaf::machine(Role::AgencyClient, Role::TlsCa, "agency", Usage::Client, &[]),
        Leaf::organisation(Role::SandboxReceipt, Role::SandboxCa, "sandbox-receipt"),
        Leaf::organisation(Role::Seal, Role::OfficialDutyIssuing, "seal"),
        Leaf::organisation(Role::Answer, Role::OfficialDutyIssuing, "answer"),
        Leaf::person(Role::Operator, "operator-1", "Vận hành Một (phát triển)", "001085000101"),
        Leaf::person(Role::Operator, "operator-2", "Vận hành Hai (phát triển)", "001185000102"),
        Leaf::person(Role::Officer, "officer-1", "Cán bộ Một (phát triển)", "001190000103"),
    ];
    for province in provinces {
        all.push(Leaf::participant(province));
    }
    all
}

#[cfg(test)]
mod tests;

//! Writes the files of the development PKI, private ones for their owner only, and an index of them.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::PkiError;
use super::issue::{Authority, IssuedSigner, Leaf};
use crate::signature::certificate::fingerprint;

const INDEX: &str = "pki.json";
const PRIVATE_MODE: u32 = 0o600;
const PUBLIC_MODE: u32 = 0o644;
const PEM_LINE: usize = 64;

/// What a certificate of the development PKI is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Authority of machines and persons that connect to the gateway.
    TlsCa,
    /// The gateway's listeners.
    Server,
    /// A province's machine.
    Participant,
    /// An agency's machine.
    AgencyClient,
    /// An officer of an agency.
    Officer,
    /// An operator of the gateway.
    Operator,
    /// The gateway's seal.
    Seal,
    /// The gateway's signature on answers and receipts.
    Answer,
    /// Authority of the stand-in for the national system.
    SandboxCa,
    /// Listener of the stand-in.
    SandboxServer,
    /// The stand-in's signature on its receipts.
    SandboxReceipt,
    /// Authority of the clients that the stand-in accepts.
    SandboxClientCa,
    /// The gateway as a client of the stand-in.
    GatewayClient,
    /// Root of the development system for official duty.
    OfficialDutyRoot,
    /// Issuing authority of that system.
    OfficialDutyIssuing,
    /// Root of the development system of public authorities.
    PublicRoot,
    /// Issuing authority of that system.
    PublicIssuing,
    /// A signer of a synthetic school; never stands in a file.
    SchoolSigner,
}

/// One certificate of the PKI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// What it is for.
    pub role: Role,
    /// Short name, unique (`participant-01`).
    pub id: String,
    /// Common name.
    pub name: String,
    /// Certificate in PEM, then those between it and the root; relative to the folder.
    pub certificate_file: String,
    /// Key in PEM (PKCS#8); relative to the folder.
    pub key_file: String,
    /// SHA-256 of the certificate's DER, hexadecimal.
    pub sha256: String,
    /// Province code, for a participant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub province: Option<String>,
    /// Personal number, for an officer or operator (made up).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub personal_number: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Index {
    warning: String,
    entries: Vec<Entry>,
}

/// A development PKI in a folder.
#[derive(Debug, Clone)]
pub struct Layout {
    dir: PathBuf,
    entries: Vec<Entry>,
}

impl Layout {
    /// Open the PKI in `dir`.
    pub fn open(dir: &Path) -> Result<Self, PkiError> {
        let path = dir.join(INDEX);
        let text = read(&path)?;
        let index: Index =
            serde_json::from_str(&text).map_err(|source| PkiError::Index { path, source })?;
        Ok(Self { dir: dir.to_owned(), entries: index.entries })
    }

    /// Return the folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Return all entries.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Walk over the entries of `role`.
    pub fn of_role(&self, role: Role) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.role == role)
    }

    /// Return the first entry of `role`.
    pub fn only(&self, role: Role) -> Result<&Entry, PkiError> {
        self.of_role(role).next().ok_or(PkiError::Missing(role))
    }

    /// Return the participant of `province`.
    pub fn participant(&self, province: &str) -> Option<&Entry> {
        self.of_role(Role::Participant).find(|entry| entry.province.as_deref() == Some(province))
    }

    /// Return the path of the certificate of `entry`.
    pub fn certificate_path(&self, entry: &Entry) -> PathBuf {
        self.dir.join(&entry.certificate_file)
    }

    /// Return the path of the key of `entry`.
    pub fn key_path(&self, entry: &Entry) -> PathBuf {
        self.dir.join(&entry.key_file)
    }

    /// Return the certificates in the file of `entry`, DER.
    pub fn read_certificates(&self, entry: &Entry) -> Result<Vec<Vec<u8>>, PkiError> {
        let text = read(&self.certificate_path(entry))?;
        let mut ders = Vec::new();
        for part in text.split("-----BEGIN CERTIFICATE-----").skip(1) {
            let body = part.split("-----END").next().unwrap_or_default();
            let dense: String = body.split_whitespace().collect();
            ders.extend(STANDARD.decode(dense).ok());
        }
        Ok(ders)
    }

    pub(super) fn read_key(&self, entry: &Entry) -> Result<String, PkiError> {
        read(&self.key_path(entry))
    }
}

/// Writes the files one by one and the index at last.
pub(super) struct Writer {
    dir: PathBuf,
    entries: Vec<Entry>,
}

impl Writer {
    pub(super) fn begin(dir: &Path) -> Result<Self, PkiError> {
        if dir.join(INDEX).exists() {
            return Err(PkiError::Exists { path: dir.to_owned() });
        }
        std::fs::create_dir_all(dir)
            .map_err(|source| PkiError::File { path: dir.to_owned(), source })?;
        Ok(Self { dir: dir.to_owned(), entries: Vec::new() })
    }

    pub(super) fn authority(
        &mut self,
        role: Role,
        file: &str,
        name: &str,
        authority: &Authority,
    ) -> Result<(), PkiError> {
        let der = authority.certificate_der();
        self.files(file, &pem("CERTIFICATE", der), authority.key_pem())?;
        self.entries.push(Entry {
            name: name.to_owned(),
            province: None,
            personal_number: None,
            ..entry(role, file, der)
        });
        Ok(())
    }

    pub(super) fn leaf(&mut self, leaf: &Leaf, issued: &IssuedSigner) -> Result<(), PkiError> {
        let own = std::iter::once(&issued.certificate_der);
        let certificates: String =
            own.chain(&issued.chain_der).map(|der| pem("CERTIFICATE", der)).collect();
        self.files(&leaf.file, &certificates, &pem("PRIVATE KEY", &issued.key_pkcs8))?;
        self.entries.push(Entry {
            name: leaf.name.clone(),
            province: leaf.province.clone(),
            personal_number: leaf.personal_number.clone(),
            ..entry(leaf.role, &leaf.file, &issued.certificate_der)
        });
        Ok(())
    }

    pub(super) fn finish(self) -> Result<Layout, PkiError> {
        let index = Index {
            warning: "For development only. Nobody may trust these certificates.".to_owned(),
            entries: self.entries,
        };
        let path = self.dir.join(INDEX);
        let text = serde_json::to_string_pretty(&index)
            .map_err(|source| PkiError::Index { path: path.clone(), source })?;
        write(&path, &text, PUBLIC_MODE)?;
        Ok(Layout { dir: self.dir, entries: index.entries })
    }

    fn files(&self, file: &str, certificates: &str, key: &str) -> Result<(), PkiError> {
        write(&self.dir.join(format!("{file}.pem")), certificates, PUBLIC_MODE)?;
        write(&self.dir.join(format!("{file}.key")), key, PRIVATE_MODE)
    }
}

fn entry(role: Role, file: &str, der: &[u8]) -> Entry {
    let digits: Vec<String> = fingerprint(der).iter().map(|byte| format!("{byte:02x}")).collect();
    Entry {
        role,
        id: file.to_owned(),
        name: String::new(),
        certificate_file: format!("{file}.pem"),
        key_file: format!("{file}.key"),
        sha256: digits.concat(),
        province: None,
        personal_number: None,
    }
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(PEM_LINE));
        out.push_str(line);
        out.push('\n');
        rest = after;
    }
    out.push_str(&format!("-----END {label}-----\n"));
    out
}

fn read(path: &Path) -> Result<String, PkiError> {
    std::fs::read_to_string(path).map_err(|source| PkiError::File { path: path.to_owned(), source })
}

// The mode is set as the file is made: a key is never readable by others, not even for a moment.
fn write(path: &Path, text: &str, mode: u32) -> Result<(), PkiError> {
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|source| PkiError::File { path: path.to_owned(), source })
}

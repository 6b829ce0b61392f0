//! Reads and makes the key file, and keeps its keys out of logs and freed memory.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer};
use zeroize::Zeroizing;

use super::VaultError;

/// Bytes a key file may have; thousands of versions fit.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
const KEY_BYTES: usize = 32;

/// One version of the installation's keys; aws-lc wipes both when they are freed.
pub(super) struct VersionedKey {
    /// Version, positive.
    pub(super) id: i32,
    /// Derives the keys of bodies.
    pub(super) data: hmac::Key,
    /// Makes references and commitments.
    pub(super) reference: hmac::Key,
}

/// All versions, the active one first.
pub(super) struct KeySet {
    active: VersionedKey,
    older: Vec<VersionedKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    active: i32,
    key: Vec<KeyEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyEntry {
    id: i32,
    #[serde(deserialize_with = "secret")]
    data: Zeroizing<String>,
    #[serde(deserialize_with = "secret")]
    reference: Zeroizing<String>,
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Zeroizing<String>, D::Error> {
    String::deserialize(deserializer).map(Zeroizing::new)
}

impl KeySet {
    /// Read the key file at `path`; refuses one that others may read.
    pub(super) fn read(path: &Path) -> Result<Self, VaultError> {
        let fault =
            |reason: String| VaultError::KeyFile { path: path.display().to_string(), reason };
        let metadata = fs::metadata(path).map_err(|error| fault(error.to_string()))?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o007 != 0 {
            return Err(fault(format!(
                "its mode is {mode:04o}; others must have no access (0600 or 0440)"
            )));
        }
        if metadata.len() > FILE_BYTES_MAX {
            return Err(fault(format!("it is over {FILE_BYTES_MAX} bytes")));
        }
        let text =
            Zeroizing::new(fs::read_to_string(path).map_err(|error| fault(error.to_string()))?);
        // The parser's own message would quote the line, and the line may hold a key.
        let file: KeyFile = toml::from_str(&text).map_err(|error| {
            let line = error.span().map_or(0, |span| {
                1 + text.bytes().take(span.start).filter(|b| *b == b'\n').count()
            });
            fault(format!(
                "line {line} is not `active = N` or `[[key]]` with id, data and reference"
            ))
        })?;
        Self::from_file(&file).map_err(fault)
    }

    fn from_file(file: &KeyFile) -> Result<Self, String> {
        let mut active = None;
        let mut older: Vec<VersionedKey> = Vec::new();
        for entry in &file.key {
            let seen = older.iter().chain(&active).any(|key| key.id == entry.id);
            if entry.id <= 0 || seen {
                return Err(format!("key id {} is not positive or occurs twice", entry.id));
            }
            let key = VersionedKey {
                id: entry.id,
                data: decode(&entry.data)
                    .ok_or_else(|| format!("data of key {} is not 32 bytes of Base64", entry.id))?,
                reference: decode(&entry.reference).ok_or_else(|| {
                    format!("reference of key {} is not 32 bytes of Base64", entry.id)
                })?,
            };
            if entry.data == entry.reference {
                return Err(format!("key {} uses one secret for both purposes", entry.id));
            }
            if entry.id == file.active {
                active = Some(key);
            } else {
                older.push(key);
            }
        }
        let active = active.ok_or_else(|| format!("the active key {} is missing", file.active))?;
        Ok(Self { active, older })
    }

    /// Return the key for new rows.
    pub(super) fn active(&self) -> &VersionedKey {
        &self.active
    }

    /// Walk over all versions, the active one first.
    pub(super) fn all(&self) -> impl Iterator<Item = &VersionedKey> {
        std::iter::once(&self.active).chain(&self.older)
    }

    /// Find a version.
    pub(super) fn find(&self, key_id: i32) -> Result<&VersionedKey, VaultError> {
        self.all().find(|key| key.id == key_id).ok_or(VaultError::UnknownKey { key_id })
    }
}

fn decode(text: &str) -> Option<hmac::Key> {
    let bytes = Zeroizing::new(STANDARD.decode(text).ok()?);
    (bytes.len() == KEY_BYTES).then(|| hmac::Key::new(HMAC_SHA256, &bytes))
}

/// Make a key file with one random key at `path`; an existing file is kept.
pub(super) fn create(path: &Path) -> Result<(), VaultError> {
    let fault = |error: std::io::Error| VaultError::KeyFile {
        path: path.display().to_string(),
        reason: error.to_string(),
    };
    if path.exists() {
        return Ok(());
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let text = Zeroizing::new(format!(
        "active = 1\n\n[[key]]\nid = 1\ndata = \"{}\"\nreference = \"{}\"\n",
        random_key()?.as_str(),
        random_key()?.as_str()
    ));
    // Written whole under another name first: a crash must not leave half a key file. Mode is 0600.
    let mut file = tempfile::NamedTempFile::new_in(folder).map_err(fault)?;
    file.write_all(text.as_bytes()).map_err(fault)?;
    file.as_file().sync_all().map_err(fault)?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(fault(error.error)),
    }
}

fn random_key() -> Result<Zeroizing<String>, VaultError> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice()).map_err(|_| VaultError::Cipher)?;
    Ok(Zeroizing::new(STANDARD.encode(bytes.as_slice())))
}

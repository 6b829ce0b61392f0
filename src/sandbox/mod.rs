//! Stands in for the national system, faults included.

mod batch;
mod book;
pub mod faults;
mod http;
pub mod ledger;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;

use serde::Deserialize;

pub use http::Sandbox;

use crate::map::Dictionary;
use crate::platform::clock::SharedClock;
use crate::platform::config::{ConfigError, Tables};
use crate::platform::listener::{ListenerError, ListenerSettings};
use crate::platform::shutdown::Shutdown;
use crate::platform::telemetry::Metrics;
use crate::platform::tls::TlsError;
use crate::signature::{self, Profile, Signer, Verifier};

/// Path below `config/` of the profile of what the gateway seals.
pub const PROFILE_FILE: &str = "destinations/national-profile.toml";

/// Settings of the section `[sandbox]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Its listener: address, certificates, limits.
    pub listener: ListenerSettings,
    /// Certificates (PEM) of the clients that may send; empty means every client of the listener's CA.
    pub client_certificate_files: Vec<PathBuf>,
    /// Certificates (PEM) that may seal records and batches: exactly these.
    pub gateway_certificate_files: Vec<PathBuf>,
    /// Ledger of what was applied; the file of answers stands beside it with the suffix `.answers`.
    pub ledger_file: PathBuf,
    /// Requests per second.
    pub rate_per_s: u32,
    /// Requests that may follow each other without pause.
    pub burst: u32,
    /// Records of one batch at most.
    pub batch_records_max: usize,
    /// Bytes of one batch at most.
    pub batch_bytes_max: usize,
    /// Fault script (TOML); empty means none.
    pub faults_file: PathBuf,
}

/// What the sandbox needs besides its settings.
#[derive(Clone)]
pub struct Parts {
    /// Signs receipts.
    pub signer: Arc<dyn Signer>,
    /// Limits of signed documents.
    pub signature: signature::Settings,
    /// Time.
    pub clock: SharedClock,
    /// Where figures are registered.
    pub metrics: Metrics,
    /// Where tables are read.
    pub tables: Tables,
}

/// Say why the sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// A table or the fault script is wrong.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The fault script cannot be read.
    #[error("sandbox.faults_file: {0}")]
    Faults(#[from] faults::ScriptError),
    /// The ledger cannot be used.
    #[error("sandbox.ledger_file: {0}")]
    Ledger(#[from] ledger::LedgerError),
    /// A setting is wrong.
    #[error("sandbox.{key}: {message}")]
    Setting {
        /// The key.
        key: &'static str,
        /// What is permitted.
        message: &'static str,
    },
    /// Certificates cannot be read.
    #[error("the sandbox's certificates cannot be read")]
    Tls(#[from] TlsError),
    /// The listener cannot be started.
    #[error(transparent)]
    Listener(#[from] ListenerError),
}

/// Bind the sandbox; it remembers what its ledger holds.
pub fn run(
    settings: &Settings,
    parts: &Parts,
    shutdown: &Shutdown,
) -> Result<Sandbox, SandboxError> {
    let profile: Profile = parts.tables.parse(PROFILE_FILE)?;
    let checker = batch::Checker {
        verifier: Verifier::new(profile, parts.signature.clone()),
        gateway: fingerprints(&settings.gateway_certificate_files)?,
        dictionary: Dictionary::load(&parts.tables)?,
        records_max: settings.batch_records_max,
    };
    let script = if settings.faults_file.as_os_str().is_empty() {
        faults::Script::none()
    } else {
        faults::Script::read(&settings.faults_file)?
    };
    let book = book::Book::open(&settings.ledger_file, Arc::clone(&parts.signer))?;
    let desk = http::Desk::new(settings, checker, book, script, parts)?;
    http::bind(settings, desk, parts, shutdown)
}

fn fingerprints(files: &[PathBuf]) -> Result<Vec<[u8; 32]>, TlsError> {
    let mut all = Vec::new();
    for file in files {
        let first = crate::platform::tls::certificates(file)?.into_iter().next();
        all.extend(first.map(|der| signature::certificate::fingerprint(&der)));
    }
    Ok(all)
}

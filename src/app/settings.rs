//! Composes the sections of every module into the one configuration of the gateway.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::pipeline::process;
use crate::platform::config::{self, ConfigError, Tables};
use crate::platform::{database, listener, telemetry};
use crate::{
    access, dashboard, intake, outbox, query, sandbox, seal, signature, submit, trust, validate,
    vault,
};

/// Every key of the configuration; `config/default.toml` explains each.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Folder whose files override the built-in tables; empty means none.
    pub tables_dir: PathBuf,
    /// Who may act.
    pub access: access::Settings,
    /// Key that signs receipts and answers.
    pub answer_seal: seal::Settings,
    /// Where PostgreSQL is.
    pub database: database::Settings,
    /// Operator pages.
    pub dashboard: dashboard::Settings,
    /// The national systems, by name.
    pub destination: BTreeMap<String, submit::Settings>,
    /// What is received.
    pub intake: intake::Settings,
    /// The four doors.
    pub listener: listener::Settings,
    /// Delivery of sealed records.
    pub outbox: outbox::Settings,
    /// Processing of received batches.
    pub process: process::Settings,
    /// Answers to agencies.
    pub query: query::Settings,
    /// The stand-in of the national system.
    pub sandbox: sandbox::Settings,
    /// Key that signs the receipts of the stand-in.
    pub sandbox_seal: seal::Settings,
    /// Key that seals records and batches.
    pub seal: seal::Settings,
    /// Limits of signed documents.
    pub signature: signature::Settings,
    /// Logs, traces, metrics.
    pub telemetry: telemetry::Settings,
    /// Believed signers.
    pub trust: trust::Settings,
    /// Severity of rules.
    pub validate: validate::Settings,
    /// Encryption at rest.
    pub vault: vault::Settings,
}

impl Settings {
    /// Load the defaults, then `file`, then `HOCBA__…` variables.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        config::load(file, std::env::vars())
    }

    /// Return where tables come from.
    pub fn tables(&self) -> Tables {
        let empty = self.tables_dir.as_os_str().is_empty();
        Tables::new((!empty).then(|| self.tables_dir.clone()))
    }

    /// Return the folder of the private PostgreSQL.
    pub fn private_dir(&self) -> PathBuf {
        if !self.database.private_dir.as_os_str().is_empty() {
            return self.database.private_dir.clone();
        }
        let state = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).or_else(|| {
            let home = std::env::var_os("HOME").map(PathBuf::from)?;
            // Root's home is closed to the unprivileged user that runs the server.
            (home != Path::new("/root")).then(|| home.join(".local/state"))
        });
        state.unwrap_or_else(|| PathBuf::from("/var/lib")).join("hocba/postgres")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_configuration_is_complete() {
        let settings: Settings = config::load(None, std::iter::empty()).unwrap();
        assert!(settings.intake.document_bytes_max > 0);
    }
}

//! Builds each shared part once from the configuration.

use std::sync::Arc;

use anyhow::Context;

use super::settings::Settings;
use crate::codes::Codes;
use crate::intake::ministry;
use crate::map::Mapping;
use crate::pipeline::examine::Examiner;
use crate::platform::clock::{SharedClock, SystemClock};
use crate::platform::config::Tables;
use crate::platform::database::Database;
use crate::platform::private_postgres::PrivatePostgres;
use crate::platform::telemetry::Metrics;
use crate::signature::{Profile, Signer, Verifier, XmlSigner};
use crate::trust::Anchors;
use crate::validate::Rules;
use crate::vault::Vault;
use crate::{seal, signature};

/// Path below `config/` of the profile of signatures.
pub const SIGNATURE_PROFILE: &str = "mappings/signature-profile.toml";

/// What every role stands on.
pub struct Foundation {
    /// The configuration.
    pub settings: Arc<Settings>,
    /// Tables, built-in or overridden.
    pub tables: Tables,
    /// Time.
    pub clock: SharedClock,
    /// Figures for `/metrics`.
    pub metrics: Metrics,
    /// How to reach the database.
    pub database: Database,
    /// The private server, when the configuration names none; ends with this value.
    private: Option<PrivatePostgres>,
}

impl Foundation {
    /// Open the database (starting a private one if none is named) and prepare what roles share.
    pub fn open(settings: Settings) -> anyhow::Result<Self> {
        let private = if settings.database.url.is_empty() {
            let directory = settings.private_dir();
            let buffers = settings.database.private_shared_buffers_mib;
            Some(PrivatePostgres::start(&directory, buffers).context("private PostgreSQL")?)
        } else {
            None
        };
        let url =
            private.as_ref().map_or_else(|| settings.database.url.clone(), PrivatePostgres::url);
        let database = Database::new(&url, &settings.database)?;
        Ok(Self {
            tables: settings.tables(),
            clock: Arc::new(SystemClock),
            metrics: Metrics::new()?,
            database,
            private,
            settings: Arc::new(settings),
        })
    }

    /// Bring the schema of a private database to the newest version; a named one is migrated by `hocba migrate`.
    pub async fn migrate_if_private(&self) -> anyhow::Result<()> {
        if self.private.is_some() {
            self.database.migrate().await?;
        }
        Ok(())
    }

    /// Open the vault.
    pub fn vault(&self) -> anyhow::Result<Arc<Vault>> {
        Ok(Arc::new(Vault::open(&self.settings.vault).context("[vault]")?))
    }

    /// Open the key that signs receipts and answers.
    pub fn answer_signer(&self) -> anyhow::Result<Arc<dyn Signer>> {
        seal::open(&self.settings.answer_seal).context("[answer_seal]")
    }

    /// Open the key that seals records and batches.
    pub fn seal_signer(&self) -> anyhow::Result<Arc<dyn Signer>> {
        seal::open(&self.settings.seal).context("[seal]")
    }

    /// Build the verifier of the Ministry's profile.
    pub fn verifier(&self) -> anyhow::Result<Arc<Verifier>> {
        Ok(Arc::new(verifier(&self.tables, &self.settings.signature)?))
    }

    /// Load the anchors of both trust systems.
    pub fn anchors(&self) -> anyhow::Result<Arc<Anchors>> {
        Ok(Arc::new(Anchors::load(self.settings.trust.clone()).context("[trust]")?))
    }

    /// Build everything a record is judged with.
    pub fn examiner(&self) -> anyhow::Result<Examiner> {
        let codes = Arc::new(Codes::load(&self.tables)?);
        Ok(Examiner {
            verifier: self.verifier()?,
            anchors: self.anchors()?,
            ministry: Arc::new(ministry::Profile::load(&self.tables)?),
            lines: self.settings.intake.line.clone(),
            rules: Arc::new(Rules::load(&self.tables, &self.settings.validate)?),
            mapping: Arc::new(Mapping::load(&self.tables, &codes)?),
            seal: Arc::new(XmlSigner::new(self.seal_signer()?, false)?),
            vault: self.vault()?,
            clock: Arc::clone(&self.clock),
            codes,
        })
    }
}

/// Build the verifier of the Ministry's profile.
pub fn verifier(tables: &Tables, settings: &signature::Settings) -> anyhow::Result<Verifier> {
    let profile: Profile = tables.parse(SIGNATURE_PROFILE)?;
    Ok(Verifier::new(profile, settings.clone()))
}

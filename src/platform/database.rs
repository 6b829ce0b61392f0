//! Opens PostgreSQL pools, one per database role, and migrates the schema.

use std::path::PathBuf;
use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Transaction};
use serde::Deserialize;
use tokio_postgres::NoTls;

/// Settings of the section `[database]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// `postgres://host:port/database` or a libpq string without user and password; empty means private.
    pub url: String,
    /// Directory whose files `<role>.password` hold the passwords of the roles; empty means none.
    pub passwords_dir: PathBuf,
    /// Folder of the private PostgreSQL; empty means the state folder of the user.
    pub private_dir: PathBuf,
    /// Connections per role and process.
    pub connections_max: usize,
    /// Time to wait for a free connection, in milliseconds.
    pub wait_timeout_ms: u64,
    /// Time a statement may take, in milliseconds.
    pub statement_timeout_ms: u64,
    /// Memory for the private PostgreSQL's shared buffers, in MiB.
    pub private_shared_buffers_mib: u32,
}

/// Say why the database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// The server refused or broke a statement.
    #[error("the database refused a statement")]
    Postgres(#[from] tokio_postgres::Error),
    /// No connection could be had in time.
    #[error("no database connection")]
    Pool(#[from] deadpool_postgres::PoolError),
    /// The settings of the pool are wrong.
    #[error("the database settings are wrong: {0}")]
    Settings(String),
    /// A migration failed.
    #[error("a migration failed")]
    Migration(#[from] Box<refinery::Error>),
    /// The server would lose what it acknowledged.
    #[error(
        "the server setting {name} is {value}; it must be on, or acknowledged records can be lost"
    )]
    Unsafe {
        /// Server setting.
        name: String,
        /// Its value.
        value: String,
    },
}

impl DatabaseError {
    /// Tell whether the statement broke a unique constraint.
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Postgres(error)
            if error.code() == Some(&tokio_postgres::error::SqlState::UNIQUE_VIOLATION))
    }
}

/// Database roles; none owns a table or bypasses row-level security.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Receives batches.
    Intake,
    /// Owns the schema; migrations only.
    Owner,
    /// Answers agencies and persons.
    Query,
    /// Counts for the dashboard and metrics.
    Watch,
    /// Processes and delivers.
    Work,
}

impl Role {
    /// Return the name of the role in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Intake => "hocba_intake",
            Self::Owner => "hocba_owner",
            Self::Query => "hocba_query",
            Self::Watch => "hocba_watch",
            Self::Work => "hocba_work",
        }
    }
}

/// How to reach the database as any role.
#[derive(Clone)]
pub struct Database {
    base: tokio_postgres::Config,
    settings: Settings,
}

impl Database {
    /// Use the server at `url` (of the settings, or of the private PostgreSQL).
    pub fn new(url: &str, settings: &Settings) -> Result<Self, DatabaseError> {
        let mut base: tokio_postgres::Config = url
            .parse()
            .map_err(|error: tokio_postgres::Error| DatabaseError::Settings(error.to_string()))?;
        base.application_name("hocba")
            .connect_timeout(Duration::from_millis(settings.wait_timeout_ms));
        base.options(format!(
            "-c statement_timeout={} -c idle_in_transaction_session_timeout=10000 \
             -c search_path=hocba -c timezone=UTC -c synchronous_commit=on",
            settings.statement_timeout_ms
        ));
        Ok(Self { base, settings: settings.clone() })
    }

    fn config_for(&self, role: Role) -> Result<tokio_postgres::Config, DatabaseError> {
        let mut config = self.base.clone();
        config.user(role.name());
        if !self.settings.passwords_dir.as_os_str().is_empty() {
            let path = self.settings.passwords_dir.join(format!("{}.password", role.name()));
            let password = std::fs::read_to_string(&path)
                .map_err(|error| DatabaseError::Settings(format!("{}: {error}", path.display())))?;
            config.password(password.trim_end());
        }
        Ok(config)
    }

    /// Open the pool of `role`; connections are made when they are first needed.
    pub fn pool(&self, role: Role) -> Result<Pool, DatabaseError> {
        let manager = Manager::from_config(
            self.config_for(role)?,
            NoTls,
            ManagerConfig { recycling_method: RecyclingMethod::Fast },
        );
        let timeout = Some(Duration::from_millis(self.settings.wait_timeout_ms));
        Pool::builder(manager)
            .max_size(self.settings.connections_max)
            .wait_timeout(timeout)
            .create_timeout(timeout)
            .runtime(deadpool_postgres::Runtime::Tokio1)
            .build()
            .map_err(|error| DatabaseError::Settings(error.to_string()))
    }

    /// Bring the schema to the newest version; returns the names of the migrations that ran.
    pub async fn migrate(&self) -> Result<Vec<String>, DatabaseError> {
        let mut config = self.config_for(Role::Owner)?;
        config.options("-c lock_timeout=2000 -c search_path=public");
        let (mut client, connection) = config.connect(NoTls).await?;
        let driver = tokio::spawn(connection);
        let report = migrations::runner().run_async(&mut client).await.map_err(Box::new)?;
        drop(client);
        driver.await.map_err(|error| DatabaseError::Settings(error.to_string()))??;
        Ok(report.applied_migrations().iter().map(ToString::to_string).collect())
    }
}

refinery::embed_migrations!("schemas/postgres");

/// Refuse a server that could lose a commit it acknowledged (promise P1).
pub async fn check_durability(pool: &Pool) -> Result<(), DatabaseError> {
    let client = pool.get().await?;
    for name in ["fsync", "full_page_writes", "synchronous_commit"] {
        let value: String = client.query_one(&format!("SHOW {name}"), &[]).await?.get(0);
        let safe = match name {
            "synchronous_commit" => {
                matches!(value.as_str(), "on" | "remote_apply" | "remote_write")
            }
            _ => value == "on",
        };
        if !safe {
            return Err(DatabaseError::Unsafe { name: name.to_owned(), value });
        }
    }
    Ok(())
}

/// Begin a transaction that sees the rows of one participant only (row-level security).
pub async fn begin_for(
    client: &mut Object,
    participant_id: i32,
) -> Result<Transaction<'_>, DatabaseError> {
    let transaction = client.transaction().await?;
    transaction
        .execute("SELECT set_config('hocba.participant', $1, true)", &[&participant_id.to_string()])
        .await?;
    Ok(transaction)
}

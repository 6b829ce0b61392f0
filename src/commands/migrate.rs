//! Brings the schema up to date and registers the first participants and operators.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::Deserialize;

use crate::access::{Access, AccessError, ParticipantKind, Reason, Role};
use crate::app::Settings;
use crate::app::parts::open_database;
use crate::platform::clock::SystemClock;
use crate::platform::database::Role as DatabaseRole;
use crate::platform::texts::{Lang, text};

/// Whom a bootstrap file registers; certificates are PEM files, relative to it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bootstrap {
    #[serde(default)]
    participant: Vec<Participant>,
    #[serde(default)]
    operator: Vec<Operator>,
    #[serde(default)]
    officer: Vec<Officer>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Participant {
    kind: ParticipantKind,
    code: String,
    #[serde(default)]
    certificates: Vec<PathBuf>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Operator {
    certificate: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Officer {
    agency: String,
    certificate: PathBuf,
}

/// Who the audit log names for first registrations.
const ACTOR: &str = "process:migrate";

/// Migrate, then register what `bootstrap` lists and is not there yet.
pub async fn run(settings: Settings, bootstrap: Option<&Path>, lang: Lang) -> anyhow::Result<()> {
    let (database, _private) = open_database(&settings)?;
    let steps = database.migrate().await?;
    let steps = if steps.is_empty() { "-".to_owned() } else { steps.join(", ") };
    eprintln!("{}", text(lang, "cli.migrated", &[("steps", &steps)]));
    let Some(path) = bootstrap else { return Ok(()) };
    let content = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let list: Bootstrap = toml::from_str(&content).with_context(|| path.display().to_string())?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let pool = database.pool(DatabaseRole::Query)?;
    let access = Access::new(pool, Arc::new(SystemClock), &settings.access);
    for participant in &list.participant {
        let registered =
            access.register_participant(ACTOR, participant.kind, &participant.code).await;
        let id = match fresh(registered)? {
            Some(id) => {
                say(lang, &participant.code, &id.to_string());
                id
            }
            None => known(&access, participant.kind, &participant.code).await?,
        };
        for certificate in &participant.certificates {
            let bytes = read(folder, certificate)?;
            if let Some(fingerprint) =
                fresh(access.register_client_certificate(ACTOR, id, &bytes).await)?
            {
                say(lang, &certificate.display().to_string(), &fingerprint.to_string());
            }
        }
    }
    for operator in &list.operator {
        let bytes = read(folder, &operator.certificate)?;
        if let Some(id) = fresh(access.register_person(ACTOR, Role::Operator, None, &bytes).await)?
        {
            say(lang, &operator.certificate.display().to_string(), &id.to_string());
        }
    }
    for officer in &list.officer {
        let agency = known(&access, ParticipantKind::Agency, &officer.agency).await?;
        let bytes = read(folder, &officer.certificate)?;
        let registered = access.register_person(ACTOR, Role::Officer, Some(agency), &bytes).await;
        if let Some(id) = fresh(registered)? {
            say(lang, &officer.certificate.display().to_string(), &id.to_string());
        }
    }
    Ok(())
}

async fn known(access: &Access, kind: ParticipantKind, code: &str) -> anyhow::Result<i32> {
    access.participant(kind, code).await?.with_context(|| format!("{code}: no such participant"))
}

// A job that runs again finds most of its list registered already; that is no failure.
fn fresh<T>(result: Result<T, AccessError>) -> Result<Option<T>, AccessError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(AccessError::Impossible(Reason::AlreadyRegistered)) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(folder: &Path, file: &Path) -> anyhow::Result<Vec<u8>> {
    let path = folder.join(file);
    std::fs::read(&path).with_context(|| path.display().to_string())
}

fn say(lang: Lang, name: &str, id: &str) {
    eprintln!("{}", text(lang, "cli.registered", &[("name", name), ("id", id)]));
}

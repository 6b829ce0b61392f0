//! Brings the schema up to date and registers the first participants and operators.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use crate::access::{Access, AccessError, ParticipantKind, Reason, Role};
use crate::app::Settings;
use crate::app::parts::Foundation;
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

/// Who the audit log names for first registrations.
const ACTOR: &str = "process:migrate";

/// Migrate, then register what `bootstrap` lists and is not there yet.
pub async fn run(settings: Settings, bootstrap: Option<&Path>, lang: Lang) -> anyhow::Result<()> {
    let foundation = Foundation::open(settings)?;
    let steps = foundation.database.migrate().await?;
    let steps = if steps.is_empty() { "-".to_owned() } else { steps.join(", ") };
    eprintln!("{}", text(lang, "cli.migrated", &[("steps", &steps)]));
    let Some(path) = bootstrap else { return Ok(()) };
    let content = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    let list: Bootstrap = toml::from_str(&content).with_context(|| path.display().to_string())?;
    let folder = path.parent().unwrap_or(Path::new("."));
    let pool = foundation.database.pool(DatabaseRole::Query)?;
    let access = Access::new(pool, foundation.clock.clone(), &foundation.settings.access);
    for participant in &list.participant {
        let registered =
            access.register_participant(ACTOR, participant.kind, &participant.code).await;
        let Some(id) = fresh(registered)? else {
            continue;
        };
        say(lang, &participant.code, &id.to_string());
        for certificate in &participant.certificates {
            let bytes = read(folder, certificate)?;
            fresh(access.register_client_certificate(ACTOR, id, &bytes).await)?;
        }
    }
    for operator in &list.operator {
        let bytes = read(folder, &operator.certificate)?;
        if let Some(id) = fresh(access.register_person(ACTOR, Role::Operator, None, &bytes).await)?
        {
            say(lang, &operator.certificate.display().to_string(), &id.to_string());
        }
    }
    Ok(())
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

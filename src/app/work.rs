//! Runs the role that processes received batches and delivers them.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::inside;
use super::parts::Foundation;
use super::settings::Settings;
use crate::outbox::schedule::Chance;
use crate::pipeline::deliver::{Deliverer, Parts, Route};
use crate::pipeline::process::Processor;
use crate::platform::database::{self, Role};
use crate::platform::shutdown::Shutdown;
use crate::platform::{telemetry, tls};
use crate::receipts::status_answer::AnswerShape;
use crate::receipts::{Evidence, SignedReceipts, StatusAnswers, receipt_settings};
use crate::signature::XmlSigner;
use crate::submit::{self, EvidenceKind, national::National};

/// Longest time `--until-idle` waits for the destinations.
const SETTLE_LIMIT: Duration = Duration::from_secs(600);

/// Process and deliver until SIGTERM, or with `until_idle` until no work is left.
pub async fn run(settings: Settings, until_idle: bool) -> anyhow::Result<()> {
    let telemetry = telemetry::install(&settings.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    let foundation = Foundation::open(settings)?;
    foundation.migrate_if_private().await?;
    let pool = foundation.database.pool(Role::Work)?;
    database::check_durability(&pool).await?;
    let settings = Arc::clone(&foundation.settings);
    let processor = Processor::new(
        pool.clone(),
        Arc::new(foundation.examiner()?),
        Arc::new(settings.intake.clone()),
        settings.process.clone(),
    );
    let deliverer = Arc::new(Deliverer::new(
        Parts {
            work: pool.clone(),
            vault: foundation.vault(),
            signer: XmlSigner::new(foundation.seal_signer()?, true)?,
            clock: Arc::clone(&foundation.clock),
            chance: Arc::new(Chance::from_system()),
            metrics: foundation.metrics.clone(),
            worker: worker_name(),
            settings: settings.outbox.clone(),
        },
        routes(&foundation)?,
    )?);
    if until_idle {
        processor.work_until_idle().await?;
        let summary = deliverer.work_until_settled(SETTLE_LIMIT).await;
        anyhow::ensure!(summary.settled, "work is left after {} s", SETTLE_LIMIT.as_secs());
    } else {
        let watch = foundation.database.pool(Role::Watch)?;
        let clock = Arc::clone(&foundation.clock);
        let inside = inside::listen(
            &settings.listener,
            clock,
            foundation.metrics.clone(),
            watch,
            &shutdown,
        )?;
        let server = tokio::spawn(inside.server);
        tokio::join!(processor.run(shutdown.clone()), deliverer.run(shutdown.clone()));
        server.await??;
    }
    telemetry.shutdown();
    Ok(())
}

fn worker_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}:{}", host.trim(), std::process::id())
}

fn routes(foundation: &Foundation) -> anyhow::Result<Vec<Route>> {
    let wanted = &foundation.settings.process.destination;
    anyhow::ensure!(
        foundation.settings.destination.contains_key(wanted),
        "process.destination is {wanted}, but there is no [destination.{wanted}]"
    );
    foundation
        .settings
        .destination
        .iter()
        .filter(|(_, settings)| !settings.url.is_empty())
        .map(|(name, settings)| {
            Ok(Route {
                destination: Arc::new(National::new(name, settings)?),
                evidence: Arc::new(
                    evidence(foundation, settings)
                        .with_context(|| format!("[destination.{name}]"))?,
                ),
            })
        })
        .collect()
}

fn evidence(foundation: &Foundation, settings: &submit::Settings) -> anyhow::Result<Evidence> {
    Ok(match settings.evidence {
        EvidenceKind::SignedReceipt => {
            let limits =
                receipt_settings(&foundation.settings.signature, settings.answer_bytes_max);
            let verifier = super::parts::verifier(&foundation.tables, &limits)?;
            let mut pinned = Vec::new();
            for file in &settings.receipt_certificate_files {
                pinned.extend(tls::certificates(file)?);
            }
            anyhow::ensure!(!pinned.is_empty(), "receipt_certificate_files names no certificate");
            Evidence::Signed(SignedReceipts::new(Arc::new(verifier), &pinned))
        }
        EvidenceKind::StatusAnswer => Evidence::Status(StatusAnswers::new(AnswerShape::default())),
    })
}

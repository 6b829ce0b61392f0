//! Runs the role that stands in for the national system.

use std::path::PathBuf;
use std::sync::Arc;

use super::settings::Settings;
use crate::platform::clock::SystemClock;
use crate::platform::shutdown::Shutdown;
use crate::platform::telemetry::{self, Metrics};
use crate::{sandbox, seal};

/// Stand in until SIGTERM, with the fault script and ledger of the command line before those of the configuration.
pub async fn run(
    mut settings: Settings,
    faults: Option<PathBuf>,
    ledger: Option<PathBuf>,
) -> anyhow::Result<()> {
    let telemetry = telemetry::install(&settings.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    if let Some(faults) = faults {
        settings.sandbox.faults_file = faults;
    }
    if let Some(ledger) = ledger {
        settings.sandbox.ledger_file = ledger;
    }
    let parts = sandbox::Parts {
        signer: seal::open(&settings.sandbox_seal)?,
        signature: settings.signature.clone(),
        clock: Arc::new(SystemClock),
        metrics: Metrics::new()?,
        tables: settings.tables(),
    };
    let sandbox = sandbox::run(&settings.sandbox, &parts, &shutdown)?;
    sandbox.server.await?;
    telemetry.shutdown();
    Ok(())
}

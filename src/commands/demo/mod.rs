//! Runs the whole journey on this machine: certificates, database, sandbox, serve, work, made-up transcripts.

pub mod children;
pub mod installation;
pub mod journey;

use std::path::Path;

use anyhow::Context;
use serde::Serialize;

use self::children::Role;
use self::installation::{Installation, Ports};
use super::args::DemoArgs;
use super::gateway::say;
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::shutdown::Shutdown;
use crate::platform::texts::{Lang, text};

/// Provinces of the demonstration: Hà Nội, TP. Hồ Chí Minh, Lạng Sơn.
pub const PROVINCES: [&str; 3] = ["01", "79", "20"];

/// Figures of one run; `received` is the left side of the balance.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Figures {
    /// New records made durable.
    pub received: u64,
    /// Records received before; outside of the balance.
    pub duplicates: u64,
    /// Records that break a rule.
    pub rejected: u64,
    /// Records that wait for data or a person.
    pub held: u64,
    /// Records that passed every rule (cumulative).
    pub accepted: u64,
    /// Records sealed (cumulative).
    pub sealed: u64,
    /// Records sent at least once (cumulative).
    pub submitted: u64,
    /// Records the national system applied, by its evidence.
    pub acknowledged: u64,
    /// Records it refused, by its evidence.
    pub refused: u64,
    /// Records on their way.
    pub in_flight: u64,
    /// Records that wait for persons.
    pub parked: u64,
    /// Records replaced before they were sent.
    pub superseded: u64,
    /// Verdict on the pupil that was asked about.
    pub verification: String,
    /// Wall-clock seconds of the whole run, without the build.
    pub seconds: f64,
}

impl Figures {
    /// Tell whether every received record is in exactly one place.
    pub fn balances(&self) -> bool {
        let right = [
            self.rejected,
            self.held,
            self.acknowledged,
            self.refused,
            self.in_flight,
            self.parked,
            self.superseded,
        ];
        self.received == right.iter().sum::<u64>()
    }
}

/// Run the demonstration; true when every record is accounted for.
pub async fn run(args: &DemoArgs, lang: Lang) -> anyhow::Result<bool> {
    let clock = SystemClock;
    let begun = clock.monotonic();
    let shutdown = Shutdown::on_signals()?;
    let temporary = match &args.dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("hocba-demo-").tempdir()?),
    };
    let dir = args.dir.as_deref().or(temporary.as_ref().map(tempfile::TempDir::path));
    let dir = dir.context("no folder")?;
    let provinces: Vec<String> = PROVINCES.iter().map(|code| (*code).to_owned()).collect();
    say(lang, "demo.preparing", &[("dir", &dir.display().to_string())]);
    let installation = Installation::prepare(dir, &provinces, Ports::Usual).await?;
    let mut roles = Roles::start(&installation).await?;
    let mut figures = tokio::select! {
        figures = journey::run(args, &installation, lang) => figures?,
        () = shutdown.requested() => return Ok(false),
    };
    figures.seconds = (clock.monotonic() - begun).as_secs_f64();
    let good = judge(&figures, &installation, args, lang)?;
    summary(&figures, lang);
    if args.json {
        put!("{}", serde_json::to_string(&figures)?);
    }
    if !args.once {
        addresses(&installation, lang);
        say(lang, "demo.stays", &[]);
        while let Some(ended) = tokio::select! {
            () = shutdown.requested() => None,
            ended = roles.next_to_end() => Some(ended),
        } {
            // Whoever tries crashes ends a role by hand and starts it again by hand.
            say(lang, "demo.role-ended", &[("role", ended)]);
        }
    }
    roles.stop();
    Ok(good)
}

/// The running roles.
pub struct Roles {
    /// The stand-in of the national system.
    pub sandbox: Role,
    /// Receives and answers.
    pub serve: Role,
    /// Processes and delivers.
    pub work: Role,
}

impl Roles {
    /// Start all roles with this program and wait until they answer.
    pub async fn start(installation: &Installation) -> anyhow::Result<Self> {
        let program = std::env::current_exe()?;
        Self::start_with(&program, installation).await
    }

    /// Start all roles with `program` and wait until they answer.
    pub async fn start_with(program: &Path, installation: &Installation) -> anyhow::Result<Self> {
        let mut roles = Self {
            sandbox: installation.start(program, "sandbox", &[])?,
            serve: installation.start(program, "serve", &[])?,
            work: installation.start(program, "work", &[])?,
        };
        let open = |address: std::net::SocketAddr| {
            move || async move { tokio::net::TcpStream::connect(address).await.is_ok() }
        };
        roles.sandbox.wait_until(open(installation.addresses.sandbox)).await?;
        roles.serve.wait_until(open(installation.addresses.inside)).await?;
        roles.serve.wait_until(open(installation.addresses.machines)).await?;
        roles.work.wait_until(open(installation.addresses.work_inside)).await?;
        Ok(roles)
    }

    /// Wait until one more role ends without having been asked to; returns its name.
    pub async fn next_to_end(&mut self) -> &'static str {
        loop {
            for role in [&mut self.sandbox, &mut self.serve, &mut self.work] {
                if role.has_ended().is_some() {
                    return role.let_go();
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }

    /// End all roles in the order of the journey.
    pub fn stop(&mut self) -> bool {
        let serve = self.serve.stop();
        let work = self.work.stop();
        let sandbox = self.sandbox.stop();
        serve && work && sandbox
    }
}

// The ledger of the stand-in is written by the other side, so it must agree with what we believe.
fn judge(
    figures: &Figures,
    installation: &Installation,
    args: &DemoArgs,
    lang: Lang,
) -> anyhow::Result<bool> {
    let applied = crate::sandbox::ledger::read(&installation.ledger)?;
    let total = applied.len();
    let checks = [
        ("demo.check-balance", figures.balances()),
        ("demo.check-open", figures.in_flight == 0 && figures.parked == 0),
        ("demo.check-all", figures.received + figures.duplicates == u64::from(args.records)),
        ("demo.check-once", crate::sandbox::ledger::applied_twice(&applied) == 0),
        (
            "demo.check-ledger",
            u64::try_from(total).is_ok_and(|total| total == figures.acknowledged),
        ),
        ("demo.check-verification", figures.verification == "valid"),
    ];
    for (key, good) in checks {
        let mark = if good { "✓" } else { "✗" };
        eprintln!("  {mark} {}", text(lang, key, &[]));
    }
    Ok(checks.iter().all(|(_, good)| *good))
}

fn summary(figures: &Figures, lang: Lang) {
    let rows = [
        ("received", figures.received),
        ("duplicates", figures.duplicates),
        ("rejected", figures.rejected),
        ("held", figures.held),
        ("accepted", figures.accepted),
        ("sealed", figures.sealed),
        ("submitted", figures.submitted),
        ("acknowledged", figures.acknowledged),
        ("refused", figures.refused),
        ("in_flight", figures.in_flight),
        ("parked", figures.parked),
        ("superseded", figures.superseded),
    ];
    for (name, count) in rows {
        eprintln!("  {:>8}  {}", count, text(lang, &format!("demo.figure-{name}"), &[]));
    }
    eprintln!("  {:>8}  {}", figures.verification, text(lang, "demo.figure-verification", &[]));
    eprintln!("  {:>8.1}  {}", figures.seconds, text(lang, "demo.figure-seconds", &[]));
}

fn addresses(installation: &Installation, lang: Lang) {
    let dir = installation.dir.display().to_string();
    let args = [
        ("dir", dir.as_str()),
        ("machines", installation.machines.as_str()),
        ("persons", installation.persons.as_str()),
        ("public", installation.public.as_str()),
        ("inside", installation.inside.as_str()),
        ("sandbox", installation.sandbox.as_str()),
    ];
    say(lang, "demo.addresses", &args);
}

//! Delivers sealed records: form, freeze, claim, attempt, classify, keep the receipt, conclude.

mod exchange;
mod figures;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use deadpool_postgres::Pool;
use futures_util::future::join_all;
use tokio::sync::{Notify, Semaphore};
use tokio::task::{JoinError, JoinSet};

use crate::outbox::forming::{self, Forming, FormingError, Shape};
use crate::outbox::members::Member;
use crate::outbox::schedule::store::{Claim, Concluded};
use crate::outbox::schedule::{BatchKey, Chance, LeaseKind, new_message_id};
use crate::outbox::{Policy, Settings, schedule, store};
use crate::platform::clock::SharedClock;
use crate::platform::database::DatabaseError;
use crate::platform::shutdown::Shutdown;
use crate::platform::telemetry::{Metrics, MetricsError};
use crate::receipts::Evidence;
use crate::signature::XmlSigner;
use crate::submit::Destination;
use crate::vault::{Vault, VaultError};
use figures::Figures;

/// Say why a step of a delivery could not be taken; the batch stays where it is and its lease ends.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A batch could not be built.
    #[error(transparent)]
    Forming(#[from] FormingError),
    /// A body could not be encrypted or opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// A thread ended early.
    #[error("a building thread ended early")]
    Thread(#[from] JoinError),
}

impl From<deadpool_postgres::PoolError> for DeliverError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::Database(error.into())
    }
}

impl From<tokio_postgres::Error> for DeliverError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// What the engine works with.
pub struct Parts {
    /// Pool of the working role.
    pub work: Pool,
    /// Opens records and keeps receipts.
    pub vault: Arc<Vault>,
    /// Signs batches.
    pub signer: XmlSigner,
    /// Time of signing and of ids; the schedule itself uses the database's.
    pub clock: SharedClock,
    /// Chance for back-off.
    pub chance: Arc<Chance>,
    /// Where figures are registered.
    pub metrics: Metrics,
    /// Name of this process in leases and attempts.
    pub worker: String,
    /// Settings of the outbox.
    pub settings: Settings,
}

/// A destination and the evidence it gives.
#[derive(Clone)]
pub struct Route {
    /// Where to.
    pub destination: Arc<dyn Destination>,
    /// How its answers are read.
    pub evidence: Arc<Evidence>,
}

/// What one run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Batches built and frozen.
    pub formed: u64,
    /// Attempts to send.
    pub sent: u64,
    /// Status queries.
    pub asked: u64,
    /// Leases of lost workers ended.
    pub expired: u64,
    /// Steps that failed and will be taken again.
    pub failed: u64,
    /// Whether nothing is left open.
    pub settled: bool,
}

#[derive(Default)]
struct Tally {
    formed: AtomicU64,
    sent: AtomicU64,
    asked: AtomicU64,
    expired: AtomicU64,
    failed: AtomicU64,
}

impl Tally {
    fn summary(&self, settled: bool) -> Summary {
        let of = |count: &AtomicU64| count.load(Ordering::Relaxed);
        Summary {
            formed: of(&self.formed),
            sent: of(&self.sent),
            asked: of(&self.asked),
            expired: of(&self.expired),
            failed: of(&self.failed),
            settled,
        }
    }
}

// Bytes of a batch that was frozen here and not yet sent; saves building them again.
struct Prepared {
    bytes: Vec<u8>,
    members: Vec<Member>,
}

/// Delivers to all destinations; run as many processes as wanted, they share the work.
pub struct Deliverer {
    parts: Parts,
    routes: Vec<Route>,
    figures: Figures,
    tally: Tally,
    prepared: Mutex<HashMap<BatchKey, Prepared>>,
    codes: Mutex<HashMap<i32, String>>,
    builders: Semaphore,
    swept_ms: AtomicU64,
    wake: Notify,
}

impl Deliverer {
    /// Make an engine for `routes`; registers its figures.
    pub fn new(parts: Parts, routes: Vec<Route>) -> Result<Self, MetricsError> {
        Ok(Self {
            figures: Figures::new(&parts.metrics)?,
            builders: Semaphore::new(parts.settings.builders_max.max(1)),
            parts,
            routes,
            tally: Tally::default(),
            prepared: Mutex::default(),
            codes: Mutex::default(),
            swept_ms: AtomicU64::new(0),
            wake: Notify::new(),
        })
    }

    /// Look for work now instead of at the next interval.
    pub fn wake(&self) {
        self.wake.notify_waiters();
    }

    /// Deliver until the stop is asked for; attempts under way are concluded first.
    pub async fn run(self: Arc<Self>, shutdown: Shutdown) {
        let mut slots = JoinSet::new();
        for index in 0..self.routes.len() {
            for _ in 0..self.parts.settings.attempts_in_flight_max.max(1) {
                let (engine, stop) = (Arc::clone(&self), shutdown.clone());
                slots.spawn(async move { engine.slot(index, &stop).await });
            }
        }
        while let Some(ended) = slots.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a delivery slot ended early");
            }
        }
    }

    async fn slot(&self, index: usize, shutdown: &Shutdown) {
        let Some(route) = self.routes.get(index) else {
            return;
        };
        let pause = Duration::from_millis(self.parts.settings.poll_interval_ms);
        while !shutdown.is_requested() {
            let worked = self.act_or_log(route, self.parts.settings.linger_ms).await;
            if !worked {
                tokio::select! {
                    () = shutdown.requested() => break,
                    () = self.wake.notified() => {}
                    () = tokio::time::sleep(pause) => {}
                }
            }
        }
    }

    /// Work until nothing is due now; what waits for a later time is left.
    pub async fn work_until_idle(&self) -> Summary {
        let slots = self.routes.iter().flat_map(|route| {
            (0..self.parts.settings.attempts_in_flight_max.max(1))
                .map(move |_| async move { while self.act_or_log(route, 0).await {} })
        });
        join_all(slots).await;
        self.tally.summary(self.is_settled().await.unwrap_or(false))
    }

    /// Work until every entry has its end or is parked, or until `limit` has passed.
    pub async fn work_until_settled(&self, limit: Duration) -> Summary {
        let end = self.parts.clock.monotonic() + limit;
        let pause = Duration::from_millis(self.parts.settings.poll_interval_ms);
        loop {
            let summary = self.work_until_idle().await;
            if summary.settled || self.parts.clock.monotonic() >= end {
                return summary;
            }
            tokio::time::sleep(pause).await;
        }
    }

    async fn is_settled(&self) -> Result<bool, DeliverError> {
        for route in &self.routes {
            if !store::is_settled(&self.parts.work, route.destination.name()).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn act_or_log(&self, route: &Route, linger_ms: u64) -> bool {
        match self.act(route, linger_ms).await {
            Ok(worked) => worked,
            Err(error) => {
                self.tally.failed.fetch_add(1, Ordering::Relaxed);
                let destination = route.destination.name();
                tracing::error!(
                    destination,
                    error = &error as &dyn std::error::Error,
                    "a delivery step failed"
                );
                false
            }
        }
    }

    // One step: what is due is asked for or sent; only then a new batch is begun.
    async fn act(&self, route: &Route, linger_ms: u64) -> Result<bool, DeliverError> {
        self.sweep(route).await?;
        let name = route.destination.name();
        let settings = route.destination.settings();
        let claim =
            Claim { destination: name, worker: &self.parts.worker, lease_ms: settings.lease_ms() };
        let (work, policy) = (&self.parts.work, policy(route));
        if let Some(lease) =
            schedule::store::claim(work, &claim, policy, &self.parts.chance).await?
        {
            match lease.kind {
                LeaseKind::Send => {
                    self.tally.sent.fetch_add(1, Ordering::Relaxed);
                    self.send(route, &lease).await?;
                }
                LeaseKind::Query => {
                    self.tally.asked.fetch_add(1, Ordering::Relaxed);
                    self.ask(route, &lease).await?;
                }
            }
            return Ok(true);
        }
        if !store::may_send(work, name).await? {
            return Ok(false);
        }
        let reserve = forming::store::Reserve {
            destination: name,
            worker: &self.parts.worker,
            records_max: settings.batch_records_max,
            linger_ms,
            lease_ms: self.parts.settings.forming_lease_ms,
        };
        let message_id = new_message_id(self.parts.clock.now());
        match forming::store::reserve(work, &reserve, message_id).await? {
            Some(forming) => self.form(route, forming).await,
            None => Ok(false),
        }
    }

    // Leases of lost workers end at most once per interval and process.
    async fn sweep(&self, route: &Route) -> Result<(), DeliverError> {
        let now_ms = u64::try_from(self.parts.clock.monotonic().as_millis()).unwrap_or(u64::MAX);
        let last = self.swept_ms.load(Ordering::Relaxed);
        let due = last == 0 || now_ms.saturating_sub(last) >= self.parts.settings.poll_interval_ms;
        let mine = due
            && self
                .swept_ms
                .compare_exchange(last, now_ms.max(1), Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if !mine {
            return Ok(());
        }
        for route in std::iter::once(route).chain(&self.routes) {
            let expired = schedule::store::expire(
                &self.parts.work,
                route.destination.name(),
                self.parts.settings.expired_leases_max,
                policy(route),
                &self.parts.chance,
            )
            .await?;
            self.tally.expired.fetch_add(u64::from(expired), Ordering::Relaxed);
        }
        Ok(())
    }

    // Bytes are built and signed outside of any transaction, then frozen in one.
    async fn form(&self, route: &Route, forming: Forming) -> Result<bool, DeliverError> {
        let settings = route.destination.settings();
        let participant = self.participant_code(forming.key.participant_id).await?;
        let bodies = forming::store::bodies(
            &self.parts.work,
            forming.key.participant_id,
            forming.school_year,
            &forming.members,
        )
        .await?;
        let (vault, signer) = (Arc::clone(&self.parts.vault), self.parts.signer.clone());
        let signed_at = self.parts.clock.now();
        let (batch_bytes_max, record_bytes_max) =
            (settings.batch_bytes_max, settings.record_bytes_max);
        let _permit = self.builders.acquire().await;
        let (forming, built) = tokio::task::spawn_blocking(move || {
            let shape =
                Shape { batch_bytes_max, record_bytes_max, participant: &participant, signed_at };
            let built = forming::build(&vault, &signer, &forming, &bodies, &shape);
            (forming, built)
        })
        .await?;
        let (frozen, bytes) = built?;
        let (work, chance) = (&self.parts.work, &self.parts.chance);
        let concluded =
            forming::store::freeze(work, &forming, &frozen, policy(route), chance).await?;
        if concluded == Concluded::Stale {
            return Ok(true);
        }
        self.tally.formed.fetch_add(1, Ordering::Relaxed);
        self.figures.formed(route.destination.name());
        let gone = |member: &Member| {
            frozen.left_out.contains(&member.record_id)
                || frozen.unreadable.contains(&member.record_id)
        };
        let members = forming.members.into_iter().filter(|member| !gone(member)).collect();
        self.keep_prepared(forming.key, Prepared { bytes, members });
        Ok(true)
    }

    // Bounded: as many as can be under way; a batch that falls out is built again from the database.
    fn keep_prepared(&self, key: BatchKey, prepared: Prepared) {
        let mut all = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() < 2 * self.parts.settings.attempts_in_flight_max.max(1) {
            all.insert(key, prepared);
        } else {
            all.clear();
        }
    }

    async fn participant_code(&self, participant_id: i32) -> Result<String, DeliverError> {
        let known = {
            let codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
            codes.get(&participant_id).cloned()
        };
        if let Some(code) = known {
            return Ok(code);
        }
        let code = forming::store::participant_code(&self.parts.work, participant_id).await?;
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        codes.insert(participant_id, code.clone());
        Ok(code)
    }
}

fn policy(route: &Route) -> &Policy {
    &route.destination.settings().schedule
}

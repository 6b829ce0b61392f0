//! Moves batches from state to state, fenced by their epoch, each with its attempt and its audit leaf.

use deadpool_postgres::Pool;
use jiff::Timestamp;
use serde_json::json;
use tokio_postgres::{Row, Transaction};

use super::super::destination::store as destination;
use super::super::members::store as members_of;
use super::{BatchKey, Chance, Lease, LeaseKind, Note};
use crate::audit::{self, Leaf};
use crate::outbox::state::{
    Batch, BatchState, Command, Event, Outcome, Policy, QueryOutcome, Reason,
};
use crate::outbox::store::{begin, prefer_indexes};
use crate::platform::database::DatabaseError;

const COLUMNS: &str = "participant_id, message_id, destination, school_year, state, epoch, lease_until, not_before, \
    attempts, queries, item_count, fresh_count, body_bytes, body_sha256, doubt, possible_duplicate, \
    waiting_since, not_found, not_found_at, created_at, reason, clock_timestamp() AS now";

/// What a worker asks to lease.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// For which destination.
    pub destination: &'a str,
    /// Which process asks.
    pub worker: &'a str,
    /// Length of the lease: twice the attempt's deadline.
    pub lease_ms: u64,
}

/// What became of a conclusion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Concluded {
    /// The batch was moved.
    Done {
        /// Where it stands now.
        batch: Batch,
        /// What was done with it.
        commands: Vec<Command>,
    },
    /// Another worker holds the batch by now; the outcome was dropped.
    Stale,
}

struct Stored {
    key: BatchKey,
    destination: String,
    school_year: i16,
    fresh_count: i32,
    body_bytes: Option<i64>,
    body_sha256: Option<Vec<u8>>,
    batch: Batch,
    now: Timestamp,
}

/// Lease a due batch for a status query, else for sending; commits the attempt before it returns.
///
/// Statuses come first: they end doubts and free participants. `None` when nothing is due, or when the
/// destination is halted or its breaker open.
pub async fn claim(
    pool: &Pool,
    ask: &Claim<'_>,
    policy: &Policy,
    chance: &Chance,
) -> Result<Option<Lease>, DatabaseError> {
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    prefer_indexes(&transaction).await?;
    let Some(failures) = destination::gate(&transaction, ask.destination).await? else {
        return Ok(None);
    };
    let Some((stored, kind)) = due(&transaction, ask.destination).await? else {
        return Ok(None);
    };
    if !destination::pass(&transaction, ask.destination, failures, policy).await? {
        return Ok(None);
    }
    let lease_ms = i64::try_from(ask.lease_ms).unwrap_or(i64::MAX);
    let until = stored
        .now
        .checked_add(jiff::SignedDuration::from_millis(lease_ms))
        .unwrap_or(Timestamp::MAX);
    let (batch, _) = chance.step(policy, &stored.batch, Event::Leased { until }, stored.now);
    save(&transaction, &stored, &batch, Some(ask.worker)).await?;
    if kind == LeaseKind::Send && stored.fresh_count > 0 {
        members_of::count_submitted(&transaction, &stored.key, stored.fresh_count).await?;
    }
    transaction
        .execute(
            "INSERT INTO hocba.attempt (participant_id, message_id, epoch, kind, worker, body_sha256, started_at)
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
            &[
                &stored.key.participant_id,
                &stored.key.message_id,
                &batch.epoch,
                &kind.name(),
                &ask.worker,
                &stored.body_sha256,
                &stored.now,
            ],
        )
        .await?;
    leaf(&transaction, &stored, &batch).await?;
    transaction.commit().await?;
    Ok(Some(Lease {
        key: stored.key,
        school_year: stored.school_year,
        kind,
        batch,
        body_bytes: u64::try_from(stored.body_bytes.unwrap_or(0)).unwrap_or(0),
        body_sha256: stored.body_sha256.unwrap_or_default(),
        failures,
    }))
}

async fn due(
    transaction: &Transaction<'_>,
    destination: &str,
) -> Result<Option<(Stored, LeaseKind)>, DatabaseError> {
    let query = format!(
        "SELECT {COLUMNS} FROM hocba.outbox_batch
         WHERE destination = $1 AND state IN ('IN_DOUBT', 'AWAITING_RECEIPT', 'SETTLED_PARTIAL')
           AND not_before <= clock_timestamp() AND (lease_until IS NULL OR lease_until < clock_timestamp())
         ORDER BY not_before LIMIT 1 FOR UPDATE SKIP LOCKED"
    );
    if let Some(row) = transaction.query_opt(&query, &[&destination]).await? {
        return Ok(Some((stored(&row), LeaseKind::Query)));
    }
    let send = format!(
        "SELECT {COLUMNS} FROM hocba.outbox_batch
         WHERE destination = $1 AND state IN ('FORMED', 'RETRY_WAIT') AND not_before <= clock_timestamp()
         ORDER BY priority, not_before LIMIT 1 FOR UPDATE SKIP LOCKED"
    );
    let row = transaction.query_opt(&send, &[&destination]).await?;
    Ok(row.map(|row| (stored(&row), LeaseKind::Send)))
}

/// Conclude the lease `epoch` of a batch in the caller's transaction.
///
/// A stale epoch drops the outcome; what is evidence is applied all the same.
pub async fn conclude(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    epoch: i32,
    event: Event,
    note: &Note,
    policy: &Policy,
    chance: &Chance,
) -> Result<Concluded, DatabaseError> {
    close_attempt(transaction, key, epoch, event, note).await?;
    let stored = load(transaction, key).await?;
    if note.connect_failed {
        destination::count_failure(transaction, &stored.destination, policy).await?;
    } else if note.failures > 0 && note.http_status.is_some() {
        destination::reached(transaction, &stored.destination).await?;
    }
    let event = if stored.batch.epoch == epoch {
        event
    } else {
        match evidence_in(event) {
            Some(evidence) => evidence,
            None => return Ok(Concluded::Stale),
        }
    };
    let (batch, commands) = chance.step(policy, &stored.batch, event, stored.now);
    if batch != stored.batch {
        save(transaction, &stored, &batch, None).await?;
        leaf(transaction, &stored, &batch).await?;
    }
    for command in &commands {
        carry_out(transaction, &stored, &batch, *command).await?;
    }
    Ok(Concluded::Done { batch, commands })
}

/// Release a parked batch, or apply another event that belongs to no lease, in the caller's transaction.
pub async fn apply(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    event: Event,
    policy: &Policy,
    chance: &Chance,
) -> Result<Concluded, DatabaseError> {
    let stored = load(transaction, key).await?;
    let (batch, commands) = chance.step(policy, &stored.batch, event, stored.now);
    if batch != stored.batch {
        save(transaction, &stored, &batch, None).await?;
        leaf(transaction, &stored, &batch).await?;
    }
    for command in &commands {
        carry_out(transaction, &stored, &batch, *command).await?;
    }
    Ok(Concluded::Done { batch, commands })
}

/// Freeze the content of a forming batch together with its state, in the caller's transaction.
pub async fn freeze(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    content: (i64, &[u8; 32], i32),
    policy: &Policy,
    chance: &Chance,
) -> Result<Concluded, DatabaseError> {
    let stored = load(transaction, key).await?;
    let (mut batch, commands) = chance.step(policy, &stored.batch, Event::Frozen, stored.now);
    let (body_bytes, body_sha256, item_count) = content;
    batch.size = u32::try_from(item_count).unwrap_or(0);
    transaction
        .execute(
            "UPDATE hocba.outbox_batch SET state = $3, lease_until = NULL, worker = NULL, body_bytes = $4,
                 body_sha256 = $5, item_count = $6, not_before = $7, updated_at = $7
             WHERE participant_id = $1 AND message_id = $2",
            &[
                &key.participant_id,
                &key.message_id,
                &batch.state.name(),
                &body_bytes,
                &body_sha256.as_slice(),
                &item_count,
                &stored.now,
            ],
        )
        .await?;
    leaf(transaction, &stored, &batch).await?;
    Ok(Concluded::Done { batch, commands })
}

/// End the leases of workers that were lost; returns how many.
pub async fn expire(
    pool: &Pool,
    destination: &str,
    batches_max: u32,
    policy: &Policy,
    chance: &Chance,
) -> Result<u32, DatabaseError> {
    let mut expired = 0;
    let mut client = pool.get().await?;
    while expired < batches_max {
        let transaction = client.transaction().await?;
        prefer_indexes(&transaction).await?;
        let sql = format!(
            "SELECT {COLUMNS} FROM hocba.outbox_batch
             WHERE destination = $1 AND state = 'SENDING' AND lease_until < clock_timestamp()
             ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED"
        );
        let Some(row) = transaction.query_opt(&sql, &[&destination]).await? else {
            break;
        };
        let stored = stored(&row);
        let note = Note { seen: "lease-expired", ..Note::default() };
        let epoch = stored.batch.epoch;
        conclude(&transaction, &stored.key, epoch, Event::LeaseExpired, &note, policy, chance)
            .await?;
        transaction.commit().await?;
        expired += 1;
    }
    Ok(expired)
}

/// Load the state of a batch, for statements and tests.
pub async fn batch(pool: &Pool, key: &BatchKey) -> Result<Batch, DatabaseError> {
    let mut client = pool.get().await?;
    let transaction = begin(&mut client, key.participant_id).await?;
    Ok(load(&transaction, key).await?.batch)
}

/// Lock a batch whose lease has `epoch`; false when another worker took it over.
pub async fn lock(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    epoch: i32,
) -> Result<bool, DatabaseError> {
    let stored = load(transaction, key).await?;
    Ok(stored.batch.epoch == epoch && stored.batch.state == BatchState::Forming)
}

/// Lock a batch before its evidence is compared, so that two answers are not judged side by side.
pub async fn lock_batch(
    transaction: &Transaction<'_>,
    key: &BatchKey,
) -> Result<(), DatabaseError> {
    load(transaction, key).await.map(drop)
}

async fn load(transaction: &Transaction<'_>, key: &BatchKey) -> Result<Stored, DatabaseError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM hocba.outbox_batch WHERE participant_id = $1 AND message_id = $2 FOR UPDATE"
    );
    let row = transaction.query_one(&sql, &[&key.participant_id, &key.message_id]).await?;
    Ok(stored(&row))
}

fn stored(row: &Row) -> Stored {
    let unsigned = |column: &str| u32::try_from(row.get::<_, i32>(column)).unwrap_or(0);
    let state: &str = row.get("state");
    Stored {
        key: BatchKey {
            participant_id: row.get("participant_id"),
            message_id: row.get("message_id"),
        },
        destination: row.get("destination"),
        school_year: row.get("school_year"),
        fresh_count: row.get("fresh_count"),
        body_bytes: row.get("body_bytes"),
        body_sha256: row.get("body_sha256"),
        now: row.get("now"),
        batch: Batch {
            // The database checks the names; a name it knows and we do not stays with persons.
            state: BatchState::parse(state).unwrap_or(BatchState::Parked),
            epoch: row.get("epoch"),
            lease_until: row.get("lease_until"),
            not_before: row.get("not_before"),
            attempts: unsigned("attempts"),
            queries: unsigned("queries"),
            size: unsigned("item_count"),
            doubt: row.get("doubt"),
            possible_duplicate: row.get("possible_duplicate"),
            waiting_since: row.get("waiting_since"),
            not_found: u32::try_from(row.get::<_, i16>("not_found")).unwrap_or(0),
            not_found_at: row.get("not_found_at"),
            created_at: row.get("created_at"),
            reason: row.get::<_, Option<&str>>("reason").and_then(Reason::parse),
        },
    }
}

// Fenced: nothing is written when the epoch has moved on since it was read.
async fn save(
    transaction: &Transaction<'_>,
    stored: &Stored,
    batch: &Batch,
    worker: Option<&str>,
) -> Result<(), DatabaseError> {
    let signed = |n: u32| i32::try_from(n).unwrap_or(i32::MAX);
    transaction
        .execute(
            "UPDATE hocba.outbox_batch SET state = $4, epoch = $5, lease_until = $6, not_before = $7, attempts = $8,
                 queries = $9, doubt = $10, possible_duplicate = $11, waiting_since = $12, not_found = $13,
                 not_found_at = $14, reason = $15, worker = $16, updated_at = $17,
                 fresh_count = CASE WHEN $4 = 'SENDING' THEN 0 ELSE fresh_count END, created_at = $18
             WHERE participant_id = $1 AND message_id = $2 AND epoch = $3",
            &[
                &stored.key.participant_id,
                &stored.key.message_id,
                &stored.batch.epoch,
                &batch.state.name(),
                &batch.epoch,
                &batch.lease_until,
                &batch.not_before,
                &signed(batch.attempts),
                &signed(batch.queries),
                &batch.doubt,
                &batch.possible_duplicate,
                &batch.waiting_since,
                &i16::try_from(batch.not_found).unwrap_or(i16::MAX),
                &batch.not_found_at,
                &batch.reason.map(Reason::code),
                &worker,
                &stored.now,
                &batch.created_at,
            ],
        )
        .await?;
    Ok(())
}

async fn close_attempt(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    epoch: i32,
    event: Event,
    note: &Note,
) -> Result<(), DatabaseError> {
    let status = note.http_status.and_then(|status| i16::try_from(status).ok());
    transaction
        .execute(
            "UPDATE hocba.attempt SET class = $4, http_status = $5, seen = $6, closed_at = clock_timestamp()
             WHERE participant_id = $1 AND message_id = $2 AND epoch = $3 AND class IS NULL",
            &[&key.participant_id, &key.message_id, &epoch, &event.class(), &status, &note.seen],
        )
        .await?;
    Ok(())
}

fn evidence_in(event: Event) -> Option<Event> {
    let complete = match event {
        Event::Answered(Outcome::Settled) | Event::Queried(QueryOutcome::Settled) => true,
        Event::Answered(Outcome::PartlySettled) | Event::Queried(QueryOutcome::PartlySettled) => {
            false
        }
        _ => return None,
    };
    Some(Event::Evidence { complete })
}

async fn carry_out(
    transaction: &Transaction<'_>,
    stored: &Stored,
    batch: &Batch,
    command: Command,
) -> Result<(), DatabaseError> {
    let (key, year) = (&stored.key, stored.school_year);
    match command {
        // Evidence is applied by whoever verified it, before this; alarms are raised after the commit.
        Command::Alarm(_) | Command::ApplyEvidence => Ok(()),
        Command::HaltDestination(reason) => {
            destination::halt(transaction, &stored.destination, reason).await
        }
        Command::ParkMembers => {
            members_of::park(transaction, key, year, batch.reason.map(Reason::code)).await
        }
        Command::ReopenMembers => members_of::reopen(transaction, key, year).await,
        Command::SplitInTwo => {
            members_of::split(transaction, key, year, &stored.destination, stored.now).await
        }
    }
}

// One leaf per change of state; a lease for a query changes none.
async fn leaf(
    transaction: &Transaction<'_>,
    before: &Stored,
    after: &Batch,
) -> Result<(), DatabaseError> {
    if before.batch.state == after.state {
        return Ok(());
    }
    let leaf = Leaf {
        at: before.now,
        actor: "process:work".to_owned(),
        action: "move_outbox_batch",
        object: format!("outbox_batch:{}", before.key.message_id),
        details: json!({
            "participant": before.key.participant_id,
            "destination": before.destination,
            "from": before.batch.state.name(),
            "to": after.state.name(),
            "epoch": after.epoch,
            "attempts": after.attempts,
            "members": after.size,
            "reason": after.reason.map(Reason::code),
        }),
    };
    audit::append(transaction, &leaf).await?;
    Ok(())
}

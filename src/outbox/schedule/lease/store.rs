//! Leases due batches to workers and ends the leases of workers that were lost.

use deadpool_postgres::Pool;
use jiff::Timestamp;
use tokio_postgres::Transaction;

use super::super::store::{COLUMNS, Stored, conclude, leaf, save, stored};
use super::super::{Chance, Lease, LeaseKind, Note};
use crate::outbox::destination::store as destination;
use crate::outbox::members::store as members_of;
use crate::outbox::state::{Event, Policy};
use crate::outbox::store::prefer_indexes;
use crate::platform::database::DatabaseError;

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

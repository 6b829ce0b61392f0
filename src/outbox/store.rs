//! Puts sealed records into the outbox and counts what became of them.

use std::collections::BTreeMap;

use deadpool_postgres::{Object, Pool, Transaction as PooledTransaction};
use jiff::Timestamp;
use tokio_postgres::Transaction;
use uuid::Uuid;

use crate::platform::database::{self, DatabaseError};

/// A sealed record that a destination must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// Participant the record came from.
    pub participant_id: i32,
    /// First calendar year of its school year.
    pub school_year: i16,
    /// The record.
    pub record_id: Uuid,
    /// Name of the destination, as in `[destination.<name>]`.
    pub destination: String,
    /// Version of the record.
    pub version: i32,
    /// SHA-256 of the sealed record's bytes.
    pub digest: [u8; 32],
    /// Smaller goes first.
    pub priority: i16,
}

/// Insert `entries` in the caller's transaction; they are delivered once it commits.
pub async fn enqueue(
    transaction: &Transaction<'_>,
    entries: &[NewEntry],
) -> Result<(), DatabaseError> {
    if entries.is_empty() {
        return Ok(());
    }
    let participants: Vec<i32> = entries.iter().map(|e| e.participant_id).collect();
    let years: Vec<i16> = entries.iter().map(|e| e.school_year).collect();
    let records: Vec<Uuid> = entries.iter().map(|e| e.record_id).collect();
    let destinations: Vec<&str> = entries.iter().map(|e| e.destination.as_str()).collect();
    let versions: Vec<i32> = entries.iter().map(|e| e.version).collect();
    let digests: Vec<&[u8]> = entries.iter().map(|e| e.digest.as_slice()).collect();
    let priorities: Vec<i16> = entries.iter().map(|e| e.priority).collect();
    // First the lane, then the tally: a deliverer that reserves takes them in this order too.
    transaction
        .execute(
            "INSERT INTO hocba.outbox_lane (participant_id, school_year, destination)
             SELECT DISTINCT * FROM unnest($1::int[], $2::smallint[], $3::text[]) AS l (p, y, d)
             WHERE NOT EXISTS (SELECT FROM hocba.outbox_lane k
                               WHERE k.participant_id = l.p AND k.school_year = l.y AND k.destination = l.d)
             ORDER BY p, y, d
             ON CONFLICT DO NOTHING",
            &[&participants, &years, &destinations],
        )
        .await?;
    transaction
        .execute(
            "INSERT INTO hocba.outbox_entry
                 (participant_id, school_year, record_id, destination, version, digest, priority)
             SELECT * FROM unnest($1::int[], $2::smallint[], $3::uuid[], $4::text[], $5::int[],
                                  $6::bytea[], $7::smallint[])",
            &[&participants, &years, &records, &destinations, &versions, &digests, &priorities],
        )
        .await?;
    Ok(())
}

/// What became of the records of one participant at one destination.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Wait for a batch or are in one.
    pub in_flight: u64,
    /// Evidence says applied.
    pub acknowledged: u64,
    /// Evidence says refused.
    pub refused: u64,
    /// Wait for persons.
    pub parked: u64,
    /// Replaced by a newer version before they were sent.
    pub superseded: u64,
    /// Were sent at least once, ever.
    pub submitted: u64,
    /// Age in seconds of the oldest that waits for a batch.
    pub oldest_ready_s: Option<u64>,
}

impl Counts {
    fn add(&mut self, counted: &str, entries: i64) {
        let entries = u64::try_from(entries).unwrap_or(0);
        let place = match counted {
            "READY" | "IN_BATCH" => &mut self.in_flight,
            "ACKED" => &mut self.acknowledged,
            "REFUSED" => &mut self.refused,
            "PARKED" => &mut self.parked,
            "SUPERSEDED" => &mut self.superseded,
            "SUBMITTED" => &mut self.submitted,
            _ => return,
        };
        *place += entries;
    }

    /// Return the sum of both, the age being the greater.
    pub fn plus(&self, other: &Self) -> Self {
        Self {
            in_flight: self.in_flight + other.in_flight,
            acknowledged: self.acknowledged + other.acknowledged,
            refused: self.refused + other.refused,
            parked: self.parked + other.parked,
            superseded: self.superseded + other.superseded,
            submitted: self.submitted + other.submitted,
            oldest_ready_s: self.oldest_ready_s.max(other.oldest_ready_s),
        }
    }
}

/// Count by participant and destination; `pool` is that of the watching role. Reads no entry but the oldest.
pub async fn counts(pool: &Pool) -> Result<BTreeMap<(i32, String), Counts>, DatabaseError> {
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    prefer_indexes(&transaction).await?;
    let mut all: BTreeMap<(i32, String), Counts> = BTreeMap::new();
    let rows = transaction
        .query(
            "SELECT participant_id, destination, counted, sum(entries)::bigint FROM hocba.outbox_tally
             GROUP BY participant_id, destination, counted",
            &[],
        )
        .await?;
    for row in rows {
        let counts = all.entry((row.get(0), row.get(1))).or_default();
        counts.add(row.get(2), row.get(3));
    }
    let rows = transaction
        .query(
            "SELECT l.participant_id, l.destination,
                    greatest(0, extract(epoch FROM clock_timestamp() - min(r.ready_at)))::bigint
             FROM hocba.outbox_lane l CROSS JOIN LATERAL (
                 SELECT e.ready_at FROM hocba.outbox_entry e
                 WHERE e.participant_id = l.participant_id AND e.school_year = l.school_year
                   AND e.destination = l.destination AND e.state = 'READY'
                 ORDER BY e.priority, e.ready_at LIMIT 1) r
             GROUP BY l.participant_id, l.destination",
            &[],
        )
        .await?;
    for row in rows {
        let counts = all.entry((row.get(0), row.get(1))).or_default();
        counts.oldest_ready_s = u64::try_from(row.get::<_, i64>(2)).ok();
    }
    Ok(all)
}

/// Batches of a destination in one state, for the operators' page.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct BatchCount {
    /// Destination.
    pub destination: String,
    /// State of the batches.
    pub state: String,
    /// Why they stand there, as a code.
    pub reason: Option<String>,
    /// How many.
    pub batches: i64,
    /// When the next of them is due.
    pub next_at: Option<Timestamp>,
}

/// Count the batches that are not at an end; `pool` is that of the watching role.
pub async fn open_batches(pool: &Pool) -> Result<Vec<BatchCount>, DatabaseError> {
    let client = pool.get().await?;
    let rows = client
        .query(
            "SELECT destination, state, reason, count(*), min(not_before) FROM hocba.outbox_batch
             WHERE state NOT IN ('SETTLED', 'SPLIT') GROUP BY destination, state, reason ORDER BY 1, 2, 3",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| BatchCount {
            destination: row.get(0),
            state: row.get(1),
            reason: row.get(2),
            batches: row.get(3),
            next_at: row.get(4),
        })
        .collect())
}

/// Whether a destination may be sent to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct DestinationState {
    /// Its name.
    pub destination: String,
    /// Whether sending is stopped until persons let it go on.
    pub halted: bool,
    /// Why, as a code of `outbox.reason.<code>`.
    pub reason: Option<String>,
    /// Failures to connect in a row.
    pub failures: i32,
    /// Until when the breaker lets nothing pass.
    pub open_until: Option<Timestamp>,
}

/// Return the state of every destination that was ever used.
pub async fn destination_states(pool: &Pool) -> Result<Vec<DestinationState>, DatabaseError> {
    let client = pool.get().await?;
    let rows = client
        .query(
            "SELECT destination, halted, reason, failures, open_until FROM hocba.destination_state ORDER BY 1",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| DestinationState {
            destination: row.get(0),
            halted: row.get(1),
            reason: row.get(2),
            failures: row.get(3),
            open_until: row.get(4),
        })
        .collect())
}

/// Tell whether every entry for a destination has its end or is parked.
pub async fn is_settled(pool: &Pool, destination: &str) -> Result<bool, DatabaseError> {
    let client = pool.get().await?;
    let row = client
        .query_one(
            "SELECT coalesce(sum(entries), 0)::bigint FROM hocba.outbox_tally
             WHERE destination = $1 AND counted IN ('READY', 'IN_BATCH')",
            &[&destination],
        )
        .await?;
    Ok(row.get::<_, i64>(0) == 0)
}

/// Tell whether a destination is neither halted nor behind an open breaker.
pub async fn may_send(pool: &Pool, destination: &str) -> Result<bool, DatabaseError> {
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    Ok(super::destination::store::gate(&transaction, destination).await?.is_some())
}

/// Begin a transaction for one participant in which statements keep to the indexes.
///
/// The queue's tables start empty and are never analysed before the first wave: without this the planner
/// reads whole partitions, slower with each record (the trap of design/performance.md section 9).
pub async fn begin(
    client: &mut Object,
    participant_id: i32,
) -> Result<PooledTransaction<'_>, DatabaseError> {
    let transaction = database::begin_for(client, participant_id).await?;
    prefer_indexes(&transaction).await?;
    Ok(transaction)
}

/// Hold the planner to the indexes until the transaction ends.
pub async fn prefer_indexes(transaction: &Transaction<'_>) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "SELECT set_config('enable_seqscan', 'off', true), set_config('enable_hashjoin', 'off', true),
                    set_config('enable_mergejoin', 'off', true), set_config('jit', 'off', true)",
            &[],
        )
        .await?;
    Ok(())
}

//! Reserves the members of a batch and freezes its bytes.

use deadpool_postgres::Pool;
use jiff::Timestamp;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::{Forming, Frozen, Member, StoredBody};
use crate::outbox::members::store as members_of;
use crate::outbox::schedule::store::{self as schedule, Concluded};
use crate::outbox::schedule::{BatchKey, Chance};
use crate::outbox::state::Policy;
use crate::outbox::store::{begin, prefer_indexes};
use crate::platform::database::DatabaseError;
use crate::vault::SealedBody;

/// What may be reserved for one batch.
#[derive(Debug, Clone, Copy)]
pub struct Reserve<'a> {
    /// For which destination.
    pub destination: &'a str,
    /// Which process asks.
    pub worker: &'a str,
    /// Members at most.
    pub records_max: u32,
    /// A batch that is not full is begun only when its oldest record waited so long.
    pub linger_ms: u64,
    /// Time to build it before another worker takes over.
    pub lease_ms: u64,
}

/// Reserve members of the participant whose turn it is, or take over a batch whose builder was lost.
///
/// One short transaction; `message_id` is used only if a new batch is begun. `None` when nothing is due.
pub async fn reserve(
    pool: &Pool,
    ask: &Reserve<'_>,
    message_id: Uuid,
) -> Result<Option<Forming>, DatabaseError> {
    let mut client = pool.get().await?;
    let transaction = client.transaction().await?;
    prefer_indexes(&transaction).await?;
    let forming = match take_over(&transaction, ask).await? {
        Some(forming) => Some(forming),
        None => begin_batch(&transaction, ask, message_id).await?,
    };
    if forming.is_some() {
        transaction.commit().await?;
    }
    Ok(forming)
}

async fn take_over(
    transaction: &Transaction<'_>,
    ask: &Reserve<'_>,
) -> Result<Option<Forming>, DatabaseError> {
    let row = transaction
        .query_opt(
            "WITH lost AS (
                 SELECT participant_id, message_id FROM hocba.outbox_batch
                 WHERE destination = $1 AND state = 'FORMING' AND lease_until < clock_timestamp()
                 ORDER BY lease_until LIMIT 1 FOR UPDATE SKIP LOCKED)
             UPDATE hocba.outbox_batch b SET epoch = b.epoch + 1, worker = $2, updated_at = clock_timestamp(),
                 lease_until = clock_timestamp() + $3 * interval '1 ms'
             FROM lost WHERE b.participant_id = lost.participant_id AND b.message_id = lost.message_id
             RETURNING b.participant_id, b.school_year, b.message_id, b.epoch, b.created_at",
            &[&ask.destination, &ask.worker, &ms(ask.lease_ms)],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    let key = BatchKey { participant_id: row.get(0), message_id: row.get(2) };
    let members = members_of::members(transaction, &key, row.get(1)).await?;
    Ok(Some(Forming {
        key,
        school_year: row.get(1),
        epoch: row.get(3),
        created_at: row.get(4),
        members,
    }))
}

async fn begin_batch(
    transaction: &Transaction<'_>,
    ask: &Reserve<'_>,
    message_id: Uuid,
) -> Result<Option<Forming>, DatabaseError> {
    let Some((participant_id, school_year)) = next_lane(transaction, ask).await? else {
        return Ok(None);
    };
    let taken = transaction
        .query(
            "WITH picked AS (
                 SELECT record_id FROM hocba.outbox_entry
                 WHERE participant_id = $1 AND school_year = $2 AND destination = $3 AND state = 'READY'
                 ORDER BY priority, ready_at LIMIT $4 FOR UPDATE SKIP LOCKED)
             UPDATE hocba.outbox_entry e SET state = 'IN_BATCH', batches = e.batches + 1, reason = NULL
             FROM picked p WHERE e.participant_id = $1 AND e.school_year = $2 AND e.destination = $3
                 AND e.record_id = p.record_id
             RETURNING e.record_id, e.version, e.digest, e.priority, e.batches, e.ready_at",
            &[&participant_id, &school_year, &ask.destination, &i64::from(ask.records_max)],
        )
        .await?;
    if taken.is_empty() {
        return Ok(None);
    }
    let mut order: Vec<(i16, Timestamp, usize)> =
        taken.iter().enumerate().map(|(index, row)| (row.get(3), row.get(5), index)).collect();
    order.sort();
    let members: Vec<Member> = (0..)
        .zip(&order)
        .map(|(position, (_, _, index))| Member {
            record_id: taken[*index].get(0),
            position,
            version: taken[*index].get(1),
            digest: taken[*index].get(2),
        })
        .collect();
    let fresh = taken.iter().filter(|row| row.get::<_, i16>(4) == 1).count();
    let priority = order.first().map_or(0, |first| first.0);
    let key = BatchKey { participant_id, message_id };
    members_of::insert(transaction, &key, school_year, ask.destination, &members).await?;
    let row = transaction
        .query_one(
            "INSERT INTO hocba.outbox_batch (participant_id, message_id, destination, school_year, state, epoch,
                 lease_until, worker, not_before, priority, item_count, fresh_count, created_at, updated_at)
             SELECT $1, $2, $3, $4, 'FORMING', 1, now + $5 * interval '1 ms', $6, now, $7, $8, $9, now, now
             FROM (SELECT clock_timestamp() AS now) AS t RETURNING created_at",
            &[
                &participant_id,
                &message_id,
                &ask.destination,
                &school_year,
                &ms(ask.lease_ms),
                &ask.worker,
                &priority,
                &count(members.len()),
                &count(fresh),
            ],
        )
        .await?;
    Ok(Some(Forming { key, school_year, epoch: 1, created_at: row.get(0), members }))
}

// The participant that waited longest for its turn and has a batch that is full or old enough.
async fn next_lane(
    transaction: &Transaction<'_>,
    ask: &Reserve<'_>,
) -> Result<Option<(i32, i16)>, DatabaseError> {
    let row = transaction
        .query_opt(
            "WITH lane AS (
                 SELECT l.participant_id, l.school_year FROM hocba.outbox_lane l
                 WHERE l.destination = $1 AND CASE WHEN (
                     SELECT e.ready_at FROM hocba.outbox_entry e WHERE e.participant_id = l.participant_id
                         AND e.school_year = l.school_year AND e.destination = l.destination AND e.state = 'READY'
                     ORDER BY e.priority, e.ready_at LIMIT 1) <= clock_timestamp() - $2 * interval '1 ms'
                 THEN true ELSE coalesce((
                     SELECT true FROM hocba.outbox_entry e WHERE e.participant_id = l.participant_id
                         AND e.school_year = l.school_year AND e.destination = l.destination AND e.state = 'READY'
                     ORDER BY e.priority, e.ready_at OFFSET $3 LIMIT 1), false) END
                 ORDER BY l.turn, l.participant_id, l.school_year LIMIT 1 FOR UPDATE SKIP LOCKED)
             UPDATE hocba.outbox_lane l SET turn = clock_timestamp() FROM lane
             WHERE l.destination = $1 AND l.participant_id = lane.participant_id
               AND l.school_year = lane.school_year
             RETURNING l.participant_id, l.school_year",
            &[
                &ask.destination,
                &ms(ask.linger_ms),
                &i64::from(ask.records_max.saturating_sub(1)),
            ],
        )
        .await?;
    Ok(row.map(|row| (row.get(0), row.get(1))))
}

/// Load the sealed bodies of `members`, in their order.
pub async fn bodies(
    pool: &Pool,
    participant_id: i32,
    school_year: i16,
    members: &[Member],
) -> Result<Vec<Option<StoredBody>>, DatabaseError> {
    let mut client = pool.get().await?;
    let transaction = begin(&mut client, participant_id).await?;
    let records: Vec<Uuid> = members.iter().map(|m| m.record_id).collect();
    let rows = transaction
        .query(
            "SELECT i.at::int, b.codec, b.key_id, b.body FROM unnest($3::uuid[]) WITH ORDINALITY AS i (record_id, at)
             JOIN hocba.record_body b ON b.participant_id = $1 AND b.school_year = $2
                 AND b.record_id = i.record_id AND b.kind = 2",
            &[&participant_id, &school_year, &records],
        )
        .await?;
    let mut found: Vec<Option<StoredBody>> = members.iter().map(|_| None).collect();
    for row in rows {
        let at = usize::try_from(row.get::<_, i32>(0) - 1).unwrap_or(usize::MAX);
        if let Some(place) = found.get_mut(at) {
            *place = Some(StoredBody { codec: row.get(1), key_id: row.get(2), body: row.get(3) });
        }
    }
    Ok(found)
}

/// Freeze the batch: members that did not fit go back, unreadable ones are parked, bytes are fixed.
///
/// One transaction; `Stale` when another worker has taken the batch over.
pub async fn freeze(
    pool: &Pool,
    forming: &Forming,
    frozen: &Frozen,
    policy: &Policy,
    chance: &Chance,
) -> Result<Concluded, DatabaseError> {
    let mut client = pool.get().await?;
    let transaction = begin(&mut client, forming.key.participant_id).await?;
    if !schedule::lock(&transaction, &forming.key, forming.epoch).await? {
        return Ok(Concluded::Stale);
    }
    leave(&transaction, forming, &frozen.left_out, "READY", None).await?;
    leave(&transaction, forming, &frozen.unreadable, "PARKED", Some("body-unreadable")).await?;
    insert_frame(&transaction, &forming.key, &frozen.frame).await?;
    let kept = forming.members.len() - frozen.left_out.len() - frozen.unreadable.len();
    // The state changes with the bytes, for the database holds that only a forming batch has none.
    let concluded = schedule::freeze(
        &transaction,
        &forming.key,
        (frozen.body_bytes, &frozen.body_sha256, count(kept)),
        policy,
        chance,
    )
    .await?;
    transaction.commit().await?;
    Ok(concluded)
}

async fn insert_frame(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    frame: &SealedBody,
) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "INSERT INTO hocba.outbox_batch_body (participant_id, message_id, codec, key_id, body)
             VALUES ($1, $2, $3, $4, $5)",
            &[&key.participant_id, &key.message_id, &frame.codec, &frame.key_id, &frame.body],
        )
        .await?;
    Ok(())
}

async fn leave(
    transaction: &Transaction<'_>,
    forming: &Forming,
    records: &[Uuid],
    state: &str,
    reason: Option<&str>,
) -> Result<(), DatabaseError> {
    if records.is_empty() {
        return Ok(());
    }
    let (participant_id, year) = (forming.key.participant_id, forming.school_year);
    transaction
        .execute(
            "UPDATE hocba.outbox_entry e SET state = $4, reason = $5, batches = e.batches - 1
             FROM hocba.outbox_batch_item i
             WHERE i.participant_id = $1 AND i.school_year = $2 AND i.message_id = $6 AND i.record_id = ANY($3)
               AND e.participant_id = $1 AND e.school_year = $2 AND e.record_id = i.record_id
               AND e.destination = i.destination AND e.state = 'IN_BATCH'",
            &[&participant_id, &year, &records, &state, &reason, &forming.key.message_id],
        )
        .await?;
    transaction
        .execute(
            "UPDATE hocba.outbox_batch SET fresh_count = greatest(0, fresh_count - $3)
             WHERE participant_id = $1 AND message_id = $2",
            &[&participant_id, &forming.key.message_id, &count(records.len())],
        )
        .await?;
    transaction
        .execute(
            "DELETE FROM hocba.outbox_batch_item
             WHERE participant_id = $1 AND school_year = $2 AND message_id = $3 AND record_id = ANY($4)",
            &[&participant_id, &year, &forming.key.message_id, &records],
        )
        .await?;
    Ok(())
}

/// Return the encrypted frame of a frozen batch.
pub async fn frame(pool: &Pool, key: &BatchKey) -> Result<Option<StoredBody>, DatabaseError> {
    let mut client = pool.get().await?;
    let transaction = begin(&mut client, key.participant_id).await?;
    let row = transaction
        .query_opt(
            "SELECT codec, key_id, body FROM hocba.outbox_batch_body
             WHERE participant_id = $1 AND message_id = $2",
            &[&key.participant_id, &key.message_id],
        )
        .await?;
    Ok(row.map(|row| StoredBody { codec: row.get(0), key_id: row.get(1), body: row.get(2) }))
}

/// Return the code of a participant, which stands in the header of its batches.
pub async fn participant_code(pool: &Pool, participant_id: i32) -> Result<String, DatabaseError> {
    let client = pool.get().await?;
    let row = client
        .query_one(
            "SELECT code FROM hocba.participant WHERE participant_id = $1",
            &[&participant_id],
        )
        .await?;
    Ok(row.get(0))
}

/// Return `ms` as the database takes it.
fn ms(ms: u64) -> f64 {
    // A duration in configuration is far below 2^53 ms.
    ms as f64
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

//! Moves the entries of a batch together with it.

use jiff::Timestamp;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::{Closing, Member};
use crate::outbox::schedule::{BatchKey, new_message_id};
use crate::platform::database::DatabaseError;

/// Load the members of a batch in their order.
pub async fn members(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    school_year: i16,
) -> Result<Vec<Member>, DatabaseError> {
    let rows = transaction
        .query(
            "SELECT record_id, position, version, digest FROM hocba.outbox_batch_item
             WHERE participant_id = $1 AND school_year = $2 AND message_id = $3 ORDER BY position",
            &[&key.participant_id, &school_year, &key.message_id],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Member {
            record_id: row.get(0),
            position: row.get(1),
            version: row.get(2),
            digest: row.get(3),
        })
        .collect())
}

/// Insert `members` as open items of the batch.
pub async fn insert(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    school_year: i16,
    destination: &str,
    members: &[Member],
) -> Result<(), DatabaseError> {
    let records: Vec<Uuid> = members.iter().map(|m| m.record_id).collect();
    let positions: Vec<i32> = members.iter().map(|m| m.position).collect();
    let versions: Vec<i32> = members.iter().map(|m| m.version).collect();
    let digests: Vec<&[u8]> = members.iter().map(|m| m.digest.as_slice()).collect();
    transaction
        .execute(
            "INSERT INTO hocba.outbox_batch_item
                 (participant_id, school_year, message_id, destination, record_id, position, version, digest)
             SELECT $1, $2, $3, $4, i.* FROM unnest($5::uuid[], $6::int[], $7::int[], $8::bytea[]) AS i",
            &[
                &key.participant_id,
                &school_year,
                &key.message_id,
                &destination,
                &records,
                &positions,
                &versions,
                &digests,
            ],
        )
        .await?;
    Ok(())
}

/// Close members by verified evidence, whose lines stand in the same transaction.
pub async fn close(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    school_year: i16,
    destination: &str,
    closings: &[Closing],
) -> Result<u64, DatabaseError> {
    let records: Vec<Uuid> = closings.iter().map(|c| c.record_id).collect();
    let states: Vec<&str> =
        closings.iter().map(|c| if c.acknowledged { "ACKED" } else { "REFUSED" }).collect();
    let reasons: Vec<Option<&str>> = closings.iter().map(|c| c.reason.as_deref()).collect();
    let closed = transaction
        .execute(
            "UPDATE hocba.outbox_entry e SET state = c.state, reason = c.reason
             FROM unnest($4::uuid[], $5::text[], $6::text[]) AS c (record_id, state, reason)
             WHERE e.participant_id = $1 AND e.school_year = $2 AND e.destination = $3
               AND e.record_id = c.record_id AND e.state IN ('IN_BATCH', 'PARKED')",
            &[&key.participant_id, &school_year, &destination, &records, &states, &reasons],
        )
        .await?;
    transaction
        .execute(
            "UPDATE hocba.outbox_batch_item SET open = false
             WHERE participant_id = $1 AND school_year = $2 AND message_id = $3 AND record_id = ANY($4) AND open",
            &[&key.participant_id, &school_year, &key.message_id, &records],
        )
        .await?;
    Ok(closed)
}

/// Park the members that are still open.
pub async fn park(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    school_year: i16,
    reason: Option<&str>,
) -> Result<(), DatabaseError> {
    move_open(transaction, key, school_year, "IN_BATCH", "PARKED", reason).await
}

/// Put parked members back into their batch.
pub async fn reopen(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    school_year: i16,
) -> Result<(), DatabaseError> {
    move_open(transaction, key, school_year, "PARKED", "IN_BATCH", None).await
}

async fn move_open(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    school_year: i16,
    from: &str,
    to: &str,
    reason: Option<&str>,
) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "UPDATE hocba.outbox_entry e SET state = $5, reason = $6 FROM hocba.outbox_batch_item i
             WHERE i.participant_id = $1 AND i.school_year = $2 AND i.message_id = $3 AND i.open
               AND e.participant_id = $1 AND e.school_year = $2 AND e.record_id = i.record_id
               AND e.destination = i.destination AND e.state = $4",
            &[&key.participant_id, &school_year, &key.message_id, &from, &to, &reason],
        )
        .await?;
    Ok(())
}

/// Divide the members among two new batches that any worker may build at once.
pub async fn split(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    school_year: i16,
    destination: &str,
    now: Timestamp,
) -> Result<(), DatabaseError> {
    let all = members(transaction, key, school_year).await?;
    transaction
        .execute(
            "UPDATE hocba.outbox_batch_item SET open = false
             WHERE participant_id = $1 AND school_year = $2 AND message_id = $3 AND open",
            &[&key.participant_id, &school_year, &key.message_id],
        )
        .await?;
    let (first, second) = all.split_at(all.len().div_ceil(2));
    for half in [first, second] {
        let child =
            BatchKey { participant_id: key.participant_id, message_id: new_message_id(now) };
        let half: Vec<Member> = (0..)
            .zip(half)
            .map(|(position, member)| Member { position, ..member.clone() })
            .collect();
        transaction
            .execute(
                "INSERT INTO hocba.outbox_batch (participant_id, message_id, destination, school_year, state, epoch,
                     lease_until, not_before, priority, item_count, fresh_count, parent_id, created_at, updated_at)
                 SELECT participant_id, $3, destination, school_year, 'FORMING', 0, '-infinity', $4, priority, $5, 0,
                     message_id, $4, $4
                 FROM hocba.outbox_batch WHERE participant_id = $1 AND message_id = $2",
                &[
                    &key.participant_id,
                    &key.message_id,
                    &child.message_id,
                    &now,
                    &i32::try_from(half.len()).unwrap_or(i32::MAX),
                ],
            )
            .await?;
        insert(transaction, &child, school_year, destination, &half).await?;
    }
    Ok(())
}

/// Count the fresh members of a batch as submitted; called when it is sent for the first time.
pub async fn count_submitted(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    fresh: i32,
) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "INSERT INTO hocba.outbox_tally AS t (participant_id, school_year, destination, counted, slot, entries)
             SELECT participant_id, school_year, destination, 'SUBMITTED', pg_backend_pid() % 16, $3
             FROM hocba.outbox_batch WHERE participant_id = $1 AND message_id = $2
             ON CONFLICT (participant_id, school_year, destination, counted, slot)
             DO UPDATE SET entries = t.entries + EXCLUDED.entries",
            &[&key.participant_id, &key.message_id, &i64::from(fresh)],
        )
        .await?;
    Ok(())
}

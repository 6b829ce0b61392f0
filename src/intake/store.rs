//! Keeps received bytes and the progress of each batch in the database.

use deadpool_postgres::{ClientWrapper, Transaction};
use jiff::Timestamp;
use uuid::Uuid;

use super::{BatchKey, Encoding, Format};
use crate::platform::database::DatabaseError;
use crate::vault::SealedBody;

/// A batch as it is written once, with its receipt.
pub struct NewBatch<'a> {
    /// Its key.
    pub key: BatchKey,
    /// When the last byte arrived.
    pub received_at: Timestamp,
    /// How the records are written.
    pub format: Format,
    /// How the body was compressed on the wire.
    pub encoding: Encoding,
    /// Bytes on the wire.
    pub body_bytes: i64,
    /// SHA-256 of the bytes on the wire.
    pub body_sha256: [u8; 32],
    /// Records counted by the first pass.
    pub announced: i32,
    /// The exact bytes answered.
    pub receipt: &'a [u8],
}

/// Write one chunk of received bytes; it belongs to no batch until [`insert_batch`] commits.
pub async fn insert_chunk(
    tx: &Transaction<'_>,
    key: BatchKey,
    chunk_no: i32,
    body: &SealedBody,
) -> Result<(), DatabaseError> {
    tx.execute(
        "INSERT INTO hocba.batch_chunk (participant_id, school_year, batch_id, chunk_no, codec, key_id, body)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[&key.participant_id, &key.school_year, &key.batch_id, &chunk_no, &body.codec, &body.key_id, &body.body],
    )
    .await?;
    Ok(())
}

/// Remove the chunks of a body that was refused before it became a batch.
pub async fn delete_chunks(tx: &Transaction<'_>, key: BatchKey) -> Result<u64, DatabaseError> {
    Ok(tx
        .execute(
            "DELETE FROM hocba.batch_chunk c WHERE c.participant_id = $1 AND c.school_year = $2 AND c.batch_id = $3
             AND NOT EXISTS (SELECT 1 FROM hocba.batch b WHERE b.participant_id = c.participant_id
                             AND b.school_year = c.school_year AND b.batch_id = c.batch_id)",
            &[&key.participant_id, &key.school_year, &key.batch_id],
        )
        .await?)
}

/// Remove chunks of uploads that ended without a batch before `older_than` (a crash in mid-upload).
pub async fn delete_abandoned_chunks(
    tx: &Transaction<'_>,
    participant_id: i32,
    older_than: Uuid,
) -> Result<u64, DatabaseError> {
    Ok(tx
        .execute(
            "DELETE FROM hocba.batch_chunk c WHERE c.participant_id = $1 AND c.batch_id < $2
             AND NOT EXISTS (SELECT 1 FROM hocba.batch b WHERE b.participant_id = c.participant_id
                             AND b.school_year = c.school_year AND b.batch_id = c.batch_id)",
            &[&participant_id, &older_than],
        )
        .await?)
}

/// Write the batch itself; with the commit of this transaction the receipt may be sent.
pub async fn insert_batch(tx: &Transaction<'_>, batch: &NewBatch<'_>) -> Result<(), DatabaseError> {
    tx.execute(
        "INSERT INTO hocba.batch (participant_id, school_year, batch_id, received_at, format, encoding,
                                  body_bytes, body_sha256, announced, receipt)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            &batch.key.participant_id,
            &batch.key.school_year,
            &batch.key.batch_id,
            &batch.received_at,
            &batch.format.name(),
            &batch.encoding.name(),
            &batch.body_bytes,
            &batch.body_sha256.as_slice(),
            &batch.announced,
            &batch.receipt,
        ],
    )
    .await?;
    Ok(())
}

/// What an `Idempotency-Key` was used for before.
pub struct EarlierUse {
    /// SHA-256 of the body it came with.
    pub body_sha256: Vec<u8>,
    /// Format and encoding it came in.
    pub form: (Format, Encoding),
    /// The exact bytes answered then.
    pub receipt: Vec<u8>,
}

/// Bind an `Idempotency-Key` to a batch; returns false when the key was used before.
pub async fn bind_idempotency_key(
    tx: &Transaction<'_>,
    key_sha256: &[u8; 32],
    batch: &NewBatch<'_>,
) -> Result<bool, DatabaseError> {
    let inserted = tx
        .execute(
            "INSERT INTO hocba.idempotency (participant_id, key_sha256, school_year, batch_id, body_sha256, used_at)
             VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
            &[
                &batch.key.participant_id,
                &key_sha256.as_slice(),
                &batch.key.school_year,
                &batch.key.batch_id,
                &batch.body_sha256.as_slice(),
                &batch.received_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// Find what an `Idempotency-Key` was used for.
pub async fn earlier_use(
    tx: &Transaction<'_>,
    participant_id: i32,
    key_sha256: &[u8; 32],
) -> Result<Option<EarlierUse>, DatabaseError> {
    let row = tx
        .query_opt(
            "SELECT i.body_sha256, b.receipt, b.format, b.encoding FROM hocba.idempotency i
             JOIN hocba.batch b ON b.participant_id = i.participant_id AND b.school_year = i.school_year
                               AND b.batch_id = i.batch_id
             WHERE i.participant_id = $1 AND i.key_sha256 = $2",
            &[&participant_id, &key_sha256.as_slice()],
        )
        .await?;
    Ok(row.map(|row| EarlierUse {
        body_sha256: row.get(0),
        receipt: row.get(1),
        form: (Format::from_name(row.get(2)), Encoding::from_name(row.get(3))),
    }))
}

/// A batch taken for processing.
#[derive(Debug, Clone)]
pub struct ClaimedBatch {
    /// Its key.
    pub key: BatchKey,
    /// Fencing number: every write of this claim carries it.
    pub epoch: i32,
    /// How the records are written.
    pub format: Format,
    /// How the body was compressed on the wire.
    pub encoding: Encoding,
    /// First position not yet concluded by an earlier claim.
    pub next_position: i32,
    /// When it was received.
    pub received_at: Timestamp,
    /// Two-digit code of the sending province when it was registered.
    pub province_code: String,
}

/// Take the oldest waiting batch for `lease_ms`; a claim that was left alone past its lease is taken over.
pub async fn claim_batch(
    client: &ClientWrapper,
    lease_ms: i64,
) -> Result<Option<ClaimedBatch>, DatabaseError> {
    let row = client
        .query_opt(
            "WITH next AS (
                 SELECT participant_id, school_year, batch_id FROM hocba.batch
                 WHERE state = 'RECEIVED' OR (state = 'PROCESSING' AND lease_until < clock_timestamp())
                 ORDER BY received_at LIMIT 1 FOR UPDATE SKIP LOCKED)
             UPDATE hocba.batch b SET state = 'PROCESSING', epoch = b.epoch + 1,
                    lease_until = clock_timestamp() + $1 * interval '1 millisecond'
             FROM next, hocba.participant p
             WHERE b.participant_id = next.participant_id AND b.school_year = next.school_year
               AND b.batch_id = next.batch_id AND p.participant_id = next.participant_id
             RETURNING b.participant_id, b.school_year, b.batch_id, b.epoch, b.format, b.encoding,
                       b.next_position, b.received_at, p.code",
            &[&(lease_ms as f64)],
        )
        .await?;
    Ok(row.map(|row| ClaimedBatch {
        key: BatchKey { participant_id: row.get(0), school_year: row.get(1), batch_id: row.get(2) },
        epoch: row.get(3),
        format: Format::from_name(row.get(4)),
        encoding: Encoding::from_name(row.get(5)),
        next_position: row.get(6),
        received_at: row.get(7),
        province_code: row.get(8),
    }))
}

/// Count batches that wait for processing or are in it.
pub async fn open_batches(client: &ClientWrapper) -> Result<i64, DatabaseError> {
    Ok(client
        .query_one(
            "SELECT count(*) FROM hocba.batch WHERE state IN ('RECEIVED', 'PROCESSING')",
            &[],
        )
        .await?
        .get(0))
}

/// Read one chunk of the received bytes, if it exists.
pub async fn load_chunk(
    tx: &Transaction<'_>,
    key: BatchKey,
    chunk_no: i32,
) -> Result<Option<SealedBody>, DatabaseError> {
    let row = tx
        .query_opt(
            "SELECT codec, key_id, body FROM hocba.batch_chunk
             WHERE participant_id = $1 AND school_year = $2 AND batch_id = $3 AND chunk_no = $4",
            &[&key.participant_id, &key.school_year, &key.batch_id, &chunk_no],
        )
        .await?;
    Ok(row.map(|row| SealedBody { codec: row.get(0), key_id: row.get(1), body: row.get(2) }))
}

/// How many records of a chunk went which way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// New records made durable.
    pub received: i32,
    /// Records received before.
    pub duplicates: i32,
    /// New records that break a rule.
    pub rejected: i32,
    /// New records that wait.
    pub held: i32,
    /// New records accepted and sealed.
    pub accepted: i32,
    /// Held records whose transcript was accepted later; read only.
    pub superseded: i32,
    /// First position after the chunk.
    pub next_position: i32,
}

/// Add a chunk's figures and renew the lease; false when another claim has taken over.
pub async fn advance(
    tx: &Transaction<'_>,
    batch: &ClaimedBatch,
    progress: &Progress,
    lease_ms: i64,
) -> Result<bool, DatabaseError> {
    let changed = tx
        .execute(
            "UPDATE hocba.batch SET received = received + $5, duplicates = duplicates + $6,
                    rejected = rejected + $7, held = held + $8, accepted = accepted + $9, next_position = $10,
                    lease_until = clock_timestamp() + $11 * interval '1 millisecond'
             WHERE participant_id = $1 AND school_year = $2 AND batch_id = $3 AND epoch = $4
               AND state = 'PROCESSING'",
            &[
                &batch.key.participant_id,
                &batch.key.school_year,
                &batch.key.batch_id,
                &batch.epoch,
                &progress.received,
                &progress.duplicates,
                &progress.rejected,
                &progress.held,
                &progress.accepted,
                &progress.next_position,
                &(lease_ms as f64),
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// Move held records of earlier batches to superseded, one for each time a batch is named.
pub async fn count_superseded(
    tx: &Transaction<'_>,
    participant_id: i32,
    batch_ids: &[Uuid],
) -> Result<(), DatabaseError> {
    if !batch_ids.is_empty() {
        tx.execute(
            "UPDATE hocba.batch b SET held = held - n.times, superseded = superseded + n.times
             FROM (SELECT id, count(*)::int AS times FROM unnest($2::uuid[]) AS u(id) GROUP BY id) AS n
             WHERE b.participant_id = $1 AND b.batch_id = n.id",
            &[&participant_id, &batch_ids],
        )
        .await?;
    }
    Ok(())
}

/// End a batch: `DONE`, or `REFUSED` whole with the problem; false when another claim has taken over.
pub async fn finish(
    tx: &Transaction<'_>,
    batch: &ClaimedBatch,
    refusal: Option<&serde_json::Value>,
) -> Result<bool, DatabaseError> {
    let state = if refusal.is_some() { "REFUSED" } else { "DONE" };
    let changed = tx
        .execute(
            "UPDATE hocba.batch SET state = $5, refusal = $6, lease_until = NULL, finished_at = clock_timestamp()
             WHERE participant_id = $1 AND school_year = $2 AND batch_id = $3 AND epoch = $4
               AND state = 'PROCESSING'",
            &[
                &batch.key.participant_id,
                &batch.key.school_year,
                &batch.key.batch_id,
                &batch.epoch,
                &state,
                &refusal,
            ],
        )
        .await?;
    Ok(changed == 1)
}

/// A batch as its sender may see it.
pub struct BatchRow {
    /// `RECEIVED`, `PROCESSING`, `DONE` or `REFUSED`.
    pub state: String,
    /// When it was received.
    pub received_at: Timestamp,
    /// Records counted by the first pass.
    pub announced: i32,
    /// Figures so far.
    pub progress: Progress,
    /// Why it was refused whole.
    pub refusal: Option<serde_json::Value>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
}

/// Read the state and figures of a batch.
pub async fn load_batch(
    tx: &Transaction<'_>,
    key: BatchKey,
) -> Result<Option<BatchRow>, DatabaseError> {
    let row = tx
        .query_opt(
            "SELECT state, received_at, announced, received, duplicates, rejected, held, accepted,
                    next_position, refusal, finished_at, superseded
             FROM hocba.batch WHERE participant_id = $1 AND school_year = $2 AND batch_id = $3",
            &[&key.participant_id, &key.school_year, &key.batch_id],
        )
        .await?;
    Ok(row.map(|row| BatchRow {
        state: row.get(0),
        received_at: row.get(1),
        announced: row.get(2),
        progress: Progress {
            received: row.get(3),
            duplicates: row.get(4),
            rejected: row.get(5),
            held: row.get(6),
            accepted: row.get(7),
            next_position: row.get(8),
            superseded: row.get(11),
        },
        refusal: row.get(9),
        finished_at: row.get(10),
    }))
}

/// Outcome of one record of a batch, as its sender may see it.
pub struct ResultRow {
    /// Place in the batch, from 0.
    pub position: i32,
    /// `REJECTED`, `HELD`, `SEALED` or `SUPERSEDED`; for a repeat `DUPLICATE-` and the state of the first.
    pub state: String,
    /// Id the gateway gave the record (of the first reception, for a duplicate).
    pub record_id: Uuid,
    /// The record's school year (0 when it was unreadable).
    pub school_year: i16,
    /// Transcript code, when it was readable.
    pub transcript_code: Option<Uuid>,
    /// Broken rules.
    pub violations: serde_json::Value,
}

/// Read results from position `from`, `limit` at most, in order.
pub async fn load_results(
    tx: &Transaction<'_>,
    key: BatchKey,
    from: i32,
    limit: i64,
) -> Result<Vec<ResultRow>, DatabaseError> {
    let rows = tx
        .query(
            "SELECT position, state, record_id, school_year, transcript_code, violations FROM hocba.record
             WHERE participant_id = $1 AND batch_id = $2 AND position >= $3
             UNION ALL
             SELECT d.position, 'DUPLICATE-' || r.state, d.record_id, d.record_year, r.transcript_code, r.violations
             FROM hocba.batch_repeat d JOIN hocba.record r ON r.participant_id = d.participant_id
                  AND r.school_year = d.record_year AND r.record_id = d.record_id
             WHERE d.participant_id = $1 AND d.school_year = $5 AND d.batch_id = $2 AND d.position >= $3
             ORDER BY position LIMIT $4",
            &[&key.participant_id, &key.batch_id, &from, &limit, &key.school_year],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| ResultRow {
            position: row.get(0),
            state: row.get(1),
            record_id: row.get(2),
            school_year: row.get(3),
            transcript_code: row.get(4),
            violations: row.get(5),
        })
        .collect())
}

/// A record of a batch that had been received before.
pub struct Repeat {
    /// Place in the batch, from 0.
    pub position: i32,
    /// School year of the record received first.
    pub record_year: i16,
    /// Id of the record received first.
    pub record_id: Uuid,
}

/// Note which records of a batch were repeats.
pub async fn insert_repeats(
    tx: &Transaction<'_>,
    key: BatchKey,
    repeats: &[Repeat],
) -> Result<(), DatabaseError> {
    if repeats.is_empty() {
        return Ok(());
    }
    let positions: Vec<i32> = repeats.iter().map(|repeat| repeat.position).collect();
    let years: Vec<i16> = repeats.iter().map(|repeat| repeat.record_year).collect();
    let ids: Vec<Uuid> = repeats.iter().map(|repeat| repeat.record_id).collect();
    tx.execute(
        "INSERT INTO hocba.batch_repeat (participant_id, school_year, batch_id, position, record_year, record_id)
         SELECT $1::int, $2::smallint, $3::uuid, * FROM unnest($4::int[], $5::smallint[], $6::uuid[])",
        &[&key.participant_id, &key.school_year, &key.batch_id, &positions, &years, &ids],
    )
    .await?;
    Ok(())
}

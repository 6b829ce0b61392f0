//! Keeps what destinations returned: raw bytes first, the verdict and its lines later, nothing ever deleted.

use deadpool_postgres::Pool;
use jiff::Timestamp;
use tokio_postgres::Transaction;
use uuid::Uuid;

use super::{Line, StoredVerdict, Verdict};
use crate::outbox::forming::StoredBody;
use crate::outbox::schedule::BatchKey;
use crate::outbox::store::begin;
use crate::platform::database::DatabaseError;
use crate::vault::SealedBody;

/// Raw bytes of an answer on their way to the database.
#[derive(Debug)]
pub struct RawReceipt<'a> {
    /// Id of the row.
    pub receipt_id: Uuid,
    /// The batch whose exchange brought it.
    pub key: BatchKey,
    /// Which destination answered.
    pub destination: &'a str,
    /// `receipt`, `status` or `refusal`.
    pub kind: &'a str,
    /// When it came.
    pub received_at: Timestamp,
    /// SHA-256 of the bytes.
    pub body_sha256: [u8; 32],
    /// The bytes, encrypted.
    pub body: SealedBody,
}

/// A receipt that was stored but never judged: a process ended in between.
#[derive(Debug)]
pub struct Unjudged {
    /// Id of the row.
    pub receipt_id: Uuid,
    /// Its bytes, encrypted.
    pub body: StoredBody,
}

/// Store the raw bytes, committed before anything is concluded from them.
pub async fn store_raw(pool: &Pool, raw: &RawReceipt<'_>) -> Result<(), DatabaseError> {
    let mut client = pool.get().await?;
    let transaction = begin(&mut client, raw.key.participant_id).await?;
    transaction
        .execute(
            "INSERT INTO hocba.receipt (participant_id, receipt_id, message_id, destination, kind, received_at,
                 body_sha256, codec, key_id, body)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            &[
                &raw.key.participant_id,
                &raw.receipt_id,
                &raw.key.message_id,
                &raw.destination,
                &raw.kind,
                &raw.received_at,
                &raw.body_sha256.as_slice(),
                &raw.body.codec,
                &raw.body.key_id,
                &raw.body.body,
            ],
        )
        .await?;
    transaction.commit().await?;
    Ok(())
}

/// Load receipts of a batch that were stored but never judged, oldest first.
pub async fn unjudged(
    pool: &Pool,
    key: &BatchKey,
    receipts_max: u32,
) -> Result<Vec<Unjudged>, DatabaseError> {
    let mut client = pool.get().await?;
    let transaction = begin(&mut client, key.participant_id).await?;
    let rows = transaction
        .query(
            "SELECT receipt_id, codec, key_id, body FROM hocba.receipt
             WHERE participant_id = $1 AND message_id = $2 AND verdict = 'STORED' ORDER BY received_at LIMIT $3",
            &[&key.participant_id, &key.message_id, &i64::from(receipts_max)],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| Unjudged {
            receipt_id: row.get(0),
            body: StoredBody { codec: row.get(1), key_id: row.get(2), body: row.get(3) },
        })
        .collect())
}

/// Write the verdict on a stored receipt, once.
pub async fn judge(
    transaction: &Transaction<'_>,
    participant_id: i32,
    receipt_id: Uuid,
    verdict: StoredVerdict,
    reason: Option<&str>,
) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "UPDATE hocba.receipt SET verdict = $3, reason = $4
             WHERE participant_id = $1 AND receipt_id = $2 AND verdict = 'STORED'",
            &[&participant_id, &receipt_id, &verdict.name(), &reason],
        )
        .await?;
    Ok(())
}

/// Load the lines in force for a batch.
pub async fn lines(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    school_year: i16,
    destination: &str,
    records: &[Uuid],
) -> Result<Vec<Line>, DatabaseError> {
    let rows = transaction
        .query(
            "SELECT record_id, digest, verdict, reason FROM hocba.receipt_line
             WHERE participant_id = $1 AND school_year = $2 AND record_id = ANY($3) AND destination = $4
               AND message_id = $5",
            &[&key.participant_id, &school_year, &records, &destination, &key.message_id],
        )
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            Some(Line {
                record_id: row.get(0),
                digest: row.get(1),
                verdict: Verdict::parse(row.get(2))?,
                reason: row.get(3),
            })
        })
        .collect())
}

/// Insert the lines of a verified receipt; its verdict stands in the same transaction.
pub async fn insert_lines(
    transaction: &Transaction<'_>,
    key: &BatchKey,
    school_year: i16,
    destination: &str,
    receipt_id: Uuid,
    lines: &[Line],
) -> Result<(), DatabaseError> {
    let records: Vec<Uuid> = lines.iter().map(|line| line.record_id).collect();
    let digests: Vec<&[u8]> = lines.iter().map(|line| line.digest.as_slice()).collect();
    let verdicts: Vec<&str> = lines.iter().map(|line| line.verdict.name()).collect();
    let reasons: Vec<Option<&str>> = lines.iter().map(|line| line.reason.as_deref()).collect();
    transaction
        .execute(
            "INSERT INTO hocba.receipt_line (participant_id, school_year, destination, message_id, receipt_id,
                 record_id, digest, verdict, reason)
             SELECT $1, $2, $3, $4, $5, l.* FROM unnest($6::uuid[], $7::bytea[], $8::text[], $9::text[]) AS l",
            &[
                &key.participant_id,
                &school_year,
                &destination,
                &key.message_id,
                &receipt_id,
                &records,
                &digests,
                &verdicts,
                &reasons,
            ],
        )
        .await?;
    Ok(())
}

//! Writes record versions, bodies and the directory in batches of rows.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Known, NewRecord};
use crate::platform::database::DatabaseError;

const BODY_SOURCE: i16 = 1;
const BODY_NATIONAL: i16 = 2;

/// Claim the source digests of `records`; returns those that had been received before, locked.
pub async fn claim_sources(
    tx: &Transaction<'_>,
    participant_id: i32,
    records: &[&NewRecord],
) -> Result<HashMap<[u8; 32], Known>, DatabaseError> {
    let mut order: Vec<&NewRecord> = records.to_vec();
    // One order for all workers, so that two of them never wait for each other.
    order.sort_by_key(|record| record.source_sha256);
    let digests: Vec<&[u8]> = order.iter().map(|r| r.source_sha256.as_slice()).collect();
    let years: Vec<i16> = order.iter().map(|r| r.school_year).collect();
    let ids: Vec<Uuid> = order.iter().map(|r| r.record_id).collect();
    let fresh: HashSet<Vec<u8>> = tx
        .query(
            "INSERT INTO hocba.record_source (participant_id, source_sha256, school_year, record_id)
             SELECT $1::int, * FROM unnest($2::bytea[], $3::smallint[], $4::uuid[])
             ON CONFLICT (participant_id, source_sha256) DO NOTHING RETURNING source_sha256",
            &[&participant_id, &digests, &years, &ids],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    let repeated: Vec<&[u8]> = digests.iter().filter(|d| !fresh.contains(**d)).copied().collect();
    if repeated.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = tx
        .query(
            "SELECT s.source_sha256, s.school_year, s.record_id, r.state IN ('REJECTED', 'HELD')
             FROM hocba.record_source s JOIN hocba.record r ON r.participant_id = s.participant_id
                  AND r.school_year = s.school_year AND r.record_id = s.record_id
             WHERE s.participant_id = $1 AND s.source_sha256 = ANY($2)
             ORDER BY s.source_sha256 FOR UPDATE OF s",
            &[&participant_id, &repeated],
        )
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let digest = <[u8; 32]>::try_from(row.get::<_, &[u8]>(0)).ok()?;
            let (school_year, record_id, open) = (row.get(1), row.get(2), row.get(3));
            Some((digest, Known { school_year, record_id, open }))
        })
        .collect())
}

/// Let the sources of `records`, which were rejected or held before, stand for these records from now on.
pub async fn reopen_sources(
    tx: &Transaction<'_>,
    participant_id: i32,
    records: &[&NewRecord],
) -> Result<(), DatabaseError> {
    if records.is_empty() {
        return Ok(());
    }
    let digests: Vec<&[u8]> = records.iter().map(|r| r.source_sha256.as_slice()).collect();
    let years: Vec<i16> = records.iter().map(|r| r.school_year).collect();
    let ids: Vec<Uuid> = records.iter().map(|r| r.record_id).collect();
    tx.execute(
        "UPDATE hocba.record_source s SET school_year = n.year, record_id = n.id
         FROM unnest($2::bytea[], $3::smallint[], $4::uuid[]) AS n(digest, year, id)
         WHERE s.participant_id = $1 AND s.source_sha256 = n.digest",
        &[&participant_id, &digests, &years, &ids],
    )
    .await?;
    Ok(())
}

/// End held records whose transcript has now been accepted; returns the batches they came with.
pub async fn supersede_held(
    tx: &Transaction<'_>,
    participant_id: i32,
    accepted: &[&NewRecord],
) -> Result<Vec<Uuid>, DatabaseError> {
    let codes: Vec<Uuid> = accepted.iter().filter_map(|record| record.transcript_code).collect();
    if codes.is_empty() {
        return Ok(Vec::new());
    }
    let rows = tx
        .query(
            "UPDATE hocba.record SET state = 'SUPERSEDED'
             WHERE participant_id = $1 AND state = 'HELD' AND transcript_code = ANY($2) RETURNING batch_id",
            &[&participant_id, &codes],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Enter the codes of sealed `records` into the directory; returns the codes that were used before.
pub async fn claim_codes(
    tx: &Transaction<'_>,
    participant_id: i32,
    records: &[&NewRecord],
) -> Result<HashSet<Uuid>, DatabaseError> {
    let mut entries: Vec<(Uuid, &[u8], i16, Uuid, i16)> = records
        .iter()
        .filter_map(|record| {
            let (_, subject) = record.subject.as_ref()?;
            let code = record.transcript_code?;
            Some((code, subject.as_slice(), record.school_year, record.record_id, record.level?))
        })
        .collect();
    entries.sort_by_key(|entry| entry.0);
    let codes: Vec<Uuid> = entries.iter().map(|entry| entry.0).collect();
    let subjects: Vec<&[u8]> = entries.iter().map(|entry| entry.1).collect();
    let years: Vec<i16> = entries.iter().map(|entry| entry.2).collect();
    let ids: Vec<Uuid> = entries.iter().map(|entry| entry.3).collect();
    let levels: Vec<i16> = entries.iter().map(|entry| entry.4).collect();
    let fresh: HashSet<Uuid> = tx
        .query(
            "INSERT INTO hocba.directory (transcript_code, subject_ref, participant_id, school_year, record_id, level)
             SELECT code, subject, $1::int, year, id, level
             FROM unnest($2::uuid[], $3::bytea[], $4::smallint[], $5::uuid[], $6::smallint[])
                  AS t(code, subject, year, id, level)
             ON CONFLICT (transcript_code) DO NOTHING RETURNING transcript_code",
            &[&participant_id, &codes, &subjects, &years, &ids, &levels],
        )
        .await?
        .iter()
        .map(|row| row.get(0))
        .collect();
    Ok(codes.into_iter().filter(|code| !fresh.contains(code)).collect())
}

/// Write records and their bodies.
pub async fn insert_records(
    tx: &Transaction<'_>,
    participant_id: i32,
    batch_id: Uuid,
    received_at: Timestamp,
    records: &[&NewRecord],
) -> Result<(), DatabaseError> {
    if records.is_empty() {
        return Ok(());
    }
    insert_record_rows(tx, participant_id, batch_id, received_at, records).await?;
    insert_bodies(tx, participant_id, records).await
}

async fn insert_record_rows(
    tx: &Transaction<'_>,
    participant_id: i32,
    batch_id: Uuid,
    received_at: Timestamp,
    records: &[&NewRecord],
) -> Result<(), DatabaseError> {
    let years: Vec<i16> = records.iter().map(|r| r.school_year).collect();
    let ids: Vec<Uuid> = records.iter().map(|r| r.record_id).collect();
    let positions: Vec<i32> = records.iter().map(|r| r.position).collect();
    let codes: Vec<Option<Uuid>> = records.iter().map(|r| r.transcript_code).collect();
    let subjects: Vec<Option<&[u8]>> =
        records.iter().map(|r| r.subject.as_ref().map(|subject| subject.1.as_slice())).collect();
    let keys: Vec<Option<i32>> = records.iter().map(|r| r.subject.as_ref().map(|s| s.0)).collect();
    let digests: Vec<&[u8]> = records.iter().map(|r| r.source_sha256.as_slice()).collect();
    let levels: Vec<Option<i16>> = records.iter().map(|r| r.level).collect();
    let circulars: Vec<Option<&str>> = records.iter().map(|r| r.circular).collect();
    let states: Vec<&str> = records.iter().map(|r| r.state.name()).collect();
    let violations: Vec<&serde_json::Value> = records.iter().map(|r| &r.violations).collect();
    tx.execute(
        "INSERT INTO hocba.record (participant_id, batch_id, received_at, school_year, record_id, position,
             transcript_code, subject_ref, subject_key_id, source_sha256, level, circular, state, violations)
         SELECT $1::int, $2::uuid, $3::timestamptz, * FROM unnest($4::smallint[], $5::uuid[], $6::int[], $7::uuid[], $8::bytea[],
             $9::int[], $10::bytea[], $11::smallint[], $12::text[], $13::text[], $14::jsonb[])",
        &[
            &participant_id, &batch_id, &received_at, &years, &ids, &positions, &codes, &subjects, &keys,
            &digests, &levels, &circulars, &states, &violations,
        ],
    )
    .await?;
    Ok(())
}

async fn insert_bodies(
    tx: &Transaction<'_>,
    participant_id: i32,
    records: &[&NewRecord],
) -> Result<(), DatabaseError> {
    let bodies: Vec<_> = records
        .iter()
        .flat_map(|record| {
            let national = record.national.as_ref().map(|(body, _)| (record, BODY_NATIONAL, body));
            std::iter::once((record, BODY_SOURCE, &record.source)).chain(national)
        })
        .collect();
    let years: Vec<i16> = bodies.iter().map(|(record, _, _)| record.school_year).collect();
    let ids: Vec<Uuid> = bodies.iter().map(|(record, _, _)| record.record_id).collect();
    let kinds: Vec<i16> = bodies.iter().map(|(_, kind, _)| *kind).collect();
    let codecs: Vec<i16> = bodies.iter().map(|(_, _, body)| body.codec).collect();
    let keys: Vec<i32> = bodies.iter().map(|(_, _, body)| body.key_id).collect();
    let octets: Vec<&[u8]> = bodies.iter().map(|(_, _, body)| body.body.as_slice()).collect();
    tx.execute(
        "INSERT INTO hocba.record_body (participant_id, school_year, record_id, kind, codec, key_id, body)
         SELECT $1::int, * FROM unnest($2::smallint[], $3::uuid[], $4::smallint[], $5::smallint[], $6::int[], $7::bytea[])",
        &[&participant_id, &years, &ids, &kinds, &codecs, &keys, &octets],
    )
    .await?;
    Ok(())
}

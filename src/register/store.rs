//! Writes record versions, bodies and the directory in batches of rows.

use std::collections::{HashMap, HashSet};

use deadpool_postgres::Transaction;
use jiff::Timestamp;
use uuid::Uuid;

use super::{Known, NewRecord, RecordState};
use crate::platform::database::DatabaseError;

const BODY_SOURCE: i16 = 1;
const BODY_NATIONAL: i16 = 2;

/// Claim the source digests of `records`; returns those that had been received before.
///
/// A record that was rejected earlier and is not rejected now is new: its cause may have been mended
/// on our side (an anchor, a code list) while the school's signed bytes stayed the same.
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
    let rejected: Vec<bool> = order.iter().map(|r| r.state == RecordState::Rejected).collect();
    let fresh: HashSet<Vec<u8>> = tx
        .query(
            "INSERT INTO hocba.record_source AS s (participant_id, source_sha256, school_year, record_id, rejected)
             SELECT $1::int, * FROM unnest($2::bytea[], $3::smallint[], $4::uuid[], $5::boolean[])
             ON CONFLICT (participant_id, source_sha256) DO UPDATE
                SET school_year = excluded.school_year, record_id = excluded.record_id, rejected = excluded.rejected
                WHERE s.rejected AND NOT excluded.rejected
             RETURNING s.source_sha256",
            &[&participant_id, &digests, &years, &ids, &rejected],
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
            "SELECT source_sha256, school_year, record_id FROM hocba.record_source
             WHERE participant_id = $1 AND source_sha256 = ANY($2)",
            &[&participant_id, &repeated],
        )
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let digest = <[u8; 32]>::try_from(row.get::<_, &[u8]>(0)).ok()?;
            Some((digest, Known { school_year: row.get(1), record_id: row.get(2) }))
        })
        .collect())
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

/// Say that the sources of these records ended rejected, so that they may be sent again.
pub async fn mark_sources_rejected(
    tx: &Transaction<'_>,
    participant_id: i32,
    digests: &[&[u8]],
) -> Result<(), DatabaseError> {
    if !digests.is_empty() {
        tx.execute(
            "UPDATE hocba.record_source SET rejected = true WHERE participant_id = $1 AND source_sha256 = ANY($2)",
            &[&participant_id, &digests],
        )
        .await?;
    }
    Ok(())
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

//! Reads the directory, records and bodies for an answer, and writes the answer with its audit leaf.

use std::collections::BTreeMap;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::audit::{self, Leaf};
use crate::platform::database::{DatabaseError, begin_for};

/// Kind of the body that holds a record as the school signed it.
pub const SIGNED_BODY: i16 = 1;

/// Where one transcript of a pupil is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryRow {
    /// Code of the transcript.
    pub code: Uuid,
    /// Reference of the pupil.
    pub subject_ref: Vec<u8>,
    /// Whose record it is.
    pub participant_id: i32,
    /// First calendar year of the school year.
    pub school_year: i16,
    /// The record version in force for this code.
    pub record_id: Uuid,
    /// Number of the level.
    pub level: i16,
}

/// A record of the register with its encrypted body, if there is one.
pub struct StoredRecord {
    /// `EFFECTIVE`, `RECALLED` or `SUPERSEDED`.
    pub status: String,
    /// Version, bound into the encryption of the body.
    pub version: i32,
    /// When the gateway received it.
    pub received_at: Timestamp,
    /// Codec, key version and bytes of the body.
    pub body: Option<(i16, i32, Vec<u8>)>,
}

/// Return the transcripts of the pupil with `code`, or with one of `subject_refs`; at most `rows_max`.
///
/// One statement for both ways and for what exists and what does not.
pub async fn load_directory(
    pool: &Pool,
    code: Uuid,
    subject_refs: &[Vec<u8>],
    rows_max: i64,
) -> Result<Vec<DirectoryRow>, DatabaseError> {
    let client = pool.get().await?;
    let rows = client
        .query(
            "SELECT transcript_code, subject_ref, participant_id, school_year, record_id, level
             FROM hocba.directory
             WHERE subject_ref = ANY ($1::bytea[] || ARRAY(
                 SELECT subject_ref FROM hocba.directory WHERE transcript_code = $2))
             ORDER BY (transcript_code = $2) DESC, school_year DESC, transcript_code LIMIT $3",
            &[&subject_refs, &code, &rows_max],
        )
        .await?;
    Ok(rows
        .into_iter()
        .map(|row| DirectoryRow {
            code: row.get(0),
            subject_ref: row.get(1),
            participant_id: row.get(2),
            school_year: row.get(3),
            record_id: row.get(4),
            level: row.get(5),
        })
        .collect())
}

/// Return the records `keys` (school year, record id) of `participant`, read in one short transaction.
pub async fn load_records(
    pool: &Pool,
    participant: i32,
    keys: &[(i16, Uuid)],
) -> Result<BTreeMap<Uuid, StoredRecord>, DatabaseError> {
    let years: Vec<i16> = keys.iter().map(|key| key.0).collect();
    let ids: Vec<Uuid> = keys.iter().map(|key| key.1).collect();
    let mut client = pool.get().await?;
    let transaction = begin_for(&mut client, participant).await?;
    let rows = transaction
        .query(
            "SELECT r.record_id, r.status, r.version, r.received_at, b.codec, b.key_id, b.body
             FROM unnest($2::smallint[], $3::uuid[]) AS k (school_year, record_id)
             JOIN hocba.record r ON r.participant_id = $1 AND r.school_year = k.school_year
                  AND r.record_id = k.record_id
             LEFT JOIN hocba.record_body b ON b.participant_id = $1 AND b.school_year = k.school_year
                  AND b.record_id = k.record_id AND b.kind = $4",
            &[&participant, &years, &ids, &SIGNED_BODY],
        )
        .await?;
    transaction.commit().await?;
    let mut records = BTreeMap::new();
    for row in rows {
        let codec: Option<i16> = row.get(4);
        let body = codec.map(|codec| (codec, row.get(5), row.get(6)));
        let record =
            StoredRecord { status: row.get(1), version: row.get(2), received_at: row.get(3), body };
        records.insert(row.get(0), record);
    }
    Ok(records)
}

/// An answer as it is kept: who asked, under which file, what was told; never about whom in clear.
pub struct AnswerRow {
    /// The agency.
    pub participant_id: i32,
    /// School year of asking.
    pub school_year: i16,
    /// Id of the answer.
    pub answer_id: Uuid,
    /// The officer.
    pub person_id: Uuid,
    /// The procedure.
    pub procedure: String,
    /// `code` or `number`.
    pub way: &'static str,
    /// Keyed commitment to the file number.
    pub case_commitment: [u8; 32],
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Reference of the pupil, if known.
    pub subject_ref: Option<Vec<u8>>,
    /// Keyed commitment to the transcript code, where one was given.
    pub code_commitment: Option<[u8; 32]>,
    /// Verdict over all.
    pub overall: &'static str,
    /// Years and verdicts.
    pub verdicts: Value,
    /// Fields told.
    pub fields: Vec<String>,
}

/// Write `row` and `leaf` in one transaction; returns the leaf hash. Only after it may the answer leave.
pub async fn save_answer(
    pool: &Pool,
    row: &AnswerRow,
    leaf: &Leaf,
) -> Result<[u8; 32], DatabaseError> {
    let mut client = pool.get().await?;
    let transaction = begin_for(&mut client, row.participant_id).await?;
    let hash = audit::append(&transaction, leaf).await?;
    transaction
        .execute(
            "INSERT INTO hocba.answer (participant_id, school_year, answer_id, person_id, procedure, way,
                 case_commitment, asked_at, subject_ref, code_commitment, overall, verdicts, fields, leaf_hash)
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
            &[
                &row.participant_id,
                &row.school_year,
                &row.answer_id,
                &row.person_id,
                &row.procedure,
                &row.way,
                &row.case_commitment.as_slice(),
                &row.asked_at,
                &row.subject_ref,
                &row.code_commitment.as_ref().map(<[u8; 32]>::as_slice),
                &row.overall,
                &row.verdicts,
                &row.fields,
                &hash.as_slice(),
            ],
        )
        .await?;
    transaction.commit().await?;
    Ok(hash)
}

//! Counts for operators with the watching role: no body, no reference to a pupil, no code is read.

use deadpool_postgres::Pool;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::platform::database::DatabaseError;

/// A province as it was registered.
pub struct Province {
    /// Its immutable number at this gateway.
    pub participant_id: i32,
    /// Two-digit code in force when it was registered.
    pub code: String,
    /// When it was registered.
    pub registered_at: Timestamp,
}

/// What intake counted for one province.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IntakeSums {
    /// Participant id.
    pub participant_id: i32,
    /// New records made durable.
    pub received: u64,
    /// Repeated records.
    pub duplicates: u64,
    /// Rejected records.
    pub rejected: u64,
    /// Records that wait for a person or data.
    pub held: u64,
    /// Accepted records.
    pub accepted: u64,
    /// Held records whose transcript was accepted when it came again.
    pub superseded: u64,
}

/// What intake counted in one span of time.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[schema(as = TimeSpanFigures)]
pub struct Span {
    /// Beginning, local time of Việt Nam.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    /// New records.
    pub received: u64,
    /// Accepted of them.
    pub accepted: u64,
    /// Rejected or held of them.
    pub stopped: u64,
    /// Records whose delivery was closed by evidence in this span.
    pub closed: u64,
}

/// How often a rule stopped a record.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct RuleCount {
    /// Rule id.
    pub rule: String,
    /// `error` or `hold`.
    pub severity: String,
    /// Records it stopped.
    pub records: u64,
    /// The newest of them.
    #[schema(value_type = String, format = DateTime)]
    pub last_at: Timestamp,
    /// Text of the rule, `{vi, en}`, of the newest.
    #[schema(value_type = Object)]
    pub message: Value,
}

/// One batch as received.
#[derive(Debug, Clone, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct BatchLine {
    /// Participant id.
    pub participant_id: i32,
    /// Batch id.
    pub batch_id: Uuid,
    /// When it was received.
    #[schema(value_type = String, format = DateTime)]
    pub received_at: Timestamp,
    /// When its last record was decided.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// `xml`, `content` or `ndjson`.
    pub format: String,
    /// Bytes of its body.
    pub body_bytes: i64,
    /// `RECEIVED`, `PROCESSING`, `DONE` or `REFUSED`.
    pub state: String,
    /// Records announced.
    pub announced: u64,
    /// New records.
    pub received: u64,
    /// Repeated records.
    pub duplicates: u64,
    /// Rejected records.
    pub rejected: u64,
    /// Held records.
    pub held: u64,
    /// Accepted records.
    pub accepted: u64,
}

/// What waits between provinces and destinations.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Waiting {
    /// Batches received and not yet worked through.
    pub batches_to_process: u64,
    /// Age of the oldest of them, in seconds.
    pub oldest_to_process_s: Option<u64>,
    /// Most attempts of a batch that is not at its end.
    pub attempts_max: u64,
    /// Age of the oldest batch that is not at its end, in seconds.
    pub oldest_to_deliver_s: Option<u64>,
}

fn count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// Return every province.
pub async fn provinces(pool: &Pool) -> Result<Vec<Province>, DatabaseError> {
    let client = pool.get().await?;
    let sql = "SELECT participant_id, code, registered_at FROM hocba.participant
               WHERE kind = 'province' ORDER BY code, participant_id";
    let rows = client.query(sql, &[]).await?;
    Ok(rows
        .iter()
        .map(|row| Province {
            participant_id: row.get(0),
            code: row.get(1),
            registered_at: row.get(2),
        })
        .collect())
}

/// Return what intake counted, by province.
pub async fn intake_sums(pool: &Pool) -> Result<Vec<IntakeSums>, DatabaseError> {
    let client = pool.get().await?;
    let rows = client
        .query(
            "SELECT participant_id, sum(received)::bigint, sum(duplicates)::bigint, sum(rejected)::bigint,
                    sum(held)::bigint, sum(accepted)::bigint, sum(superseded)::bigint
             FROM hocba.batch GROUP BY participant_id ORDER BY participant_id",
            &[],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| IntakeSums {
            participant_id: row.get(0),
            received: count(row.get(1)),
            duplicates: count(row.get(2)),
            rejected: count(row.get(3)),
            held: count(row.get(4)),
            accepted: count(row.get(5)),
            superseded: count(row.get(6)),
        })
        .collect())
}

/// Return `spans` spans of one `unit` (`hour` or `day`, of Việt Nam) up to `now`, oldest first, none left out.
pub async fn timeline(
    pool: &Pool,
    unit: &str,
    spans: i32,
    now: Timestamp,
) -> Result<Vec<Span>, DatabaseError> {
    let client = pool.get().await?;
    let rows = client
        .query(
            "WITH edge AS (SELECT date_trunc($1, $3::timestamptz, 'Asia/Ho_Chi_Minh') AS last,
                                  ('1 ' || $1)::interval AS width),
                  span AS (SELECT g.from_at, g.from_at + edge.width AS to_at FROM edge,
                           generate_series(edge.last - edge.width * ($2::int - 1), edge.last, edge.width) AS g (from_at))
             SELECT s.from_at, coalesce(b.received, 0)::bigint, coalesce(b.accepted, 0)::bigint,
                    coalesce(b.stopped, 0)::bigint, coalesce(d.closed, 0)::bigint
             FROM span s
             LEFT JOIN (SELECT date_trunc($1, received_at, 'Asia/Ho_Chi_Minh') AS from_at, sum(received) AS received,
                               sum(accepted) AS accepted, sum(rejected + held) AS stopped
                        FROM hocba.batch WHERE received_at >= (SELECT min(from_at) FROM span) GROUP BY 1) b USING (from_at)
             LEFT JOIN (SELECT date_trunc($1, updated_at, 'Asia/Ho_Chi_Minh') AS from_at, sum(item_count) AS closed
                        FROM hocba.outbox_batch WHERE state = 'SETTLED'
                          AND updated_at >= (SELECT min(from_at) FROM span) GROUP BY 1) d USING (from_at)
             ORDER BY s.from_at",
            &[&unit, &spans, &now],
        )
        .await?;
    Ok(rows
        .iter()
        .map(|row| Span {
            from: row.get(0),
            received: count(row.get(1)),
            accepted: count(row.get(2)),
            stopped: count(row.get(3)),
            closed: count(row.get(4)),
        })
        .collect())
}

/// Return what waits now.
pub async fn waiting(pool: &Pool, now: Timestamp) -> Result<Waiting, DatabaseError> {
    let client = pool.get().await?;
    let row = client
        .query_one(
            "SELECT count(*), extract(epoch FROM $1 - min(received_at))::bigint FROM hocba.batch
             WHERE state IN ('RECEIVED', 'PROCESSING')",
            &[&now],
        )
        .await?;
    let out = client
        .query_one(
            "SELECT coalesce(max(attempts), 0)::bigint, extract(epoch FROM $1 - min(created_at))::bigint
             FROM hocba.outbox_batch WHERE state NOT IN ('SETTLED', 'SPLIT')",
            &[&now],
        )
        .await?;
    Ok(Waiting {
        batches_to_process: count(row.get(0)),
        oldest_to_process_s: row.get::<_, Option<i64>>(1).map(count),
        attempts_max: count(out.get(0)),
        oldest_to_deliver_s: out.get::<_, Option<i64>>(1).map(count),
    })
}

/// Return the rules that stopped records since `since`, the one broken last first.
pub async fn rules_since(
    pool: &Pool,
    since: Timestamp,
    lines_max: i64,
) -> Result<Vec<RuleCount>, DatabaseError> {
    let client = pool.get().await?;
    let rows = client
        .query(
            "SELECT v ->> 'rule', min(v ->> 'severity'), count(DISTINCT r.record_id), max(r.received_at),
                    (array_agg(v -> 'message' ORDER BY r.received_at DESC))[1]
             FROM hocba.record r CROSS JOIN LATERAL jsonb_array_elements(r.violations) AS v
             WHERE r.state IN ('REJECTED', 'HELD') AND r.received_at >= $1 AND v ->> 'severity' IN ('error', 'hold')
             GROUP BY 1 ORDER BY 4 DESC, 3 DESC, 1 LIMIT $2",
            &[&since, &lines_max],
        )
        .await?;
    Ok(rows.iter().map(rule_count).collect())
}

/// School year of records that could not be read.
const UNREADABLE_YEAR: i16 = 0;

/// Return the rules that the records of one batch broke, of any severity.
pub async fn rules_of_batch(
    pool: &Pool,
    participant_id: i32,
    batch_id: Uuid,
) -> Result<Vec<RuleCount>, DatabaseError> {
    // Named years let the index on (participant, year, batch) serve each partition.
    let years: Vec<i16> = std::iter::once(UNREADABLE_YEAR).chain(2000..2100).collect();
    let client = pool.get().await?;
    let rows = client
        .query(
            "SELECT v ->> 'rule', min(v ->> 'severity'), count(DISTINCT r.record_id), max(r.received_at),
                    (array_agg(v -> 'message' ORDER BY r.received_at DESC))[1]
             FROM hocba.record r CROSS JOIN LATERAL jsonb_array_elements(r.violations) AS v
             WHERE r.participant_id = $1 AND r.batch_id = $2 AND r.school_year = ANY ($3)
             GROUP BY 1 ORDER BY 3 DESC, 1",
            &[&participant_id, &batch_id, &years],
        )
        .await?;
    Ok(rows.iter().map(rule_count).collect())
}

fn rule_count(row: &tokio_postgres::Row) -> RuleCount {
    RuleCount {
        rule: row.get::<_, Option<String>>(0).unwrap_or_default(),
        severity: row.get::<_, Option<String>>(1).unwrap_or_default(),
        records: count(row.get(2)),
        last_at: row.get(3),
        message: row.get::<_, Option<Value>>(4).unwrap_or_default(),
    }
}

const BATCH_COLUMNS: &str =
    "participant_id, batch_id, received_at, finished_at, format, body_bytes, state,
    announced, received, duplicates, rejected, held, accepted";

/// Return the newest batches that were refused or have rejected or held records.
pub async fn batches_in_trouble(
    pool: &Pool,
    lines_max: i64,
) -> Result<Vec<BatchLine>, DatabaseError> {
    let client = pool.get().await?;
    let sql = format!(
        "SELECT {BATCH_COLUMNS} FROM hocba.batch WHERE state = 'REFUSED' OR rejected > 0 OR held > 0
         ORDER BY received_at DESC, batch_id DESC LIMIT $1"
    );
    let rows = client.query(&sql, &[&lines_max]).await?;
    Ok(rows.iter().map(batch_line).collect())
}

/// Return one batch.
pub async fn batch(
    pool: &Pool,
    participant_id: i32,
    batch_id: Uuid,
) -> Result<Option<BatchLine>, DatabaseError> {
    let client = pool.get().await?;
    let sql = format!(
        "SELECT {BATCH_COLUMNS} FROM hocba.batch WHERE participant_id = $1 AND batch_id = $2"
    );
    let row = client.query_opt(&sql, &[&participant_id, &batch_id]).await?;
    Ok(row.as_ref().map(batch_line))
}

fn batch_line(row: &tokio_postgres::Row) -> BatchLine {
    let small = |index: usize| count(i64::from(row.get::<_, i32>(index)));
    BatchLine {
        participant_id: row.get(0),
        batch_id: row.get(1),
        received_at: row.get(2),
        finished_at: row.get(3),
        format: row.get(4),
        body_bytes: row.get(5),
        state: row.get(6),
        announced: small(7),
        received: small(8),
        duplicates: small(9),
        rejected: small(10),
        held: small(11),
        accepted: small(12),
    }
}

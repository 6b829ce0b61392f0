//! Offers `POST /v1/batches` and `GET /v1/batches/{id}` to provinces.

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpResponse, get, post, web};
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::upload::{Acknowledged, Declared, Intake};
use super::{BatchKey, Encoding, Format, IntakeError, store};
use crate::access::http::ProvinceClient;
use crate::platform::database::{DatabaseError, begin_for};
use crate::platform::problem::Problem;
use crate::transcript::ViolationReport;

/// Results answered at most in one page.
const RESULTS_MAX: i64 = 1_000;
/// Longest `Idempotency-Key`, in characters.
const IDEMPOTENCY_KEY_CHARS_MAX: usize = 255;

/// Add the routes of this module.
pub fn configure(config: &mut ServiceConfig) {
    config.service(push_batch).service(read_batch);
}

/// Push a batch of signed transcripts.
///
/// The body is the Ministry's `DANH_SACH_HOC_BA` as XML, the same in the `content` envelope, or the
/// gateway's own lines of JSON. 202 is answered only after the received bytes are committed.
#[utoipa::path(
    tag = "batches",
    request_body(content = String, description = "the batch", content_type = "application/xml"),
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "repeats with the same key get the same receipt"),
        ("Content-Encoding" = Option<String>, Header, description = "identity, gzip or zstd"),
    ),
    responses(
        (status = 202, description = "committed; the body is the receipt", body = ReceiptBody),
        (status = 400, description = "malformed, truncated or wrongly encoded", body = Problem),
        (status = 413, description = "over the limit", body = Problem),
        (status = 415, description = "unknown format or encoding", body = Problem),
        (status = 422, description = "the idempotency key belongs to another body", body = Problem),
        (status = 503, description = "try again later", body = Problem),
    )
)]
#[post("/v1/batches")]
async fn push_batch(
    client: ProvinceClient,
    intake: web::Data<Intake>,
    request: actix_web::HttpRequest,
    mut body: web::Payload,
) -> Result<HttpResponse, Problem> {
    let declared = declare(request.headers(), client.0.participant_id)?;
    let mut upload = intake.begin(declared)?;
    while let Some(piece) = body.next().await {
        let taken = match piece {
            Ok(piece) => upload.push(&piece).await,
            Err(_) => Err(IntakeError::Interrupted),
        };
        if let Err(error) = taken {
            upload.abandon().await;
            return Err(error.into());
        }
    }
    let Acknowledged { receipt, replayed } = upload.finish().await?;
    let mut response = HttpResponse::Accepted();
    if replayed {
        response.insert_header(("Idempotent-Replayed", "true"));
    }
    Ok(response.content_type("application/json").body(receipt))
}

fn declare(headers: &HeaderMap, participant_id: i32) -> Result<Declared, Problem> {
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let media = text(header::CONTENT_TYPE).unwrap_or_default();
    let essence = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let format = match essence.as_str() {
        "application/xml" | "text/xml" => Format::Xml,
        "application/vnd.hocba.content" | "text/plain" => Format::Content,
        "application/x-ndjson" | "application/jsonl" => Format::Ndjson,
        _ => {
            return Err(Problem::new(415, "unknown-format", &[("permitted", PERMITTED_TYPES)]));
        }
    };
    let charset = media.to_ascii_lowercase();
    if charset.contains("charset=") && !charset.contains("utf-8") {
        return Err(Problem::new(415, "unknown-charset", &[]));
    }
    let encoding = match text(header::CONTENT_ENCODING).unwrap_or("identity") {
        "identity" | "" => Encoding::Identity,
        "gzip" => Encoding::Gzip,
        "zstd" => Encoding::Zstd,
        _ => {
            return Err(Problem::new(
                415,
                "unknown-encoding",
                &[("permitted", "identity, gzip, zstd")],
            ));
        }
    };
    let idempotency_key = match headers.get("idempotency-key") {
        None => None,
        Some(value) => match value.to_str() {
            Ok(key) if (1..=IDEMPOTENCY_KEY_CHARS_MAX).contains(&key.len()) => Some(key.to_owned()),
            _ => {
                return Err(Problem::new(400, "bad-idempotency-key", &[("limit", "255")]));
            }
        },
    };
    Ok(Declared { participant_id, format, encoding, idempotency_key })
}

const PERMITTED_TYPES: &str =
    "application/xml, application/vnd.hocba.content, application/x-ndjson";

/// The answer to a pushed batch.
#[derive(Serialize, utoipa::ToSchema)]
pub struct ReceiptBody {
    /// Id of the batch.
    batch_id: Uuid,
    /// When the last byte arrived.
    received_at: String,
    /// `xml`, `content` or `ndjson`.
    format: String,
    /// `identity`, `gzip` or `zstd`.
    encoding: String,
    /// Bytes received.
    bytes: u64,
    /// SHA-256 of the bytes received, hexadecimal.
    sha256: String,
    /// Records counted.
    records: u32,
    /// Where to read progress and results.
    status_url: String,
    /// All of the above, signed by the gateway: compact JWS (RFC 7515).
    receipt: String,
}

/// Where to continue reading results.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
struct Page {
    /// First position to answer.
    #[serde(default)]
    from: i32,
    /// Results to answer, 1 to 1000.
    limit: Option<i64>,
}

/// Progress and results of a batch.
#[derive(Serialize, utoipa::ToSchema)]
pub struct BatchStatus {
    /// Id of the batch.
    batch_id: Uuid,
    /// `received`, `processing`, `done` or `refused`.
    state: String,
    /// When it was received (RFC 3339).
    received_at: String,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    /// Records counted at reception.
    announced: i32,
    /// New records made durable.
    received: i32,
    /// Records received before.
    duplicates: i32,
    /// New records that break a rule.
    rejected: i32,
    /// New records that wait for data or a person.
    held: i32,
    /// New records accepted and sealed.
    accepted: i32,
    /// Records that were held and whose transcript was accepted when it came again.
    superseded: i32,
    /// Why the batch was refused whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object)]
    refusal: Option<serde_json::Value>,
    /// Results of single records, in order.
    results: Vec<RecordResult>,
    /// Position to continue from, while there are more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_from: Option<i32>,
}

/// Result of one record.
#[derive(Serialize, utoipa::ToSchema)]
pub struct RecordResult {
    /// Place in the batch, from 0.
    position: i32,
    /// `accepted`, `held`, `rejected`, `duplicate`, or `superseded`: held, and accepted when it came again.
    outcome: &'static str,
    /// What became of the record when it was received first, for a duplicate.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_outcome: Option<&'static str>,
    /// Id the gateway gave the record.
    record_id: Uuid,
    /// Transcript code, when it was readable.
    #[serde(skip_serializing_if = "Option::is_none")]
    transcript_code: Option<Uuid>,
    /// Broken rules, warnings included.
    violations: Vec<ViolationReport>,
}

/// Read progress and results of a batch.
#[utoipa::path(
    tag = "batches",
    params(("id" = Uuid, Path, description = "id from the receipt"), Page),
    responses(
        (status = 200, description = "progress and results", body = BatchStatus),
        (status = 404, description = "no batch of yours has this id", body = Problem),
    )
)]
#[get("/v1/batches/{id}")]
async fn read_batch(
    client: ProvinceClient,
    intake: web::Data<Intake>,
    id: web::Path<Uuid>,
    page: web::Query<Page>,
) -> Result<web::Json<BatchStatus>, Problem> {
    let unknown = || Problem::new(404, "unknown-batch", &[]);
    let key = BatchKey::of(client.0.participant_id, *id).ok_or_else(unknown)?;
    let limit = page.limit.unwrap_or(RESULTS_MAX).clamp(1, RESULTS_MAX);
    let loaded = load_status(&intake, key, page.from.max(0), limit).await;
    let (batch, results) = loaded.map_err(IntakeError::from)?.ok_or_else(unknown)?;
    Ok(web::Json(shape(key, batch, results, limit)))
}

async fn load_status(
    intake: &Intake,
    key: BatchKey,
    from: i32,
    limit: i64,
) -> Result<Option<(store::BatchRow, Vec<store::ResultRow>)>, DatabaseError> {
    let mut database = intake.pool().get().await?;
    let tx = begin_for(&mut database, key.participant_id).await?;
    let Some(batch) = store::load_batch(&tx, key).await? else {
        return Ok(None);
    };
    let results = store::load_results(&tx, key, from, limit).await?;
    tx.commit().await?;
    Ok(Some((batch, results)))
}

fn shape(
    key: BatchKey,
    batch: store::BatchRow,
    results: Vec<store::ResultRow>,
    limit: i64,
) -> BatchStatus {
    let full = i64::try_from(results.len()).is_ok_and(|count| count == limit);
    let next_from = results.last().filter(|_| full).map(|last| last.position + 1);
    BatchStatus {
        batch_id: key.batch_id,
        state: batch.state.to_lowercase(),
        received_at: batch.received_at.to_string(),
        finished_at: batch.finished_at.map(|at| at.to_string()),
        announced: batch.announced,
        received: batch.progress.received,
        duplicates: batch.progress.duplicates,
        rejected: batch.progress.rejected,
        held: batch.progress.held,
        accepted: batch.progress.accepted,
        superseded: batch.progress.superseded,
        refusal: batch.refusal,
        results: results.into_iter().map(shape_result).collect(),
        next_from,
    }
}

fn shape_result(row: store::ResultRow) -> RecordResult {
    let word = |state: &str| match state {
        "REJECTED" => "rejected",
        "HELD" => "held",
        "SUPERSEDED" => "superseded",
        _ => "accepted",
    };
    let (outcome, first_outcome) = match row.state.strip_prefix("DUPLICATE-") {
        Some(first) => ("duplicate", Some(word(first))),
        None => (word(&row.state), None),
    };
    RecordResult {
        position: row.position,
        outcome,
        first_outcome,
        record_id: row.record_id,
        transcript_code: row.transcript_code,
        violations: serde_json::from_value(row.violations).unwrap_or_default(),
    }
}

impl From<IntakeError> for Problem {
    fn from(error: IntakeError) -> Self {
        match error {
            IntakeError::Busy => Self::new(503, "busy", &[]).retry_after(5),
            IntakeError::ClockOutOfRange | IntakeError::Sign(_) | IntakeError::Vault(_) => {
                tracing::error!(%error, "intake cannot acknowledge");
                Self::internal()
            }
            IntakeError::Compression { encoding } => {
                Self::new(400, "broken-compression", &[("encoding", encoding)])
            }
            IntakeError::Database(error) => {
                tracing::error!(%error, "intake cannot reach the database");
                Self::new(503, "database-unavailable", &[]).retry_after(10)
            }
            IntakeError::Empty => Self::new(422, "empty-batch", &[]),
            IntakeError::Envelope(error) => {
                Self::new(400, "broken-envelope", &[]).with("reason", error.to_string())
            }
            IntakeError::Interrupted => Self::new(400, "interrupted-upload", &[]),
            IntakeError::KeyReused => Self::new(422, "idempotency-key-reused", &[]),
            IntakeError::LineTooLong { line, limit } => {
                let (line_text, limit) = (line.to_string(), limit.to_string());
                Self::new(413, "line-too-long", &[("line", &line_text), ("limit", &limit)])
                    .with("line", line)
            }
            IntakeError::NotUtf8 { line, column } => {
                let (line_text, column_text) = (line.to_string(), column.to_string());
                Self::new(400, "not-utf8", &[("line", &line_text), ("column", &column_text)])
                    .with("line", line)
                    .with("column", column)
            }
            IntakeError::TooLarge { limit } => {
                Self::new(413, "document-too-large", &[("limit", &limit.to_string())])
                    .with("limit", limit)
            }
            IntakeError::TooManyRecords { limit } => {
                Self::new(413, "too-many-records", &[("limit", &limit.to_string())])
                    .with("limit", limit)
            }
            IntakeError::Xml(fault) => {
                let (line, column) = (fault.line.to_string(), fault.column.to_string());
                let reason = crate::platform::texts::both(
                    &format!("signature.fault.{}", fault.kind.code()),
                    &[],
                );
                let args = [
                    ("line", line.as_str()),
                    ("column", column.as_str()),
                    ("reason_vi", reason.vi.as_str()),
                    ("reason_en", reason.en.as_str()),
                ];
                Self::new(400, "malformed-document", &args)
                    .with("reason", fault.kind.code())
                    .with("line", fault.line)
                    .with("column", fault.column)
                    .with("offset", fault.offset)
                    .with("path", fault.path)
            }
        }
    }
}

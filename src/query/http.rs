//! Serves verifications to the machines of agencies.

use actix_web::{HttpRequest, post, web};
use utoipa_actix_web::service_config::ServiceConfig;

use super::answer::Answerer;
use super::request::{self, Malformed, VerificationRequest};
use super::shape::Answer;
use super::{QueryError, Settings};
use crate::access::http::AgencyClient;
use crate::platform::problem::Problem;
use crate::platform::texts;

/// Ask whether a pupil's transcripts are valid.
///
/// Answers one verdict per school year and one over all. The answer is signed, bound to the bytes of the
/// request by their digest, and logged before it leaves. What is not found looks the same for every cause.
#[utoipa::path(
    tag = "agencies",
    request_body = VerificationRequest,
    responses(
        (status = 200, description = "The signed answer, whatever the verdict", body = Answer),
        (status = 400, description = "The question is malformed", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not an agency, not its officer, or not permitted for this procedure", body = Problem, content_type = "application/problem+json"),
        (status = 413, description = "The question is too large", body = Problem, content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = Problem, content_type = "application/problem+json"),
        (status = 422, description = "The procedure may not ask today, or the question lacks level or years", body = Problem, content_type = "application/problem+json"),
        (status = 429, description = "A budget of questions is used up", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The answer could not be logged, so nothing is disclosed", body = Problem, content_type = "application/problem+json"),
    )
)]
#[post("/v1/verifications")]
async fn verify(
    agency: AgencyClient,
    answerer: web::Data<Answerer>,
    request: HttpRequest,
    payload: web::Payload,
) -> Result<web::Json<Answer>, Problem> {
    let body = read(&request, payload, answerer.settings()).await?;
    Ok(web::Json(ask(&answerer, agency.0.participant_id, &body).await?))
}

async fn ask(answerer: &Answerer, agency: i32, body: &[u8]) -> Result<Answer, QueryError> {
    let question = request::parse(body, answerer.limits())?;
    let asker = answerer.officer_of(agency, question.officer).await?;
    answerer.answer(asker, question).await
}

async fn read(
    request: &HttpRequest,
    payload: web::Payload,
    settings: &Settings,
) -> Result<web::Bytes, Problem> {
    if request.head().headers().get("content-type").is_none_or(|value| {
        let kind = value.as_bytes().split(|byte| *byte == b';').next();
        kind.is_none_or(|kind| !kind.trim_ascii().eq_ignore_ascii_case(b"application/json"))
    }) {
        let permitted = [("permitted", "application/json")];
        return Err(Problem::new(415, "unsupported-media-type", &permitted));
    }
    let limit = settings.request_bytes_max;
    match payload.to_bytes_limited(limit).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(_)) => Err(Problem::new(400, "body-incomplete", &[])),
        Err(_) => {
            let limit = limit.to_string();
            Err(Problem::new(413, "body-too-large", &[("limit", &limit)]))
        }
    }
}

impl From<QueryError> for Problem {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Malformed(malformed) => malformed_problem(malformed),
            QueryError::ProcedureUnknown => Self::new(422, "procedure-unknown", &[]),
            QueryError::WayNotPermitted => Self::new(403, "way-not-permitted", &[]),
            QueryError::LevelNotPermitted => Self::new(403, "level-not-permitted", &[]),
            QueryError::LevelNeeded => {
                Self::new(422, "level-needed", &[]).with("pointer", "/level")
            }
            QueryError::YearsNeeded => {
                Self::new(422, "years-needed", &[]).with("pointer", "/school_years")
            }
            QueryError::OfficerUnknown => Self::new(403, "officer-unknown", &[]),
            QueryError::Registry(error) => error.into(),
            QueryError::TooFast(limit) => {
                let seconds = limit.retry_after_s.to_string();
                Self::new(429, "too-many-questions", &[("seconds", &seconds)])
                    .retry_after(limit.retry_after_s)
            }
            QueryError::Unavailable(error) => {
                tracing::error!(%error, "an answer could not be logged and was withheld");
                Self::new(503, "unavailable", &[]).retry_after(5)
            }
            QueryError::Unsigned(error) => {
                tracing::error!(%error, "an answer could not be signed and was withheld");
                Self::new(503, "unavailable", &[]).retry_after(5)
            }
            QueryError::Fault(reason) => {
                tracing::error!(reason, "an answer failed");
                Self::internal()
            }
        }
    }
}

fn malformed_problem(malformed: Malformed) -> Problem {
    let limit = malformed.limit.to_string();
    let key = format!("query.permitted-{}", malformed.permitted);
    let permitted = texts::both(&key, &[("limit", &limit)]);
    let fill = |text: &str| {
        let args = [("pointer", malformed.pointer.as_str()), ("permitted", text)];
        Problem::new(400, "question-malformed", &args)
    };
    let mut problem = fill(&permitted.vi);
    problem.detail_en = fill(&permitted.en).detail_en;
    problem.with("pointer", malformed.pointer.as_str())
}

/// Add the routes of the machines listener; the app holds `web::Data<Answerer>` and `web::Data<Access>`.
pub fn configure(cfg: &mut ServiceConfig<'_>) {
    cfg.service(verify);
}

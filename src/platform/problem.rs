//! Shapes refusals as `application/problem+json` (RFC 9457) in both languages.

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use serde_json::{Map, Value};

use super::texts;

/// A refusal that a person and a program can act on; holds no personal data.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Problem {
    /// Stable path that names the kind, such as `/problems/document-too-large`.
    #[serde(rename = "type")]
    pub kind: String,
    /// HTTP status.
    pub status: u16,
    /// Short Vietnamese title.
    pub title: String,
    /// The same in English.
    pub title_en: String,
    /// What is wrong, where, and what is permitted, in Vietnamese.
    pub detail: String,
    /// The same in English.
    pub detail_en: String,
    /// Further members, such as `pointer`, `line` or `violations`.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub extensions: Map<String, Value>,
    /// Seconds after which to try again; sent as `Retry-After`.
    #[serde(skip)]
    pub retry_after_s: Option<u32>,
}

impl Problem {
    /// Make the problem `kind` with texts `problem.<kind>.title` and `problem.<kind>.detail`.
    pub fn new(status: u16, kind: &str, args: &[(&str, &str)]) -> Self {
        let title = texts::both(&format!("problem.{kind}.title"), args);
        let detail = texts::both(&format!("problem.{kind}.detail"), args);
        Self {
            kind: format!("/problems/{kind}"),
            status,
            title: title.vi,
            title_en: title.en,
            detail: detail.vi,
            detail_en: detail.en,
            extensions: Map::new(),
            retry_after_s: None,
        }
    }

    /// Make the problem for a fault of ours: it tells nothing but its kind.
    pub fn internal() -> Self {
        Self::new(500, "internal", &[])
    }

    /// Add the member `name`.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extensions.insert(name.to_owned(), value.into());
        self
    }

    /// Ask the client to wait `seconds`.
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.title_en, self.kind)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status_code());
        response.insert_header((CONTENT_TYPE, "application/problem+json; charset=utf-8"));
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        response.body(serde_json::to_vec(self).unwrap_or_default())
    }
}

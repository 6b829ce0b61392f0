//! Answers what the framework itself refuses as problem documents in both languages.

use std::collections::BTreeMap;

use actix_web::error::{JsonPayloadError, PayloadError};
use actix_web::http::header::{ALLOW, CONTENT_TYPE};
use actix_web::http::{Method, StatusCode};
use actix_web::{Error, HttpRequest, HttpResponse, ResponseError, web};
use utoipa::openapi::OpenApi;
use utoipa_actix_web::service_config::ServiceConfig;

use super::ListenerSettings;
use crate::platform::problem::Problem;

/// Methods per route, so that a wrong one is answered 405 with `Allow`; register as `web::Data`.
#[derive(Debug, Clone, Default)]
pub struct AllowedMethods(BTreeMap<String, String>);

impl AllowedMethods {
    /// Take the methods from the API description of the routes.
    pub fn of(api: &OpenApi) -> Self {
        let routes = api.paths.paths.iter().map(|(path, item)| {
            let methods = [
                ("GET", item.get.is_some()),
                ("HEAD", item.head.is_some()),
                ("POST", item.post.is_some()),
                ("PUT", item.put.is_some()),
                ("PATCH", item.patch.is_some()),
                ("DELETE", item.delete.is_some()),
            ];
            let present: Vec<_> =
                methods.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect();
            (path.clone(), present.join(", "))
        });
        Self(routes.collect())
    }

    fn allow(&self, pattern: &str) -> Option<&str> {
        self.0.get(pattern).map(String::as_str)
    }
}

/// Set limits and error answers of the extractors, and the answer where no route fits.
pub(super) fn configure(settings: &ListenerSettings, cfg: &mut ServiceConfig<'_>) {
    let body_bytes_max = usize::try_from(settings.body_bytes_max).unwrap_or(usize::MAX);
    let json_bytes_max = settings.json_bytes_max;
    cfg.app_data(web::PayloadConfig::new(body_bytes_max));
    cfg.app_data(
        web::JsonConfig::default()
            .limit(json_bytes_max)
            .error_handler(move |error, _| json_problem(&error, json_bytes_max).into()),
    );
    cfg.app_data(
        // The framework's own text quotes the query, and a query can hold what a person typed.
        web::QueryConfig::default()
            .error_handler(|_, _| Error::from(Problem::new(400, "invalid-query", &[]))),
    );
    cfg.app_data(
        web::PathConfig::default()
            .error_handler(|_, _| Error::from(Problem::new(404, "not-found", &[]))),
    );
    cfg.default_service(web::to(no_route));
}

async fn no_route(request: HttpRequest) -> HttpResponse {
    let allow = request.match_pattern().and_then(|pattern| {
        let methods = request.app_data::<web::Data<AllowedMethods>>()?;
        methods.allow(&pattern).map(str::to_owned)
    });
    match allow {
        Some(allow) if !allow.contains(request.method().as_str()) => {
            let mut response =
                Problem::new(405, "method-not-allowed", &[("allow", &allow)]).error_response();
            if let Ok(value) = allow.parse() {
                response.headers_mut().insert(ALLOW, value);
            }
            response
        }
        _ => Problem::new(404, "not-found", &[]).error_response(),
    }
}

fn json_problem(error: &JsonPayloadError, bytes_max: usize) -> Problem {
    match error {
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => {
            too_large(u64::try_from(bytes_max).unwrap_or(u64::MAX))
        }
        JsonPayloadError::ContentType => {
            Problem::new(415, "unsupported-media-type", &[("permitted", "application/json")])
        }
        // Place only: the parser's message quotes the value, and the value can be a person's.
        JsonPayloadError::Deserialize(error) => {
            let (line, column) = (error.line(), error.column());
            let args = [("line", &*line.to_string()), ("column", &*column.to_string())];
            Problem::new(400, "malformed-json", &args).with("line", line).with("column", column)
        }
        JsonPayloadError::Payload(error) => payload_problem(error, bytes_max as u64),
        _ => Problem::new(400, "bad-request", &[]),
    }
}

/// Say what went wrong with a body that a handler reads itself, where `bytes_max` is its limit.
pub fn payload_problem(error: &PayloadError, bytes_max: u64) -> Problem {
    match error {
        PayloadError::Overflow => too_large(bytes_max),
        PayloadError::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            Problem::new(408, "request-too-slow", &[])
        }
        _ => Problem::new(400, "body-incomplete", &[]),
    }
}

/// Say that a body is over `bytes_max` bytes.
pub(super) fn too_large(bytes_max: u64) -> Problem {
    Problem::new(413, "body-too-large", &[("limit", &bytes_max.to_string())])
}

/// Find the problem that stands for a bare status of the framework.
pub(super) fn for_status(status: StatusCode) -> Problem {
    let number = status.as_u16();
    let kind = match number {
        404 => "not-found",
        408 => "request-too-slow",
        503 | 504 => "unavailable",
        500.. => "internal",
        _ => "bad-request",
    };
    Problem::new(number, kind, &[])
}

/// Tell whether `response` is an error that still carries the framework's own plain text.
pub(super) fn is_bare<B>(response: &HttpResponse<B>) -> bool {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) {
        return false;
    }
    response
        .headers()
        .get(CONTENT_TYPE)
        .is_none_or(|value| value.as_bytes().starts_with(b"text/plain"))
}

/// Return the method as a label; what is not one of the known ones is `other`.
pub(super) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

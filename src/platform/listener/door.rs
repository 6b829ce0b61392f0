//! Stands before all routes: checks the path, limits time and body, sets headers, traces and counts.

use std::future::{Ready, ready};
use std::rc::Rc;
use std::time::Duration;

use actix_web::body::EitherBody;
use actix_web::dev::{Payload, Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue,
    REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::http::{ConnectionType, StatusCode};
use actix_web::{Error, HttpMessage, HttpResponse, ResponseError};
use futures_util::future::LocalBoxFuture;
use tracing::{Instrument, Span, field};
use uuid::{NoContext, Timestamp, Uuid};

use super::body::{BodyLimits, MeteredBody};
use super::{ConnectedAt, Entry, Kind, path, refusals};
use crate::platform::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'",
);

/// Names a request in logs, traces and its answer (`X-Request-Id`); in the request's extensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId(pub Uuid);

/// The outermost middleware of every listener.
pub struct Door {
    entry: Rc<Entry>,
}

impl Door {
    pub(super) fn new(entry: Entry) -> Self {
        Self { entry: Rc::new(entry) }
    }
}

impl<S, B> Transform<S, ServiceRequest> for Door
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type InitError = ();
    type Transform = DoorService<S>;
    type Future = Ready<Result<Self::Transform, ()>>;

    fn new_transform(&self, service: S) -> Self::Future {
        ready(Ok(DoorService { entry: Rc::clone(&self.entry), service: Rc::new(service) }))
    }
}

/// The door of one worker.
pub struct DoorService<S> {
    entry: Rc<Entry>,
    service: Rc<S>,
}

impl<S, B> Service<ServiceRequest> for DoorService<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error> + 'static,
    S::Future: 'static,
    B: 'static,
{
    type Response = ServiceResponse<EitherBody<B>>;
    type Error = Error;
    type Future = LocalBoxFuture<'static, Result<Self::Response, Error>>;

    forward_ready!(service);

    fn call(&self, request: ServiceRequest) -> Self::Future {
        let entry = Rc::clone(&self.entry);
        let service = Rc::clone(&self.service);
        let visit = Visit::begin(&entry, &request);
        let span = visit.span.clone();
        Box::pin(
            async move {
                let mut request = request;
                if let Some(problem) = refused(&entry, &request) {
                    // The body is not read; the connection cannot be used for another request.
                    let mut response = problem.error_response();
                    close(&mut response);
                    let answer = request.into_response(response).map_into_right_body();
                    return Ok(visit.answered(&entry, answer));
                }
                request.extensions_mut().insert(RequestId(visit.id));
                meter(&entry, &mut request);
                let limit = Duration::from_millis(entry.settings.request_timeout_ms);
                match tokio::time::timeout(limit, service.call(request)).await {
                    Ok(Ok(answer)) => Ok(visit.answered(&entry, shape(answer))),
                    Ok(Err(error)) => Err(visit.failed(&entry, problem_of(&error))),
                    Err(_) => Err(visit.failed(&entry, Problem::new(408, "request-too-slow", &[]))),
                }
            }
            .instrument(span),
        )
    }
}

/// Say why a request is not let in, if it is not.
fn refused(entry: &Entry, request: &ServiceRequest) -> Option<Problem> {
    let settings = &entry.settings;
    let target_bytes = request.uri().path_and_query().map_or(0, |target| target.as_str().len());
    if target_bytes > settings.target_bytes_max {
        let limit = settings.target_bytes_max.to_string();
        return Some(Problem::new(414, "target-too-long", &[("limit", &limit)]));
    }
    if !path::is_canonical(request.uri().path()) {
        let paths = &entry.metrics.http().refused_paths;
        paths.with_label_values(&[entry.kind.name()]).inc();
        return Some(Problem::new(400, "path-not-canonical", &[]));
    }
    if entry.kind == Kind::Persons && !request.method().is_safe() && is_cross_site(request) {
        return Some(Problem::new(403, "cross-site-request", &[]));
    }
    let announced = request
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    if announced.is_some_and(|bytes| bytes > settings.body_bytes_max) {
        return Some(refusals::too_large(settings.body_bytes_max));
    }
    None
}

/// Tell whether another site made a person's browser send this; it adds the personal certificate by itself.
fn is_cross_site(request: &ServiceRequest) -> bool {
    let header = |name: &str| request.headers().get(name).map(HeaderValue::as_bytes);
    if header("sec-fetch-site").is_some_and(|site| site != b"same-origin" && site != b"none") {
        return true;
    }
    let Some(origin) = header("origin") else {
        return false;
    };
    // HTTP/2 puts the host into the target, HTTP/1.1 into a header; forwarding headers are not believed.
    let authority = request.uri().authority().map(|host| host.as_str().as_bytes());
    let host = authority.or_else(|| header("host"));
    host.is_none_or(|host| origin.strip_prefix(b"https://") != Some(host))
}

fn meter(entry: &Entry, request: &mut ServiceRequest) {
    let payload = request.take_payload();
    if matches!(payload, Payload::None) {
        return;
    }
    let limits = BodyLimits {
        bytes_max: entry.settings.body_bytes_max,
        grace: Duration::from_millis(entry.settings.body_grace_ms),
        bytes_per_s_min: entry.settings.body_bytes_per_s_min,
    };
    let metered = MeteredBody::new(payload, limits);
    request.set_payload(Payload::Stream { payload: Box::pin(metered) });
}

/// Turn an error that the framework answered in plain text into a problem document.
fn shape<B>(answer: ServiceResponse<B>) -> ServiceResponse<EitherBody<B>> {
    if !refusals::is_bare(answer.response()) {
        return answer.map_into_left_body();
    }
    let (request, bare) = answer.into_parts();
    let mut response = refusals::for_status(bare.status()).error_response();
    for (name, value) in bare.headers() {
        if !response.headers().contains_key(name) {
            response.headers_mut().append(name.clone(), value.clone());
        }
    }
    ServiceResponse::new(request, response).map_into_right_body()
}

fn problem_of(error: &Error) -> Problem {
    match error.as_error::<Problem>() {
        Some(problem) => problem.clone(),
        None => refusals::for_status(error.as_response_error().status_code()),
    }
}

fn close<B>(response: &mut HttpResponse<B>) {
    response.head_mut().set_connection_type(ConnectionType::Close);
}

/// One request on its way through: its id, span and start.
struct Visit {
    id: Uuid,
    span: Span,
    method: &'static str,
    started: Duration,
    connection_too_old: bool,
    in_flight: prometheus::IntGauge,
}

impl Visit {
    fn begin(entry: &Entry, request: &ServiceRequest) -> Self {
        let id = request_id(entry);
        let method = refusals::method_label(request.method());
        let started = entry.clock.monotonic();
        let age_max = Duration::from_secs(entry.settings.connection_age_max_s);
        let connection_too_old = request
            .conn_data::<ConnectedAt>()
            .is_some_and(|at| started.saturating_sub(at.0) > age_max);
        let in_flight = entry.metrics.http().in_flight.with_label_values(&[entry.kind.name()]);
        in_flight.inc();
        // Ids and the route pattern only: a raw path or query can hold what a person typed.
        let span = tracing::info_span!(
            "request",
            otel.kind = "server",
            listener = entry.kind.name(),
            method,
            request_id = %id,
            route = field::Empty,
            status = field::Empty,
            participant = field::Empty,
            person = field::Empty,
        );
        Self { id, span, method, started, connection_too_old, in_flight }
    }

    fn answered<B>(&self, entry: &Entry, mut answer: ServiceResponse<B>) -> ServiceResponse<B> {
        // A path that was refused may still look like a route; it is not counted as one.
        let route = answer
            .request()
            .extensions()
            .get::<RequestId>()
            .and_then(|_| answer.request().match_pattern());
        self.conclude(entry, route.as_deref().unwrap_or("none"), answer.status());
        set_headers(entry, self.id, answer.headers_mut());
        if self.connection_too_old {
            close(answer.response_mut());
        }
        answer
    }

    fn failed(&self, entry: &Entry, problem: Problem) -> Error {
        self.conclude(entry, "none", problem.status_code());
        let mut headers = HeaderMap::new();
        set_headers(entry, self.id, &mut headers);
        Failed { problem, headers }.into()
    }

    fn conclude(&self, entry: &Entry, route: &str, status: StatusCode) {
        let elapsed = entry.clock.monotonic().saturating_sub(self.started);
        let listener = entry.kind.name();
        let http = entry.metrics.http();
        http.requests.with_label_values(&[listener, self.method, route, status.as_str()]).inc();
        http.seconds.with_label_values(&[listener, route]).observe(elapsed.as_secs_f64());
        self.span.record("route", route);
        self.span.record("status", status.as_u16());
        let elapsed_ms = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        if status.is_server_error() {
            tracing::error!(elapsed_ms, "answered with a fault of ours");
        } else if entry.kind == Kind::Inside {
            tracing::debug!(elapsed_ms, "answered");
        } else {
            tracing::info!(elapsed_ms, "answered");
        }
    }
}

impl Drop for Visit {
    // Also when the client goes away and the request is dropped in the middle.
    fn drop(&mut self) {
        self.in_flight.dec();
    }
}

fn request_id(entry: &Entry) -> Uuid {
    let now = entry.clock.now();
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(Timestamp::from_unix(NoContext, seconds, nanoseconds))
}

fn set_headers(entry: &Entry, id: Uuid, headers: &mut HeaderMap) {
    let id = HeaderValue::from_str(&id.to_string()).expect("a UUID is letters, digits and hyphens");
    headers.insert(REQUEST_ID, id);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if !headers.contains_key(CONTENT_SECURITY_POLICY) {
        headers.insert(CONTENT_SECURITY_POLICY, POLICY);
    }
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    if entry.kind != Kind::Inside {
        let two_years = HeaderValue::from_static("max-age=63072000");
        headers.insert(STRICT_TRANSPORT_SECURITY, two_years);
    }
}

/// A problem whose request is gone, with the headers every answer has.
#[derive(Debug)]
struct Failed {
    problem: Problem,
    headers: HeaderMap,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.problem.fmt(f)
    }
}

impl ResponseError for Failed {
    fn status_code(&self) -> StatusCode {
        self.problem.status_code()
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = self.problem.error_response();
        for (name, value) in &self.headers {
            response.headers_mut().insert(name.clone(), value.clone());
        }
        close(&mut response);
        response
    }
}

//! Serves batches and status queries over mutual TLS, within limits and with the script's faults.

use std::collections::BTreeSet;
use std::io;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{App, HttpRequest, HttpResponse, ResponseError, get, post, web};
use futures_util::stream;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use prometheus::IntCounterVec;
use utoipa_actix_web::AppExt;
use uuid::Uuid;

use super::batch::{Checked, Checker};
use super::book::{Answer, Book, BookError};
use super::faults::{Fault, On, Script};
use super::{Parts, Sandbox, SandboxError, Settings, fingerprints};
use crate::outbox::forming::sha256;
use crate::platform::clock::SharedClock;
use crate::platform::listener::{AllowedMethods, Entry, Kind, PeerCertificate};
use crate::platform::problem::Problem;
use crate::platform::shutdown::Shutdown;
use crate::receipts::hex;

const JOSE: &str = "application/jose";
const MESSAGE_ID: &str = "Message-Id";

/// What a request meets: who may send, how fast, which faults, and the book.
pub(super) struct Desk {
    clients: BTreeSet<[u8; 32]>,
    limiter: DefaultDirectRateLimiter,
    limiter_clock: DefaultClock,
    script: Script,
    checker: Checker,
    book: Mutex<Book>,
    clock: SharedClock,
    batch_bytes_max: usize,
    answers: IntCounterVec,
}

impl Desk {
    pub(super) fn new(
        settings: &Settings,
        checker: Checker,
        book: Book,
        script: Script,
        parts: &Parts,
    ) -> Result<Self, SandboxError> {
        let positive = |key, value| {
            NonZeroU32::new(value)
                .ok_or(SandboxError::Setting { key, message: "must be 1 or more" })
        };
        let rate = positive("rate_per_s", settings.rate_per_s)?;
        let burst = positive("burst", settings.burst)?;
        let answers = parts.metrics.counters(
            "hocba_sandbox_answers_total",
            "Answers given, by status.",
            &["status"],
        );
        Ok(Self {
            clients: fingerprints(&settings.client_certificate_files)?.into_iter().collect(),
            limiter: RateLimiter::direct(Quota::per_second(rate).allow_burst(burst)),
            limiter_clock: DefaultClock::default(),
            script,
            checker,
            book: Mutex::new(book),
            clock: Arc::clone(&parts.clock),
            batch_bytes_max: settings.batch_bytes_max,
            answers: answers.map_err(|_| SandboxError::Setting {
                key: "listener",
                message: "its figures are registered already; one sandbox per process",
            })?,
        })
    }

    fn admit(&self, request: &HttpRequest) -> Result<(), Problem> {
        let peer = request.conn_data::<PeerCertificate>();
        let known = peer.is_some_and(|peer| self.clients.contains(&peer.fingerprint));
        if !(known || self.clients.is_empty() && peer.is_some()) {
            return Err(Problem::new(403, "sandbox-client-unknown", &[]));
        }
        self.limiter.check().map_err(|early| {
            let wait = early.wait_time_from(self.limiter_clock.now());
            let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
            Problem::new(429, "sandbox-too-fast", &[]).retry_after(seconds)
        })
    }

    // Checked beside the lock, entered under it; the same message twice at once is entered once.
    fn process(&self, message_id: Uuid, body: &[u8], fault: Fault) -> Result<Answer, Unanswered> {
        let digest = hex(&sha256(body));
        if let Some(known) = self.known(message_id, &digest)? {
            return Ok(known);
        }
        let mut checked = self.checker.check(message_id, body);
        if let (Fault::RefuseRecord { position }, Ok(records)) = (fault, &mut checked) {
            refuse(records, position);
        }
        let at = self.clock.now();
        let mut book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(answer) = book.answer(message_id) {
            return same_bytes(answer, &digest);
        }
        Ok(book.enter(message_id, &digest, checked, at)?)
    }

    fn known(&self, message_id: Uuid, digest: &str) -> Result<Option<Answer>, Unanswered> {
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        book.answer(message_id).map(|answer| same_bytes(answer, digest)).transpose()
    }

    fn status(&self, message_id: Uuid) -> Result<(u16, String), Unanswered> {
        let at = self.clock.now();
        let book = self.book.lock().unwrap_or_else(PoisonError::into_inner);
        match book.answer(message_id) {
            Some(answer) => Ok((answer.status, answer.token.clone())),
            None => Ok((404, book.unknown(message_id, at).map_err(BookError::from)?)),
        }
    }
}

fn refuse(records: &mut [Checked], position: usize) {
    if let Some(record) = records.get_mut(position) {
        record.refused = Some("sandbox-refusal".to_owned());
    }
}

fn same_bytes(answer: &Answer, digest: &str) -> Result<Answer, Unanswered> {
    if answer.body_sha256 == digest { Ok(answer.clone()) } else { Err(Unanswered::OtherBytes) }
}

enum Unanswered {
    OtherBytes,
    Fault,
}

impl From<BookError> for Unanswered {
    fn from(error: BookError) -> Self {
        tracing::error!(
            error = &error as &dyn std::error::Error,
            "the sandbox could not keep a batch"
        );
        Self::Fault
    }
}

impl Unanswered {
    fn problem(&self) -> Problem {
        match self {
            Self::OtherBytes => Problem::new(409, "sandbox-message-differs", &[]),
            Self::Fault => Problem::internal(),
        }
    }
}

/// Send a batch of national records; the answer is a signed receipt.
#[utoipa::path(
    request_body(content = String, content_type = "application/xml"),
    params(("Message-Id" = Uuid, Header, description = "Id of the batch for life")),
    responses(
        (status = 200, description = "Signed receipt for every record", content_type = "application/jose"),
        (status = 409, description = "The message id is known with other bytes"),
        (status = 413, description = "Too large, signed"),
        (status = 422, description = "Refused whole, signed", content_type = "application/jose"),
        (status = 429, description = "Too fast; see Retry-After"),
    )
)]
#[post("/v1/batches")]
async fn submit_batch(
    desk: web::Data<Desk>,
    request: HttpRequest,
    body: web::Bytes,
) -> HttpResponse {
    if let Err(problem) = desk.admit(&request) {
        return desk.count(problem.error_response());
    }
    let fault = desk.script.next(On::Submit);
    if let Some(response) = before(fault).await {
        return desk.count(response);
    }
    let header = request.headers().get(MESSAGE_ID).and_then(|value| value.to_str().ok());
    let Some(message_id) = header.and_then(|value| value.parse::<Uuid>().ok()) else {
        return desk.count(Problem::new(400, "sandbox-no-message-id", &[]).error_response());
    };
    if body.len() > desk.batch_bytes_max {
        return desk.count(Problem::new(413, "sandbox-too-large", &[]).error_response());
    }
    let worker = desk.clone();
    let processed = web::block(move || worker.process(message_id, &body, fault)).await;
    let response = match processed {
        Ok(Ok(answer)) => after(fault, answer.status, answer.token),
        Ok(Err(unanswered)) => unanswered.problem().error_response(),
        Err(_) => Problem::internal().error_response(),
    };
    desk.count(response)
}

/// Ask what became of a batch; 404 is signed too.
#[utoipa::path(
    params(("message_id" = Uuid, Path, description = "Id of the batch")),
    responses(
        (status = 200, description = "The receipt, as it was given", content_type = "application/jose"),
        (status = 404, description = "Not known, signed", content_type = "application/jose"),
        (status = 422, description = "The refusal, as it was given", content_type = "application/jose"),
    )
)]
#[get("/v1/batches/{message_id}")]
async fn batch_status(
    desk: web::Data<Desk>,
    request: HttpRequest,
    id: web::Path<Uuid>,
) -> HttpResponse {
    if let Err(problem) = desk.admit(&request) {
        return desk.count(problem.error_response());
    }
    let fault = desk.script.next(On::Status);
    if let Some(response) = before(fault).await {
        return desk.count(response);
    }
    let response = match desk.status(*id) {
        Ok((status, token)) => after(fault, status, token),
        Err(unanswered) => unanswered.problem().error_response(),
    };
    desk.count(response)
}

impl Desk {
    fn count(&self, response: HttpResponse) -> HttpResponse {
        self.answers.with_label_values(&[response.status().as_str()]).inc();
        response
    }
}

async fn before(fault: Fault) -> Option<HttpResponse> {
    match fault {
        Fault::Delay { ms } => {
            tokio::time::sleep(Duration::from_millis(ms)).await;
            None
        }
        Fault::DropBefore => Some(dropped()),
        Fault::Status { status, retry_after_s } => {
            let mut problem = Problem::new(status, "sandbox-fault", &[]);
            problem.retry_after_s = retry_after_s;
            Some(problem.error_response())
        }
        Fault::DropResponse | Fault::None | Fault::RefuseRecord { .. } | Fault::Trickle { .. } => {
            None
        }
    }
}

fn after(fault: Fault, status: u16, token: String) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    match fault {
        Fault::DropResponse => dropped(),
        Fault::Trickle { bytes, pause_ms } => {
            let pieces: Vec<Bytes> =
                token.as_bytes().chunks(bytes.max(1)).map(Bytes::copy_from_slice).collect();
            let pause = Duration::from_millis(pause_ms);
            let slow = stream::unfold(pieces.into_iter(), move |mut left| async move {
                let piece = left.next()?;
                tokio::time::sleep(pause).await;
                Some((Ok::<Bytes, io::Error>(piece), left))
            });
            HttpResponse::build(status).content_type(JOSE).streaming(slow)
        }
        _ => HttpResponse::build(status).content_type(JOSE).body(token),
    }
}

// A body that breaks before its first byte closes the connection (HTTP/1.1) or the stream (HTTP/2).
fn dropped() -> HttpResponse {
    let broken = stream::once(async {
        Err::<Bytes, io::Error>(io::Error::from(io::ErrorKind::ConnectionAborted))
    });
    HttpResponse::Ok().streaming(Box::pin(broken))
}

/// Bind the listener.
pub(super) fn bind(
    settings: &Settings,
    desk: Desk,
    parts: &Parts,
    shutdown: &Shutdown,
) -> Result<Sandbox, SandboxError> {
    let entry = Entry::new(
        Kind::Machines,
        &settings.listener,
        Arc::clone(&parts.clock),
        parts.metrics.clone(),
    );
    let desk = web::Data::new(desk);
    let factory = {
        let entry = entry.clone();
        move || {
            let (app, api) = App::new()
                .into_utoipa_app()
                .configure(|cfg| entry.defaults(cfg))
                .service(submit_batch)
                .service(batch_status)
                .split_for_parts();
            app.app_data(web::Data::new(AllowedMethods::of(&api)))
                .app_data(desk.clone())
                .wrap(entry.door())
        }
    };
    let listener = entry.serve(shutdown, factory)?;
    let address = listener.addresses.first().copied();
    Ok(Sandbox { server: listener.server, address: address.unwrap_or(settings.listener.bind) })
}

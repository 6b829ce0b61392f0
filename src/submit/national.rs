//! Reaches the national data centre: batches posted over mutual TLS, status asked by message id.

use std::error::Error as _;
use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};
use reqwest::{Method, RequestBuilder, Response};
use rustls::AlertDescription;
use uuid::Uuid;

use super::pace::Pace;
use super::{Destination, Envelope, Exchange, Exchanging, Settings, SubmitError, Wire};
use crate::platform::http::{HttpClient, HttpError, read_capped};
use crate::platform::tls::{Credential, Versions, client_config};

/// The national data centre as a destination.
pub struct National {
    name: String,
    settings: Settings,
    client: HttpClient,
    pace: Pace,
}

impl National {
    /// Prepare the destination `name`; reads certificates and keys, connects to nothing.
    pub fn new(name: &str, settings: &Settings) -> Result<Self, SubmitError> {
        let positive = |key: &'static str, value: u32| {
            NonZeroU32::new(value).ok_or(SubmitError::Setting {
                name: name.to_owned(),
                key,
                message: "must be 1 or more",
            })
        };
        let rate = positive("rate_per_s", settings.rate_per_s)?;
        let burst = positive("burst", settings.burst)?;
        positive("batch_records_max", settings.batch_records_max)?;
        let own = Credential {
            certificate_file: &settings.certificate_file,
            key_file: &settings.key_file,
        };
        let tls = client_config(&settings.server_ca_file, Some(own), Versions::Tls13)?;
        Ok(Self {
            name: name.to_owned(),
            client: HttpClient::new(tls, &[&settings.url], &settings.http)?,
            pace: Pace::new(rate, burst, settings.rate_wait_max_ms),
            settings: settings.clone(),
        })
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.settings.url.trim_end_matches('/'))
    }

    async fn post(&self, envelope: Envelope) -> Exchange {
        if !self.pace.wait().await {
            return bare(Wire::HeldBack);
        }
        let url = self.address(&self.settings.submit_path);
        let Ok(request) = self.client.request(Method::POST, &url) else {
            return bare(Wire::HeldBack);
        };
        let digest = format!("sha-256=:{}:", STANDARD.encode(&envelope.body_sha256));
        let mut request = request
            .header(CONTENT_TYPE, "application/xml")
            .header("Content-Digest", digest)
            .header(&self.settings.message_id_header, envelope.message_id.to_string());
        if envelope.possible_duplicate {
            request = request.header(&self.settings.possible_duplicate_header, "true");
        }
        self.exchange(request.body(envelope.body)).await
    }

    async fn ask(&self, message_id: Uuid) -> Exchange {
        if !self.pace.wait().await {
            return bare(Wire::HeldBack);
        }
        let path = self.settings.status_path.replace("{messageId}", &message_id.to_string());
        match self.client.request(Method::GET, &self.address(&path)) {
            Ok(request) => self.exchange(request).await,
            Err(_) => bare(Wire::HeldBack),
        }
    }

    async fn exchange(&self, request: RequestBuilder) -> Exchange {
        let response = match request.send().await {
            Ok(response) => response,
            Err(error) => return bare(before_the_answer(&error)),
        };
        let wire = Wire::Answer {
            status: response.status().as_u16(),
            retry_after_ms: retry_after_ms(&response),
        };
        match read_capped(response, self.settings.answer_bytes_max).await {
            Ok(body) => Exchange { wire, body },
            // Too large proves nothing, but the status stands; a broken body leaves everything open.
            Err(HttpError::AnswerTooLarge { .. }) => bare(wire),
            Err(_) => bare(Wire::Broken),
        }
    }
}

impl Destination for National {
    fn name(&self) -> &str {
        &self.name
    }

    fn settings(&self) -> &Settings {
        &self.settings
    }

    fn submit(&self, envelope: Envelope) -> Exchanging<'_> {
        Box::pin(self.post(envelope))
    }

    fn status(&self, message_id: Uuid) -> Exchanging<'_> {
        if self.settings.status_path.is_empty() {
            let unsupported = Wire::Answer { status: 501, retry_after_ms: None };
            return Box::pin(std::future::ready(bare(unsupported)));
        }
        Box::pin(self.ask(message_id))
    }
}

fn bare(wire: Wire) -> Exchange {
    Exchange { wire, body: Vec::new() }
}

// Only a failure to connect is certain to come before the first byte; all else may have been processed.
fn before_the_answer(error: &reqwest::Error) -> Wire {
    if let Some(fault) = tls_fault(error) {
        let refused = match fault {
            rustls::Error::InvalidCertificate(_) => true,
            rustls::Error::AlertReceived(alert) => refuses_certificate(*alert),
            _ => false,
        };
        if refused {
            return Wire::Identity;
        }
    }
    if error.is_connect() || error.is_builder() { Wire::Unreachable } else { Wire::Broken }
}

fn tls_fault(error: &reqwest::Error) -> Option<&rustls::Error> {
    let mut source = error.source();
    while let Some(cause) = source {
        if let Some(fault) = cause.downcast_ref::<rustls::Error>() {
            return Some(fault);
        }
        // An io::Error passes over what it holds, so it is looked into here.
        let held = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if let Some(held) = held {
            if let Some(fault) = held.downcast_ref::<rustls::Error>() {
                return Some(fault);
            }
            source = Some(held);
            continue;
        }
        source = cause.source();
    }
    None
}

// With TLS 1.3 the server judges our certificate after we believe to be connected.
fn refuses_certificate(alert: AlertDescription) -> bool {
    matches!(
        alert,
        AlertDescription::AccessDenied
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::UnsupportedCertificate
    )
}

// Seconds only: a date would compare our clock with the peer's (RFC 9110, section 10.2.3).
fn retry_after_ms(response: &Response) -> Option<u64> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    seconds.trim().parse::<u64>().ok()?.checked_mul(1_000)
}

//! Builds outgoing HTTPS clients that reach only hosts named in configuration, within limits.

use std::time::Duration;

use reqwest::Url;
use reqwest::header::CONTENT_LENGTH;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use serde::Deserialize;

// Handed on, so that a module that is given a client needs no other door to HTTP.
pub use reqwest::{Method, RequestBuilder, Response};

/// Limits of a client; a table inside the section of whoever uses it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientSettings {
    /// Time to reach the host and shake hands, in milliseconds.
    pub connect_timeout_ms: u64,
    /// Time from the first byte sent to the last byte received, in milliseconds.
    pub request_timeout_ms: u64,
    /// Idle connections kept per host.
    pub idle_connections_max: usize,
    /// Time an idle connection is kept, in milliseconds.
    pub idle_timeout_ms: u64,
}

/// Say why a request could not be made or an answer not be read.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// An address in the configuration is not `https://host[:port][/path]`.
    #[error("{address} is not an https address with a host and without user, query or fragment")]
    Address {
        /// The address.
        address: String,
    },
    /// The host is not one the client was built for.
    #[error("the host is not named in the configuration")]
    HostNotPermitted,
    /// The answer is larger than permitted.
    #[error("the answer is over {bytes_max} bytes")]
    AnswerTooLarge {
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// Connecting, sending or receiving failed; its address is removed, for it may hold an id.
    #[error("the request failed")]
    Transport(#[source] reqwest::Error),
}

impl From<reqwest::Error> for HttpError {
    fn from(error: reqwest::Error) -> Self {
        Self::Transport(error.without_url())
    }
}

/// A client bound to the hosts it was built for; never fetches an address found in data.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    origins: Vec<Origin>,
}

/// Host and port of an https address.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    host: String,
    port: u16,
}

impl Origin {
    /// Return the origin of `url`, unless it is not https or carries a user.
    fn of(url: &Url) -> Option<Self> {
        let plain = url.username().is_empty() && url.password().is_none();
        if url.scheme() != "https" || !plain {
            return None;
        }
        Some(Self { host: url.host_str()?.to_owned(), port: url.port_or_known_default()? })
    }

    /// Parse an address of the configuration.
    fn parse(address: &str) -> Result<Self, HttpError> {
        Url::parse(address)
            .ok()
            .filter(|url| url.query().is_none() && url.fragment().is_none())
            .and_then(|url| Self::of(&url))
            .ok_or_else(|| HttpError::Address { address: address.to_owned() })
    }
}

impl HttpClient {
    /// Build a client for the `addresses` of the configuration (`https://host[:port][/path]`).
    ///
    /// No redirects, no proxy, no cookies, no compression; TLS is exactly `tls`.
    pub fn new(
        tls: ClientConfig,
        addresses: &[&str],
        settings: &ClientSettings,
    ) -> Result<Self, HttpError> {
        let origins =
            addresses.iter().map(|address| Origin::parse(address)).collect::<Result<_, _>>()?;
        #[expect(clippy::disallowed_methods, reason = "this is the one door to outgoing HTTP")]
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .https_only(true)
            .redirect(Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .referer(false)
            .tcp_nodelay(true)
            .connect_timeout(Duration::from_millis(settings.connect_timeout_ms))
            .timeout(Duration::from_millis(settings.request_timeout_ms))
            .pool_max_idle_per_host(settings.idle_connections_max)
            .pool_idle_timeout(Duration::from_millis(settings.idle_timeout_ms))
            .build()?;
        Ok(Self { client, origins })
    }

    /// Begin a request to `url`, whose host must be one the client was built for.
    pub fn request(&self, method: Method, url: &str) -> Result<RequestBuilder, HttpError> {
        let url = Url::parse(url).map_err(|_| HttpError::HostNotPermitted)?;
        let origin = Origin::of(&url).ok_or(HttpError::HostNotPermitted)?;
        if !self.origins.contains(&origin) {
            return Err(HttpError::HostNotPermitted);
        }
        Ok(self.client.request(method, url))
    }
}

/// Read the whole body of `response`, but never more than `bytes_max` bytes.
pub async fn read_capped(mut response: Response, bytes_max: usize) -> Result<Vec<u8>, HttpError> {
    let too_large = HttpError::AnswerTooLarge { bytes_max };
    let announced = response
        .headers()
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<usize>().ok());
    if announced.is_some_and(|bytes| bytes > bytes_max) {
        return Err(too_large);
    }
    let mut body = Vec::with_capacity(announced.unwrap_or(0));
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > bytes_max {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

//! Talks to a gateway over mutual TLS for the commands `push` and `query`.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use reqwest::Method;
use serde_json::Value;

use super::args::ConnectionArgs;
use crate::platform::http::{ClientSettings, HttpClient, HttpError, read_capped};
use crate::platform::texts::{Lang, text};
use crate::platform::tls::{self, Credential, Versions};

/// Largest answer a command reads, in bytes.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A gateway as a client sees it.
pub struct Gateway {
    client: HttpClient,
    url: String,
}

/// An answer of the gateway.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Parsed body.
    pub body: Value,
}

impl Gateway {
    /// Connect with the certificate and roots named on the command line.
    pub fn new(connection: &ConnectionArgs, timeout_s: u64) -> anyhow::Result<Self> {
        for path in [&connection.cert, &connection.key, &connection.ca] {
            readable(path)?;
        }
        let own = Credential { certificate_file: &connection.cert, key_file: &connection.key };
        let config = tls::client_config(&connection.ca, Some(own), Versions::Tls13)?;
        let settings = ClientSettings {
            connect_timeout_ms: 10_000,
            request_timeout_ms: timeout_s.saturating_mul(1_000),
            idle_connections_max: 2,
            idle_timeout_ms: 30_000,
        };
        let url = connection.url.trim_end_matches('/').to_owned();
        let client = HttpClient::new(config, &[&url], &settings)?;
        Ok(Self { client, url })
    }

    /// Begin a request to `path`.
    pub fn request(
        &self,
        method: Method,
        path: &str,
    ) -> Result<reqwest::RequestBuilder, HttpError> {
        self.client.request(method, &format!("{}{path}", self.url))
    }

    /// Send a request and read the JSON answer.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        let response = request.send().await.map_err(HttpError::from)?;
        let status = response.status().as_u16();
        let bytes = read_capped(response, ANSWER_BYTES_MAX).await?;
        let body = serde_json::from_slice(&bytes).context("the answer is not JSON")?;
        Ok(Answer { status, body })
    }

    /// Read the JSON document at `path`.
    pub async fn read(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.request(Method::GET, path)?).await
    }
}

impl Answer {
    /// Return the body, or the problem the gateway answered as an error in `lang`.
    pub fn expect_success(self, lang: Lang) -> anyhow::Result<Value> {
        if self.status < 300 {
            return Ok(self.body);
        }
        let (title, detail) = match lang {
            Lang::Vi => ("title", "detail"),
            Lang::En => ("title_en", "detail_en"),
        };
        let member =
            |name: &str| self.body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        bail!("{} ({}): {}", member(title), self.status, member(detail))
    }
}

fn readable(path: &Path) -> anyhow::Result<()> {
    std::fs::File::open(path).map(drop).map_err(|error| anyhow!("{}: {error}", path.display()))
}

/// Print a line for people on standard error.
pub fn say(lang: Lang, key: &str, args: &[(&str, &str)]) {
    eprintln!("{}", text(lang, key, args));
}

//! Makes one attempt at a destination and says what its answer means.

pub mod national;
pub mod outcome;
mod pace;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use serde::Deserialize;
use uuid::Uuid;

use crate::outbox::Policy;
use crate::platform::http::{ClientSettings, HttpError};
use crate::platform::tls::TlsError;

pub use outcome::{Proof, Wire, classify, classify_query};

/// Which evidence a destination gives (issue: evidence of the kind its destination gives).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// A compact JWS that names every record with its digest.
    SignedReceipt,
    /// An authenticated answer per record to a status query, which is stored.
    StatusAnswer,
}

/// Which connector reaches a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorKind {
    /// The national data centre.
    National,
}

/// Settings of one destination, section `[destination.<name>]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Which connector reaches it.
    pub connector: ConnectorKind,
    /// Its address, `https://host[:port][/path]`; empty means that nothing is delivered.
    pub url: String,
    /// Path below the address to which batches are posted.
    pub submit_path: String,
    /// Path below the address that tells a batch's status; `{messageId}` is replaced. Empty: none.
    pub status_path: String,
    /// Name of the header that carries the message id.
    pub message_id_header: String,
    /// Name of the header that says `true` on a possible repeat.
    pub possible_duplicate_header: String,
    /// Requests per second of this process at most.
    pub rate_per_s: u32,
    /// Requests that may follow each other without pause.
    pub burst: u32,
    /// Longest wait for the rate, in milliseconds; after it the batch waits again.
    pub rate_wait_max_ms: u64,
    /// Records of one batch at most.
    pub batch_records_max: u32,
    /// Bytes of one batch at most.
    pub batch_bytes_max: usize,
    /// Bytes of one record at most.
    pub record_bytes_max: usize,
    /// Bytes of an answer that are read at most.
    pub answer_bytes_max: usize,
    /// Which evidence closes a record.
    pub evidence: EvidenceKind,
    /// Certificates (PEM) that may sign receipts: exactly these.
    pub receipt_certificate_files: Vec<PathBuf>,
    /// Certificate authority (PEM) of the destination's server.
    pub server_ca_file: PathBuf,
    /// Our client certificate (PEM).
    pub certificate_file: PathBuf,
    /// Our client key (PEM).
    pub key_file: PathBuf,
    /// Limits of connections.
    pub http: ClientSettings,
    /// Times and limits of the schedule.
    pub schedule: Policy,
}

impl Settings {
    /// Return the length of a lease: twice the deadline of an attempt, the wait for the rate included.
    pub fn lease_ms(&self) -> u64 {
        2 * (self.http.connect_timeout_ms + self.http.request_timeout_ms + self.rate_wait_max_ms)
    }
}

/// Say why a destination cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Certificates or keys cannot be used.
    #[error("the destination's TLS files cannot be used")]
    Tls(#[from] TlsError),
    /// The address is wrong.
    #[error("the destination's address cannot be used")]
    Http(#[from] HttpError),
    /// A setting is wrong.
    #[error("destination.{name}.{key}: {message}")]
    Setting {
        /// Name of the destination.
        name: String,
        /// The key.
        key: &'static str,
        /// What is permitted.
        message: &'static str,
    },
}

/// A frozen batch as it goes on the wire.
#[derive(Debug)]
pub struct Envelope {
    /// Its id.
    pub message_id: Uuid,
    /// The frozen bytes.
    pub body: Vec<u8>,
    /// SHA-256 of them.
    pub body_sha256: Vec<u8>,
    /// Whether an earlier attempt may have been processed.
    pub possible_duplicate: bool,
}

/// What one exchange brought: how far it came and the body of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// How far it came.
    pub wire: Wire,
    /// Body of the answer, capped.
    pub body: Vec<u8>,
}

/// An exchange under way.
pub type Exchanging<'a> = Pin<Box<dyn Future<Output = Exchange> + Send + 'a>>;

/// A system that takes batches: the national data centre, later the Ministry's store.
pub trait Destination: Send + Sync {
    /// Return its name, as in `[destination.<name>]`.
    fn name(&self) -> &str;
    /// Return its settings.
    fn settings(&self) -> &Settings;
    /// Send a batch once. Never an error: what went wrong is part of the exchange.
    fn submit(&self, envelope: Envelope) -> Exchanging<'_>;
    /// Ask once what became of a batch.
    fn status(&self, message_id: Uuid) -> Exchanging<'_>;
}

//! Takes one body piece by piece: stores it sealed, checks it while it arrives, acknowledges after commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{self, SHA256};
use deadpool_postgres::Pool;
use jiff::Timestamp;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinHandle;

use super::check::{self, Checked};
use super::source::PieceReader;
use super::{BatchKey, Encoding, Format, IntakeError, Settings, store, uuid_at};
use crate::audit::{self, Leaf};
use crate::platform::clock::SharedClock;
use crate::platform::database::{DatabaseError, begin_for};
use crate::signature::{Signer, Verifier, jws};
use crate::vault::{Context, Vault};

/// Pieces that may wait between the network and the checking thread; bounds memory per upload.
const PIECES_WAITING_MAX: usize = 4;
/// Kind of a raw piece in the vault's associated data (bodies of records are kinds 1 and 2).
const KIND_RAW: i16 = 0;

/// Receives bodies; shared by all requests.
pub struct Intake {
    pool: Pool,
    vault: Arc<Vault>,
    verifier: Arc<Verifier>,
    signer: Arc<dyn Signer>,
    clock: SharedClock,
    settings: Arc<Settings>,
    uploads: Arc<Semaphore>,
    shares: Arc<Mutex<HashMap<i32, usize>>>,
}

/// What a client says about a body before it sends it.
#[derive(Debug, Clone)]
pub struct Declared {
    /// Who sends.
    pub participant_id: i32,
    /// How the records are written.
    pub format: Format,
    /// How the body is compressed.
    pub encoding: Encoding,
    /// `Idempotency-Key`, if given.
    pub idempotency_key: Option<String>,
}

/// The answer to a body: bytes that a repeat of the same key gets again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// JSON document with the signed receipt.
    pub receipt: Vec<u8>,
    /// True when these bytes were answered before.
    pub replayed: bool,
}

impl Intake {
    /// Build the receiver.
    pub fn new(
        pool: Pool,
        vault: Arc<Vault>,
        verifier: Arc<Verifier>,
        signer: Arc<dyn Signer>,
        clock: SharedClock,
        settings: Arc<Settings>,
    ) -> Self {
        let uploads = Arc::new(Semaphore::new(settings.uploads_max));
        Self { pool, vault, verifier, signer, clock, settings, uploads, shares: Arc::default() }
    }

    /// Return the settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Return the pool of the intake role.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// Begin to receive a body; refuses when too many arrive at the same time.
    pub fn begin(&self, declared: Declared) -> Result<Upload<'_>, IntakeError> {
        let share = self.share_of(declared.participant_id)?;
        let permit =
            Arc::clone(&self.uploads).try_acquire_owned().map_err(|_| IntakeError::Busy)?;
        let batch_id = uuid_at(self.clock.now());
        let key =
            BatchKey::of(declared.participant_id, batch_id).ok_or(IntakeError::ClockOutOfRange)?;
        let (pieces, waiting) = mpsc::channel(PIECES_WAITING_MAX);
        let (format, encoding) = (declared.format, declared.encoding);
        let (verifier, settings) = (Arc::clone(&self.verifier), Arc::clone(&self.settings));
        let checker = tokio::task::spawn_blocking(move || {
            check::check(PieceReader::new(waiting), format, encoding, &settings, &verifier)
        });
        Ok(Upload {
            intake: self,
            declared,
            key,
            digest: digest::Context::new(&SHA256),
            bytes: 0,
            waiting: Vec::with_capacity(self.settings.chunk_bytes),
            chunks: 0,
            pieces: Some(pieces),
            checker,
            _permit: permit,
            _share: share,
        })
    }

    // Slow clients of one participant fill their own share and leave the others' alone.
    fn share_of(&self, participant_id: i32) -> Result<Share, IntakeError> {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = shares.entry(participant_id).or_default();
        if *taken >= self.settings.uploads_per_participant_max {
            return Err(IntakeError::Busy);
        }
        *taken += 1;
        Ok(Share { shares: Arc::clone(&self.shares), participant_id })
    }

    /// Remove the pieces of uploads that a crash cut off, for one participant.
    pub async fn sweep(&self, participant_id: i32) -> Result<u64, DatabaseError> {
        let hours = jiff::SignedDuration::from_hours(i64::from(self.settings.abandoned_upload_h));
        let Ok(before) = self.clock.now().checked_sub(hours) else {
            return Ok(0);
        };
        let mut client = self.pool.get().await?;
        let tx = begin_for(&mut client, participant_id).await?;
        let removed = store::delete_abandoned_chunks(&tx, participant_id, uuid_at(before)).await?;
        tx.commit().await?;
        Ok(removed)
    }
}

/// One upload's part of its participant's share; given back when dropped.
struct Share {
    shares: Arc<Mutex<HashMap<i32, usize>>>,
    participant_id: i32,
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(taken) = shares.get_mut(&self.participant_id) {
            *taken -= 1;
            if *taken == 0 {
                shares.remove(&self.participant_id);
            }
        }
    }
}

/// A body that is arriving.
pub struct Upload<'a> {
    intake: &'a Intake,
    declared: Declared,
    key: BatchKey,
    digest: digest::Context,
    bytes: u64,
    waiting: Vec<u8>,
    chunks: i32,
    pieces: Option<mpsc::Sender<Vec<u8>>>,
    checker: JoinHandle<Result<Checked, IntakeError>>,
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

impl Upload<'_> {
    /// Take the next piece; an error means the body is refused and [`Upload::abandon`] is due.
    pub async fn push(&mut self, piece: &[u8]) -> Result<(), IntakeError> {
        let limit = self.intake.settings.document_bytes_max;
        self.bytes += piece.len() as u64;
        if self.bytes > limit {
            return Err(IntakeError::TooLarge { limit });
        }
        self.digest.update(piece);
        if let Some(pieces) = &self.pieces
            && pieces.send(piece.to_vec()).await.is_err()
        {
            // The checker has already seen enough to refuse; finish() tells why.
            self.pieces = None;
        }
        self.waiting.extend_from_slice(piece);
        while self.waiting.len() >= self.intake.settings.chunk_bytes {
            let rest = self.waiting.split_off(self.intake.settings.chunk_bytes);
            let chunk = std::mem::replace(&mut self.waiting, rest);
            self.store(&chunk).await?;
        }
        Ok(())
    }

    async fn store(&mut self, chunk: &[u8]) -> Result<(), IntakeError> {
        let sealed = self.intake.vault.seal(&raw_context(self.key, self.chunks), chunk)?;
        let mut client = self.intake.pool.get().await.map_err(DatabaseError::from)?;
        let tx = begin_for(&mut client, self.key.participant_id).await?;
        store::insert_chunk(&tx, self.key, self.chunks, &sealed).await?;
        tx.commit().await.map_err(DatabaseError::from)?;
        self.chunks += 1;
        Ok(())
    }

    /// End the body: wait for the check, commit, and return the receipt.
    pub async fn finish(mut self) -> Result<Acknowledged, IntakeError> {
        self.pieces = None;
        let result = self.conclude().await;
        match &result {
            Ok(acknowledged) if !acknowledged.replayed => {}
            _ => self.abandon().await,
        }
        result
    }

    async fn conclude(&mut self) -> Result<Acknowledged, IntakeError> {
        let checked = (&mut self.checker).await.map_err(|_| IntakeError::Interrupted)??;
        let body_sha256: [u8; 32] = self
            .digest
            .clone()
            .finish()
            .as_ref()
            .try_into()
            .map_err(|_| IntakeError::Interrupted)?;
        let key_sha256 = self.declared.idempotency_key.as_deref().map(sha256);
        if let Some(earlier) = self.earlier_use(key_sha256.as_ref(), &body_sha256).await? {
            return Ok(earlier);
        }
        let last = std::mem::take(&mut self.waiting);
        if !last.is_empty() {
            self.store(&last).await?;
        }
        let received_at = self.intake.clock.now();
        let receipt = self.receipt(received_at, &checked, &body_sha256)?;
        let batch = store::NewBatch {
            key: self.key,
            received_at,
            format: self.declared.format,
            encoding: self.declared.encoding,
            body_bytes: i64::try_from(self.bytes).unwrap_or(i64::MAX),
            body_sha256,
            announced: i32::try_from(checked.records).unwrap_or(i32::MAX),
            receipt: &receipt,
        };
        if self.commit(&batch, key_sha256.as_ref()).await? {
            return Ok(Acknowledged { receipt, replayed: false });
        }
        // Two requests with the same key raced; the other one has the receipt.
        self.earlier_use(key_sha256.as_ref(), &body_sha256).await?.ok_or(IntakeError::Interrupted)
    }

    async fn earlier_use(
        &self,
        key_sha256: Option<&[u8; 32]>,
        body_sha256: &[u8; 32],
    ) -> Result<Option<Acknowledged>, IntakeError> {
        let Some(key_sha256) = key_sha256 else {
            return Ok(None);
        };
        let mut client = self.intake.pool.get().await.map_err(DatabaseError::from)?;
        let tx = begin_for(&mut client, self.key.participant_id).await?;
        match store::earlier_use(&tx, self.key.participant_id, key_sha256).await? {
            None => Ok(None),
            Some(earlier)
                if earlier.body_sha256 == body_sha256
                    && earlier.form == (self.declared.format, self.declared.encoding) =>
            {
                Ok(Some(Acknowledged { receipt: earlier.receipt, replayed: true }))
            }
            Some(_) => Err(IntakeError::KeyReused),
        }
    }

    async fn commit(
        &self,
        batch: &store::NewBatch<'_>,
        key_sha256: Option<&[u8; 32]>,
    ) -> Result<bool, IntakeError> {
        let mut client = self.intake.pool.get().await.map_err(DatabaseError::from)?;
        let tx = begin_for(&mut client, self.key.participant_id).await?;
        if let Some(key_sha256) = key_sha256
            && !store::bind_idempotency_key(&tx, key_sha256, batch).await?
        {
            return Ok(false);
        }
        store::insert_batch(&tx, batch).await?;
        let leaf = Leaf {
            at: batch.received_at,
            actor: format!("participant:{}", self.key.participant_id),
            action: "batch.received",
            object: format!("batch:{}", self.key.batch_id),
            details: serde_json::json!({
                "bytes": batch.body_bytes,
                "records": batch.announced,
                "sha256": hex(&batch.body_sha256),
            }),
        };
        audit::append(&tx, &leaf).await?;
        tx.commit().await.map_err(DatabaseError::from)?;
        Ok(true)
    }

    fn receipt(
        &self,
        received_at: Timestamp,
        checked: &Checked,
        body_sha256: &[u8; 32],
    ) -> Result<Vec<u8>, IntakeError> {
        let mut body = serde_json::json!({
            "batch_id": self.key.batch_id,
            "received_at": received_at,
            "format": self.declared.format.name(),
            "encoding": self.declared.encoding.name(),
            "bytes": self.bytes,
            "sha256": hex(body_sha256),
            "records": checked.records,
            "status_url": format!("/v1/batches/{}", self.key.batch_id),
        });
        let payload = jws::canonical_json(&body).map_err(|_| IntakeError::Interrupted)?;
        let token =
            jws::sign_compact(&payload, RECEIPT_TYPE, self.intake.signer.as_ref(), received_at)?;
        body["receipt"] = token.into();
        serde_json::to_vec(&body).map_err(|_| IntakeError::Interrupted)
    }

    /// Remove what was stored of a body that is refused.
    pub async fn abandon(mut self) {
        self.pieces = None;
        if self.chunks == 0 {
            return;
        }
        let removed = async {
            let mut client = self.intake.pool.get().await?;
            let tx = begin_for(&mut client, self.key.participant_id).await?;
            store::delete_chunks(&tx, self.key).await?;
            tx.commit().await?;
            Ok::<_, DatabaseError>(())
        };
        if let Err(error) = removed.await {
            tracing::warn!(batch_id = %self.key.batch_id, %error, "pieces of a refused upload stay until the sweep");
        }
    }
}

/// Type of an intake receipt in its JWS header.
pub const RECEIPT_TYPE: &str = "hocba-intake-receipt+jws";

/// Return the associated data of a raw piece.
pub fn raw_context(key: BatchKey, chunk_no: i32) -> Context {
    Context {
        participant_id: key.participant_id,
        school_year: key.school_year,
        id: key.batch_id,
        version: chunk_no,
        kind: KIND_RAW,
    }
}

fn sha256(text: &str) -> [u8; 32] {
    let digest = digest::digest(&SHA256, text.as_bytes());
    digest.as_ref().try_into().unwrap_or([0; 32])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

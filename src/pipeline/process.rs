//! Processes received batches: list signature first, then every record, one transaction per chunk.

use std::collections::{HashMap, HashSet};
use std::io;
use std::sync::Arc;

use deadpool_postgres::Pool;
use serde::Deserialize;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::chunks::{Chunk, ChunkReader, Opener};
use super::examine::{BatchContext, ExamineError, Examiner};
use crate::audit::{self, Leaf};
use crate::intake::ministry::Family;
use crate::intake::source::{Failure, SourceError};
use crate::intake::store::{ClaimedBatch, Progress, Repeat};
use crate::intake::{self, Format, IntakeError};
use crate::outbox::{self, NewEntry};
use crate::platform::database::{DatabaseError, begin_for};
use crate::platform::problem::Problem;
use crate::platform::shutdown::Shutdown;
use crate::register::{self, Known, NewRecord, RecordState};
use crate::transcript::{Level, Place, Severity, Violation};
use crate::trust::SignerPurpose;

/// Settings of the section `[process]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Records committed together.
    pub chunk_records: usize,
    /// Bytes of records held in memory for one chunk.
    pub chunk_bytes_max: usize,
    /// Threads that examine records; 0 means one per processor.
    pub threads: usize,
    /// Time after which a batch left alone is taken over, in milliseconds.
    pub lease_ms: i64,
    /// Time between looks for new batches, in milliseconds.
    pub poll_ms: u64,
    /// National system every accepted record is delivered to.
    pub destination: String,
    /// Priority of entries in the outbox; smaller goes first.
    pub priority: i16,
}

/// Say why a batch could not be processed now; it stays and is taken again after its lease.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// A record could not be judged.
    #[error(transparent)]
    Examine(#[from] ExamineError),
    /// Another worker has taken the batch over.
    #[error("another worker has taken the batch over")]
    TakenOver,
    /// A worker thread ended early.
    #[error("a worker thread ended early")]
    Thread,
}

impl From<tokio_postgres::Error> for ProcessError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

/// Processes batches; one per process, its work spread over the processors.
pub struct Processor {
    pool: Pool,
    examiner: Arc<Examiner>,
    intake: Arc<intake::Settings>,
    settings: Settings,
    threads: usize,
}

impl Processor {
    /// Build the processor on the pool of the work role.
    pub fn new(
        pool: Pool,
        examiner: Arc<Examiner>,
        intake: Arc<intake::Settings>,
        settings: Settings,
    ) -> Self {
        let available = std::thread::available_parallelism().map_or(1, usize::from);
        let threads = if settings.threads == 0 { available } else { settings.threads };
        Self { pool, examiner, intake, settings, threads }
    }

    /// Process batches until `shutdown` is requested; a batch in hand is finished first.
    pub async fn run(&self, shutdown: Shutdown) {
        loop {
            let worked = match self.take_batch().await {
                Ok(worked) => worked,
                Err(error) => {
                    tracing::error!(%error, "a batch could not be processed now");
                    false
                }
            };
            if shutdown.is_requested() {
                return;
            }
            if !worked {
                let pause = std::time::Duration::from_millis(self.settings.poll_ms);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = shutdown.requested() => return,
                }
            }
        }
    }

    /// Process batches until none is open; returns how many were processed.
    ///
    /// A batch that a lost worker left under its lease is waited for and taken over.
    pub async fn work_until_idle(&self) -> Result<usize, ProcessError> {
        let mut count = 0;
        loop {
            if self.take_batch().await? {
                count += 1;
                continue;
            }
            let client = self.pool.get().await.map_err(DatabaseError::from)?;
            if intake::store::open_batches(&client).await? == 0 {
                return Ok(count);
            }
            drop(client);
            tokio::time::sleep(std::time::Duration::from_millis(self.settings.poll_ms)).await;
        }
    }

    /// Process one batch; false when none waits.
    pub async fn take_batch(&self) -> Result<bool, ProcessError> {
        let client = self.pool.get().await.map_err(DatabaseError::from)?;
        let Some(batch) = intake::store::claim_batch(&client, self.settings.lease_ms).await? else {
            return Ok(false);
        };
        drop(client);
        let span = tracing::info_span!("process_batch", batch_id = %batch.key.batch_id);
        let _entered = span.enter();
        tracing::info!(batch_id = %batch.key.batch_id, epoch = batch.epoch, "batch taken");
        drop(_entered);
        match self.check_list(&batch).await? {
            Some(refusal) => self.finish(&batch, Some(&refusal)).await?,
            None => self.judge_records(&batch).await?,
        }
        Ok(true)
    }

    // The organisation's signature covers the whole list, so a bad one refuses the batch before any record counts.
    async fn check_list(&self, batch: &ClaimedBatch) -> Result<Option<Problem>, ProcessError> {
        if batch.format == Format::Ndjson {
            return Ok(None);
        }
        let (examiner, opener) = (Arc::clone(&self.examiner), self.opener(batch));
        let received_at = batch.received_at;
        let verdict = tokio::task::spawn_blocking(move || {
            let failure = Failure::default();
            let open = || opener.open(&failure);
            let verified = match examiner.verifier.verify_list(open) {
                Ok(verified) => verified,
                Err(fault) => return list_refusal(fault.code(), failure.take().as_ref()),
            };
            let verdict = examiner.anchors.check(
                &verified.certificate,
                &verified.chain,
                verified.signing_time,
                received_at,
                SignerPurpose::Organisation,
            );
            let reason = verdict.reasons.first().filter(|_| !verdict.is_confirmed());
            Ok(reason.map(|reason| list_problem("trust.reason", reason.code())))
        });
        verdict.await.map_err(|_| ProcessError::Thread)?
    }

    async fn judge_records(&self, batch: &ClaimedBatch) -> Result<(), ProcessError> {
        let (sender, mut chunks) = mpsc::channel::<Chunk>(1);
        let reader = ChunkReader {
            examiner: Arc::clone(&self.examiner),
            opener: self.opener(batch),
            context: BatchContext {
                participant_id: batch.key.participant_id,
                province_code: batch.province_code.clone(),
                received_at: batch.received_at,
            },
            from: batch.next_position,
            chunk_records: self.settings.chunk_records,
            chunk_bytes_max: self.settings.chunk_bytes_max,
            threads: self.threads,
        };
        let format = batch.format;
        let producer = tokio::task::spawn_blocking(move || reader.run(format, &sender));
        while let Some(chunk) = chunks.recv().await {
            self.commit(batch, chunk?).await?;
        }
        match producer.await.map_err(|_| ProcessError::Thread)? {
            Ok(()) => self.finish(batch, None).await,
            Err(error) => {
                // The bytes passed the first check, so this is ours to look at; the batch is tried again.
                tracing::error!(batch_id = %batch.key.batch_id, %error, "a stored batch could not be read");
                Err(ProcessError::Thread)
            }
        }
    }

    /// Write one chunk: what it makes new, what it repeats, what it hands to the outbox, and its audit leaf.
    async fn commit(
        &self,
        batch: &ClaimedBatch,
        mut records: Vec<NewRecord>,
    ) -> Result<(), ProcessError> {
        let Some(last) = records.last() else {
            return Ok(());
        };
        let next_position = last.position + 1;
        let mut client = self.pool.get().await.map_err(DatabaseError::from)?;
        let tx = begin_for(&mut client, batch.key.participant_id).await?;
        let participant = batch.key.participant_id;
        let (mut fresh, mut repeats) = split_repeats(&mut records);
        let known = register::store::claim_sources(&tx, participant, &refs(&fresh)).await?;
        // Something rejected or held before may pass today; everything else that is known is a repeat.
        let repeat = |record: &NewRecord, first: &Known| Repeat {
            position: record.position,
            record_year: first.school_year,
            record_id: first.record_id,
        };
        fresh.retain(|record| match known.get(&record.source_sha256) {
            Some(first) if !first.open || record.state != RecordState::Sealed => {
                repeats.push(repeat(record, first));
                false
            }
            _ => true,
        });
        self.claim_codes(&tx, batch, &mut fresh).await?;
        fresh.retain(|record| match known.get(&record.source_sha256) {
            Some(first) if record.state != RecordState::Sealed => {
                repeats.push(repeat(record, first));
                false
            }
            _ => true,
        });
        let (reopened, accepted): (Vec<_>, Vec<_>) = (
            fresh.iter().filter(|record| known.contains_key(&record.source_sha256)).collect(),
            fresh.iter().filter(|record| record.state == RecordState::Sealed).collect(),
        );
        register::store::reopen_sources(&tx, participant, &reopened).await?;
        let held = register::store::supersede_held(&tx, participant, &accepted).await?;
        intake::store::count_superseded(&tx, participant, &held).await?;
        let records = refs(&fresh);
        register::store::insert_records(
            &tx,
            participant,
            batch.key.batch_id,
            batch.received_at,
            &records,
        )
        .await?;
        intake::store::insert_repeats(&tx, batch.key, &repeats).await?;
        outbox::store::enqueue(&tx, &self.entries(participant, &fresh)).await?;
        let progress = count(&fresh, repeats.len(), next_position);
        audit::append(&tx, &self.leaf(batch, &fresh, &progress)).await?;
        if !intake::store::advance(&tx, batch, &progress, self.settings.lease_ms).await? {
            return Err(ProcessError::TakenOver);
        }
        tx.commit().await?;
        Ok(())
    }

    // A code that is already in the directory belongs to another signed text: the newcomer is rejected.
    async fn claim_codes(
        &self,
        tx: &deadpool_postgres::Transaction<'_>,
        batch: &ClaimedBatch,
        fresh: &mut [NewRecord],
    ) -> Result<(), ProcessError> {
        let participant = batch.key.participant_id;
        let mut seen = HashSet::new();
        let mut taken: HashSet<(uuid::Uuid, i32)> = HashSet::new();
        for record in fresh.iter().filter(|record| record.state == RecordState::Sealed) {
            if let Some(code) = record.transcript_code
                && !seen.insert(code)
            {
                taken.insert((code, record.position));
            }
        }
        let first: Vec<&NewRecord> = fresh
            .iter()
            .filter(|r| r.state == RecordState::Sealed)
            .filter(|r| r.transcript_code.is_some_and(|code| !taken.contains(&(code, r.position))))
            .collect();
        let used = register::store::claim_codes(tx, participant, &first).await?;
        for record in fresh.iter_mut().filter(|record| record.state == RecordState::Sealed) {
            let Some(code) = record.transcript_code else {
                continue;
            };
            if used.contains(&code) || taken.contains(&(code, record.position)) {
                record.state = RecordState::Rejected;
                record.national = None;
                let violation = code_used();
                let is_xml = batch.format != Format::Ndjson;
                let pointer = self.examiner.pointer(&violation.place, is_xml, family_of(record));
                push_violation(&mut record.violations, &violation, pointer);
            }
        }
        Ok(())
    }

    fn entries(&self, participant_id: i32, records: &[NewRecord]) -> Vec<NewEntry> {
        records
            .iter()
            .filter_map(|record| {
                let (_, digest) = record.national.as_ref()?;
                Some(NewEntry {
                    participant_id,
                    school_year: record.school_year,
                    record_id: record.record_id,
                    destination: self.settings.destination.clone(),
                    version: 1,
                    digest: *digest,
                    priority: self.settings.priority,
                })
            })
            .collect()
    }

    // One leaf for the chunk: its digest covers every record's outcome and signed octets.
    fn leaf(&self, batch: &ClaimedBatch, records: &[NewRecord], progress: &Progress) -> Leaf {
        let mut context = aws_lc_rs::digest::Context::new(&aws_lc_rs::digest::SHA256);
        for record in records {
            context.update(record.record_id.as_bytes());
            context.update(record.state.name().as_bytes());
            context.update(&record.source_sha256);
        }
        let digest: String =
            context.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        Leaf {
            at: self.examiner.clock.now(),
            actor: "process:work".to_owned(),
            action: "batch.chunk-processed",
            object: format!("batch:{}", batch.key.batch_id),
            details: serde_json::json!({
                "accepted": progress.accepted,
                "duplicates": progress.duplicates,
                "held": progress.held,
                "next_position": progress.next_position,
                "received": progress.received,
                "records_sha256": digest,
                "rejected": progress.rejected,
            }),
        }
    }

    async fn finish(
        &self,
        batch: &ClaimedBatch,
        refusal: Option<&Problem>,
    ) -> Result<(), ProcessError> {
        let refusal = refusal.map(|problem| serde_json::to_value(problem).unwrap_or_default());
        let mut client = self.pool.get().await.map_err(DatabaseError::from)?;
        let tx = begin_for(&mut client, batch.key.participant_id).await?;
        if !intake::store::finish(&tx, batch, refusal.as_ref()).await? {
            return Err(ProcessError::TakenOver);
        }
        let kind = refusal.as_ref().and_then(|problem| problem.get("reason").cloned());
        let leaf = Leaf {
            at: self.examiner.clock.now(),
            actor: "process:work".to_owned(),
            action: if refusal.is_some() { "batch.refused" } else { "batch.done" },
            object: format!("batch:{}", batch.key.batch_id),
            details: serde_json::json!({ "reason": kind }),
        };
        audit::append(&tx, &leaf).await?;
        tx.commit().await?;
        tracing::info!(batch_id = %batch.key.batch_id, refused = refusal.is_some(), "batch finished");
        Ok(())
    }

    fn opener(&self, batch: &ClaimedBatch) -> Opener {
        Opener {
            pool: self.pool.clone(),
            examiner: Arc::clone(&self.examiner),
            intake: Arc::clone(&self.intake),
            handle: Handle::current(),
            batch: batch.clone(),
        }
    }
}

fn refs(records: &[NewRecord]) -> Vec<&NewRecord> {
    records.iter().collect()
}

// A record that stands twice in one chunk counts once: by its first place that passed, else by its first.
fn split_repeats(records: &mut Vec<NewRecord>) -> (Vec<NewRecord>, Vec<Repeat>) {
    let mut best: HashMap<[u8; 32], usize> = HashMap::new();
    for (index, record) in records.iter().enumerate() {
        let kept = best.entry(record.source_sha256).or_insert(index);
        let passed = |at: usize| records[at].state == RecordState::Sealed;
        if !passed(*kept) && passed(index) {
            *kept = index;
        }
    }
    let ids: HashMap<[u8; 32], (i16, uuid::Uuid)> = best
        .iter()
        .map(|(digest, at)| (*digest, (records[*at].school_year, records[*at].record_id)))
        .collect();
    let (mut fresh, mut repeats) = (Vec::with_capacity(records.len()), Vec::new());
    for record in records.drain(..) {
        match ids.get(&record.source_sha256) {
            Some(&(record_year, record_id)) if record_id != record.record_id => {
                repeats.push(Repeat { position: record.position, record_year, record_id });
            }
            _ => fresh.push(record),
        }
    }
    (fresh, repeats)
}

fn count(records: &[NewRecord], repeats: usize, next_position: i32) -> Progress {
    let number = |state| {
        let count = records.iter().filter(|record| record.state == state).count();
        i32::try_from(count).unwrap_or(i32::MAX)
    };
    Progress {
        received: i32::try_from(records.len()).unwrap_or(i32::MAX),
        duplicates: i32::try_from(repeats).unwrap_or(i32::MAX),
        rejected: number(RecordState::Rejected),
        held: number(RecordState::Held),
        accepted: number(RecordState::Sealed),
        superseded: 0,
        next_position,
    }
}

fn code_used() -> Violation {
    Violation {
        rule: "register.code-used".to_owned(),
        place: Place::General(crate::transcript::Field::Code),
        severity: Severity::Error,
        args: Vec::new(),
        source: "CV 2088/BGDĐT-GDTH PL1 II.1".to_owned(),
    }
}

fn family_of(record: &NewRecord) -> Option<Family> {
    let level = Level::from_number(record.level?)?;
    Some(if level == Level::Primary { Family::Primary } else { Family::Secondary })
}

fn push_violation(violations: &mut serde_json::Value, violation: &Violation, pointer: String) {
    let report = violation.report(pointer);
    if let (Some(list), Ok(report)) = (violations.as_array_mut(), serde_json::to_value(report)) {
        list.push(report);
    }
}

fn list_problem(module: &str, code: &str) -> Problem {
    let reason = crate::platform::texts::both(&format!("{module}.{code}"), &[]);
    let args = [("reason_vi", reason.vi.as_str()), ("reason_en", reason.en.as_str())];
    Problem::new(422, "list-signature-refused", &args).with("reason", code)
}

// An input fault is ours (storage) or was seen at reception; only a fault of the list itself refuses it.
fn list_refusal(code: &str, failure: Option<&io::Error>) -> Result<Option<Problem>, ProcessError> {
    match failure {
        Some(error) if SourceError::of(error) == Some(&SourceError::Storage) => {
            Err(ProcessError::Thread)
        }
        Some(error) => Ok(Some(IntakeError::source(error).into())),
        None => Ok(Some(list_problem("signature.fault", code))),
    }
}

//! Reads the stored bytes of a batch again, cuts them into records and examines whole chunks in parallel.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use deadpool_postgres::Pool;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use super::examine::{BatchContext, ExamineError, Examiner, Item, Source};
use super::process::ProcessError;
use crate::intake::canonical::Lines;
use crate::intake::source::{Failure, SourceError, decoded};
use crate::intake::store::ClaimedBatch;
use crate::intake::{self, Format, upload};
use crate::platform::database::{DatabaseError, begin_for};
use crate::register::NewRecord;

/// One examined chunk on its way to the database.
pub(super) type Chunk = Result<Vec<NewRecord>, ExamineError>;

/// Opens the stored bytes of a batch from their beginning, as often as needed.
pub(super) struct Opener {
    pub(super) pool: Pool,
    pub(super) examiner: Arc<Examiner>,
    pub(super) intake: Arc<intake::Settings>,
    pub(super) handle: Handle,
    pub(super) batch: ClaimedBatch,
}

impl Opener {
    pub(super) fn open(&self, failure: &Failure) -> io::Result<Box<dyn BufRead + '_>> {
        let raw =
            StoredReader { opener: self, chunk: Vec::new(), offset: 0, next: 0, ended: false };
        decoded(raw, self.batch.format, self.batch.encoding, &self.intake, failure)
    }

    async fn load(&self, chunk_no: i32) -> Result<Option<Vec<u8>>, ProcessError> {
        let mut client = self.pool.get().await.map_err(DatabaseError::from)?;
        let tx = begin_for(&mut client, self.batch.key.participant_id).await?;
        let sealed = intake::store::load_chunk(&tx, self.batch.key, chunk_no).await?;
        tx.commit().await?;
        let Some(sealed) = sealed else {
            return Ok(None);
        };
        let context = upload::raw_context(self.batch.key, chunk_no);
        // A stored piece is at most one chunk and what arrived beyond it in one read.
        let limit = usize::try_from(self.intake.document_bytes_max).unwrap_or(usize::MAX);
        let plain = self.examiner.vault.open_body(
            &context,
            sealed.codec,
            sealed.key_id,
            &sealed.body,
            limit,
        );
        Ok(Some(plain.map_err(ExamineError::from)?))
    }
}

/// Reads the stored pieces of a body on a blocking thread.
struct StoredReader<'a> {
    opener: &'a Opener,
    chunk: Vec<u8>,
    offset: usize,
    next: i32,
    ended: bool,
}

impl Read for StoredReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.offset == self.chunk.len() && !self.ended {
            match self.opener.handle.block_on(self.opener.load(self.next)) {
                Ok(Some(chunk)) => {
                    self.chunk = chunk;
                    self.offset = 0;
                    self.next += 1;
                }
                Ok(None) => self.ended = true,
                Err(error) => {
                    tracing::error!(%error, "a stored piece could not be read");
                    return Err(SourceError::Storage.into_io());
                }
            }
        }
        let count = buffer.len().min(self.chunk.len() - self.offset);
        buffer[..count].copy_from_slice(&self.chunk[self.offset..self.offset + count]);
        self.offset += count;
        Ok(count)
    }
}

/// Reads records, examines them over a bounded number of threads and hands over whole chunks in order.
pub(super) struct ChunkReader {
    pub(super) examiner: Arc<Examiner>,
    pub(super) opener: Opener,
    pub(super) context: BatchContext,
    pub(super) from: i32,
    pub(super) chunk_records: usize,
    pub(super) chunk_bytes_max: usize,
    pub(super) threads: usize,
}

impl ChunkReader {
    pub(super) fn run(&self, format: Format, chunks: &mpsc::Sender<Chunk>) -> io::Result<()> {
        let failure = Failure::default();
        let reader = self.opener.open(&failure)?;
        let broken = |error: &dyn std::fmt::Display| {
            failure.take().unwrap_or_else(|| io::Error::other(error.to_string()))
        };
        let mut waiting = Waiting { items: Vec::new(), bytes: 0 };
        match format {
            Format::Content | Format::Xml => {
                for (position, slice) in self.examiner.verifier.records(reader).enumerate() {
                    let slice = slice.map_err(|fault| broken(&fault))?;
                    let source = Source::Xml(slice.bytes, slice.inherited);
                    self.add(&mut waiting, position, source, chunks)?;
                }
            }
            Format::Ndjson => {
                let mut lines = Lines::new(reader, self.examiner.lines.line_bytes_max);
                let mut position = 0;
                while let Some(line) = lines.next_line().map_err(|error| broken(&error))? {
                    // Reception refuses a body with a line that is too long, so none is passed over here.
                    let octets =
                        line.octets.ok_or_else(|| io::Error::other("a line is too long"))?.to_vec();
                    self.add(&mut waiting, position, Source::Line(octets), chunks)?;
                    position += 1;
                }
            }
        }
        self.flush(&mut waiting, chunks)
    }

    fn add(
        &self,
        waiting: &mut Waiting,
        position: usize,
        source: Source,
        chunks: &mpsc::Sender<Chunk>,
    ) -> io::Result<()> {
        let position = i32::try_from(position).map_err(io::Error::other)?;
        if position < self.from {
            return Ok(());
        }
        waiting.bytes += match &source {
            Source::Xml(bytes, _) | Source::Line(bytes) => bytes.len(),
        };
        waiting.items.push(Item { position, source });
        if waiting.items.len() >= self.chunk_records || waiting.bytes >= self.chunk_bytes_max {
            self.flush(waiting, chunks)?;
        }
        Ok(())
    }

    fn flush(&self, waiting: &mut Waiting, chunks: &mpsc::Sender<Chunk>) -> io::Result<()> {
        let items = std::mem::take(&mut waiting.items);
        waiting.bytes = 0;
        if items.is_empty() {
            return Ok(());
        }
        chunks
            .blocking_send(self.examine_all(items))
            .map_err(|_| io::Error::other("the chunk is no longer wanted"))
    }

    fn examine_all(&self, items: Vec<Item>) -> Chunk {
        let share = items.len().div_ceil(self.threads).max(1);
        let mut items = items.into_iter();
        std::thread::scope(|scope| {
            let mut workers = Vec::with_capacity(self.threads);
            loop {
                let part: Vec<Item> = items.by_ref().take(share).collect();
                if part.is_empty() {
                    break;
                }
                workers.push(scope.spawn(move || {
                    part.into_iter()
                        .map(|item| self.examiner.examine(&self.context, item))
                        .collect::<Chunk>()
                }));
            }
            let mut all = Vec::new();
            for worker in workers {
                match worker.join() {
                    Ok(records) => all.extend(records?),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            Ok(all)
        })
    }
}

struct Waiting {
    items: Vec<Item>,
    bytes: usize,
}

//! Counts bytes and lines of a source, and stops a single event from growing without end.

use std::io::{self, BufRead, Read};

const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// A place in the source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Position {
    pub(crate) line: u64,
    pub(crate) column: u64,
    pub(crate) offset: u64,
}

/// A source that knows where it is; it ends with an error when one event takes more than its budget.
pub(crate) struct Meter<R> {
    inner: R,
    offset: u64,
    line: u64,
    line_start: u64,
    budget: usize,
    exhausted: bool,
    head: Head,
    capture: Capture,
}

// The first bytes, which are looked at before the parser sees them.
struct Head {
    bytes: [u8; 3],
    next: usize,
    len: usize,
    read: bool,
    mark: u64,
}

// Raw bytes of the element being read, for the pass that cuts a list into records.
struct Capture {
    on: bool,
    held: bool,
    bytes: Vec<u8>,
    bytes_max: usize,
    overflown: bool,
}

impl<R: BufRead> Meter<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            offset: 0,
            line: 1,
            line_start: 0,
            budget: usize::MAX,
            exhausted: false,
            head: Head {
                bytes: [0; 3],
                next: 0,
                len: 0,
                read: false,
                mark: 0,
            },
            capture: Capture {
                on: false,
                held: false,
                bytes: Vec::new(),
                bytes_max: usize::MAX,
                overflown: false,
            },
        }
    }

    /// Begin an event that may take at most `budget` bytes.
    pub(crate) fn begin_event(&mut self, budget: usize) {
        self.budget = budget;
        if self.capture.on && !self.capture.held {
            self.capture.bytes.clear();
        }
    }

    pub(crate) fn position(&self) -> Position {
        Position {
            line: self.line,
            column: self.offset - self.line_start + 1,
            offset: self.offset,
        }
    }

    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Tell whether the source was stopped because an event was too long.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Keep the raw bytes of every event until the next one begins, at most `bytes_max`.
    pub(crate) fn capture_events(&mut self, bytes_max: usize) {
        self.capture.on = true;
        self.capture.bytes_max = bytes_max;
    }

    /// Keep the present event's bytes and those of the following ones.
    pub(crate) fn hold(&mut self) {
        self.capture.held = true;
    }

    /// Give the bytes held and begin anew.
    pub(crate) fn release(&mut self) -> Vec<u8> {
        self.capture.held = false;
        std::mem::take(&mut self.capture.bytes)
    }

    pub(crate) fn is_overflown(&self) -> bool {
        self.capture.overflown
    }

    pub(crate) fn is_head_read(&self) -> bool {
        self.head.read
    }

    /// Return how many bytes of byte order mark were dropped.
    pub(crate) fn head_len(&self) -> u64 {
        self.head.mark
    }

    /// Look at the first bytes: strip one byte order mark, refuse UTF-16 and UTF-32.
    pub(crate) fn read_head(&mut self) -> io::Result<bool> {
        self.head.read = true;
        while self.head.len < self.head.bytes.len() {
            let count = match self.inner.read(&mut self.head.bytes[self.head.len..]) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.head.len += count;
        }
        let bytes = &self.head.bytes[..self.head.len];
        if bytes == BOM {
            self.head.next = self.head.len;
            self.offset = BOM.len() as u64;
            self.head.mark = self.offset;
            self.line_start = self.offset;
            return Ok(true);
        }
        let foreign = bytes.starts_with(&[0xFF, 0xFE])
            || bytes.starts_with(&[0xFE, 0xFF])
            || bytes.contains(&0);
        Ok(!foreign)
    }

    fn count(&mut self, taken: usize) {
        // The borrow checker asks for the bytes again; fill_buf has them ready and reads nothing.
        let Ok(bytes) = Self::ready(&mut self.inner, &self.head) else {
            return;
        };
        let bytes = &bytes[..taken.min(bytes.len())];
        let newlines = bytes.iter().filter(|byte| **byte == b'\n').count();
        if newlines > 0 {
            self.line += newlines as u64;
            let last = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
            self.line_start = self.offset + last as u64 + 1;
        }
        self.offset += taken as u64;
        if self.capture.on {
            let room = self
                .capture
                .bytes_max
                .saturating_sub(self.capture.bytes.len());
            self.capture.overflown |= self.capture.held && bytes.len() > room;
            self.capture
                .bytes
                .extend_from_slice(&bytes[..bytes.len().min(room)]);
        }
    }

    fn ready<'a>(inner: &'a mut R, head: &'a Head) -> io::Result<&'a [u8]> {
        if head.next < head.len {
            Ok(&head.bytes[head.next..head.len])
        } else {
            inner.fill_buf()
        }
    }
}

impl<R: BufRead> Read for Meter<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let count = available.len().min(out.len());
        out[..count].copy_from_slice(&available[..count]);
        self.consume(count);
        Ok(count)
    }
}

impl<R: BufRead> BufRead for Meter<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.budget == 0 {
            self.exhausted = true;
            return Err(io::Error::other("the event is longer than permitted"));
        }
        let budget = self.budget;
        let bytes = Self::ready(&mut self.inner, &self.head)?;
        Ok(&bytes[..bytes.len().min(budget)])
    }

    fn consume(&mut self, count: usize) {
        self.count(count);
        self.budget = self.budget.saturating_sub(count);
        if self.head.next < self.head.len {
            self.head.next += count;
        } else {
            self.inner.consume(count);
        }
    }
}

//! Counts the bytes of a source, and stops a single event from growing without end.

use std::io::{self, BufRead, Read};

const BOM: [u8; 3] = [0xEF, 0xBB, 0xBF];

/// A source that knows where it is; it ends with an error when one event takes more than its budget.
pub(crate) struct Meter<R> {
    inner: R,
    offset: u64,
    budget: usize,
    exhausted: bool,
    head: Head,
}

// The first bytes, which are looked at before the parser sees them.
struct Head {
    bytes: [u8; 3],
    next: usize,
    len: usize,
    read: bool,
    mark: u64,
}

impl<R: BufRead> Meter<R> {
    pub(crate) fn new(inner: R) -> Self {
        Self {
            inner,
            offset: 0,
            budget: usize::MAX,
            exhausted: false,
            head: Head { bytes: [0; 3], next: 0, len: 0, read: false, mark: 0 },
        }
    }

    /// Begin an event that may take at most `budget` bytes.
    pub(crate) fn begin_event(&mut self, budget: usize) {
        self.budget = budget;
    }

    /// Return how many bytes were taken, a byte order mark included.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Tell whether the source was stopped because an event was too long.
    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    pub(crate) fn is_head_read(&self) -> bool {
        self.head.read
    }

    /// Return how many bytes of byte order mark were dropped.
    pub(crate) fn mark_len(&self) -> u64 {
        self.head.mark
    }

    /// Look at the first bytes: drop one byte order mark, refuse UTF-16 and UTF-32 (`false`).
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
            self.head.mark = BOM.len() as u64;
            self.offset = self.head.mark;
            return Ok(true);
        }
        let foreign = bytes.starts_with(&[0xFF, 0xFE])
            || bytes.starts_with(&[0xFE, 0xFF])
            || bytes.contains(&0);
        Ok(!foreign)
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
    #[inline]
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.budget == 0 {
            self.exhausted = true;
            return Err(io::Error::other("the event is longer than permitted"));
        }
        let bytes = if self.head.next < self.head.len {
            &self.head.bytes[self.head.next..self.head.len]
        } else {
            self.inner.fill_buf()?
        };
        Ok(&bytes[..bytes.len().min(self.budget)])
    }

    #[inline]
    fn consume(&mut self, count: usize) {
        self.offset += count as u64;
        self.budget = self.budget.saturating_sub(count);
        if self.head.next < self.head.len {
            self.head.next += count;
        } else {
            self.inner.consume(count);
        }
    }
}

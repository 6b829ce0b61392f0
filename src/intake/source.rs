//! Turns bytes as they arrived into the text of the records, with a bound on every step.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::{Arc, Mutex};

use flate2::read::MultiGzDecoder;
use tokio::sync::mpsc::Receiver;

use super::envelope::ContentReader;
use super::{Encoding, Format, Settings};

/// Say why a body could not be read; travels inside [`io::Error`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The body is larger than permitted once it is decompressed.
    #[error("the decompressed body is over {limit} bytes")]
    Inflated {
        /// The limit in bytes.
        limit: u64,
    },
    /// The body is not what `Content-Encoding` says, or is cut short.
    #[error("the body is not valid {encoding}")]
    Compression {
        /// Name of the encoding.
        encoding: &'static str,
    },
    /// A stored piece of a body could not be read back.
    #[error("a stored piece of the body could not be read")]
    Storage,
}

impl SourceError {
    /// Find the reason inside an input error, if it is one of ours.
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref())
    }

    /// Wrap the reason for code that reads.
    pub fn into_io(self) -> io::Error {
        io::Error::new(io::ErrorKind::InvalidData, self)
    }
}

/// Remembers the input error that a parser above only reports as "cannot be read".
#[derive(Debug, Clone, Default)]
pub struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    /// Take the error, if one occurred.
    pub fn take(&self) -> Option<io::Error> {
        self.0.lock().ok().and_then(|mut error| error.take())
    }
}

struct Noting<R> {
    inner: R,
    failure: Failure,
}

impl<R: Read> Read for Noting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            let kind = error.kind();
            if let Ok(mut noted) = self.failure.0.lock() {
                noted.get_or_insert(error);
            }
            io::Error::from(kind)
        })
    }
}

/// Read the records' text out of bytes as they arrived; `failure` then tells why reading broke off.
pub fn decoded<'a>(
    raw: impl Read + 'a,
    format: Format,
    encoding: Encoding,
    settings: &Settings,
    failure: &Failure,
) -> io::Result<Box<dyn BufRead + 'a>> {
    let inner = layers(raw, format, encoding, settings)?;
    let noting = Noting { inner, failure: failure.clone() };
    Ok(Box::new(BufReader::with_capacity(64 * 1024, noting)))
}

fn layers<'a>(
    raw: impl Read + 'a,
    format: Format,
    encoding: Encoding,
    settings: &Settings,
) -> io::Result<Box<dyn Read + 'a>> {
    let limit = settings.inflated_bytes_max;
    let plain: Box<dyn Read + 'a> = match encoding {
        Encoding::Identity => Box::new(raw),
        Encoding::Gzip => {
            Box::new(Named { inner: MultiGzDecoder::new(BufReader::new(raw)), encoding: "gzip" })
        }
        Encoding::Zstd => {
            let mut decoder = zstd::Decoder::new(raw)?;
            // 8 MiB windows are what the reference tool makes by default; larger ones cost memory.
            decoder.window_log_max(23)?;
            Box::new(Named { inner: decoder, encoding: "zstd" })
        }
    };
    let capped = Capped { inner: plain, left: limit, limit };
    Ok(match format {
        Format::Content => Box::new(ContentReader::new(capped, &settings.content)),
        Format::Ndjson | Format::Xml => Box::new(capped),
    })
}

struct Capped<R> {
    inner: R,
    left: u64,
    limit: u64,
}

impl<R: Read> Read for Capped<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        match self.left.checked_sub(count as u64) {
            Some(left) => {
                self.left = left;
                Ok(count)
            }
            None => Err(SourceError::Inflated { limit: self.limit }.into_io()),
        }
    }
}

struct Named<R> {
    inner: R,
    encoding: &'static str,
}

impl<R: Read> Read for Named<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(|error| {
            if SourceError::of(&error).is_some() {
                error
            } else {
                SourceError::Compression { encoding: self.encoding }.into_io()
            }
        })
    }
}

/// Reads, on a blocking thread, the pieces an upload hands over one by one.
pub struct PieceReader {
    pieces: Receiver<Vec<u8>>,
    current: Vec<u8>,
    offset: usize,
}

impl PieceReader {
    /// Read what comes through `pieces`; its end is the end of the body.
    pub fn new(pieces: Receiver<Vec<u8>>) -> Self {
        Self { pieces, current: Vec::new(), offset: 0 }
    }
}

impl Read for PieceReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.offset == self.current.len() {
            match self.pieces.blocking_recv() {
                Some(piece) => {
                    self.current = piece;
                    self.offset = 0;
                }
                None => return Ok(0),
            }
        }
        let count = buffer.len().min(self.current.len() - self.offset);
        buffer[..count].copy_from_slice(&self.current[self.offset..self.offset + count]);
        self.offset += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::{canonical, envelope};
    use super::*;

    fn settings(inflated_bytes_max: u64) -> Settings {
        Settings {
            document_bytes_max: 1000,
            inflated_bytes_max,
            batch_records_max: 10,
            chunk_bytes: 100,
            uploads_max: 1,
            uploads_per_participant_max: 1,
            abandoned_upload_h: 1,
            content: envelope::Settings { quotes: envelope::Quotes::Plain, inflated_bytes_max },
            line: canonical::Settings { line_bytes_max: 1000, rows_max: 10, value_chars_max: 100 },
        }
    }

    fn read(raw: &[u8], encoding: Encoding, limit: u64) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let failure = Failure::default();
        let mut reader = decoded(raw, Format::Xml, encoding, &settings(limit), &failure)?;
        reader.read_to_end(&mut out).map_err(|error| failure.take().unwrap_or(error))?;
        Ok(out)
    }

    #[test]
    fn gzip_and_zstd_bodies_give_the_same_text() {
        let text = b"<a>xin ch\xc3\xa0o</a>".repeat(50);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        assert_eq!(read(&gzip.finish().unwrap(), Encoding::Gzip, 100_000).unwrap(), text);
        assert_eq!(
            read(&zstd::encode_all(&text[..], 3).unwrap(), Encoding::Zstd, 100_000).unwrap(),
            text
        );
    }

    #[test]
    fn a_bomb_stops_at_the_limit_and_the_limit_itself_passes() {
        let packed = zstd::encode_all(&vec![b'a'; 5000][..], 3).unwrap();
        assert_eq!(read(&packed, Encoding::Zstd, 5000).unwrap().len(), 5000);
        let error = read(&packed, Encoding::Zstd, 4999).unwrap_err();
        assert_eq!(SourceError::of(&error), Some(&SourceError::Inflated { limit: 4999 }));
    }

    #[test]
    fn a_body_that_is_not_what_it_says_is_named() {
        let error = read(b"not gzip at all", Encoding::Gzip, 5000).unwrap_err();
        assert_eq!(SourceError::of(&error), Some(&SourceError::Compression { encoding: "gzip" }));
    }
}

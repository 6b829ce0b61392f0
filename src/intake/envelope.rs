//! Decodes and writes the `content` envelope of CV 2088: GZip with a length prefix, in Base64.

#[cfg(test)]
mod tests;

use std::io::{self, BufRead, BufReader, Read, Write};

use base64::Engine;
use base64::engine::general_purpose::{GeneralPurpose, STANDARD};
use base64::read::DecoderReader;
use flate2::Compression;
use flate2::bufread::GzDecoder;
use flate2::write::GzEncoder;

/// Whether quotation marks were escaped before compression ("escape quote" of PL1.2, not defined there).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Quotes {
    /// The document is compressed as it is.
    #[default]
    Plain,
    /// Every `"` stands as `\"`.
    Escaped,
}

/// How envelopes are read, section `[intake.content]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Whether quotation marks are escaped.
    pub quotes: Quotes,
    /// Largest document an envelope may inflate to, in bytes.
    pub inflated_bytes_max: u64,
}

/// Why a `content` envelope cannot be read or written; holds nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// A character outside of the Base64 alphabet, or wrong padding.
    #[error("the content is not Base64")]
    NotBase64,
    /// The content ends before it is complete.
    #[error("the content ends before it is complete")]
    Truncated,
    /// What follows the length prefix is not GZip, or its check sum is wrong.
    #[error("what follows the length prefix is not GZip")]
    NotGzip,
    /// The inflated document is not as long as the prefix says.
    #[error("the inflated document is not as long as its length prefix says")]
    WrongLength,
    /// The document would be longer than permitted.
    #[error("the inflated document is over {limit} bytes")]
    TooLarge {
        /// Bytes permitted.
        limit: u64,
    },
    /// Something follows the GZip stream.
    #[error("something follows the compressed document")]
    TrailingData,
}

impl EnvelopeError {
    /// Find the envelope's error in an error of reading.
    pub fn of(error: &io::Error) -> Option<Self> {
        error.get_ref().and_then(|inner| inner.downcast_ref::<Self>()).copied()
    }
}

impl From<EnvelopeError> for io::Error {
    fn from(error: EnvelopeError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

// Base64 wrapped in lines is accepted: white space is skipped.
struct Packed<R> {
    inner: R,
}

impl<R: Read> Read for Packed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = self.inner.read(buffer)?;
            if read == 0 {
                return Ok(0);
            }
            let mut kept = 0;
            for position in 0..read {
                let byte = buffer[position];
                if !byte.is_ascii_whitespace() {
                    buffer[kept] = byte;
                    kept += 1;
                }
            }
            if kept > 0 {
                return Ok(kept);
            }
        }
    }
}

type Compressed<R> = BufReader<DecoderReader<'static, GeneralPurpose, Packed<R>>>;

/// Reads the document out of a `content` envelope, piece by piece.
///
/// The length prefix is compared at the end and before: the reader never yields more bytes than
/// the prefix or the limit permits. An error of kind `InvalidData` carries an [`EnvelopeError`].
pub struct ContentReader<R: Read> {
    inflated: BufReader<Inflated<R>>,
    quotes: Quotes,
    // A backslash whose next byte has not been seen.
    backslash: bool,
}

impl<R: Read> ContentReader<R> {
    /// Read the envelope from `source` within the limits of `settings`.
    pub fn new(source: R, settings: &Settings) -> Self {
        let (quotes, limit) = (settings.quotes, settings.inflated_bytes_max);
        let packed = Packed { inner: source };
        Self {
            inflated: BufReader::with_capacity(
                BUFFER_BYTES,
                Inflated {
                    state: State::Prefix(Box::new(BufReader::with_capacity(
                        BUFFER_BYTES,
                        DecoderReader::new(packed, &STANDARD),
                    ))),
                    limit,
                },
            ),
            quotes,
            backslash: false,
        }
    }

    fn read_unescaped(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut kept = 0;
        while kept == 0 {
            let piece = self.inflated.fill_buf()?;
            if piece.is_empty() {
                if std::mem::take(&mut self.backslash) {
                    buffer[0] = b'\\';
                    return Ok(1);
                }
                return Ok(0);
            }
            let mut used = 0;
            while kept < buffer.len() && used < piece.len() {
                let byte = piece[used];
                if self.backslash && byte != b'"' {
                    buffer[kept] = b'\\';
                    kept += 1;
                    self.backslash = false;
                    continue;
                }
                used += 1;
                self.backslash = byte == b'\\';
                if !self.backslash {
                    buffer[kept] = byte;
                    kept += 1;
                }
            }
            self.inflated.consume(used);
        }
        Ok(kept)
    }
}

impl<R: Read> Read for ContentReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        match self.quotes {
            Quotes::Plain => self.inflated.read(buffer),
            Quotes::Escaped => self.read_unescaped(buffer),
        }
    }
}

const BUFFER_BYTES: usize = 16 * 1024;

struct Inflated<R: Read> {
    state: State<R>,
    limit: u64,
}

// Boxed: the decoders are much larger than the last state.
enum State<R: Read> {
    Prefix(Box<Compressed<R>>),
    Body { source: Box<GzDecoder<Box<Compressed<R>>>>, length: u64, read: u64 },
    Done,
}

impl<R: Read> Inflated<R> {
    fn start(&mut self) -> io::Result<()> {
        let mut source = match std::mem::replace(&mut self.state, State::Done) {
            State::Prefix(source) => source,
            other => {
                self.state = other;
                return Ok(());
            }
        };
        let mut prefix = [0; 4];
        source.read_exact(&mut prefix).map_err(base64_error)?;
        let length = u64::from(u32::from_le_bytes(prefix));
        if length > self.limit {
            return Err(EnvelopeError::TooLarge { limit: self.limit }.into());
        }
        self.state = State::Body { source: Box::new(GzDecoder::new(source)), length, read: 0 };
        Ok(())
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.start()?;
        let State::Body { source, length, read } = &mut self.state else {
            return Ok(0);
        };
        let result = source.read(buffer).map_err(gzip_error);
        let count = *result.as_ref().unwrap_or(&0);
        *read += count as u64;
        let fault = if result.is_err() {
            return result.inspect_err(|_| self.state = State::Done);
        } else if *read > *length || count == 0 && *read < *length {
            Some(EnvelopeError::WrongLength)
        } else if count > 0 {
            return Ok(count);
        } else {
            let rest = source.get_mut().fill_buf().map_err(base64_error)?;
            (!rest.is_empty()).then_some(EnvelopeError::TrailingData)
        };
        self.state = State::Done;
        match fault {
            Some(fault) => Err(fault.into()),
            None => Ok(0),
        }
    }
}

fn base64_error(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::InvalidData => EnvelopeError::NotBase64.into(),
        io::ErrorKind::UnexpectedEof => EnvelopeError::Truncated.into(),
        _ => error,
    }
}

// The decoder hands on errors of the Base64 below it; its own have other texts.
fn gzip_error(error: io::Error) -> io::Error {
    let is_base64 = error.get_ref().is_some_and(|inner| inner.is::<base64::DecodeError>());
    match error.kind() {
        _ if is_base64 => EnvelopeError::NotBase64.into(),
        io::ErrorKind::UnexpectedEof => EnvelopeError::Truncated.into(),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => EnvelopeError::NotGzip.into(),
        _ => error,
    }
}

/// Pack `document` (UTF-8) into a `content` envelope.
///
/// # Errors
/// [`EnvelopeError::TooLarge`] when the length does not fit the four bytes of the prefix.
pub fn encode(document: &str, quotes: Quotes) -> io::Result<String> {
    let escaped;
    let document = match quotes {
        Quotes::Plain => document,
        Quotes::Escaped => {
            escaped = document.replace('"', "\\\"");
            &escaped
        }
    };
    let length = u32::try_from(document.len())
        .map_err(|_| EnvelopeError::TooLarge { limit: u64::from(u32::MAX) })?;
    let mut packed = length.to_le_bytes().to_vec();
    let mut encoder = GzEncoder::new(&mut packed, Compression::default());
    encoder.write_all(document.as_bytes())?;
    encoder.finish()?;
    Ok(STANDARD.encode(packed))
}

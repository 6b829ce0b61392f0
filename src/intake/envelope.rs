//! Decodes and writes the `content` envelope of CV 2088: GZip with a length prefix, in Base64.

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
        error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<Self>())
            .copied()
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
    /// Read the envelope from `source`; its document may have `limit` bytes inflated.
    pub fn new(source: R, quotes: Quotes, limit: u64) -> Self {
        let packed = Packed { inner: source };
        Self {
            inflated: BufReader::with_capacity(
                BUFFER_BYTES,
                Inflated {
                    state: State::Prefix(BufReader::with_capacity(
                        BUFFER_BYTES,
                        DecoderReader::new(packed, &STANDARD),
                    )),
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

enum State<R: Read> {
    Prefix(Compressed<R>),
    Body {
        // Boxed: the decoder is much larger than the other states.
        source: Box<GzDecoder<Compressed<R>>>,
        length: u64,
        read: u64,
    },
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
        self.state = State::Body {
            source: Box::new(GzDecoder::new(source)),
            length,
            read: 0,
        };
        Ok(())
    }
}

impl<R: Read> Read for Inflated<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.start()?;
        let State::Body {
            source,
            length,
            read,
        } = &mut self.state
        else {
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
    let is_base64 = error
        .get_ref()
        .is_some_and(|inner| inner.is::<base64::DecodeError>());
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
    let length = u32::try_from(document.len()).map_err(|_| EnvelopeError::TooLarge {
        limit: u64::from(u32::MAX),
    })?;
    let mut packed = length.to_le_bytes().to_vec();
    let mut encoder = GzEncoder::new(&mut packed, Compression::default());
    encoder.write_all(document.as_bytes())?;
    encoder.finish()?;
    Ok(STANDARD.encode(packed))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "<HOC_BA>Nguyễn</HOC_BA>";

    fn decode(content: &[u8], quotes: Quotes, limit: u64) -> Result<String, EnvelopeError> {
        let mut text = String::new();
        match ContentReader::new(content, quotes, limit).read_to_string(&mut text) {
            Ok(_) => Ok(text),
            Err(error) => Err(EnvelopeError::of(&error).expect("an error of the envelope")),
        }
    }

    fn packed(length: u32, gzip: &[u8]) -> String {
        let mut bytes = length.to_le_bytes().to_vec();
        bytes.extend_from_slice(gzip);
        STANDARD.encode(bytes)
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn the_test_vector_of_the_annex_has_its_prefix() {
        assert_eq!(TEXT.len(), 25);
        let content = encode(TEXT, Quotes::Plain).unwrap();
        assert!(content.starts_with("GQAAAB+L"), "{content}");
        assert_eq!(decode(content.as_bytes(), Quotes::Plain, 25).unwrap(), TEXT);
    }

    #[test]
    fn lines_and_spaces_in_the_base64_do_not_matter() {
        let content = encode(TEXT, Quotes::Plain).unwrap();
        let wrapped: Vec<u8> = content
            .bytes()
            .flat_map(|byte| [b'\r', b'\n', byte, b' '])
            .collect();
        assert_eq!(decode(&wrapped, Quotes::Plain, 100).unwrap(), TEXT);
    }

    #[test]
    fn quotes_are_escaped_and_unescaped_when_switched_on() {
        for text in ["<A b=\"c\">\"</A>", "\\", "\\\"", "a\\\\\"b\\", "\"", ""] {
            let content = encode(text, Quotes::Escaped).unwrap();
            let read = decode(content.as_bytes(), Quotes::Escaped, 100).unwrap();
            assert_eq!(read, text);
            let raw = decode(content.as_bytes(), Quotes::Plain, 100).unwrap();
            assert_eq!(raw, text.replace('"', "\\\""));
        }
        // The same through a reader that takes one byte at a time.
        let content = encode("\\\"\\x\"", Quotes::Escaped).unwrap();
        let reader = ContentReader::new(content.as_bytes(), Quotes::Escaped, 100);
        let read: Result<Vec<u8>, _> = reader.bytes().collect();
        assert_eq!(read.unwrap(), b"\\\"\\x\"");
    }

    #[test]
    fn a_wrong_length_prefix_is_refused() {
        for length in [0, 24, 26, 90] {
            let content = packed(length, &gzip(TEXT.as_bytes()));
            assert_eq!(
                decode(content.as_bytes(), Quotes::Plain, 100),
                Err(EnvelopeError::WrongLength),
                "{length}"
            );
        }
    }

    #[test]
    fn every_truncation_is_refused() {
        let content = encode(TEXT, Quotes::Plain).unwrap();
        for end in 0..content.len() {
            let result = decode(&content.as_bytes()[..end], Quotes::Plain, 100);
            assert!(
                matches!(
                    result,
                    Err(EnvelopeError::Truncated
                        | EnvelopeError::NotBase64
                        | EnvelopeError::WrongLength)
                ),
                "{end}: {result:?}"
            );
        }
    }

    #[test]
    fn a_bomb_stops_at_its_prefix_or_at_the_limit() {
        let bomb = gzip(&vec![0; 20_000_000]);
        let honest = packed(20_000_000, &bomb);
        assert_eq!(
            decode(honest.as_bytes(), Quotes::Plain, 1_000_000),
            Err(EnvelopeError::TooLarge { limit: 1_000_000 })
        );
        let lying = packed(10, &bomb);
        let mut reader = ContentReader::new(lying.as_bytes(), Quotes::Plain, 1_000_000);
        let mut read = Vec::new();
        let error = reader.read_to_end(&mut read).unwrap_err();
        assert_eq!(EnvelopeError::of(&error), Some(EnvelopeError::WrongLength));
        assert!(read.len() <= BUFFER_BYTES);
    }

    #[test]
    fn what_is_no_envelope_is_named() {
        let mut damaged = gzip(TEXT.as_bytes());
        let check_sum = damaged.len() - 8;
        damaged[check_sum] ^= 1;
        let mut trailing = gzip(TEXT.as_bytes());
        trailing.push(0);
        for (content, expected) in [
            ("<HOC_BA/>".to_owned(), EnvelopeError::NotBase64),
            (
                packed(3, b"abcdefghijklmnopqrstuvwxyz"),
                EnvelopeError::NotGzip,
            ),
            (packed(25, &damaged), EnvelopeError::NotGzip),
            (packed(25, &trailing), EnvelopeError::TrailingData),
            (
                format!("{}=x", packed(25, &gzip(TEXT.as_bytes()))),
                EnvelopeError::NotBase64,
            ),
        ] {
            assert_eq!(
                decode(content.as_bytes(), Quotes::Plain, 100),
                Err(expected),
                "{content}"
            );
        }
    }
}

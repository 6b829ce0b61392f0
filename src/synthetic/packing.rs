//! Packs a document of any length into the Ministry's `content` envelope without holding it in memory.

use std::io::{self, Seek, SeekFrom, Write};

use base64::engine::general_purpose::STANDARD;
use base64::write::EncoderWriter;
use flate2::Compression;
use flate2::write::GzEncoder;

/// Collects a document; its length must be known before the envelope begins, so it waits compressed in a file.
pub(super) struct Packer {
    gzip: GzEncoder<io::BufWriter<std::fs::File>>,
    length: u64,
}

impl Packer {
    /// Begin a document.
    pub(super) fn begin() -> io::Result<Self> {
        let file = io::BufWriter::new(tempfile::tempfile()?);
        Ok(Self { gzip: GzEncoder::new(file, Compression::fast()), length: 0 })
    }

    /// Write the envelope to `out`.
    ///
    /// # Errors
    /// A document of 4 GiB or more does not fit the four bytes of the length.
    pub(super) fn finish(self, out: &mut impl Write) -> io::Result<()> {
        let length = u32::try_from(self.length)
            .map_err(|_| io::Error::other("a content envelope holds less than 4 GiB"))?;
        let writer = self.gzip.finish()?;
        let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.seek(SeekFrom::Start(0))?;
        let mut encoder = EncoderWriter::new(out, &STANDARD);
        encoder.write_all(&length.to_le_bytes())?;
        io::copy(&mut file, &mut encoder)?;
        encoder.finish()?;
        Ok(())
    }
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.gzip.write(bytes)?;
        self.length += u64::try_from(written).unwrap_or(0);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.gzip.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;
    use crate::intake::envelope::{ContentReader, Quotes, Settings};

    #[test]
    fn a_packed_document_is_read_back_whole() {
        let text = "<HOC_BA>Nguyễn</HOC_BA>".repeat(10_000);
        let mut packer = Packer::begin().unwrap();
        packer.write_all(text.as_bytes()).unwrap();
        let mut packed = Vec::new();
        packer.finish(&mut packed).unwrap();
        let mut read = String::new();
        let settings = Settings { quotes: Quotes::Plain, inflated_bytes_max: 1 << 20 };
        ContentReader::new(packed.as_slice(), &settings).read_to_string(&mut read).unwrap();
        assert_eq!(read, text);
    }
}

//! Passes once over a body while it arrives, so that a broken document is refused whole with its place.

use std::io::{BufRead, Read};

use super::canonical::Lines;
use super::envelope::EnvelopeError;
use super::source::{Failure, SourceError, decoded};
use super::{Encoding, Format, IntakeError, Settings};
use crate::signature::{Verifier, XmlFault};

/// What the first pass found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Checked {
    /// Records in the body.
    pub records: u32,
}

/// Read the body to its end and check everything that holds for the whole document.
pub fn check(
    raw: impl Read,
    format: Format,
    encoding: Encoding,
    settings: &Settings,
    verifier: &Verifier,
) -> Result<Checked, IntakeError> {
    let failure = Failure::default();
    let reader = decoded(raw, format, encoding, settings, &failure)
        .map_err(|error| IntakeError::source(&error))?;
    let records = match format {
        Format::Content | Format::Xml => check_xml(reader, &failure, verifier)?,
        Format::Ndjson => check_lines(reader, &failure, settings)?,
    };
    if records == 0 {
        return Err(IntakeError::Empty);
    }
    if records > settings.batch_records_max {
        return Err(IntakeError::TooManyRecords { limit: settings.batch_records_max });
    }
    Ok(Checked { records })
}

fn check_xml(
    reader: impl BufRead,
    failure: &Failure,
    verifier: &Verifier,
) -> Result<u32, IntakeError> {
    let summary = verifier.scan(reader).map_err(|fault| IntakeError::xml(fault, failure))?;
    Ok(u32::try_from(summary.records).unwrap_or(u32::MAX))
}

// A line that is broken rejects its own record later; here only what breaks the document as a whole.
fn check_lines(
    reader: impl BufRead,
    failure: &Failure,
    settings: &Settings,
) -> Result<u32, IntakeError> {
    let limit = settings.line.line_bytes_max;
    let mut lines = Lines::new(reader, limit);
    let mut records = 0_u32;
    loop {
        let line = lines
            .next_line()
            .map_err(|error| IntakeError::source(&failure.take().unwrap_or(error)))?;
        let Some(line) = line else { return Ok(records) };
        let Some(octets) = line.octets else {
            return Err(IntakeError::LineTooLong { line: line.number, limit: limit as u64 });
        };
        if let Err(error) = std::str::from_utf8(octets) {
            return Err(IntakeError::NotUtf8 {
                line: line.number,
                column: error.valid_up_to() as u64 + 1,
            });
        }
        records = records.saturating_add(1);
    }
}

impl IntakeError {
    /// Say what an input error means for the whole document.
    pub fn source(error: &std::io::Error) -> Self {
        match SourceError::of(error) {
            Some(SourceError::Inflated { limit }) => Self::TooLarge { limit: *limit },
            Some(SourceError::Compression { encoding }) => Self::Compression { encoding },
            Some(SourceError::Storage) => Self::Interrupted,
            None => match EnvelopeError::of(error) {
                Some(EnvelopeError::TooLarge { limit }) => Self::TooLarge { limit },
                Some(envelope) => Self::Envelope(envelope),
                None => Self::Interrupted,
            },
        }
    }

    /// Say what an XML fault means for the whole document.
    pub fn xml(fault: XmlFault, failure: &Failure) -> Self {
        match failure.take() {
            Some(error) => Self::source(&error),
            None => Self::Xml(fault),
        }
    }
}

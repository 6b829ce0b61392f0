//! Reads the gateway's own form: NDJSON, one line `{record, signatures}` per transcript, strictly.

mod record;
mod strict;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use serde::Deserialize;

use crate::signature::profile::SignerRule;
use crate::transcript::{Place, Severity, Transcript, Violation};

/// Limits of NDJSON lines, section `[intake.line]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Longest line, in bytes without its end.
    pub line_bytes_max: usize,
    /// Most rows of one group (subjects, history, certificates).
    pub rows_max: usize,
    /// Longest value of a field, in characters.
    pub value_chars_max: usize,
}

/// A transcript in the gateway's own form, not yet verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Canonical octets of `record` (RFC 8785): what the signatures stand over.
    pub record_octets: Vec<u8>,
    /// Detached JWS in compact form (RFC 7515, appendix F) by signer, such as `CBQL`.
    pub signatures: BTreeMap<String, String>,
    /// The record, of the same octets.
    pub transcript: Transcript,
}

/// What is wrong with a line; holds no value of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at {pointer:?}")]
pub struct LineFault {
    /// What is wrong.
    pub kind: LineFaultKind,
    /// JSON pointer (RFC 6901) of the member within the line; empty for the line as a whole.
    pub pointer: String,
}

/// Kinds of faults of a line; each has its own rule id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineFaultKind {
    /// Longer than permitted.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// Not UTF-8.
    #[error("not UTF-8")]
    NotUtf8,
    /// Not JSON, or more than one value.
    #[error("not one JSON value, at byte {0}")]
    NotJson(usize),
    /// Of another type than the schema says.
    #[error("not of type {0}")]
    WrongType(&'static str),
    /// A member that occurs twice.
    #[error("a member that occurs twice")]
    DuplicateMember,
    /// A member the schema does not know.
    #[error("an unknown member")]
    UnknownMember,
    /// A member that is required.
    #[error("the member {0} is missing")]
    MissingMember(&'static str),
    /// More rows than permitted.
    #[error("more than {0} rows")]
    TooManyRows(usize),
    /// A value longer than permitted.
    #[error("longer than {0} characters")]
    ValueTooLong(usize),
    /// A value that is empty, has spaces around it, is not in NFC, or has characters XML cannot carry.
    #[error("a value that is not in normal form")]
    NotNormal,
    /// A signature that is required.
    #[error("the signature of {0} is missing")]
    MissingSignature(String),
    /// A signature that is no detached JWS.
    #[error("no detached JWS")]
    NotDetachedJws,
}

impl LineFault {
    /// Return the violation that this fault is for the record of the line.
    pub fn violation(&self) -> Violation {
        let (rule, args) = match &self.kind {
            LineFaultKind::TooLong(limit) => ("too-long", vec![("limit", limit.to_string())]),
            LineFaultKind::NotUtf8 => ("not-utf8", Vec::new()),
            LineFaultKind::NotJson(byte) => ("not-json", vec![("byte", byte.to_string())]),
            LineFaultKind::WrongType(kind) => ("wrong-type", vec![("permitted", (*kind).into())]),
            LineFaultKind::DuplicateMember => ("duplicate-member", Vec::new()),
            LineFaultKind::UnknownMember => ("unknown-member", Vec::new()),
            LineFaultKind::MissingMember(name) => {
                ("missing-member", vec![("member", (*name).into())])
            }
            LineFaultKind::TooManyRows(limit) => {
                ("too-many-rows", vec![("limit", limit.to_string())])
            }
            LineFaultKind::ValueTooLong(limit) => {
                ("value-too-long", vec![("limit", limit.to_string())])
            }
            LineFaultKind::NotNormal => ("not-normal", Vec::new()),
            LineFaultKind::MissingSignature(name) => {
                ("missing-signature", vec![("signer", name.clone())])
            }
            LineFaultKind::NotDetachedJws => ("not-detached-jws", Vec::new()),
        };
        Violation {
            rule: format!("line.{rule}"),
            place: Place::Path(self.pointer.clone()),
            severity: Severity::Error,
            args: args.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            source: "schemas/intake/line-1.schema.json; RFC 8259; RFC 8785; RFC 7515".to_owned(),
        }
    }
}

/// Decode one line (without its end), and compute the canonical octets of its record.
///
/// Duplicate and unknown members are refused at every level, every value must already be in
/// normal form, and `signers` says which signatures must and which may be there.
pub fn decode(line: &[u8], settings: &Settings, signers: &[SignerRule]) -> Result<Line, LineFault> {
    let whole = |kind| LineFault { kind, pointer: String::new() };
    if line.len() > settings.line_bytes_max {
        return Err(whole(LineFaultKind::TooLong(settings.line_bytes_max)));
    }
    let text = std::str::from_utf8(line).map_err(|_| whole(LineFaultKind::NotUtf8))?;
    let parsed = strict::parse(text, settings, signers)?;
    for signer in signers.iter().filter(|signer| signer.required) {
        if !parsed.signatures.contains_key(&signer.tag) {
            return Err(LineFault {
                kind: LineFaultKind::MissingSignature(signer.tag.clone()),
                pointer: "/signatures".to_owned(),
            });
        }
    }
    let record_octets = crate::signature::jws::canonical_json(&parsed.record)
        .map_err(|_| whole(LineFaultKind::NotJson(0)))?;
    Ok(Line {
        record_octets,
        signatures: parsed.signatures,
        transcript: parsed.record.into_transcript(),
    })
}

/// Return the canonical octets of a transcript as a `record` (RFC 8785).
pub fn record_octets(transcript: &Transcript) -> Result<Vec<u8>, crate::signature::SignError> {
    crate::signature::jws::canonical_json(transcript)
}

/// Append the line of `record_octets` and its signatures, with its end, to `out`.
pub fn write_line(record_octets: &[u8], signatures: &BTreeMap<String, String>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"record\":");
    out.extend_from_slice(record_octets);
    out.extend_from_slice(b",\"signatures\":{");
    for (number, (signer, token)) in signatures.iter().enumerate() {
        if number > 0 {
            out.push(b',');
        }
        // Names of signers and tokens have no character that JSON escapes; the decoder insists on it.
        out.extend_from_slice(format!("\"{signer}\":\"{token}\"").as_bytes());
    }
    out.extend_from_slice(b"}}\n");
}

/// Splits a stream into lines, holding at most one line of permitted length in memory.
pub struct Lines<R> {
    source: R,
    line_bytes_max: usize,
    number: u64,
    offset: u64,
    buffer: Vec<u8>,
}

/// One line of the stream, as received.
#[derive(Debug, PartialEq, Eq)]
pub struct RawLine<'a> {
    /// Number of the line, from 1; empty lines are counted, but not returned.
    pub number: u64,
    /// Where the line begins, in bytes from the start of the stream.
    pub offset: u64,
    /// The line without its end; `None` when it is longer than permitted.
    pub octets: Option<&'a [u8]>,
}

impl<R: BufRead> Lines<R> {
    /// Read lines of at most `line_bytes_max` bytes from `source`.
    pub fn new(source: R, line_bytes_max: usize) -> Self {
        Self { source, line_bytes_max, number: 0, offset: 0, buffer: Vec::new() }
    }

    /// Return the next line that is not empty; of one that is too long the rest is passed over.
    pub fn next_line(&mut self) -> io::Result<Option<RawLine<'_>>> {
        loop {
            self.buffer.clear();
            let offset = self.offset;
            let (read, too_long) = self.fill()?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.offset += read;
            if !too_long && self.buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let octets = self.buffer.strip_suffix(b"\r").unwrap_or(&self.buffer);
            return Ok(Some(RawLine {
                number: self.number,
                offset,
                octets: (!too_long).then_some(octets),
            }));
        }
    }

    // Bytes taken from the source, and whether they were too many to keep.
    fn fill(&mut self) -> io::Result<(u64, bool)> {
        let (mut read, mut too_long) = (0, false);
        loop {
            let piece = self.source.fill_buf()?;
            if piece.is_empty() {
                return Ok((read, too_long));
            }
            let end = piece.iter().position(|byte| *byte == b'\n');
            let line = &piece[..end.unwrap_or(piece.len())];
            // One byte more than permitted, for the \r of a line that ends in \r\n.
            let room = (self.line_bytes_max + 1).saturating_sub(self.buffer.len());
            too_long |= line.len() > room;
            self.buffer.extend_from_slice(&line[..line.len().min(room)]);
            let used = line.len() + usize::from(end.is_some());
            self.source.consume(used);
            read += used as u64;
            if end.is_some() {
                return Ok((read, too_long));
            }
        }
    }
}

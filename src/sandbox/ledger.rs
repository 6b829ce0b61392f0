//! Keeps what was applied, one line per record, on disk before any receipt says so.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// One applied record; no personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Applied {
    /// The batch that brought it.
    pub message_id: Uuid,
    /// `idbanghi`.
    pub id_ban_ghi: String,
    /// `phienban`.
    pub phien_ban: i32,
    /// SHA-256 of its element, in hexadecimal.
    pub digest: String,
    /// When it was applied.
    pub applied_at: Timestamp,
}

/// Say why a ledger cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// It cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line in its middle is not what was written.
    #[error("{path}:{line}: not a line of this file")]
    Line {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
    },
}

/// Read a ledger; a file that does not exist is empty. A record that stands in it twice with one version was
/// applied twice.
pub fn read(path: &Path) -> Result<Vec<Applied>, LedgerError> {
    read_lines(path)
}

/// Count the lines that apply a record and version a second time.
pub fn applied_twice(lines: &[Applied]) -> usize {
    let mut seen = std::collections::BTreeSet::new();
    lines.iter().filter(|line| !seen.insert((line.id_ban_ghi.as_str(), line.phien_ban))).count()
}

// The last line may be cut off by a crash before anything was answered: it never counted.
pub(super) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, LedgerError> {
    let fault = |source| LedgerError::File { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(fault(error)),
    };
    let mut reader = BufReader::new(file);
    let (mut lines, mut text) = (Vec::new(), Vec::new());
    loop {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(fault)? == 0 {
            return Ok(lines);
        }
        match serde_json::from_slice(&text) {
            Ok(line) => lines.push(line),
            Err(_) if !text.ends_with(b"\n") => return Ok(lines),
            Err(_) => {
                return Err(LedgerError::Line { path: path.to_owned(), line: lines.len() + 1 });
            }
        }
    }
}

/// A file that only grows.
pub(super) struct Appender {
    path: PathBuf,
    file: File,
}

impl Appender {
    /// Open `path`, cutting off a last line that a crash left unfinished.
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let fault = |source| LedgerError::File { path: path.to_owned(), source };
        let mut options = OpenOptions::new();
        options.create(true).append(true).read(true);
        let file = options.open(path).map_err(fault)?;
        let bytes = std::fs::read(path).map_err(fault)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if whole < bytes.len() {
            file.set_len(whole as u64).map_err(fault)?;
        }
        Ok(Self { path: path.to_owned(), file })
    }

    /// Append `lines` and wait until they are on disk.
    pub(super) fn append<T: Serialize>(&mut self, lines: &[T]) -> Result<(), LedgerError> {
        let fault = |source| LedgerError::File { path: self.path.clone(), source };
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line).map_err(|error| fault(error.into()))?;
            text.push(b'\n');
        }
        self.file.write_all(&text).map_err(fault)?;
        self.file.sync_data().map_err(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(version: i32) -> Applied {
        Applied {
            message_id: Uuid::nil(),
            id_ban_ghi: Uuid::max().to_string(),
            phien_ban: version,
            digest: "00".repeat(32),
            applied_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_line_cut_off_by_a_crash_never_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ledger.ndjson");
        let mut appender = Appender::open(&path).unwrap();
        appender.append(&[applied(1), applied(2)]).unwrap();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(b"{\"messageId\":\"0000").unwrap();
        assert_eq!(read(&path).unwrap(), [applied(1), applied(2)]);
        Appender::open(&path).unwrap().append(&[applied(3)]).unwrap();
        assert_eq!(read(&path).unwrap(), [applied(1), applied(2), applied(3)]);
    }

    #[test]
    fn a_record_applied_twice_is_counted() {
        assert_eq!(applied_twice(&[applied(1), applied(2)]), 0);
        assert_eq!(applied_twice(&[applied(1), applied(2), applied(1)]), 1);
    }
}

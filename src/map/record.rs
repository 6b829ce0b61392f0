//! Holds a national record and writes it as canonical XML.

use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::Arc;

use jiff::civil::DateTime;

use super::dictionary::{Column, Table};
use crate::intake::ministry::escape_text;
use crate::transcript::RecordId;

/// What happened to the record (dictionary, `sukien`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// The record is new to the receiver.
    New,
    /// The record replaces an earlier version.
    Update,
    /// The record is recalled; the receiver marks it, it deletes nothing.
    Cancel,
}

impl Event {
    /// Return the word of the dictionary.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Update => "UPDATE",
            Self::Cancel => "CANCEL",
        }
    }
}

impl FromStr for Event {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        [Self::New, Self::Update, Self::Cancel]
            .into_iter()
            .find(|event| event.name() == text)
            .ok_or(())
    }
}

/// What the gateway adds to a transcript when it becomes a national record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// `idbanghi`.
    pub record_id: RecordId,
    /// `sukien`.
    pub event: Event,
    /// `phienban`: only one greater than any before is applied by the receiver.
    pub version: NonZeroU32,
    /// `thoigiancapnhat`.
    pub updated_at: jiff::Timestamp,
}

// Values of all columns and rows stand in one text: one allocation instead of hundreds.
#[derive(Debug, Clone, Default)]
pub(super) struct Values {
    text: String,
    ends: Vec<usize>,
}

/// Values of one row of columns, as positions in [`Values`].
pub(super) type Row = std::ops::Range<usize>;

impl Values {
    pub(super) fn with_capacity(text: usize, columns: usize) -> Self {
        Self { text: String::with_capacity(text), ends: Vec::with_capacity(columns) }
    }

    /// Return the position the next value will have.
    pub(super) fn next(&self) -> usize {
        self.ends.len()
    }

    /// Add a value; an absent one is empty, for a present one never is.
    pub(super) fn push(&mut self, value: &str) {
        self.text.push_str(value);
        self.ends.push(self.text.len());
    }

    /// Return the value at a position, if it is present.
    pub(super) fn at(&self, position: usize) -> Option<&str> {
        let end = *self.ends.get(position)?;
        let start = match position.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        self.text.get(start..end).filter(|value| !value.is_empty())
    }
}

/// One record of the national dictionary, every value of the column's type and length.
///
/// Technical keys, foreign keys and the receiver's columns are not part of it; its rows stand
/// inside of it and share its id, event and version.
#[derive(Debug, Clone)]
pub struct NationalRecord {
    pub(super) table: Arc<Table>,
    pub(super) stamp: Stamp,
    pub(super) updated_at: DateTime,
    pub(super) values: Values,
    pub(super) columns: Row,
    pub(super) rows: Vec<Vec<Row>>,
}

/// Tag of a record.
pub const RECORD_TAG: &str = "BanGhi";
/// Tag of a row of a child table.
pub const ROW_TAG: &str = "dong";

impl NationalRecord {
    /// Return the name of its table.
    pub fn table(&self) -> &str {
        &self.table.name
    }

    /// Return `idbanghi`.
    pub fn record_id(&self) -> RecordId {
        self.stamp.record_id
    }

    /// Return `sukien`.
    pub fn event(&self) -> Event {
        self.stamp.event
    }

    /// Return `phienban`.
    pub fn version(&self) -> NonZeroU32 {
        self.stamp.version
    }

    /// Return the value of a column of the record itself.
    pub fn value(&self, column: &str) -> Option<&str> {
        let mut columns = self.table.columns.iter();
        let index = columns.position(|known| known.name == column)?;
        self.values.at(self.columns.start + index)
    }

    /// Return the value of the attribute `Id`, an XML name: `b-<record id>`.
    pub fn xml_id(&self) -> String {
        format!("b-{}", self.stamp.record_id)
    }

    /// Append `<BanGhi Id="b-…" bang="…">…</BanGhi>` in canonical form (C14N 1.0), without a seal.
    ///
    /// The columns stand in an element named as the table, so that a schema can tell the tables
    /// apart; absent values have no element.
    pub fn to_xml(&self, out: &mut Vec<u8>) {
        let open = format!(
            "<{RECORD_TAG} Id=\"b-{id}\" bang=\"{table}\"><idbanghi>{id}</idbanghi>\
             <sukien>{event}</sukien><phienban>{version}</phienban>\
             <thoigiancapnhat>{time}</thoigiancapnhat><{table}>",
            id = self.stamp.record_id,
            table = self.table.name,
            event = self.stamp.event.name(),
            version = self.stamp.version,
            time = self.updated_at.strftime("%Y-%m-%dT%H:%M:%S"),
        );
        out.reserve(8 * 1024);
        out.extend_from_slice(open.as_bytes());
        self.write(&self.table.columns, &self.columns, out);
        for (child, rows) in self.table.children.iter().zip(&self.rows) {
            if rows.is_empty() {
                continue;
            }
            start(&child.tag, out);
            for row in rows {
                start(ROW_TAG, out);
                self.write(&child.table.columns, row, out);
                end(ROW_TAG, out);
            }
            end(&child.tag, out);
        }
        end(&self.table.name, out);
        end(RECORD_TAG, out);
    }

    fn write(&self, columns: &[Column], row: &Row, out: &mut Vec<u8>) {
        for (column, position) in columns.iter().zip(row.clone()) {
            if let Some(value) = self.values.at(position) {
                start(&column.name, out);
                escape_text(value, out);
                end(&column.name, out);
            }
        }
    }
}

fn start(tag: &str, out: &mut Vec<u8>) {
    out.push(b'<');
    out.extend_from_slice(tag.as_bytes());
    out.push(b'>');
}

fn end(tag: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"</");
    out.extend_from_slice(tag.as_bytes());
    out.push(b'>');
}

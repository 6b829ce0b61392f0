//! Checks a record as it was received against the dictionary, strictly.

use std::borrow::Cow;
use std::num::NonZeroU32;

use quick_xml::events::{BytesStart, Event as Xml};
use quick_xml::reader::Reader;

pub use super::dictionary::Fault;
use super::dictionary::{Child, Column, Dictionary, FaultKind, Table};
use super::record::{Event, RECORD_TAG, ROW_TAG};

/// Namespace of a seal (XML-DSig).
const SEAL_NAMESPACE: &str = "http://www.w3.org/2000/09/xmldsig#";
/// Faults after which the rest of a record is not looked at.
const FAULTS_MAX: usize = 100;

/// What a received record says of itself, and what is wrong with it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Received {
    /// Value of the attribute `Id`.
    pub xml_id: Option<String>,
    /// Value of the attribute `bang`.
    pub table: Option<String>,
    /// `idbanghi`.
    pub record_id: Option<String>,
    /// `sukien`.
    pub event: Option<Event>,
    /// `phienban`.
    pub version: Option<NonZeroU32>,
    /// Whether a seal stands as the last child.
    pub has_seal: bool,
    /// Everything that is wrong; empty for a record that may be applied.
    pub faults: Vec<Fault>,
}

impl Dictionary {
    /// Check the octets of one `BanGhi` element: tables, columns, order, lengths, value lists.
    ///
    /// Its seal, if any, is passed over; nothing is looked up or verified. Never panics.
    pub fn check_record(&self, xml: &[u8]) -> Received {
        let mut checker = Checker { reader: None, received: Received::default() };
        match std::str::from_utf8(xml) {
            Ok(text) => {
                let mut reader = Reader::from_str(text);
                reader.config_mut().expand_empty_elements = true;
                checker.reader = Some(reader);
                if checker.record(self).is_none() {
                    checker.fault("", FaultKind::Malformed);
                }
            }
            Err(_) => checker.fault("", FaultKind::Malformed),
        }
        checker.received
    }
}

struct Checker<'a> {
    reader: Option<Reader<&'a [u8]>>,
    received: Received,
}

enum Node<'a> {
    Start(BytesStart<'a>),
    End,
    Eof,
}

// `None` means that the record breaks off or is not well-formed.
impl<'a> Checker<'a> {
    fn fault(&mut self, column: &str, kind: FaultKind) {
        if self.received.faults.len() < FAULTS_MAX {
            self.received.faults.push(Fault { column: column.to_owned(), kind });
        }
    }

    // The next tag; white space between tags is passed over, other text is not permitted.
    fn next(&mut self) -> Option<Node<'a>> {
        loop {
            match self.reader.as_mut()?.read_event() {
                Ok(Xml::Start(start)) => return Some(Node::Start(start)),
                Ok(Xml::End(_)) => return Some(Node::End),
                Ok(Xml::Eof) => return Some(Node::Eof),
                Ok(Xml::Text(text)) if text.trim().is_empty() => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    // The text up to the end of the element just opened.
    fn text(&mut self) -> Option<Cow<'a, str>> {
        let mut value: Cow<'a, str> = Cow::Borrowed("");
        loop {
            match self.reader.as_mut()?.read_event() {
                Ok(Xml::Text(text)) if value.is_empty() => value = text.into_inner(),
                Ok(Xml::Text(text)) => value.to_mut().push_str(&text),
                Ok(Xml::GeneralRef(reference)) => {
                    let letter = crate::intake::ministry::resolved(&reference)?;
                    value.to_mut().push(letter);
                }
                Ok(Xml::End(_)) => return Some(value),
                Ok(_) | Err(_) => return None,
            }
        }
    }

    fn skip(&mut self) -> Option<()> {
        let mut depth = 1_usize;
        while depth > 0 {
            match self.reader.as_mut()?.read_event() {
                Ok(Xml::Start(_)) => depth += 1,
                Ok(Xml::End(_)) => depth -= 1,
                Ok(Xml::Eof) | Err(_) => return None,
                Ok(_) => {}
            }
        }
        Some(())
    }

    fn record(&mut self, dictionary: &Dictionary) -> Option<()> {
        let Node::Start(start) = self.next()? else {
            return None;
        };
        if start.name().into_inner() != RECORD_TAG {
            return None;
        }
        self.attributes(&start)?;
        let table = self.received.table.clone().unwrap_or_default();
        let Some(table) = dictionary.table(&table).cloned() else {
            self.fault("bang", FaultKind::Unknown);
            return Some(());
        };
        let mut seen = Seen::new(&table.envelope, "");
        let mut has_columns = false;
        loop {
            let start = match self.next()? {
                Node::End => break,
                Node::Eof => return None,
                Node::Start(start) => start,
            };
            let tag = start.name().into_inner();
            if self.received.has_seal {
                self.fault(tag, FaultKind::OutOfOrder);
            }
            if tag == table.name {
                if std::mem::replace(&mut has_columns, true) {
                    self.fault(tag, FaultKind::Repeated);
                }
                self.columns(&table, "")?;
            } else if is_seal(&start) {
                self.received.has_seal = true;
                if !has_columns {
                    self.fault("Signature", FaultKind::OutOfOrder);
                }
                self.skip()?;
            } else {
                if has_columns {
                    self.fault(tag, FaultKind::OutOfOrder);
                }
                self.column(&mut seen, tag)?;
            }
        }
        self.envelope(&table, &seen);
        if !has_columns {
            self.fault(&table.name, FaultKind::Missing);
        }
        matches!(self.next()?, Node::Eof).then_some(())
    }

    fn attributes(&mut self, start: &BytesStart<'a>) -> Option<()> {
        for attribute in start.attributes() {
            let attribute = attribute.ok()?;
            let value = attribute.value.as_ref();
            let plain = !value.is_empty() && !value.contains(['&', '<']);
            match attribute.key.into_inner() {
                "Id" if plain => self.received.xml_id = Some(value.to_owned()),
                "bang" if plain => self.received.table = Some(value.to_owned()),
                _ => self.fault("", FaultKind::Unknown),
            }
        }
        if self.received.xml_id.is_none() {
            self.fault("Id", FaultKind::Missing);
        }
        Some(())
    }

    fn envelope(&mut self, table: &Table, seen: &Seen<'_, 'a>) {
        for (column, value) in table.envelope.iter().zip(&seen.values) {
            match (column.name.as_str(), value.as_deref()) {
                (_, None) => self.fault(&column.name, FaultKind::Missing),
                ("idbanghi", Some(value)) => self.received.record_id = Some(value.to_owned()),
                ("sukien", Some(value)) => self.received.event = value.parse().ok(),
                ("phienban", Some(value)) => self.received.version = value.parse().ok(),
                _ => {}
            }
        }
        let (id, xml_id) = (&self.received.record_id, &self.received.xml_id);
        if let (Some(id), Some(xml_id)) = (id, xml_id)
            && xml_id.strip_prefix("b-") != Some(id)
        {
            let permitted = "b-<idbanghi>";
            self.fault("Id", FaultKind::NotOfForm { permitted });
        }
    }

    // The columns and rows of the element just opened, up to its end.
    fn columns(&mut self, table: &Table, above: &str) -> Option<()> {
        let mut seen = Seen::new(&table.columns, above);
        let mut children_seen = 0;
        loop {
            let start = match self.next()? {
                Node::End => break,
                Node::Eof => return None,
                Node::Start(start) => start,
            };
            let tag = start.name().into_inner();
            match table.children.iter().position(|child| child.tag == tag) {
                Some(index) => {
                    if index < children_seen {
                        self.fault(tag, FaultKind::OutOfOrder);
                    }
                    children_seen = index + 1;
                    self.rows(&table.children[index])?;
                }
                None => {
                    if children_seen > 0 {
                        self.fault(&seen.path(tag), FaultKind::OutOfOrder);
                    }
                    self.column(&mut seen, tag)?;
                }
            }
        }
        for (index, kind) in table.absences(|index| seen.values.get(index)?.as_deref()) {
            let path = seen.path(&table.columns[index].name);
            self.fault(&path, kind);
        }
        Some(())
    }

    fn rows(&mut self, child: &Child) -> Option<()> {
        let mut number = 0_usize;
        loop {
            match self.next()? {
                Node::End => break,
                Node::Eof => return None,
                Node::Start(start) => {
                    number += 1;
                    let path = format!("{}/{ROW_TAG}[{number}]/", child.tag);
                    if start.name().into_inner() == ROW_TAG {
                        self.columns(&child.table, &path)?;
                    } else {
                        self.fault(&child.tag, FaultKind::Unknown);
                        self.skip()?;
                    }
                }
            }
        }
        if number == 0 {
            self.fault(&child.tag, FaultKind::Missing);
        }
        Some(())
    }

    fn column(&mut self, seen: &mut Seen<'_, 'a>, tag: &str) -> Option<()> {
        let found = seen.columns.iter().position(|column| column.name == tag);
        let Some(index) = found else {
            // A name of the sender: whatever it is, the path stays short.
            let name: String = tag.chars().take(64).collect();
            self.fault(&seen.path(&name), FaultKind::Unknown);
            return self.skip();
        };
        let path = seen.path(tag);
        let value = self.text()?;
        if let Some(kind) = seen.columns[index].fault(&value) {
            self.fault(&path, kind);
        }
        if seen.values[index].is_some() {
            self.fault(&path, FaultKind::Repeated);
        } else if index < seen.next {
            self.fault(&path, FaultKind::OutOfOrder);
        }
        seen.next = seen.next.max(index + 1);
        seen.values[index] = Some(value);
        Some(())
    }
}

struct Seen<'t, 'a> {
    columns: &'t [Column],
    above: String,
    values: Vec<Option<Cow<'a, str>>>,
    // Index after the greatest seen.
    next: usize,
}

impl<'t> Seen<'t, '_> {
    fn new(columns: &'t [Column], above: &str) -> Self {
        Self { columns, above: above.to_owned(), values: vec![None; columns.len()], next: 0 }
    }

    fn path(&self, tag: &str) -> String {
        format!("{}{tag}", self.above)
    }
}

fn is_seal(start: &BytesStart<'_>) -> bool {
    let name = start.name().into_inner();
    let (prefix, local) = match name.split_once(':') {
        Some((prefix, local)) => (format!("xmlns:{prefix}"), local),
        None => ("xmlns".to_owned(), name),
    };
    local == "Signature"
        && start.attributes().flatten().any(|attribute| {
            attribute.key.into_inner() == prefix && attribute.value.as_ref() == SEAL_NAMESPACE
        })
}

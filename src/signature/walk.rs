//! Walks through a list of records, holding it to its shape.

use std::io::BufRead;

use super::Verifier;
use super::algorithm::DSIG_NAMESPACE;
use super::markup::is_space;
use super::reader::{EventKind, XmlReader};
use super::scope::Tag;
use super::xml::{XmlFault, XmlFaultKind};

/// What stands directly below the root.
pub(super) enum Child {
    Record,
    Signature,
}

/// An event of a list.
pub(super) enum Seen<'a> {
    Start(Tag<'a>, Option<Child>),
    Text(&'a str),
    End,
    Eof,
}

/// Reads a list and holds it to its shape: root, then records and Signature, nothing else.
pub(super) struct Walk<'v, R: BufRead> {
    verifier: &'v Verifier,
    pub(super) reader: XmlReader<'v, R>,
    nodes_outside: usize,
    child_offset: u64,
}

impl<'v, R: BufRead> Walk<'v, R> {
    pub(super) fn new(verifier: &'v Verifier, source: R) -> Self {
        Self {
            verifier,
            reader: XmlReader::new(source, &verifier.settings.xml),
            nodes_outside: 0,
            child_offset: 0,
        }
    }

    pub(super) fn next(&mut self) -> Result<Seen<'_>, XmlFault> {
        loop {
            match self.reader.advance()? {
                EventKind::Start => {
                    let child = match self.reader.depth() {
                        1 => self.check_root()?,
                        2 => Some(self.child()?),
                        _ => None,
                    };
                    return Ok(Seen::Start(self.reader.tag(), child));
                }
                EventKind::Text => {
                    let outside = self.reader.depth() == 1;
                    if outside && !self.reader.text().chars().all(is_space) {
                        return Err(self.reader.fault(XmlFaultKind::UnexpectedText));
                    }
                    return Ok(Seen::Text(self.reader.text()));
                }
                EventKind::End => {
                    if self.reader.depth() == 1 {
                        self.close_child()?;
                    }
                    return Ok(Seen::End);
                }
                EventKind::Comment => {}
                EventKind::Eof => return Ok(Seen::Eof),
            }
        }
    }

    fn check_root(&self) -> Result<Option<Child>, XmlFault> {
        let profile = &self.verifier.profile;
        if self.reader.tag().is(&profile.namespace, &profile.list_root) {
            Ok(None)
        } else {
            Err(self.reader.fault(XmlFaultKind::WrongRoot))
        }
    }

    fn child(&mut self) -> Result<Child, XmlFault> {
        let profile = &self.verifier.profile;
        let tag = self.reader.tag();
        let child = if tag.is(&profile.namespace, &profile.record_root) {
            Child::Record
        } else if tag.is(DSIG_NAMESPACE, "Signature") {
            Child::Signature
        } else {
            return Err(self.reader.fault(XmlFaultKind::UnexpectedElement));
        };
        // Every child has the full allowance of nodes; what stands between them has one together.
        self.nodes_outside = self.reader.nodes();
        self.reader.allow_nodes_from(1);
        self.child_offset = self.reader.event_place().1;
        Ok(child)
    }

    fn close_child(&mut self) -> Result<(), XmlFault> {
        self.reader.allow_nodes_from(self.nodes_outside);
        let size = self.reader.offset() - self.child_offset;
        let bytes_max = self.verifier.settings.xml.record_bytes_max as u64;
        if size > bytes_max {
            return Err(self.reader.fault(XmlFaultKind::RecordTooLarge));
        }
        Ok(())
    }
}

//! Reads XML as strict events, refusing at its place everything a transcript has no need of.

use std::io::BufRead;

use quick_xml::Error as RawError;
use quick_xml::errors::{IllFormedError, SyntaxError};
use quick_xml::events::Event as Raw;
use quick_xml::reader::Reader;

use super::markup::{self, TagBuffer};
use super::meter::Meter;
use super::scope::{Scope, Tag};
use super::xml::{XmlFault, XmlFaultKind as Kind, XmlLimits};

/// An event of the strict reader; references are replaced, CDATA is text, line ends are `\n`.
#[derive(Debug)]
pub enum XmlEvent<'a> {
    /// A start tag; `<a/>` gives a start and an end.
    Start(Tag<'a>),
    /// An end tag.
    End,
    /// A piece of text; adjoining pieces are not joined.
    Text(&'a str),
    /// A comment; its content is nobody's business.
    Comment,
    /// The end of the document.
    Eof,
}

/// The strict reader over any source; memory does not grow with the document.
pub struct XmlReader<'l, R: BufRead> {
    reader: Reader<Meter<R>>,
    // The raw bytes of the last event, all of them.
    buffer: Vec<u8>,
    state: State<'l>,
    event_at: Position,
    next_at: Position,
    capture: Capture,
}

#[derive(Debug, Clone, Copy)]
struct Position {
    line: u64,
    line_start: u64,
    offset: u64,
}

impl Position {
    fn passed(self, bytes: &[u8]) -> Self {
        let mut after = self;
        after.offset += bytes.len() as u64;
        let newlines = bytes.iter().filter(|byte| **byte == b'\n').count();
        if newlines > 0 {
            after.line += newlines as u64;
            let last = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
            after.line_start = self.offset + last as u64 + 1;
        }
        after
    }
}

// Raw bytes of an element, for the pass that cuts a list into records.
#[derive(Default)]
struct Capture {
    held: bool,
    bytes: Vec<u8>,
    bytes_max: usize,
}

// Everything that is known beside the source; apart from it, because an event borrows the source's buffer.
struct State<'l> {
    limits: &'l XmlLimits,
    text: String,
    tag: TagBuffer,
    scope: Scope,
    path: String,
    depth: usize,
    nodes: usize,
    text_run: usize,
    started: bool,
    rooted: bool,
    pending_end: bool,
}

/// Kind of the last event; its data is asked for by [`XmlReader::tag`] and [`XmlReader::text`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    Start,
    End,
    Text,
    Comment,
    Eof,
}

// An event, or nothing that anyone needs to see.
type Step = Option<EventKind>;

// A fault and how many bytes after the event's first byte it stands.
struct Refusal(Kind, usize);

impl From<Kind> for Refusal {
    fn from(kind: Kind) -> Self {
        Self(kind, 0)
    }
}

const PATH_NAME_CHARS: usize = 64;
// Bytes of delimiters around a text of the full length (`<![CDATA[` and `]]>`).
const DELIMITERS: usize = 32;

impl<'l, R: BufRead> XmlReader<'l, R> {
    /// Read a whole document.
    pub fn new(source: R, limits: &'l XmlLimits) -> Self {
        let mut reader = Reader::from_reader(Meter::new(source));
        let config = reader.config_mut();
        config.check_comments = true;
        config.check_end_names = true;
        let start = Position { line: 1, line_start: 0, offset: 0 };
        let state = State {
            limits,
            text: String::new(),
            tag: TagBuffer::default(),
            scope: Scope::default(),
            path: String::new(),
            depth: 0,
            nodes: 0,
            text_run: 0,
            started: false,
            rooted: false,
            pending_end: false,
        };
        Self {
            reader,
            buffer: Vec::new(),
            state,
            event_at: start,
            next_at: start,
            capture: Capture::default(),
        }
    }

    /// Read one element that stood below the namespace declarations `inherited` (prefix, URI).
    pub fn fragment(source: R, inherited: &[(String, String)], limits: &'l XmlLimits) -> Self {
        let mut reader = Self::new(source, limits);
        for (prefix, uri) in inherited {
            reader.state.scope.bind(prefix, uri, 0);
        }
        // An XML declaration may stand before a document, not before a piece of one.
        reader.state.started = true;
        reader
    }

    /// Read the next event; [`XmlEvent::Eof`] repeats.
    #[expect(
        clippy::should_implement_trait,
        reason = "the event borrows the reader, so this is no iterator"
    )]
    pub fn next(&mut self) -> Result<XmlEvent<'_>, XmlFault> {
        Ok(match self.advance()? {
            EventKind::Start => XmlEvent::Start(self.tag()),
            EventKind::End => XmlEvent::End,
            EventKind::Text => XmlEvent::Text(self.text()),
            EventKind::Comment => XmlEvent::Comment,
            EventKind::Eof => XmlEvent::Eof,
        })
    }

    /// Read the next event and tell its kind.
    pub(crate) fn advance(&mut self) -> Result<EventKind, XmlFault> {
        loop {
            match self.step() {
                Ok(None) => {}
                Ok(Some(kind)) => return Ok(kind),
                Err(Refusal(kind, after)) => return Err(self.fault_after(kind, after)),
            }
        }
    }

    /// Return the start tag of the last event, if it was one.
    pub(crate) fn tag(&self) -> Tag<'_> {
        self.state.tag.tag()
    }

    /// Return the text of the last event, if it was one.
    pub(crate) fn text(&self) -> &str {
        &self.state.text
    }

    /// Return how many elements are open after the last event; a start tag counts.
    pub fn depth(&self) -> usize {
        self.state.depth
    }

    /// Return the line (from 1) and byte (from 0) at which the last event began.
    pub fn event_place(&self) -> (u64, u64) {
        (self.event_at.line, self.event_at.offset)
    }

    /// Make a fault at the last event.
    pub fn fault(&self, kind: Kind) -> XmlFault {
        self.fault_after(kind, 0)
    }

    pub(crate) fn nodes(&self) -> usize {
        self.state.nodes
    }

    /// Set the count of nodes back to `nodes`, so that the next record has the full allowance.
    pub(crate) fn allow_nodes_from(&mut self, nodes: usize) {
        self.state.nodes = nodes;
    }

    /// Return how many bytes were read up to the end of the last event.
    pub(crate) fn offset(&self) -> u64 {
        self.next_at.offset
    }

    /// Keep the raw bytes of the last event and of the following ones, at most `bytes_max`.
    pub(crate) fn hold(&mut self, bytes_max: usize) {
        self.capture.held = true;
        self.capture.bytes_max = bytes_max;
        self.capture.bytes.extend_from_slice(&self.buffer);
    }

    /// Give the raw bytes that were held.
    pub(crate) fn release(&mut self) -> Vec<u8> {
        self.capture.held = false;
        std::mem::take(&mut self.capture.bytes)
    }

    fn fault_after(&self, kind: Kind, after: usize) -> XmlFault {
        let seen = match kind {
            Kind::Truncated | Kind::Empty => self.buffer.as_slice(),
            _ => self.buffer.get(..after).unwrap_or(&[]),
        };
        let at = self.event_at.passed(seen);
        XmlFault {
            kind,
            line: at.line,
            column: at.offset - at.line_start + 1,
            offset: at.offset,
            path: self.state.path.clone(),
        }
    }

    fn step(&mut self) -> Result<Step, Refusal> {
        if std::mem::take(&mut self.state.pending_end) {
            self.state.close();
            return Ok(Some(EventKind::End));
        }
        if !self.reader.get_ref().is_head_read() {
            let utf8 = self.reader.get_mut().read_head().map_err(|_| Kind::Unreadable)?;
            if !utf8 {
                return Err(Kind::Encoding.into());
            }
            self.next_at.offset = self.reader.get_ref().mark_len();
            self.next_at.line_start = self.next_at.offset;
        }
        self.buffer.clear();
        let limits = self.state.limits;
        let budget = limits.text_bytes_max.max(limits.start_tag_bytes_max);
        self.reader.get_mut().begin_event(budget.saturating_add(DELIMITERS));
        self.event_at = self.next_at;
        let raw = match self.reader.read_event_into(&mut self.buffer) {
            Ok(raw) => raw,
            Err(error) => {
                let exhausted = self.reader.get_ref().is_exhausted();
                return Err(refusal_of(&error, exhausted, &self.buffer).into());
            }
        };
        // The parser itself drops a second byte order mark and would not tell.
        let meter = self.reader.get_ref();
        let dropped = self.reader.buffer_position() + meter.mark_len() != meter.offset();
        if !self.state.started && dropped {
            return Err(Kind::Encoding.into());
        }
        let size = usize::try_from(meter.offset() - self.event_at.offset).unwrap_or(usize::MAX);
        let step = self.state.take(&raw, size)?;
        self.next_at = self.event_at.passed(&self.buffer);
        if self.capture.held {
            if self.capture.bytes.len() + self.buffer.len() > self.capture.bytes_max {
                return Err(Kind::RecordTooLarge.into());
            }
            self.capture.bytes.extend_from_slice(&self.buffer);
        }
        Ok(step)
    }
}

impl State<'_> {
    fn take(&mut self, raw: &Raw<'_>, size: usize) -> Result<Step, Refusal> {
        let first = !std::mem::replace(&mut self.started, true);
        match raw {
            Raw::Start(start) => {
                self.open(start.name().into_inner(), start.attributes_raw(), size)?;
                Ok(Some(EventKind::Start))
            }
            Raw::Empty(start) => {
                self.open(start.name().into_inner(), start.attributes_raw(), size)?;
                self.pending_end = true;
                Ok(Some(EventKind::Start))
            }
            Raw::End(_) => {
                self.close();
                Ok(Some(EventKind::End))
            }
            Raw::Text(text) => self.text(text, size, true),
            Raw::CData(text) if self.depth > 0 => self.text(text, size, false),
            Raw::GeneralRef(name) if self.depth > 0 => {
                self.count_text(size)?;
                let character = markup::reference(name)?;
                self.text.clear();
                self.text.push(character);
                Ok(Some(EventKind::Text))
            }
            Raw::CData(_) | Raw::GeneralRef(_) => Err(Kind::OutsideRoot.into()),
            Raw::Comment(text) => {
                self.count_node()?;
                if text.len() > self.limits.text_bytes_max {
                    return Err(Kind::TextTooLong.into());
                }
                markup::check_characters(text).map_err(|at| Refusal(Kind::Character, at + 4))?;
                Ok(Some(EventKind::Comment))
            }
            Raw::Decl(declaration) if first => {
                let text = declaration.strip_prefix("xml").unwrap_or_default();
                markup::check_declaration(text)?;
                Ok(None)
            }
            Raw::Decl(_) => Err(Kind::Declaration.into()),
            Raw::PI(_) => Err(Kind::ProcessingInstruction.into()),
            Raw::DocType(_) => Err(Kind::Doctype.into()),
            Raw::Eof if self.depth > 0 => Err(Kind::Truncated.into()),
            Raw::Eof if !self.rooted => Err(Kind::Empty.into()),
            Raw::Eof => Ok(Some(EventKind::Eof)),
        }
    }

    fn open(&mut self, name: &str, rest: &str, size: usize) -> Result<(), Kind> {
        if self.depth == 0 && std::mem::replace(&mut self.rooted, true) {
            return Err(Kind::OutsideRoot);
        }
        if size > self.limits.start_tag_bytes_max {
            return Err(Kind::StartTagTooLong);
        }
        if self.depth >= self.limits.depth_max {
            return Err(Kind::TooDeep);
        }
        self.count_node()?;
        self.depth += 1;
        let depth = u32::try_from(self.depth).unwrap_or(u32::MAX);
        self.tag.read(name, rest, &mut self.scope, depth, self.limits)?;
        // Only checked names enter the path, and only their beginning: it is told in faults.
        self.path.push('/');
        let end = (name.len() > PATH_NAME_CHARS).then(|| name.char_indices().nth(PATH_NAME_CHARS));
        match end.flatten() {
            Some((end, _)) => self.path.push_str(&name[..end]),
            None => self.path.push_str(name),
        }
        self.text_run = 0;
        Ok(())
    }

    fn close(&mut self) {
        let depth = u32::try_from(self.depth).unwrap_or(u32::MAX);
        self.scope.leave(depth);
        self.depth = self.depth.saturating_sub(1);
        let parent = self.path.rfind('/').unwrap_or(0);
        self.path.truncate(parent);
        self.text_run = 0;
    }

    fn text(&mut self, raw: &str, size: usize, markup_ends: bool) -> Result<Step, Refusal> {
        if self.depth == 0 {
            return match raw.find(|c: char| !markup::is_space(c)) {
                Some(at) => Err(Refusal(Kind::OutsideRoot, at)),
                None => Ok(None),
            };
        }
        self.count_text(size)?;
        let before = if markup_ends { 0 } else { 9 };
        markup::check_characters(raw).map_err(|at| Refusal(Kind::Character, at + before))?;
        if markup_ends
            && raw.contains('>')
            && let Some(at) = raw.find("]]>")
        {
            return Err(Refusal(Kind::Syntax, at));
        }
        if raw.is_empty() {
            return Ok(None);
        }
        self.text.clear();
        let mut pieces = raw.split('\r');
        self.text.push_str(pieces.next().unwrap_or_default());
        for piece in pieces {
            // XML 1.0, 2.11: both CR LF and a lone CR are one line feed.
            self.text.push('\n');
            self.text.push_str(piece.strip_prefix('\n').unwrap_or(piece));
        }
        Ok(Some(EventKind::Text))
    }

    fn count_text(&mut self, size: usize) -> Result<(), Kind> {
        if self.text_run == 0 {
            self.count_node()?;
        }
        self.text_run += size;
        if self.text_run > self.limits.text_bytes_max {
            return Err(Kind::TextTooLong);
        }
        Ok(())
    }

    fn count_node(&mut self) -> Result<(), Kind> {
        self.nodes += 1;
        if self.nodes > self.limits.nodes_max {
            return Err(Kind::TooManyNodes);
        }
        Ok(())
    }
}

fn refusal_of(error: &RawError, exhausted: bool, seen: &[u8]) -> Kind {
    match error {
        RawError::Io(_) if exhausted && seen.starts_with(b"<!D") => Kind::Doctype,
        RawError::Io(_) if exhausted && seen.starts_with(b"<?") => Kind::ProcessingInstruction,
        RawError::Io(_) if exhausted && seen.starts_with(b"<") && !seen.starts_with(b"<!") => {
            Kind::StartTagTooLong
        }
        RawError::Io(_) if exhausted => Kind::TextTooLong,
        RawError::Io(_) => Kind::Unreadable,
        RawError::Encoding(_) => Kind::Encoding,
        RawError::Syntax(SyntaxError::InvalidBangMarkup) => Kind::Syntax,
        RawError::Syntax(SyntaxError::UnclosedDoctype) => Kind::Doctype,
        RawError::Syntax(_) => Kind::Truncated,
        RawError::IllFormed(
            IllFormedError::MismatchedEndTag { .. } | IllFormedError::UnmatchedEndTag(_),
        ) => Kind::TagMismatch,
        RawError::IllFormed(IllFormedError::UnclosedReference) => Kind::Reference,
        RawError::IllFormed(IllFormedError::MissingDoctypeName) => Kind::Doctype,
        _ => Kind::Syntax,
    }
}

//! Reads the verified octets of a data region into a transcript, liberal in shape and strict in meaning.

use std::borrow::Cow;

use quick_xml::events::{BytesRef, Event};
use quick_xml::reader::Reader;
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::profile::{Container, Family, Profile};
use crate::transcript::{Field, Fields, Group, Place, Severity, Transcript, Violation};

/// A decoded transcript and what was found odd while decoding it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decoded {
    /// The values, trimmed and in NFC.
    pub transcript: Transcript,
    /// Family of the document; `None` when it tells neither grade nor level.
    pub family: Option<Family>,
    /// Violations of severity *warning*, such as unknown tags.
    pub warnings: Vec<Violation>,
}

/// Decode the canonical octets of `DU_LIEU_HOC_BA`, already verified by the signatures.
///
/// # Errors
/// All violations found, when at least one is of severity *error*.
pub fn decode(data_region_octets: &[u8], profile: &Profile) -> Result<Decoded, Vec<Violation>> {
    let mut decoder = Decoder {
        profile,
        transcript: Transcript::default(),
        seen: Vec::with_capacity(96),
        frames: Vec::with_capacity(6),
        path: Vec::with_capacity(6),
        has_root: false,
        violations: Vec::new(),
    };
    decoder.run(data_region_octets);
    decoder.finish()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Frame {
    General,
    /// A list; the row is the one opened by fields that stand directly in it.
    List(Group, Option<usize>),
    Row(Group, usize),
}

// What a tag means at the place where it stands; known names live as long as the profile.
enum Meaning<'p> {
    Container(&'p str, Container),
    Field(&'p str, Field),
    Unknown(String),
}

struct Decoder<'p> {
    profile: &'p Profile,
    transcript: Transcript,
    // Tags already read, by row; a second one of the same name is refused.
    seen: Vec<(Field, usize, &'p str)>,
    frames: Vec<Frame>,
    path: Vec<(Cow<'p, str>, Option<usize>)>,
    has_root: bool,
    violations: Vec<Violation>,
}

impl<'p> Decoder<'p> {
    fn run(&mut self, octets: &[u8]) {
        let Ok(text) = std::str::from_utf8(octets) else {
            self.unreadable();
            return;
        };
        let mut reader = Reader::from_str(text);
        reader.config_mut().expand_empty_elements = true;
        while self.violations.len() < self.profile.document.violations_max {
            match reader.read_event() {
                Ok(Event::Start(start)) => {
                    if !self.open(start.name().into_inner(), &mut reader) {
                        break;
                    }
                }
                Ok(Event::End(_)) => {
                    self.frames.pop();
                    self.path.pop();
                }
                Ok(Event::Text(text)) if text.trim().is_empty() => {}
                Ok(Event::Text(_) | Event::GeneralRef(_)) => {
                    self.report("CV2088.stray-text", Severity::Warning, None);
                }
                Ok(Event::Comment(_)) => {}
                Ok(Event::Eof) if self.frames.is_empty() && self.has_root => break,
                Ok(_) | Err(_) => {
                    self.unreadable();
                    break;
                }
            }
        }
    }

    fn meaning(&self, tag: &str, frame: Frame) -> Meaning<'p> {
        let profile = self.profile;
        if let Some((name, container)) = profile.containers.get_key_value(tag) {
            return Meaning::Container(name, *container);
        }
        let group = match frame {
            Frame::General => Group::General,
            Frame::List(group, _) | Frame::Row(group, _) => group,
        };
        match profile.field(group, tag) {
            Some((name, field)) => Meaning::Field(name, field),
            // A tag of the sender: whatever it is, the path stays short.
            None => Meaning::Unknown(tag.chars().take(64).collect()),
        }
    }

    // Returns false when the rest cannot be read.
    fn open(&mut self, tag: &str, reader: &mut Reader<&[u8]>) -> bool {
        let Some(frame) = self.frames.last().copied() else {
            let profile = self.profile;
            if self.has_root || tag != profile.document.data {
                self.unreadable();
                return false;
            }
            self.has_root = true;
            self.enter(&profile.document.data, Frame::General);
            return true;
        };
        match (self.meaning(tag, frame), frame) {
            (Meaning::Container(name, Container::General), Frame::General) => {
                self.enter(name, Frame::General);
                true
            }
            (Meaning::Container(name, Container::List(group)), Frame::General) => {
                self.enter(name, Frame::List(group, None));
                true
            }
            (Meaning::Container(name, Container::Row(group)), Frame::General) => {
                self.open_row(name, group)
            }
            (Meaning::Container(name, Container::Row(group)), Frame::List(list, _))
                if list == group =>
            {
                self.open_row(name, group)
            }
            (Meaning::Container(name, _), _) => self.pass_over(Cow::Borrowed(name), reader),
            (Meaning::Unknown(name), _) => self.pass_over(Cow::Owned(name), reader),
            (Meaning::Field(name, field), _) => {
                self.path.push((Cow::Borrowed(name), None));
                let read = self.read_field(name, field, frame, reader);
                self.path.pop();
                read
            }
        }
    }

    fn enter(&mut self, tag: &'p str, frame: Frame) {
        self.path.push((Cow::Borrowed(tag), None));
        self.frames.push(frame);
    }

    fn open_row(&mut self, tag: &'p str, group: Group) -> bool {
        let Some(index) = self.add_row(group) else {
            return false;
        };
        self.path.push((Cow::Borrowed(tag), Some(index)));
        self.frames.push(Frame::Row(group, index));
        true
    }

    fn pass_over(&mut self, tag: Cow<'p, str>, reader: &mut Reader<&[u8]>) -> bool {
        self.path.push((tag, None));
        self.report("CV2088.unknown-tag", Severity::Warning, None);
        let read = skip(reader);
        if !read {
            self.unreadable();
        }
        self.path.pop();
        read
    }

    fn add_row(&mut self, group: Group) -> Option<usize> {
        let rows_max = self.profile.document.rows_max;
        let rows = self.rows(group);
        let index = rows.len();
        if index >= rows_max {
            let limit = vec![("limit".to_owned(), rows_max.to_string())];
            self.report("CV2088.too-many-rows", Severity::Error, Some(limit));
            return None;
        }
        rows.push(Fields::default());
        Some(index)
    }

    fn rows(&mut self, group: Group) -> &mut Vec<Fields> {
        match group {
            Group::History => &mut self.transcript.history,
            Group::Certificate => &mut self.transcript.certificates,
            Group::Subject | Group::General => &mut self.transcript.subjects,
        }
    }

    fn read_field(
        &mut self,
        tag: &'p str,
        field: Field,
        frame: Frame,
        reader: &mut Reader<&[u8]>,
    ) -> bool {
        let Some(value) = self.read_text(reader) else {
            self.unreadable();
            return false;
        };
        let row = match frame {
            Frame::General => Some(0),
            Frame::Row(_, index) | Frame::List(_, Some(index)) => Some(index),
            Frame::List(group, None) => {
                let row = self.add_row(group);
                if let Some(open) = self.frames.last_mut() {
                    *open = Frame::List(group, row);
                }
                row
            }
        };
        let Some(row) = row else {
            return false;
        };
        self.store(field, row, tag, &value);
        true
    }

    fn store(&mut self, field: Field, row: usize, tag: &'p str, value: &str) {
        if self.seen.contains(&(field, row, tag)) {
            self.report("CV2088.duplicate-tag", Severity::Error, None);
            return;
        }
        self.seen.push((field, row, tag));
        let value = normalised(value);
        let fields = match field.group() {
            Group::General => Some(&mut self.transcript.general),
            group => self.rows(group).get_mut(row),
        };
        let Some(fields) = fields else { return };
        match fields.value(field) {
            None => fields.set(field, value.as_ref()),
            Some(first) if value.is_empty() || agree(field, first, &value) => {}
            // The full form of a school year stands above its first year alone.
            Some(first) if agree(field, &value, first) => fields.set(field, value.as_ref()),
            Some(_) => self.report("CV2088.contradicting-tags", Severity::Error, None),
        }
    }

    // The content of the element just opened; `None` when the document breaks off.
    fn read_text<'a>(&mut self, reader: &mut Reader<&'a [u8]>) -> Option<Cow<'a, str>> {
        let mut value: Cow<'a, str> = Cow::Borrowed("");
        loop {
            match reader.read_event() {
                Ok(Event::Text(text)) => {
                    let text = text.into_inner();
                    if value.is_empty() {
                        value = text;
                    } else {
                        value.to_mut().push_str(&text);
                    }
                }
                Ok(Event::GeneralRef(reference)) => value.to_mut().push(resolved(&reference)?),
                Ok(Event::Start(_)) => {
                    self.report("CV2088.nested-tag", Severity::Error, None);
                    if !skip(reader) {
                        return None;
                    }
                }
                Ok(Event::End(_)) => return Some(value),
                Ok(Event::Comment(_)) => {}
                Ok(_) | Err(_) => return None,
            }
        }
    }

    fn report(&mut self, rule: &str, severity: Severity, args: Option<Vec<(String, String)>>) {
        let mut path = format!("/{}", self.profile.document.record);
        for (tag, row) in &self.path {
            path.push('/');
            // A tag of the sender: whatever it is, the path stays short.
            path.extend(tag.chars().take(64));
            if let Some(row) = row {
                path.push_str(&format!("[{}]", row + 1));
            }
        }
        self.violations.push(Violation {
            rule: rule.to_owned(),
            place: Place::Path(path),
            severity,
            args: args.unwrap_or_default(),
            source: self.profile.document.source.clone(),
        });
    }

    fn unreadable(&mut self) {
        self.report("CV2088.unreadable", Severity::Error, None);
    }

    fn finish(mut self) -> Result<Decoded, Vec<Violation>> {
        let is_error = |violation: &Violation| violation.severity == Severity::Error;
        if self.violations.iter().any(is_error) {
            return Err(self.violations);
        }
        for rows in [
            &mut self.transcript.subjects,
            &mut self.transcript.history,
            &mut self.transcript.certificates,
        ] {
            // Rows that are wholly empty at the end are lines of the printed form left blank.
            while rows.last().is_some_and(Fields::is_empty) {
                rows.pop();
            }
        }
        let family = self.profile.family_of(&self.transcript);
        if let (Some(family), Some(version)) = (family, self.transcript.value(Field::FormatVersion))
        {
            let versions = &self.profile.family(family).versions;
            if !versions.iter().any(|known| known == version) {
                let permitted = versions.join(", ");
                self.path.clear();
                self.report(
                    "CV2088.unknown-version",
                    Severity::Warning,
                    Some(vec![("permitted".to_owned(), permitted)]),
                );
            }
        }
        Ok(Decoded { family, transcript: self.transcript, warnings: self.violations })
    }
}

pub(crate) fn resolved(reference: &BytesRef<'_>) -> Option<char> {
    if reference.is_char_ref() {
        return reference.resolve_char_ref().ok().flatten();
    }
    match &**reference {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => None,
    }
}

// Reads up to the end of the element just opened; false when the document breaks off.
fn skip(reader: &mut Reader<&[u8]>) -> bool {
    let mut depth = 1_usize;
    while depth > 0 {
        match reader.read_event() {
            Ok(Event::Start(_)) => depth += 1,
            Ok(Event::End(_)) => depth -= 1,
            Ok(Event::Eof) | Err(_) => return false,
            Ok(_) => {}
        }
    }
    true
}

// Two spellings of one field say the same; NAM_HOC may give the first year of TEN_NAM_HOC alone.
fn agree(field: Field, full: &str, other: &str) -> bool {
    full == other
        || matches!(field, Field::SchoolYear | Field::HistoryYear)
            && other.len() == 4
            && full.split('-').next().map(str::trim) == Some(other)
}

fn normalised(value: &str) -> Cow<'_, str> {
    let value = value.trim();
    match is_nfc_quick(value.chars()) {
        IsNormalized::Yes => Cow::Borrowed(value),
        _ => Cow::Owned(value.nfc().collect()),
    }
}

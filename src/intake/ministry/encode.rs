//! Writes a transcript as the octets of a data region in canonical XML, strictly by the table.

use super::profile::{Family, Part, Profile};
use crate::transcript::{Field, Fields, Group, Transcript};

/// Why a transcript cannot be written in the Ministry's XML; holds no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// Neither grade nor level tells the family of documents.
    #[error("the transcript tells neither grade nor level")]
    NoFamily,
    /// The table has no tag for a field the transcript has.
    #[error("there is no tag for the field {}", .0.name())]
    NoTag(Field),
    /// A value holds a character that XML 1.0 cannot carry.
    #[error("the field {} holds a character that XML cannot carry", .0.name())]
    NotXml(Field),
}

/// Append `<DU_LIEU_HOC_BA Id="id">…</DU_LIEU_HOC_BA>` in canonical form to `out`.
///
/// Absent fields have no element; rows and tags follow the table. `id` must be an XML name that
/// is unique in the document it will stand in.
pub fn encode(
    transcript: &Transcript,
    profile: &Profile,
    id: &str,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let family = profile.family_of(transcript).ok_or(EncodeError::NoFamily)?;
    check(transcript, profile, family)?;
    let document = profile.document();
    out.push(b'<');
    out.extend_from_slice(document.data.as_bytes());
    out.push(b' ');
    out.extend_from_slice(document.id_attribute.as_bytes());
    out.extend_from_slice(b"=\"");
    escape_attribute(id, out);
    out.extend_from_slice(b"\">");
    for part in &profile.family(family).parts {
        write_part(part, transcript, out);
    }
    end(&document.data, out);
    Ok(())
}

fn check(transcript: &Transcript, profile: &Profile, family: Family) -> Result<(), EncodeError> {
    let rows = transcript.subjects.iter();
    let rows = rows.chain(&transcript.history).chain(&transcript.certificates);
    for fields in std::iter::once(&transcript.general).chain(rows) {
        for (field, value) in fields.iter() {
            if !profile.has(family, field) {
                return Err(EncodeError::NoTag(field));
            }
            if !value.chars().all(is_xml_char) {
                return Err(EncodeError::NotXml(field));
            }
        }
    }
    Ok(())
}

fn write_part(part: &Part, transcript: &Transcript, out: &mut Vec<u8>) {
    if !has_content(part, transcript) {
        return;
    }
    start(&part.tag, out);
    match &part.rows {
        None => write_fields(part, &transcript.general, out),
        Some((group, tag)) => {
            for row in rows(transcript, *group) {
                start(tag, out);
                write_fields(part, row, out);
                end(tag, out);
            }
        }
    }
    for inner in &part.parts {
        write_part(inner, transcript, out);
    }
    end(&part.tag, out);
}

fn has_content(part: &Part, transcript: &Transcript) -> bool {
    let here = match &part.rows {
        None => part.fields.iter().any(|(field, _)| transcript.value(*field).is_some()),
        Some((group, _)) => !rows(transcript, *group).is_empty(),
    };
    here || part.parts.iter().any(|inner| has_content(inner, transcript))
}

fn rows(transcript: &Transcript, group: Group) -> &[Fields] {
    match group {
        Group::General => &[],
        Group::Subject => &transcript.subjects,
        Group::History => &transcript.history,
        Group::Certificate => &transcript.certificates,
    }
}

fn write_fields(part: &Part, fields: &Fields, out: &mut Vec<u8>) {
    for (field, tag) in &part.fields {
        if let Some(value) = fields.value(*field) {
            start(tag, out);
            escape_text(value, out);
            end(tag, out);
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

/// Tell whether XML 1.0 permits `letter` in a document (production 2, Char).
pub(crate) fn is_xml_char(letter: char) -> bool {
    matches!(letter, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}

/// Append `text` as the content of an element in canonical XML (C14N 1.0, 2.3).
pub(crate) fn escape_text(text: &str, out: &mut Vec<u8>) {
    escape(text, out, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'>' => Some(b"&gt;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    });
}

/// Append `text` as the value of an attribute in canonical XML (C14N 1.0, 2.3).
pub(crate) fn escape_attribute(text: &str, out: &mut Vec<u8>) {
    escape(text, out, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'"' => Some(b"&quot;"),
        b'\t' => Some(b"&#x9;"),
        b'\n' => Some(b"&#xA;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    });
}

fn escape(text: &str, out: &mut Vec<u8>, replacement: impl Fn(u8) -> Option<&'static [u8]>) {
    let bytes = text.as_bytes();
    let mut written = 0;
    for (position, byte) in bytes.iter().enumerate() {
        if let Some(escaped) = replacement(*byte) {
            out.extend_from_slice(&bytes[written..position]);
            out.extend_from_slice(escaped);
            written = position + 1;
        }
    }
    out.extend_from_slice(&bytes[written..]);
}

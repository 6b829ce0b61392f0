//! Parses the inside of tags, references and the XML declaration, strictly by XML 1.0 and Namespaces 1.0.

use super::scope::{
    AttributeSpans, DeclarationSpans, Scope, Span, Tag, XML_NAMESPACE, XMLNS_NAMESPACE, push,
};
use super::xml::{XmlFaultKind as Kind, XmlLimits};

/// The start tag being read; reused from tag to tag.
#[derive(Debug, Default)]
pub(crate) struct TagBuffer {
    pub(crate) pool: String,
    pub(crate) name: Span,
    pub(crate) prefix_len: u32,
    pub(crate) namespace: Span,
    pub(crate) attributes: Vec<AttributeSpans>,
    pub(crate) declarations: Vec<DeclarationSpans>,
}

impl TagBuffer {
    /// Read tag `name` with the text `rest` between its name and its end; `depth` is the tag's own.
    pub(crate) fn read(
        &mut self,
        name: &str,
        rest: &str,
        scope: &mut Scope,
        depth: u32,
        limits: &XmlLimits,
    ) -> Result<(), Kind> {
        self.pool.clear();
        self.attributes.clear();
        self.declarations.clear();
        self.prefix_len = u32::try_from(check_qualified_name(name)?).unwrap_or(0);
        self.name = push(&mut self.pool, name);
        self.read_attributes(rest, limits)?;
        for spans in &self.declarations {
            scope.bind(spans.prefix.of(&self.pool), spans.uri.of(&self.pool), depth);
        }
        if scope.len() > limits.namespaces_max {
            return Err(Kind::TooManyNamespaces);
        }
        self.resolve(scope)
    }

    pub(crate) fn tag(&self) -> Tag<'_> {
        Tag {
            pool: &self.pool,
            name: self.name,
            prefix_len: self.prefix_len,
            namespace: self.namespace,
            attributes: &self.attributes,
            declarations: &self.declarations,
        }
    }

    fn read_attributes(&mut self, mut rest: &str, limits: &XmlLimits) -> Result<(), Kind> {
        loop {
            let trimmed = rest.trim_start_matches(is_space);
            if trimmed.is_empty() {
                return Ok(());
            }
            if trimmed.len() == rest.len() {
                return Err(Kind::Syntax);
            }
            if self.attributes.len() + self.declarations.len() >= limits.attributes_max {
                return Err(Kind::TooManyAttributes);
            }
            let (name, value, after) = split_attribute(trimmed)?;
            self.add_attribute(name, value)?;
            rest = after;
        }
    }

    fn add_attribute(&mut self, name: &str, value: &str) -> Result<(), Kind> {
        let prefix_len = check_qualified_name(name)?;
        let name_span = push(&mut self.pool, name);
        let start = self.pool.len();
        normalise_value(value, &mut self.pool)?;
        let value_span = Span {
            start: u32::try_from(start).unwrap_or(u32::MAX),
            len: u32::try_from(self.pool.len() - start).unwrap_or(0),
        };
        let prefix = &name[..prefix_len];
        if name == "xmlns" || prefix == "xmlns" {
            let declared = if prefix.is_empty() { name_span.moved(5) } else { name_span.moved(6) };
            let declared = Span {
                start: declared.start,
                len: name_span.start + name_span.len - declared.start,
            };
            return self.add_declaration(declared, value_span);
        }
        let pool = &self.pool;
        if self.attributes.iter().any(|other| other.name.of(pool) == name) {
            return Err(Kind::DuplicateAttribute);
        }
        self.attributes.push(AttributeSpans {
            name: name_span,
            prefix_len: u32::try_from(prefix_len).unwrap_or(0),
            value: value_span,
            namespace: Span::default(),
        });
        Ok(())
    }

    fn add_declaration(&mut self, prefix: Span, uri: Span) -> Result<(), Kind> {
        let pool = &self.pool;
        let (prefix_text, uri_text) = (prefix.of(pool), uri.of(pool));
        if self.declarations.iter().any(|other| other.prefix.of(pool) == prefix_text) {
            return Err(Kind::DuplicateAttribute);
        }
        let permitted = match prefix_text {
            "xmlns" => false,
            "xml" => uri_text == XML_NAMESPACE,
            "" => uri_text != XML_NAMESPACE && uri_text != XMLNS_NAMESPACE,
            _ => !uri_text.is_empty() && uri_text != XML_NAMESPACE && uri_text != XMLNS_NAMESPACE,
        };
        if !permitted {
            return Err(Kind::Namespace);
        }
        // Declaring `xml` changes nothing; canonical XML leaves it out.
        if prefix_text != "xml" {
            self.declarations.push(DeclarationSpans { prefix, uri });
        }
        Ok(())
    }

    fn resolve(&mut self, scope: &Scope) -> Result<(), Kind> {
        let name = self.name.of(&self.pool);
        let uri = if self.prefix_len == 0 {
            scope.uri("").unwrap_or("")
        } else {
            match &name[..self.prefix_len as usize] {
                "xmlns" => return Err(Kind::Namespace),
                prefix => scope.uri(prefix).ok_or(Kind::Namespace)?,
            }
        };
        self.namespace = push(&mut self.pool, uri);
        for index in 0..self.attributes.len() {
            let spans = self.attributes[index];
            if spans.prefix_len == 0 {
                continue;
            }
            let name = spans.name.of(&self.pool);
            let uri = scope.uri(&name[..spans.prefix_len as usize]).ok_or(Kind::Namespace)?;
            let namespace = push(&mut self.pool, uri);
            self.attributes[index].namespace = namespace;
        }
        if self.attributes.len() < 2 {
            return Ok(());
        }
        let tag = self.tag();
        for (index, attribute) in tag.attributes().enumerate() {
            if attribute.prefix.is_empty() {
                continue;
            }
            let same = |other: super::scope::Attribute<'_>| {
                other.local == attribute.local && other.namespace == attribute.namespace
            };
            if tag.attributes().skip(index + 1).any(same) {
                return Err(Kind::DuplicateAttribute);
            }
        }
        Ok(())
    }
}

// Split `name = "value" …` into name, value and what follows.
fn split_attribute(text: &str) -> Result<(&str, &str, &str), Kind> {
    let end = text.find(|c: char| c == '=' || is_space(c)).ok_or(Kind::Syntax)?;
    let (name, rest) = text.split_at(end);
    let rest = rest.trim_start_matches(is_space);
    let rest = rest.strip_prefix('=').ok_or(Kind::Syntax)?;
    let rest = rest.trim_start_matches(is_space);
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'')).ok_or(Kind::Syntax)?;
    let (value, after) = rest[1..].split_once(quote).ok_or(Kind::Syntax)?;
    Ok((name, value, after))
}

/// Append the normalised form of an attribute value to `out` (XML 1.0, 3.3.3, type CDATA).
fn normalise_value(value: &str, out: &mut String) -> Result<(), Kind> {
    check_characters(value).map_err(|_| Kind::Character)?;
    let mut rest = value;
    while let Some(at) = rest.find(['<', '&', '\t', '\n', '\r']) {
        out.push_str(&rest[..at]);
        let tail = &rest[at..];
        rest = match tail.as_bytes()[0] {
            b'<' => return Err(Kind::Syntax),
            b'&' => {
                let (name, after) = tail[1..].split_once(';').ok_or(Kind::Reference)?;
                out.push(reference(name)?);
                after
            }
            b'\r' if tail.as_bytes().get(1) == Some(&b'\n') => {
                out.push(' ');
                &tail[2..]
            }
            _ => {
                out.push(' ');
                &tail[1..]
            }
        };
    }
    out.push_str(rest);
    Ok(())
}

/// Return the character that `&name;` stands for: one of the five entities, or a character reference.
pub(crate) fn reference(name: &str) -> Result<char, Kind> {
    let number = match name {
        "amp" => return Ok('&'),
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "quot" => return Ok('"'),
        "apos" => return Ok('\''),
        _ => name.strip_prefix('#').ok_or(Kind::Reference)?,
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    if digits.is_empty() || digits.len() > 10 || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(Kind::Reference);
    }
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .filter(|c| is_character(*c))
        .ok_or(Kind::Reference)
}

fn is_character(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}

/// Find the first byte of `text` where a character stands that XML does not permit.
pub(crate) fn check_characters(text: &str) -> Result<(), usize> {
    let bytes = text.as_bytes();
    // Without branches, so that the compiler looks at many bytes at once.
    let suspicious =
        |byte: u8| ((byte < 0x20) & (byte != 9) & (byte != 10) & (byte != 13)) | (byte == 0xEF);
    if !bytes.iter().fold(false, |any, byte| any | suspicious(*byte)) {
        return Ok(());
    }
    let mut from = 0;
    while let Some(found) = bytes[from..].iter().position(|byte| suspicious(*byte)) {
        let at = from + found;
        let noncharacter = bytes[at] == 0xEF
            && bytes.get(at + 1) == Some(&0xBF)
            && matches!(bytes.get(at + 2), Some(0xBE | 0xBF));
        if bytes[at] != 0xEF || noncharacter {
            return Err(at);
        }
        from = at + 1;
    }
    Ok(())
}

/// Tell whether `c` is white space of XML.
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

/// Check a qualified name and return the length of its prefix (0: none).
pub(crate) fn check_qualified_name(name: &str) -> Result<usize, Kind> {
    match name.split_once(':') {
        Some((prefix, local)) if is_plain_name(prefix) && is_plain_name(local) => Ok(prefix.len()),
        None if is_plain_name(name) => Ok(0),
        _ => Err(Kind::Name),
    }
}

fn is_plain_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let ascii = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if bytes.first().is_some_and(|first| first.is_ascii_alphabetic() || *first == b'_')
        && bytes.iter().all(ascii)
    {
        return true;
    }
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

// XML 1.0 (5th edition), production 4, without the colon.
fn is_name_start(c: char) -> bool {
    matches!(c,
        'A'..='Z' | '_' | 'a'..='z' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}'
        | '\u{F8}'..='\u{2FF}' | '\u{370}'..='\u{37D}' | '\u{37F}'..='\u{1FFF}'
        | '\u{200C}'..='\u{200D}' | '\u{2070}'..='\u{218F}' | '\u{2C00}'..='\u{2FEF}'
        | '\u{3001}'..='\u{D7FF}' | '\u{F900}'..='\u{FDCF}' | '\u{FDF0}'..='\u{FFFD}'
        | '\u{10000}'..='\u{EFFFF}')
}

fn is_name_char(c: char) -> bool {
    is_name_start(c)
        || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}' | '\u{300}'..='\u{36F}' | '\u{203F}'..='\u{2040}')
}

/// Check the inside of `<?xml …?>` after the name: version 1.0, UTF-8, in this order (production 23).
pub(crate) fn check_declaration(text: &str) -> Result<(), Kind> {
    let mut rest = text;
    let mut stage = 0;
    loop {
        let trimmed = rest.trim_start_matches(is_space);
        if trimmed.is_empty() {
            return if stage > 0 { Ok(()) } else { Err(Kind::Declaration) };
        }
        if trimmed.len() == rest.len() {
            return Err(Kind::Declaration);
        }
        let (name, value, after) = split_attribute(trimmed).map_err(|_| Kind::Declaration)?;
        stage = match (name, stage) {
            ("version", 0) if value == "1.0" => 1,
            ("encoding", 1) if value.eq_ignore_ascii_case("utf-8") => 2,
            ("encoding", 1) => return Err(Kind::Encoding),
            ("standalone", 1 | 2) if matches!(value, "yes" | "no") => 3,
            _ => return Err(Kind::Declaration),
        };
        rest = after;
    }
}

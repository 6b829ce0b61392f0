//! Writes canonical XML 1.0, inclusive and exclusive, without comments, from a run of events.

use super::algorithm::Canonicalisation;
use super::scope::{Scope, Tag, XML_NAMESPACE};

/// How to canonicalise: the method and, for the exclusive one, prefixes treated as inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Method {
    /// The algorithm.
    pub algorithm: Canonicalisation,
    /// InclusiveNamespaces PrefixList; an empty prefix is `#default`.
    pub prefixes: Vec<String>,
}

impl Method {
    /// Canonical XML 1.0.
    pub fn inclusive() -> Self {
        Self { algorithm: Canonicalisation::Inclusive, prefixes: Vec::new() }
    }

    /// Exclusive canonical XML 1.0 with an empty PrefixList.
    pub fn exclusive() -> Self {
        Self { algorithm: Canonicalisation::Exclusive, prefixes: Vec::new() }
    }
}

/// Writes canonical octets of one subtree as its events arrive.
pub struct Canonicaliser<W: FnMut(&[u8])> {
    method: Method,
    out: W,
    scope: Scope,
    rendered: Scope,
    names: String,
    starts: Vec<u32>,
    apex_attributes: Vec<(String, String)>,
}

impl<W: FnMut(&[u8])> Canonicaliser<W> {
    /// Begin a subtree whose ancestors bind `scope` and carry the `xml:` attributes (name, value).
    pub fn new(
        method: Method,
        scope: Scope,
        xml_attributes: Vec<(String, String)>,
        out: W,
    ) -> Self {
        Self {
            method,
            out,
            scope,
            rendered: Scope::default(),
            names: String::new(),
            starts: Vec::new(),
            apex_attributes: xml_attributes,
        }
    }

    /// Write a start tag.
    pub fn start(&mut self, tag: &Tag<'_>) {
        let apex = self.starts.is_empty();
        let depth = u32::try_from(self.starts.len() + 1).unwrap_or(u32::MAX);
        for (prefix, uri) in tag.declarations() {
            self.scope.bind(prefix, uri, depth);
        }
        self.starts.push(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push_str(tag.name());
        (self.out)(b"<");
        (self.out)(tag.name().as_bytes());
        self.namespaces(tag, apex, depth);
        self.attributes(tag, apex);
        (self.out)(b">");
    }

    /// Write text.
    pub fn text(&mut self, text: &str) {
        let special = |byte| (byte == b'&') | (byte == b'<') | (byte == b'>') | (byte == b'\r');
        escape(text, &mut self.out, special, |byte| match byte {
            b'&' => Some(b"&amp;"),
            b'<' => Some(b"&lt;"),
            b'>' => Some(b"&gt;"),
            b'\r' => Some(b"&#xD;"),
            _ => None,
        });
    }

    /// Write the end tag of the innermost open element.
    pub fn end(&mut self) {
        let depth = u32::try_from(self.starts.len()).unwrap_or(u32::MAX);
        self.scope.leave(depth);
        self.rendered.leave(depth);
        let start = self.starts.pop().unwrap_or(0) as usize;
        (self.out)(b"</");
        (self.out)(&self.names.as_bytes()[start.min(self.names.len())..]);
        (self.out)(b">");
        self.names.truncate(start);
    }

    /// Give the sink back.
    pub fn into_sink(self) -> W {
        self.out
    }

    fn namespaces(&mut self, tag: &Tag<'_>, apex: bool, depth: u32) {
        let nothing_new = tag.declarations.is_empty() && !apex;
        let exclusive = self.method.algorithm == Canonicalisation::Exclusive;
        if nothing_new && !exclusive {
            return;
        }
        let mut wanted: Vec<(&str, &str)> = Vec::new();
        if exclusive {
            visibly_used(&self.scope, &self.method, tag, apex, &mut wanted);
        } else if apex {
            wanted.extend(self.scope.in_force());
        } else {
            wanted.extend(tag.declarations());
        }
        wanted.retain(|(prefix, uri)| match self.rendered.uri(prefix) {
            Some(rendered) => rendered != *uri,
            // An empty default namespace is only written to take back a rendered one.
            None => !uri.is_empty(),
        });
        wanted.sort_unstable();
        wanted.dedup();
        for (prefix, uri) in wanted {
            (self.out)(if prefix.is_empty() { b" xmlns" } else { b" xmlns:" });
            (self.out)(prefix.as_bytes());
            (self.out)(b"=\"");
            escape_attribute(uri, &mut self.out);
            (self.out)(b"\"");
            self.rendered.bind(prefix, uri, depth);
        }
    }

    fn attributes(&mut self, tag: &Tag<'_>, apex: bool) {
        let inherits = apex && self.method.algorithm == Canonicalisation::Inclusive;
        let only_own = !inherits || self.apex_attributes.is_empty();
        if tag.attributes.len() <= 1 && only_own {
            if let Some(only) = tag.attribute_at(0) {
                write_attribute(only.name, only.value, &mut self.out);
            }
            return;
        }
        let inherited = std::mem::take(&mut self.apex_attributes);
        let mut all: Vec<(&str, &str, &str, &str)> =
            tag.attributes().map(|a| (a.namespace, a.local, a.name, a.value)).collect();
        if inherits {
            for (name, value) in &inherited {
                let local = name.split_once(':').map_or(name.as_str(), |(_, local)| local);
                let own = all.iter().any(|(uri, l, ..)| *uri == XML_NAMESPACE && *l == local);
                if !own {
                    all.push((XML_NAMESPACE, local, name, value));
                }
            }
        }
        all.sort_unstable();
        for (_, _, name, value) in all {
            write_attribute(name, value, &mut self.out);
        }
    }
}

// Exclusive C14N, 3: prefixes of the element and its attributes, and those of the PrefixList.
fn visibly_used<'s>(
    scope: &'s Scope,
    method: &'s Method,
    tag: &Tag<'s>,
    apex: bool,
    wanted: &mut Vec<(&'s str, &'s str)>,
) {
    let prefix = tag.prefix();
    if prefix != "xml" {
        wanted.push((prefix, scope.uri(prefix).unwrap_or("")));
    }
    for attribute in tag.attributes() {
        if !attribute.prefix.is_empty() && attribute.prefix != "xml" {
            let uri = scope.uri(attribute.prefix).unwrap_or("");
            wanted.push((attribute.prefix, uri));
        }
    }
    for prefix in &method.prefixes {
        let declared_here = tag.declarations().find(|(declared, _)| declared == prefix);
        match (apex, declared_here) {
            (true, _) => {
                wanted.extend(scope.uri(prefix).map(|uri| (prefix.as_str(), uri)));
            }
            (false, Some(declared)) => wanted.push(declared),
            (false, None) => {}
        }
    }
}

fn write_attribute(name: &str, value: &str, out: &mut impl FnMut(&[u8])) {
    out(b" ");
    out(name.as_bytes());
    out(b"=\"");
    escape_attribute(value, out);
    out(b"\"");
}

fn escape_attribute(value: &str, out: &mut impl FnMut(&[u8])) {
    let special = |byte: u8| (byte == b'&') | (byte == b'<') | (byte == b'"') | (byte < b' ');
    escape(value, out, special, |byte| match byte {
        b'&' => Some(b"&amp;"),
        b'<' => Some(b"&lt;"),
        b'"' => Some(b"&quot;"),
        b'\t' => Some(b"&#x9;"),
        b'\n' => Some(b"&#xA;"),
        b'\r' => Some(b"&#xD;"),
        _ => None,
    });
}

// A text rarely needs escaping: first all bytes are looked at, many at once, then one by one.
fn escape(
    text: &str,
    out: &mut impl FnMut(&[u8]),
    special: impl Fn(u8) -> bool,
    replacement: impl Fn(u8) -> Option<&'static [u8]>,
) {
    let bytes = text.as_bytes();
    if !bytes.iter().fold(false, |any, byte| any | special(*byte)) {
        return out(bytes);
    }
    let mut from = 0;
    for (at, byte) in bytes.iter().enumerate() {
        if let Some(written) = replacement(*byte) {
            out(&bytes[from..at]);
            out(written);
            from = at + 1;
        }
    }
    out(&bytes[from..]);
}

//! Holds start tags and the namespaces in scope without an allocation per tag.

/// A piece of a text pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) start: u32,
    pub(crate) len: u32,
}

impl Span {
    pub(crate) fn of(self, pool: &str) -> &str {
        let start = self.start as usize;
        pool.get(start..start + self.len as usize).unwrap_or("")
    }

    pub(crate) fn moved(self, by: u32) -> Self {
        Self { start: self.start + by, len: self.len }
    }
}

/// Append `text` to `pool` and return where it stands; pools are bounded by the limits (far below 4 GiB).
pub(crate) fn push(pool: &mut String, text: &str) -> Span {
    let start = u32::try_from(pool.len()).unwrap_or(u32::MAX);
    pool.push_str(text);
    Span { start, len: u32::try_from(text.len()).unwrap_or(0) }
}

/// An attribute as spans of a pool; not a namespace declaration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AttributeSpans {
    pub(crate) name: Span,
    pub(crate) prefix_len: u32,
    pub(crate) value: Span,
    pub(crate) namespace: Span,
}

/// A namespace declaration as spans of a pool; an empty prefix is the default namespace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DeclarationSpans {
    pub(crate) prefix: Span,
    pub(crate) uri: Span,
}

/// A start tag: names resolved, values normalised.
#[derive(Debug, Clone, Copy)]
pub struct Tag<'a> {
    pub(crate) pool: &'a str,
    pub(crate) name: Span,
    pub(crate) prefix_len: u32,
    pub(crate) namespace: Span,
    pub(crate) attributes: &'a [AttributeSpans],
    pub(crate) declarations: &'a [DeclarationSpans],
}

/// An attribute: name resolved, value normalised.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// Qualified name as written.
    pub name: &'a str,
    /// Prefix; empty when there is none.
    pub prefix: &'a str,
    /// Name without prefix.
    pub local: &'a str,
    /// Namespace; empty when there is none.
    pub namespace: &'a str,
    /// Value, references replaced and white space normalised.
    pub value: &'a str,
}

impl<'a> Tag<'a> {
    /// Return the qualified name as written.
    pub fn name(&self) -> &'a str {
        self.name.of(self.pool)
    }

    /// Return the prefix; empty when there is none.
    pub fn prefix(&self) -> &'a str {
        &self.name()[..self.prefix_len as usize]
    }

    /// Return the name without prefix.
    pub fn local(&self) -> &'a str {
        match self.prefix_len as usize {
            0 => self.name(),
            len => &self.name()[len + 1..],
        }
    }

    /// Return the namespace; empty when there is none.
    pub fn namespace(&self) -> &'a str {
        self.namespace.of(self.pool)
    }

    /// Tell whether this is element `local` of `namespace`.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.local() == local && self.namespace() == namespace
    }

    /// Walk over the attributes in the order they were written.
    pub fn attributes(&self) -> impl Iterator<Item = Attribute<'a>> + use<'a> {
        let pool = self.pool;
        self.attributes.iter().map(move |spans| attribute(pool, spans))
    }

    pub(crate) fn attribute_at(&self, index: usize) -> Option<Attribute<'a>> {
        self.attributes.get(index).map(|spans| attribute(self.pool, spans))
    }

    /// Return the value of the attribute `name` that has no prefix.
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        self.attributes().find(|attribute| attribute.name == name).map(|attribute| attribute.value)
    }

    /// Walk over the namespace declarations of this tag: prefix and URI.
    pub fn declarations(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        let pool = self.pool;
        self.declarations.iter().map(move |spans| (spans.prefix.of(pool), spans.uri.of(pool)))
    }
}

fn attribute<'a>(pool: &'a str, spans: &AttributeSpans) -> Attribute<'a> {
    let name = spans.name.of(pool);
    let (prefix, local) = match spans.prefix_len as usize {
        0 => ("", name),
        len => (&name[..len], &name[len + 1..]),
    };
    Attribute {
        name,
        prefix,
        local,
        namespace: spans.namespace.of(pool),
        value: spans.value.of(pool),
    }
}

/// Namespace bindings in scope, innermost last.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    pool: String,
    bindings: Vec<(DeclarationSpans, u32)>,
}

impl Scope {
    /// Add a binding made by the element at `depth`.
    pub fn bind(&mut self, prefix: &str, uri: &str, depth: u32) {
        let prefix = push(&mut self.pool, prefix);
        let uri = push(&mut self.pool, uri);
        self.bindings.push((DeclarationSpans { prefix, uri }, depth));
    }

    /// Remove the bindings made at `depth` or deeper.
    pub fn leave(&mut self, depth: u32) {
        while let Some((spans, _)) = self.bindings.last().filter(|(_, made)| *made >= depth) {
            self.pool.truncate(spans.prefix.start as usize);
            self.bindings.pop();
        }
    }

    /// Return the URI bound to `prefix`; the empty string un-declares the default namespace.
    pub fn uri(&self, prefix: &str) -> Option<&str> {
        if prefix.len() == 3 && prefix == "xml" {
            return Some(XML_NAMESPACE);
        }
        // Most lookups are for the default namespace; comparing lengths first spares them the call.
        let same = |spans: &DeclarationSpans| {
            spans.prefix.len as usize == prefix.len()
                && (prefix.is_empty() || spans.prefix.of(&self.pool) == prefix)
        };
        let found = self.bindings.iter().rev().find(|(spans, _)| same(spans));
        found.map(|(spans, _)| spans.uri.of(&self.pool))
    }

    /// Return how many bindings there are, shadowed ones included.
    pub fn len(&self) -> usize {
        self.bindings.len()
    }

    /// Tell whether there is no binding.
    pub fn is_empty(&self) -> bool {
        self.bindings.is_empty()
    }

    /// Walk over the bindings in force: prefix and URI, each prefix once.
    pub fn in_force(&self) -> impl Iterator<Item = (&str, &str)> {
        self.bindings.iter().enumerate().filter_map(|(index, (spans, _))| {
            let prefix = spans.prefix.of(&self.pool);
            let shadowed = self.bindings[index + 1..]
                .iter()
                .any(|(later, _)| later.prefix.of(&self.pool) == prefix);
            (!shadowed).then(|| (prefix, spans.uri.of(&self.pool)))
        })
    }
}

/// Namespace of `xml:` attributes.
pub const XML_NAMESPACE: &str = "http://www.w3.org/XML/1998/namespace";
/// Namespace of `xmlns` attributes.
pub const XMLNS_NAMESPACE: &str = "http://www.w3.org/2000/xmlns/";

//! Holds one record or one Signature as a flat tree, from which octets and values are both taken.

use std::io::BufRead;

use super::c14n::{Canonicaliser, Method};
use super::reader::{XmlEvent, XmlReader};
use super::scope::{AttributeSpans, DeclarationSpans, Scope, Span, Tag, push};
use super::xml::XmlFault;

/// What an element inherits from ancestors that are not at hand; empty for a document of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inherited {
    /// Namespaces in force: prefix (empty for the default) and URI.
    pub namespaces: Vec<(String, String)>,
    /// Attributes of the `xml:` namespace in force: qualified name and value.
    pub xml_attributes: Vec<(String, String)>,
}

impl Inherited {
    /// Return what the children of the element `tag` inherit when nothing stands above it.
    pub fn from_root(tag: &Tag<'_>) -> Self {
        Self {
            namespaces: tag
                .declarations()
                .map(|(prefix, uri)| (prefix.to_owned(), uri.to_owned()))
                .collect(),
            xml_attributes: xml_attributes(tag),
        }
    }
}

fn xml_attributes(tag: &Tag<'_>) -> Vec<(String, String)> {
    tag.attributes()
        .filter(|attribute| attribute.prefix == "xml")
        .map(|attribute| (attribute.name.to_owned(), attribute.value.to_owned()))
        .collect()
}

#[derive(Debug, Clone, Copy)]
struct Node {
    // Elements have a name; texts have none.
    element: bool,
    name: Span,
    prefix_len: u32,
    namespace: Span,
    attributes: (u32, u32),
    declarations: (u32, u32),
    parent: u32,
    end: u32,
}

/// Nodes in document order; every text and name stands in one pool.
#[derive(Debug, Default)]
pub struct Tree {
    pool: String,
    nodes: Vec<Node>,
    attributes: Vec<AttributeSpans>,
    declarations: Vec<DeclarationSpans>,
    open: Vec<u32>,
}

fn index(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

impl Tree {
    /// Read a document that is one element; comments are dropped.
    pub fn read<R: BufRead>(reader: &mut XmlReader<'_, R>, bytes: usize) -> Result<Self, XmlFault> {
        let mut tree = Self {
            pool: String::with_capacity(bytes),
            nodes: Vec::with_capacity(bytes / 32 + 16),
            ..Self::default()
        };
        loop {
            match reader.next()? {
                XmlEvent::Start(tag) => tree.start(&tag),
                XmlEvent::Text(text) => tree.text(text),
                XmlEvent::End => tree.end(),
                XmlEvent::Comment => {}
                XmlEvent::Eof => return Ok(tree),
            }
        }
    }

    /// Add a start tag.
    pub fn start(&mut self, tag: &Tag<'_>) {
        let base = index(self.pool.len());
        self.pool.push_str(tag.pool);
        let attributes = index(self.attributes.len());
        self.attributes.extend(tag.attributes.iter().map(|spans| AttributeSpans {
            name: spans.name.moved(base),
            value: spans.value.moved(base),
            namespace: spans.namespace.moved(base),
            prefix_len: spans.prefix_len,
        }));
        let declarations = index(self.declarations.len());
        self.declarations.extend(tag.declarations.iter().map(|spans| DeclarationSpans {
            prefix: spans.prefix.moved(base),
            uri: spans.uri.moved(base),
        }));
        let parent = self.open.last().copied().unwrap_or(u32::MAX);
        self.open.push(index(self.nodes.len()));
        self.nodes.push(Node {
            element: true,
            name: tag.name.moved(base),
            prefix_len: tag.prefix_len,
            namespace: tag.namespace.moved(base),
            attributes: (attributes, index(self.attributes.len())),
            declarations: (declarations, index(self.declarations.len())),
            parent,
            end: index(self.nodes.len() + 1),
        });
    }

    /// Add text; adjoining texts become one.
    pub fn text(&mut self, text: &str) {
        let parent = self.open.last().copied().unwrap_or(u32::MAX);
        let span = push(&mut self.pool, text);
        match self.nodes.last_mut() {
            Some(last) if !last.element && last.parent == parent => {
                last.name.len += span.len;
            }
            _ => self.nodes.push(Node {
                element: false,
                name: span,
                prefix_len: 0,
                namespace: Span::default(),
                attributes: (0, 0),
                declarations: (0, 0),
                parent,
                end: index(self.nodes.len() + 1),
            }),
        }
    }

    /// Close the innermost open element.
    pub fn end(&mut self) {
        let end = index(self.nodes.len());
        let open = self.open.pop().map(|open| open as usize);
        if let Some(node) = open.and_then(|open| self.nodes.get_mut(open)) {
            node.end = end;
        }
    }

    /// Return the root element.
    pub fn root(&self) -> Option<Element<'_>> {
        self.nodes.first().filter(|node| node.element).map(|_| Element { tree: self, index: 0 })
    }

    /// Walk over all elements in document order.
    pub fn elements(&self) -> impl Iterator<Item = Element<'_>> {
        self.elements_between(0, self.nodes.len())
    }

    fn elements_between(&self, from: usize, to: usize) -> impl Iterator<Item = Element<'_>> {
        (from..to)
            .filter(|index| self.nodes[*index].element)
            .map(|index| Element { tree: self, index })
    }
}

/// An element of a [`Tree`].
#[derive(Clone, Copy)]
pub struct Element<'t> {
    tree: &'t Tree,
    index: usize,
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.index == other.index && std::ptr::eq(self.tree, other.tree)
    }
}

impl<'t> Element<'t> {
    fn node(&self) -> &'t Node {
        &self.tree.nodes[self.index]
    }

    /// Return the start tag.
    pub fn tag(&self) -> Tag<'t> {
        let node = self.node();
        let range = |(from, to): (u32, u32)| from as usize..to as usize;
        Tag {
            pool: &self.tree.pool,
            name: node.name,
            prefix_len: node.prefix_len,
            namespace: node.namespace,
            attributes: &self.tree.attributes[range(node.attributes)],
            declarations: &self.tree.declarations[range(node.declarations)],
        }
    }

    /// Tell whether this is element `local` of `namespace`.
    pub fn is(&self, namespace: &str, local: &str) -> bool {
        self.tag().is(namespace, local)
    }

    /// Walk over the child elements.
    pub fn children(&self) -> impl Iterator<Item = Element<'t>> + use<'t> {
        let tree = self.tree;
        self.child_indices()
            .filter(|index| tree.nodes[*index].element)
            .map(move |index| Element { tree, index })
    }

    /// Walk over this element and all below it.
    pub fn subtree(&self) -> impl Iterator<Item = Element<'t>> + use<'t> {
        self.tree.elements_between(self.index, self.node().end as usize)
    }

    /// Return the text of an element that has no child elements; comments do not divide it.
    pub fn text(&self) -> Option<&'t str> {
        let node = self.node();
        match node.end as usize - self.index {
            1 => Some(""),
            2 => {
                let only = &self.tree.nodes[self.index + 1];
                (!only.element).then(|| only.name.of(&self.tree.pool))
            }
            _ => None,
        }
    }

    /// Tell whether text other than white space stands directly in this element.
    pub fn has_own_text(&self) -> bool {
        self.child_indices().map(|index| &self.tree.nodes[index]).any(|node| {
            let text = node.name.of(&self.tree.pool);
            !node.element && !text.chars().all(super::markup::is_space)
        })
    }

    /// Write the canonical octets of this element to `out`, leaving out `without` (enveloped signature).
    pub fn canonicalise(
        &self,
        method: Method,
        inherited: &Inherited,
        without: Option<Element<'t>>,
        out: impl FnMut(&[u8]),
    ) {
        let (scope, attributes) = self.context(inherited);
        let mut writer = Canonicaliser::new(method, scope, attributes, out);
        let mut ends: Vec<usize> = Vec::new();
        let last = self.node().end as usize;
        let mut at = self.index;
        while at < last {
            while ends.last() == Some(&at) {
                ends.pop();
                writer.end();
            }
            let node = &self.tree.nodes[at];
            if without.is_some_and(|left_out| left_out.index == at) {
                at = node.end as usize;
                continue;
            }
            if node.element {
                let element = Element { tree: self.tree, index: at };
                writer.start(&element.tag());
                ends.push(node.end as usize);
            } else {
                writer.text(node.name.of(&self.tree.pool));
            }
            at += 1;
        }
        for _ in ends {
            writer.end();
        }
    }

    fn child_indices(&self) -> impl Iterator<Item = usize> + use<'t> {
        let tree = self.tree;
        let end = self.node().end as usize;
        let mut next = self.index + 1;
        std::iter::from_fn(move || {
            let here = next;
            if here >= end {
                return None;
            }
            next = tree.nodes[here].end as usize;
            Some(here)
        })
    }

    // Namespaces and xml: attributes in force above this element.
    fn context(&self, inherited: &Inherited) -> (Scope, Vec<(String, String)>) {
        let mut ancestors = Vec::new();
        let mut parent = self.node().parent as usize;
        while let Some(node) = self.tree.nodes.get(parent) {
            ancestors.push(Element { tree: self.tree, index: parent });
            parent = node.parent as usize;
        }
        let mut scope = Scope::default();
        for (prefix, uri) in &inherited.namespaces {
            scope.bind(prefix, uri, 0);
        }
        for ancestor in ancestors.iter().rev() {
            for (prefix, uri) in ancestor.tag().declarations() {
                scope.bind(prefix, uri, 0);
            }
        }
        let mut attributes: Vec<(String, String)> = Vec::new();
        let own = ancestors.iter().map(|ancestor| xml_attributes(&ancestor.tag()));
        for (name, value) in own.flatten().chain(inherited.xml_attributes.iter().cloned()) {
            if !attributes.iter().any(|(known, _)| *known == name) {
                attributes.push((name, value));
            }
        }
        (scope, attributes)
    }
}

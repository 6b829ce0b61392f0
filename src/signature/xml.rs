//! Names what is refused in XML documents, and the limits they must keep.

use serde::Deserialize;

pub use super::reader::{XmlEvent, XmlReader};

/// Limits of one XML document; every one stands in `[signature.xml]` of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct XmlLimits {
    /// Deepest nesting of elements; the root is 1.
    pub depth_max: usize,
    /// Most attributes of one element, namespace declarations included.
    pub attributes_max: usize,
    /// Most namespace declarations in scope at one place.
    pub namespaces_max: usize,
    /// Longest start tag, in bytes, from `<` to `>`.
    pub start_tag_bytes_max: usize,
    /// Longest text between two tags, in bytes.
    pub text_bytes_max: usize,
    /// Most elements, texts and comments of one record, and of a list outside of its records.
    pub nodes_max: usize,
    /// Largest record, in bytes as received.
    pub record_bytes_max: usize,
}

/// Say what is refused in an XML document, where, and never with its content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{kind} at line {line}, column {column} (byte {offset}){}", at(path))]
pub struct XmlFault {
    /// What is wrong.
    pub kind: XmlFaultKind,
    /// Line, from 1.
    pub line: u64,
    /// Byte within the line, from 1.
    pub column: u64,
    /// Byte within the document, from 0.
    pub offset: u64,
    /// Names of the open elements (`/DANH_SACH_HOC_BA/HOC_BA`); empty where not known.
    pub path: String,
}

fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" in {path}") }
}

/// What the firewall refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XmlFaultKind {
    /// The source could not be read.
    #[error("the source cannot be read")]
    Unreadable,
    /// The bytes are not UTF-8, or another encoding is declared.
    #[error("the encoding is not UTF-8")]
    Encoding,
    /// A character that XML does not permit.
    #[error("a character is not permitted in XML")]
    Character,
    /// A document type or entity declaration.
    #[error("a document type declaration is not permitted")]
    Doctype,
    /// A processing instruction.
    #[error("a processing instruction is not permitted")]
    ProcessingInstruction,
    /// An XML declaration that is wrong or stands elsewhere than at the start.
    #[error("the XML declaration is wrong")]
    Declaration,
    /// An entity other than the five predefined ones, or a wrong character reference.
    #[error("an entity or character reference is not permitted")]
    Reference,
    /// Markup that is not well formed.
    #[error("the markup is not well formed")]
    Syntax,
    /// An end tag that closes nothing or another element.
    #[error("an end tag does not match its start tag")]
    TagMismatch,
    /// The document ends before it is complete.
    #[error("the document ends before it is complete")]
    Truncated,
    /// Something other than white space and comments outside of the root element.
    #[error("there is content outside of the root element")]
    OutsideRoot,
    /// No root element.
    #[error("there is no root element")]
    Empty,
    /// A name that XML does not permit.
    #[error("a name is not permitted")]
    Name,
    /// An attribute that occurs twice.
    #[error("an attribute occurs twice")]
    DuplicateAttribute,
    /// A namespace prefix that is not declared, or a declaration that is not permitted.
    #[error("a namespace prefix is not declared or not permitted")]
    Namespace,
    /// Nesting deeper than permitted.
    #[error("the elements are nested too deep")]
    TooDeep,
    /// More attributes than permitted.
    #[error("an element has too many attributes")]
    TooManyAttributes,
    /// More namespace declarations in scope than permitted.
    #[error("there are too many namespace declarations")]
    TooManyNamespaces,
    /// A start tag longer than permitted.
    #[error("a start tag is too long")]
    StartTagTooLong,
    /// A text longer than permitted.
    #[error("a text is too long")]
    TextTooLong,
    /// More nodes than permitted.
    #[error("there are too many nodes")]
    TooManyNodes,
    /// A record larger than permitted.
    #[error("a record is too large")]
    RecordTooLarge,
    /// The root element is another.
    #[error("the root element is not the expected one")]
    WrongRoot,
    /// An element that may not stand there.
    #[error("an element stands where it may not")]
    UnexpectedElement,
    /// Text where only elements may stand.
    #[error("text stands where it may not")]
    UnexpectedText,
}

impl XmlFaultKind {
    /// Return the stable reason code; the text is `signature.fault.<code>`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "source-unreadable",
            Self::Encoding => "xml-encoding",
            Self::Character => "xml-character",
            Self::Doctype => "xml-doctype",
            Self::ProcessingInstruction => "xml-processing-instruction",
            Self::Declaration => "xml-declaration",
            Self::Reference => "xml-reference",
            Self::Syntax => "xml-syntax",
            Self::TagMismatch => "xml-tag-mismatch",
            Self::Truncated => "xml-truncated",
            Self::OutsideRoot => "xml-outside-root",
            Self::Empty => "xml-empty",
            Self::Name => "xml-name",
            Self::DuplicateAttribute => "xml-duplicate-attribute",
            Self::Namespace => "xml-namespace",
            Self::TooDeep => "xml-too-deep",
            Self::TooManyAttributes => "xml-too-many-attributes",
            Self::TooManyNamespaces => "xml-too-many-namespaces",
            Self::StartTagTooLong => "xml-start-tag-too-long",
            Self::TextTooLong => "xml-text-too-long",
            Self::TooManyNodes => "xml-too-many-nodes",
            Self::RecordTooLarge => "record-too-large",
            Self::WrongRoot => "wrong-root",
            Self::UnexpectedElement => "unexpected-element",
            Self::UnexpectedText => "unexpected-text",
        }
    }
}

//! Tests the strict reader: what it refuses, at which place, and each limit at its edge.

use std::io::BufReader;

use super::super::reader::{XmlEvent, XmlReader};
use super::super::xml::{XmlFaultKind as Kind, *};
use super::settings;

fn read_with(text: &[u8], limits: &XmlLimits) -> Result<String, XmlFault> {
    // A tiny buffer, so that every event spans several reads.
    let mut reader = XmlReader::new(BufReader::with_capacity(7, text), limits);
    let mut out = String::new();
    loop {
        match reader.next()? {
            XmlEvent::Start(tag) => {
                out.push_str(&format!("<{}", tag.name()));
                for attribute in tag.attributes() {
                    out.push_str(&format!(" {}={:?}", attribute.name, attribute.value));
                }
                out.push('>');
            }
            XmlEvent::Text(text) => out.push_str(text),
            XmlEvent::End => out.push_str("</>"),
            XmlEvent::Comment => out.push_str("<!>"),
            XmlEvent::Eof => return Ok(out),
        }
    }
}

fn read(text: &str) -> Result<String, XmlFault> {
    read_with(text.as_bytes(), &settings().xml)
}

fn kind(text: &str) -> Kind {
    match read(text) {
        Ok(read) => panic!("{text:?} was read as {read:?}"),
        Err(fault) => fault.kind,
    }
}

#[test]
fn plain_documents_are_read_with_references_and_line_ends_normalised() {
    let text = "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n<a b='1 &lt;\t2&#10;'>x\r\ny\rz\
                &amp;&#x1EBF;<![CDATA[<&]]><!-- c --><c/></a >\n<!-- end -->";
    let expected = "<a b=\"1 < 2\\n\">x\ny\nz&ế<&<!><c></></><!>";
    assert_eq!(read(text).unwrap(), expected);
}

#[test]
fn declarations_of_types_and_entities_are_refused() {
    assert_eq!(kind("<!DOCTYPE a><a/>"), Kind::Doctype);
    assert_eq!(kind("<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>"), Kind::Doctype);
    assert_eq!(kind("<!doctype a><a/>"), Kind::Doctype);
    assert_eq!(kind("<!DOCTYPE a [<!ENTITY x \"y\""), Kind::Doctype);
    assert_eq!(kind("<a>&x;</a>"), Kind::Reference);
    assert_eq!(kind("<a b=\"&x;\"/>"), Kind::Reference);
}

#[test]
fn other_encodings_are_refused() {
    assert_eq!(kind("<?xml version=\"1.0\" encoding=\"windows-1258\"?><a/>"), Kind::Encoding);
    let utf16: Vec<u8> = "<a/>".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let limits = settings().xml;
    assert_eq!(read_with(&utf16, &limits).unwrap_err().kind, Kind::Encoding);
    let marked = [b"\xff\xfe".as_slice(), &utf16].concat();
    assert_eq!(read_with(&marked, &limits).unwrap_err().kind, Kind::Encoding);
    assert_eq!(read_with(b"<a>\xe1\xba</a>", &limits).unwrap_err().kind, Kind::Encoding);
    assert_eq!(read_with(b"<a\xff/>", &limits).unwrap_err().kind, Kind::Encoding);
    assert_eq!(kind("\u{feff}\u{feff}<a/>"), Kind::Encoding);
}

#[test]
fn what_is_not_well_formed_is_refused() {
    for (text, expected) in [
        ("", Kind::Empty),
        ("   \n", Kind::Empty),
        ("<!-- only -->", Kind::Empty),
        ("x<a/>", Kind::OutsideRoot),
        ("<a/>x", Kind::OutsideRoot),
        ("<a/><b/>", Kind::OutsideRoot),
        ("<a/><![CDATA[]]>", Kind::OutsideRoot),
        ("<a/>&amp;", Kind::OutsideRoot),
        ("<a>", Kind::Truncated),
        ("<a", Kind::Truncated),
        ("<a b=\"", Kind::Truncated),
        ("<a><!-- ", Kind::Truncated),
        ("<a><![CDATA[ ", Kind::Truncated),
        ("<a></b>", Kind::TagMismatch),
        ("<a></a></a>", Kind::TagMismatch),
        ("</a>", Kind::TagMismatch),
        ("<a></a b=\"1\">", Kind::TagMismatch),
        ("<a>&amp</a>", Kind::Reference),
        ("<a>& b</a>", Kind::Reference),
        ("<a>&#0;</a>", Kind::Reference),
        ("<a>&#xD800;</a>", Kind::Reference),
        ("<a>&#X41;</a>", Kind::Reference),
        ("<a>&#+41;</a>", Kind::Reference),
        ("<a>&#x110000;</a>", Kind::Reference),
        ("<a>&#99999999999999999999;</a>", Kind::Reference),
        ("<a>]]></a>", Kind::Syntax),
        ("<a b=\"<\"/>", Kind::Syntax),
        ("<a b=1/>", Kind::Syntax),
        ("<a b/>", Kind::Syntax),
        ("<a b=\"1\"c=\"2\"/>", Kind::Syntax),
        ("<a b=\"1\" b=\"2\"/>", Kind::DuplicateAttribute),
        ("<a><!-- a -- b --></a>", Kind::Syntax),
        ("<a><!-- a ---></a>", Kind::Syntax),
        ("<a><!x></a>", Kind::Syntax),
        ("<a><?php x ?></a>", Kind::ProcessingInstruction),
        ("<?xml-stylesheet href='x'?><a/>", Kind::ProcessingInstruction),
        (" <?xml version=\"1.0\"?><a/>", Kind::Declaration),
        ("<?xml version=\"1.1\"?><a/>", Kind::Declaration),
        ("<?xml encoding=\"UTF-8\"?><a/>", Kind::Declaration),
        ("<?xml?><a/>", Kind::Declaration),
        ("<a><?xml version=\"1.0\"?></a>", Kind::Declaration),
        ("<1/>", Kind::Name),
        ("<a:b:c xmlns:a=\"u\"/>", Kind::Name),
        ("<:a/>", Kind::Name),
        ("< a/>", Kind::Name),
        ("<a -b=\"1\"/>", Kind::Name),
        ("<a>\u{1}</a>", Kind::Character),
        ("<a>\u{fffe}</a>", Kind::Character),
        ("<a b=\"\u{b}\"/>", Kind::Character),
        ("<a><![CDATA[\u{0}]]></a>", Kind::Character),
        ("<a><!--\u{ffff}--></a>", Kind::Character),
    ] {
        assert_eq!(kind(text), expected, "{text:?}");
    }
    for odd in ["<!-->", "<!--->", "<a><!--></a>", "<>", "<", "<a/", "<!", "<!-", "<?", "<??>", "&"]
    {
        assert!(read(odd).is_err(), "{odd:?}");
    }
}

#[test]
fn namespaces_follow_their_rules() {
    assert_eq!(kind("<p:a/>"), Kind::Namespace);
    assert_eq!(kind("<a p:b=\"1\"/>"), Kind::Namespace);
    assert_eq!(kind("<a xmlns:p=\"\"/>"), Kind::Namespace);
    assert_eq!(kind("<a xmlns:xmlns=\"u\"/>"), Kind::Namespace);
    assert_eq!(kind("<a xmlns:xml=\"u\"/>"), Kind::Namespace);
    assert_eq!(kind("<a><b xmlns:p=\"u\"/><p:c/></a>"), Kind::Namespace);
    assert_eq!(kind("<a xmlns:p=\"u\" xmlns:p=\"u\"/>"), Kind::DuplicateAttribute);
    assert_eq!(
        kind("<a xmlns:p=\"u\" xmlns:q=\"u\" p:x=\"1\" q:x=\"2\"/>"),
        Kind::DuplicateAttribute
    );
    assert!(read("<p:a xmlns:p=\"u\" p:x=\"1\" x=\"2\" xml:lang=\"vi\"/>").is_ok());
}

#[test]
fn a_fault_tells_its_place_and_no_content() {
    let fault = read("<a>\n  <b>secret\u{1}</b></a>").unwrap_err();
    assert_eq!((fault.line, fault.column, fault.offset), (2, 12, 15));
    assert_eq!(fault.path, "/a/b");
    assert!(!fault.to_string().contains("secret"));
    let fault = read(&format!("<a><{}>&x;", "n".repeat(5000))).unwrap_err();
    assert_eq!(fault.path, format!("/a/{}", "n".repeat(64)));
    let fault = read("<a>\n<b>").unwrap_err();
    assert_eq!((fault.kind, fault.line, fault.column), (Kind::Truncated, 2, 4));
}

#[test]
fn depth_is_limited() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    assert!(read(&nested(32)).is_ok());
    assert_eq!(kind(&nested(33)), Kind::TooDeep);
}

#[test]
fn attributes_are_limited() {
    let many = |count: usize| {
        let attributes: String = (0..count).map(|n| format!(" b{n}=\"\"")).collect();
        format!("<a{attributes}/>")
    };
    assert!(read(&many(64)).is_ok());
    assert_eq!(kind(&many(65)), Kind::TooManyAttributes);
}

#[test]
fn namespaces_in_scope_are_limited() {
    let many = |outer: usize, inner: usize| {
        let declare = |from: usize, count: usize| -> String {
            (from..from + count).map(|n| format!(" xmlns:p{n}=\"u\"")).collect()
        };
        format!("<a{}><b{}/></a>", declare(0, outer), declare(100, inner))
    };
    assert!(read(&many(30, 2)).is_ok());
    assert_eq!(kind(&many(30, 3)), Kind::TooManyNamespaces);
    let apart = format!("<a>{}</a>", "<b xmlns:p=\"u\" xmlns:q=\"u\"/>".repeat(100));
    assert!(read(&apart).is_ok());
}

#[test]
fn start_tags_are_limited() {
    let long = |bytes: usize| format!("<a b=\"{}\"/>", "x".repeat(bytes - 9));
    assert!(read(&long(8192)).is_ok());
    assert_eq!(kind(&long(8193)), Kind::StartTagTooLong);
    assert_eq!(kind(&long(1_000_000)), Kind::StartTagTooLong);
}

#[test]
fn texts_are_limited_however_they_are_divided() {
    let text = |bytes: usize| format!("<a>{}</a>", "x".repeat(bytes));
    assert!(read(&text(65536)).is_ok());
    assert_eq!(kind(&text(65537)), Kind::TextTooLong);
    assert_eq!(kind(&text(1_000_000)), Kind::TextTooLong);
    let divided = |times: usize| format!("<a>{}</a>", "xxx&amp;<!-- -->".repeat(times));
    assert!(read(&divided(65536 / 8)).is_err_and(|fault| fault.kind == Kind::TooManyNodes));
    let mut limits = settings().xml;
    limits.nodes_max = 100_000;
    assert!(read_with(divided(65536 / 8).as_bytes(), &limits).is_ok());
    let fault = read_with(divided(65536 / 8 + 1).as_bytes(), &limits).unwrap_err();
    assert_eq!(fault.kind, Kind::TextTooLong);
    let comment = format!("<a><!--{}--></a>", "x".repeat(65537));
    assert_eq!(kind(&comment), Kind::TextTooLong);
    let cdata = format!("<a><![CDATA[{}]]></a>", "x".repeat(70_000));
    assert_eq!(kind(&cdata), Kind::TextTooLong);
}

#[test]
fn nodes_are_limited() {
    let many = |count: usize| format!("<a>{}</a>", "<b/>".repeat(count - 1));
    assert!(read(&many(5000)).is_ok());
    assert_eq!(kind(&many(5001)), Kind::TooManyNodes);
}

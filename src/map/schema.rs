//! Writes the XSD of the national batch from the dictionary; a test proves the stored file equal.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::dictionary::{Column, ColumnType, Dictionary, Form, Table};

const HEAD: &str = r##"<?xml version="1.0" encoding="UTF-8"?>
<!-- A batch of national records (TTDLQG), written from config/code-lists/dictionary/ttdlqg.csv by
     the test the_schema_is_the_dictionary with UPDATE_GOLDEN=1; do not edit by hand.
     Technical keys, foreign keys and the receiver's column ngaycapnhat are not sent: rows stand
     inside of their record. A column that is optional under a condition is optional here. -->
<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" elementFormDefault="unqualified">
  <xs:element name="LoBanGhi">
    <xs:complexType>
      <xs:sequence>
        <xs:element name="BanGhi" type="BanGhi" maxOccurs="unbounded"/>
        <xs:any namespace="http://www.w3.org/2000/09/xmldsig#" processContents="skip"/>
      </xs:sequence>
      <xs:attribute name="Id" type="xs:ID" use="required"/>
      <xs:attribute name="createdAt" type="xs:dateTime" use="required"/>
      <xs:attribute name="messageId" type="text_150" use="required"/>
      <xs:attribute name="participant" type="text_150" use="required"/>
    </xs:complexType>
  </xs:element>
"##;

const RECORD_TAIL: &str = r##"      </xs:choice>
      <xs:any namespace="http://www.w3.org/2000/09/xmldsig#" processContents="skip"/>
    </xs:sequence>
    <xs:attribute name="Id" type="xs:ID" use="required"/>
    <xs:attribute name="bang" use="required">
      <xs:simpleType>
        <xs:restriction base="xs:string">
"##;

/// Return the XSD 1.0 of a batch.
pub(super) fn xsd(dictionary: &Dictionary) -> String {
    let mut simple = Texts::from([(150, false)]);
    let mut types = String::new();
    let mut choice = String::new();
    let mut names = String::new();
    let mut envelope = String::new();
    for table in dictionary.tables() {
        if envelope.is_empty() {
            for column in &table.envelope {
                element(column, "      ", &mut simple, &mut envelope);
            }
        }
        let name = &table.name;
        let _ = writeln!(choice, "        <xs:element name=\"{name}\" type=\"{name}\"/>");
        let _ = writeln!(names, "          <xs:enumeration value=\"{name}\"/>");
        complex_type(table, name, &mut simple, &mut types);
    }
    let mut out = HEAD.to_owned();
    out.push_str("  <xs:complexType name=\"BanGhi\">\n    <xs:sequence>\n");
    out.push_str(&envelope);
    out.push_str("      <xs:choice>\n");
    out.push_str(&choice);
    out.push_str(RECORD_TAIL);
    out.push_str(&names);
    out.push_str("        </xs:restriction>\n      </xs:simpleType>\n    </xs:attribute>\n  </xs:complexType>\n");
    out.push_str(&types);
    for (length, digits) in simple {
        text_type(length, digits, &mut out);
    }
    out.push_str(FORMS);
    out.push_str("</xs:schema>\n");
    out
}

// Length of a text type, and whether it is of digits only.
type Texts = BTreeSet<(usize, bool)>;

fn complex_type(table: &Table, name: &str, simple: &mut Texts, out: &mut String) {
    let mut inner = String::new();
    let _ = writeln!(out, "  <xs:complexType name=\"{name}\">\n    <xs:sequence>");
    let mut open: Option<&str> = None;
    for column in &table.columns {
        let group = column.group.as_deref();
        if open != group {
            if open.is_some() {
                out.push_str("      </xs:choice>\n");
            }
            if group.is_some() {
                out.push_str("      <xs:choice>\n");
            }
            open = group;
        }
        element(column, if group.is_some() { "        " } else { "      " }, simple, out);
    }
    for child in &table.children {
        let row = &child.table.name;
        let _ = write!(
            out,
            "      <xs:element name=\"{tag}\" minOccurs=\"0\">\n        <xs:complexType>\n          <xs:sequence>\n            <xs:element name=\"dong\" type=\"{row}\" maxOccurs=\"unbounded\"/>\n          </xs:sequence>\n        </xs:complexType>\n      </xs:element>\n",
            tag = child.tag,
        );
        complex_type(&child.table, row, simple, &mut inner);
    }
    out.push_str("    </xs:sequence>\n  </xs:complexType>\n");
    out.push_str(&inner);
}

fn element(column: &Column, indent: &str, simple: &mut Texts, out: &mut String) {
    let optional = column.group.is_none() && (!column.required || column.unless.is_some());
    let occurs = if optional { " minOccurs=\"0\"" } else { "" };
    let name = &column.name;
    let length = column.length.unwrap_or_default();
    if !column.values.is_empty() {
        let _ = writeln!(out, "{indent}<xs:element name=\"{name}\"{occurs}>");
        let _ = writeln!(
            out,
            "{indent}  <xs:simpleType>\n{indent}    <xs:restriction base=\"xs:string\">"
        );
        for value in &column.values {
            let _ = writeln!(out, "{indent}      <xs:enumeration value=\"{value}\"/>");
        }
        let _ = writeln!(
            out,
            "{indent}    </xs:restriction>\n{indent}  </xs:simpleType>\n{indent}</xs:element>"
        );
        return;
    }
    if column.min.is_some() || column.max.is_some() {
        let base = if column.kind == ColumnType::Int { "xs:int" } else { "number" };
        let _ = writeln!(out, "{indent}<xs:element name=\"{name}\"{occurs}>");
        let _ = writeln!(
            out,
            "{indent}  <xs:simpleType>\n{indent}    <xs:restriction base=\"{base}\">"
        );
        if let Some(min) = column.min {
            let _ = writeln!(out, "{indent}      <xs:minInclusive value=\"{min}\"/>");
        }
        if let Some(max) = column.max {
            let _ = writeln!(out, "{indent}      <xs:maxInclusive value=\"{max}\"/>");
        }
        let _ = writeln!(
            out,
            "{indent}    </xs:restriction>\n{indent}  </xs:simpleType>\n{indent}</xs:element>"
        );
        return;
    }
    let kind = match (column.form, column.kind) {
        (Some(Form::Date), _) | (None, ColumnType::Date) => "date".to_owned(),
        (Some(Form::Month), _) => "month".to_owned(),
        (Some(Form::Year), _) => "year".to_owned(),
        (Some(Form::SchoolYear), _) => "school_year".to_owned(),
        (Some(Form::Uuid), _) => "uuid".to_owned(),
        (Some(Form::PersonalNumber), _) => "personal_number".to_owned(),
        (Some(Form::Mark), _) => "mark".to_owned(),
        (Some(Form::Test), _) => "test".to_owned(),
        (None, ColumnType::Boolean) => "boolean".to_owned(),
        (None, ColumnType::Int) => "xs:int".to_owned(),
        (None, ColumnType::Double) => "number".to_owned(),
        (None, ColumnType::Timestamp) => "timestamp".to_owned(),
        (Some(Form::Digits), _) => {
            simple.insert((length, true));
            format!("digits_{length}")
        }
        (None, ColumnType::Varchar) => {
            simple.insert((length, false));
            format!("text_{length}")
        }
    };
    let _ = writeln!(out, "{indent}<xs:element name=\"{name}\" type=\"{kind}\"{occurs}/>");
}

fn text_type(length: usize, digits: bool, out: &mut String) {
    let (name, facets) = match digits {
        false => (
            format!("text_{length}"),
            format!("<xs:minLength value=\"1\"/>\n      <xs:maxLength value=\"{length}\"/>"),
        ),
        true => (format!("digits_{length}"), format!("<xs:pattern value=\"[0-9]{{{length}}}\"/>")),
    };
    let _ = write!(
        out,
        "  <xs:simpleType name=\"{name}\">\n    <xs:restriction base=\"xs:string\">\n      {facets}\n    </xs:restriction>\n  </xs:simpleType>\n",
    );
}

const FORMS: &str = r##"  <xs:simpleType name="date">
    <xs:restriction base="xs:date">
      <xs:pattern value="[0-9]{4}-[0-9]{2}-[0-9]{2}"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="month">
    <xs:restriction base="xs:gYearMonth">
      <xs:pattern value="[0-9]{4}-[0-9]{2}"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="year">
    <xs:restriction base="xs:gYear">
      <xs:pattern value="[0-9]{4}"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="timestamp">
    <xs:restriction base="xs:dateTime">
      <xs:pattern value="[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="school_year">
    <xs:restriction base="xs:string">
      <xs:pattern value="[0-9]{4}-[0-9]{4}"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="uuid">
    <xs:restriction base="xs:string">
      <xs:pattern value="[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="personal_number">
    <xs:restriction base="xs:string">
      <xs:pattern value="[0-9]{12}"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="boolean">
    <xs:restriction base="xs:string">
      <xs:enumeration value="0"/>
      <xs:enumeration value="1"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="number">
    <xs:restriction base="xs:decimal">
      <xs:pattern value="[0-9]{1,9}(\.[0-9]{1,4})?"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="mark">
    <xs:restriction base="xs:string">
      <xs:pattern value="[0-9](\.[0-9])?|10(\.0)?|Đ|CĐ|M"/>
    </xs:restriction>
  </xs:simpleType>
  <xs:simpleType name="test">
    <xs:restriction base="xs:string">
      <xs:pattern value="[0-9]|10|M"/>
    </xs:restriction>
  </xs:simpleType>
"##;

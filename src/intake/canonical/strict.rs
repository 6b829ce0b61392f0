//! Parses a line by the schema, refusing what a lenient JSON reader would let pass.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

use super::record::{GROUPS, Record, Values};
use super::{LineFault, LineFaultKind as Kind, Settings};
use crate::intake::ministry::is_xml_char;
use crate::signature::profile::SignerRule;
use crate::transcript::{Field, Group};

/// The members of a line, each of which occurred once.
pub(super) struct Parsed<'a> {
    pub(super) record: Record<'a>,
    pub(super) signatures: BTreeMap<String, String>,
}

// Fields seen are kept as bits.
const _: () = assert!(Field::ALL.len() <= 128);

/// Parse the text of one line.
pub(super) fn parse<'a>(
    text: &'a str,
    settings: &Settings,
    signers: &[SignerRule],
) -> Result<Parsed<'a>, LineFault> {
    let context = Context { settings, signers, state: RefCell::default() };
    let mut reader = serde_json::Deserializer::from_str(text);
    let parsed = LineSeed(&context).deserialize(&mut reader);
    let result = parsed.and_then(|parsed| reader.end().map(|()| parsed));
    result.map_err(|error| {
        let state = context.state.into_inner();
        // The parser's own message may hold a value, so only its place is told.
        let kind = state.fault.unwrap_or(if error.is_data() {
            Kind::WrongType(state.expected)
        } else {
            Kind::NotJson(error.column())
        });
        LineFault { kind, pointer: state.path.concat() }
    })
}

#[derive(Default)]
struct State {
    fault: Option<Kind>,
    path: Vec<String>,
    expected: &'static str,
}

struct Context<'c> {
    settings: &'c Settings,
    signers: &'c [SignerRule],
    state: RefCell<State>,
}

impl Context<'_> {
    fn fault<E: Error>(&self, kind: Kind) -> E {
        self.state.borrow_mut().fault = Some(kind);
        E::custom("refused")
    }

    fn expect(&self, kind: &'static str) {
        self.state.borrow_mut().expected = kind;
    }

    fn enter(&self, member: impl fmt::Display) {
        self.state.borrow_mut().path.push(format!("/{member}"));
    }

    fn leave(&self) {
        self.state.borrow_mut().path.pop();
    }

    fn key<'de, A: MapAccess<'de>>(&self, map: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
        self.expect("object");
        map.next_key_seed(TextSeed)
    }
}

struct TextSeed;

impl<'de> DeserializeSeed<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for TextSeed {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

// A seed that reads an object or an array through its own visitor.
macro_rules! seed {
    ($name:ident, $value:ty, $method:ident, $expected:literal) => {
        impl<'de> DeserializeSeed<'de> for $name<'_> {
            type Value = $value;

            fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<$value, D::Error> {
                self.0.expect($expected);
                from.$method(self)
            }
        }
    };
}

struct LineSeed<'c>(&'c Context<'c>);
seed!(LineSeed, Parsed<'de>, deserialize_map, "object");

impl<'de> Visitor<'de> for LineSeed<'_> {
    type Value = Parsed<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of record and signatures")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let context = self.0;
        let (mut record, mut signatures) = (None, None);
        while let Some(key) = context.key(&mut map)? {
            match &*key {
                "record" => {
                    context.enter("record");
                    if record.is_some() {
                        return Err(context.fault(Kind::DuplicateMember));
                    }
                    record = Some(map.next_value_seed(RecordSeed(context))?);
                }
                "signatures" => {
                    context.enter("signatures");
                    if signatures.is_some() {
                        return Err(context.fault(Kind::DuplicateMember));
                    }
                    signatures = Some(map.next_value_seed(SignaturesSeed(context))?);
                }
                _ => return Err(context.fault(Kind::UnknownMember)),
            }
            context.leave();
        }
        let missing = |name| context.fault(Kind::MissingMember(name));
        Ok(Parsed {
            record: record.ok_or_else(|| missing("record"))?,
            // A line without the member lacks the first required signature, and says so.
            signatures: signatures.unwrap_or_default(),
        })
    }
}

struct RecordSeed<'c>(&'c Context<'c>);
seed!(RecordSeed, Record<'de>, deserialize_map, "object");

impl<'de> Visitor<'de> for RecordSeed<'_> {
    type Value = Record<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a record")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let context = self.0;
        let mut record = Record::default();
        while let Some(key) = context.key(&mut map)? {
            if key == Group::General.name() {
                context.enter(&key);
                if record.general.is_some() {
                    return Err(context.fault(Kind::DuplicateMember));
                }
                let seed = ValuesSeed(context, Group::General);
                record.general = Some(map.next_value_seed(seed)?);
            } else {
                let index = GROUPS
                    .iter()
                    .position(|group| group.name() == key)
                    .ok_or_else(|| context.fault(Kind::UnknownMember))?;
                context.enter(&key);
                if record.groups[index].is_some() {
                    return Err(context.fault(Kind::DuplicateMember));
                }
                let seed = RowsSeed(context, GROUPS[index]);
                record.groups[index] = Some(map.next_value_seed(seed)?);
            }
            context.leave();
        }
        if record.general.is_none() {
            return Err(context.fault(Kind::MissingMember("general")));
        }
        Ok(record)
    }
}

struct RowsSeed<'c>(&'c Context<'c>, Group);
seed!(RowsSeed, Vec<Values<'de>>, deserialize_seq, "array");

impl<'de> Visitor<'de> for RowsSeed<'_> {
    type Value = Vec<Values<'de>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let (context, limit) = (self.0, self.0.settings.rows_max);
        let mut rows = Vec::new();
        loop {
            context.enter(rows.len());
            let Some(row) = seq.next_element_seed(ValuesSeed(context, self.1))? else {
                context.leave();
                return Ok(rows);
            };
            context.leave();
            if rows.len() == limit {
                return Err(context.fault(Kind::TooManyRows(limit)));
            }
            rows.push(row);
        }
    }
}

struct ValuesSeed<'c>(&'c Context<'c>, Group);
seed!(ValuesSeed, Values<'de>, deserialize_map, "object");

impl<'de> Visitor<'de> for ValuesSeed<'_> {
    type Value = Values<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let context = self.0;
        let mut values: Vec<(Field, Cow<'de, str>)> = Vec::with_capacity(16);
        let mut seen = 0_u128;
        while let Some(key) = context.key(&mut map)? {
            let field = Field::from_name(&key)
                .filter(|field| field.group() == self.1)
                .ok_or_else(|| context.fault(Kind::UnknownMember))?;
            context.enter(field.name());
            let bit = 1_u128 << (field as u32);
            if seen & bit != 0 {
                return Err(context.fault(Kind::DuplicateMember));
            }
            seen |= bit;
            context.expect("string");
            let value = map.next_value_seed(TextSeed)?;
            check_value(context, &value)?;
            context.leave();
            values.push((field, value));
        }
        Ok(Values(values))
    }
}

fn check_value<E: Error>(context: &Context<'_>, value: &str) -> Result<(), E> {
    let limit = context.settings.value_chars_max;
    if value.len() > limit && value.chars().count() > limit {
        return Err(context.fault(Kind::ValueTooLong(limit)));
    }
    let is_normal = !value.is_empty()
        && value.trim().len() == value.len()
        && value.chars().all(is_xml_char)
        && match is_nfc_quick(value.chars()) {
            IsNormalized::Yes => true,
            IsNormalized::No => false,
            IsNormalized::Maybe => value.nfc().eq(value.chars()),
        };
    if is_normal { Ok(()) } else { Err(context.fault(Kind::NotNormal)) }
}

struct SignaturesSeed<'c>(&'c Context<'c>);
seed!(SignaturesSeed, BTreeMap<String, String>, deserialize_map, "object");

impl<'de> Visitor<'de> for SignaturesSeed<'_> {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of signatures")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let context = self.0;
        let mut signatures = BTreeMap::new();
        while let Some(key) = context.key(&mut map)? {
            let signer = context
                .signers
                .iter()
                .find(|signer| *signer.tag == *key)
                .ok_or_else(|| context.fault(Kind::UnknownMember))?;
            context.enter(&signer.tag);
            context.expect("string");
            let token = map.next_value_seed(TextSeed)?;
            if !is_detached(&token) {
                return Err(context.fault(Kind::NotDetachedJws));
            }
            if signatures.insert(signer.tag.clone(), token.into_owned()).is_some() {
                return Err(context.fault(Kind::DuplicateMember));
            }
            context.leave();
        }
        Ok(signatures)
    }
}

// `header..signature`, both in the alphabet of base64url (RFC 7515, appendix F).
fn is_detached(token: &str) -> bool {
    let is_part = |part: &str| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        !part.is_empty() && part.bytes().all(letter)
    };
    token.split_once("..").is_some_and(|(header, signature)| is_part(header) && is_part(signature))
}

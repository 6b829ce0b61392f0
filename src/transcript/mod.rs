//! Holds the words of the domain: a transcript, its fields, level, circular and violations; pure.

pub mod field;
pub mod identity;
pub mod violation;

pub use field::{Field, Group};
pub use identity::{Circular, Level, PersonalNumber, RecordId, SchoolYear, TranscriptCode};
pub use violation::{Place, Severity, Violation, ViolationReport};

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Values of one group of fields; a missing value is absent, never empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    values: BTreeMap<Field, Box<str>>,
}

impl Fields {
    /// Return the value of `field`, if present.
    pub fn value(&self, field: Field) -> Option<&str> {
        self.values.get(&field).map(AsRef::as_ref)
    }

    /// Set `field` to `value` (already trimmed and NFC); an empty value removes it.
    pub fn set(&mut self, field: Field, value: impl Into<Box<str>>) {
        let value = value.into();
        if value.is_empty() {
            self.values.remove(&field);
        } else {
            self.values.insert(field, value);
        }
    }

    /// Walk over the present fields in the order of [`Field`].
    pub fn iter(&self) -> impl Iterator<Item = (Field, &str)> {
        self.values.iter().map(|(field, value)| (*field, value.as_ref()))
    }

    /// Tell whether no field is present.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// One pupil and one school year as the school signed it: text values, nothing judged yet.
///
/// Its JSON form (`{"general": {..}, "subjects": [..], "history": [..], "certificates": [..]}`,
/// every value a string, names as in [`Field::name`]) is the gateway's canonical record,
/// described by `schemas/intake/transcript-1.schema.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transcript {
    /// Fields that occur once: school, pupil, results, competencies, signers' names.
    #[serde(default)]
    pub general: Fields,
    /// One entry per subject.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<Fields>,
    /// One entry per school year studied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Fields>,
    /// Certificates of secondary pupils.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<Fields>,
}

impl Transcript {
    /// Return the value of a field of the general group.
    pub fn value(&self, field: Field) -> Option<&str> {
        self.general.value(field)
    }
}

/// A transcript that breaks no rule of severity *error*, with its identity parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidTranscript {
    /// The parsed identity.
    pub identity: Identity,
    /// The values as signed.
    pub transcript: Transcript,
    /// Rules of severity *warning* that it breaks.
    pub warnings: Vec<Violation>,
}

/// What identifies a transcript and decides which rules hold for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// UUID v4 of this transcript (CV 2088 PL1 II.1); never used again after a recall.
    pub code: TranscriptCode,
    /// The school year it speaks of.
    pub school_year: SchoolYear,
    /// Primary, lower or upper secondary.
    pub level: Level,
    /// The circular it was assessed under.
    pub circular: Circular,
    /// Grade 1 to 12.
    pub grade: u8,
    /// The pupil's 12-digit number.
    pub personal_number: PersonalNumber,
}

mod fields_serde {
    use super::{Field, Fields};
    use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor};
    use serde::ser::{Serialize, SerializeMap, Serializer};

    impl Serialize for Fields {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(self.values.len()))?;
            for (field, value) in self.iter() {
                map.serialize_entry(field.name(), value)?;
            }
            map.end()
        }
    }

    struct FieldsVisitor;

    impl<'de> Visitor<'de> for FieldsVisitor {
        type Value = Fields;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object whose values are strings")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
            let mut fields = Fields::default();
            while let Some(name) = map.next_key::<std::borrow::Cow<'de, str>>()? {
                let field = Field::from_name(&name)
                    .ok_or_else(|| de::Error::custom("there is a field of unknown name"))?;
                let value: std::borrow::Cow<'de, str> = map.next_value()?;
                if fields.value(field).is_some() {
                    return Err(de::Error::custom(format!("field {} occurs twice", field.name())));
                }
                fields.set(field, value.trim());
            }
            Ok(fields)
        }
    }

    impl<'de> Deserialize<'de> for Fields {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_map(FieldsVisitor)
        }
    }
}

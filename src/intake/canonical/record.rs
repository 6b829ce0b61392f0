//! Holds a record as it was sent, so that its canonical form is of exactly that.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::transcript::{Field, Fields, Group, Transcript};

/// A record as it was sent: a group that is absent differs from one that is empty.
#[derive(Default)]
pub(super) struct Record<'a> {
    pub(super) general: Option<Values<'a>>,
    /// Rows, in the order of [`GROUPS`].
    pub(super) groups: [Option<Vec<Values<'a>>>; 3],
}

/// The fields of one group, in the order sent.
pub(super) struct Values<'a>(pub(super) Vec<(Field, Cow<'a, str>)>);

/// Groups of rows.
pub(super) const GROUPS: [Group; 3] = [Group::Subject, Group::History, Group::Certificate];

impl Record<'_> {
    pub(super) fn into_transcript(self) -> Transcript {
        let [subjects, history, certificates] = self.groups.map(|rows| {
            let rows = rows.unwrap_or_default();
            rows.into_iter().map(Values::into_fields).collect()
        });
        Transcript {
            general: self.general.map(Values::into_fields).unwrap_or_default(),
            subjects,
            history,
            certificates,
        }
    }
}

impl Values<'_> {
    fn into_fields(self) -> Fields {
        let mut fields = Fields::default();
        for (field, value) in self.0 {
            fields.set(field, value);
        }
        fields
    }
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(general) = &self.general {
            map.serialize_entry(Group::General.name(), general)?;
        }
        for (group, rows) in GROUPS.iter().zip(&self.groups) {
            if let Some(rows) = rows {
                map.serialize_entry(group.name(), rows)?;
            }
        }
        map.end()
    }
}

impl Serialize for Values<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (field, value) in &self.0 {
            map.serialize_entry(field.name(), value)?;
        }
        map.end()
    }
}

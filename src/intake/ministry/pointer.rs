//! Names a place of a transcript in the tags of the Ministry's XML.

use super::profile::{Family, Profile};
use crate::transcript::{Field, Place};

/// Return the XPath of `place` within its `HOC_BA`, in the tags that documents of `family` are written with.
///
/// A field that the family has no tag for is named by its canonical pointer below the data region.
pub fn pointer(profile: &Profile, family: Family, place: &Place) -> String {
    let document = &profile.document;
    let paths = &profile.family(family).paths;
    let (record, data) = (&document.record, &document.data);
    let field_path = |field: &Field, row: Option<usize>| match paths.get(field) {
        None => format!("/{record}/{data}{}", place.pointer()),
        Some((path, Some(row_tag), tag)) => {
            let number = row.unwrap_or(0) + 1;
            format!("/{record}/{data}{path}/{row_tag}[{number}]/{tag}")
        }
        Some((path, None, tag)) => format!("/{record}/{data}{path}/{tag}"),
    };
    match place {
        Place::Record => format!("/{record}"),
        Place::General(field) => field_path(field, None),
        Place::Entry(_, index, field) => field_path(field, Some(*index)),
        Place::Signer(name) => format!("/{record}/{}/{name}", document.signers),
        Place::Path(path) => path.clone(),
    }
}

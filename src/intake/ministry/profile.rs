//! Compiles the table of the Ministry's tags into look-ups for reading and a tree for writing.

use std::collections::HashMap;

use serde::Deserialize;

use crate::platform::config::{ConfigError, Tables};
use crate::transcript::{Field, Group, Transcript};

/// Path of the table below `config/`.
pub const FILE: &str = "mappings/ministry-xml.toml";

/// Family of documents: the primary profile of CV 2088, or the secondary one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Tiểu học.
    Primary,
    /// THCS and THPT.
    Secondary,
}

impl Family {
    /// Both families.
    pub const ALL: [Family; 2] = [Self::Primary, Self::Secondary];

    fn index(self) -> usize {
        match self {
            Self::Primary => 0,
            Self::Secondary => 1,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    document: Document,
    families: Families,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Families {
    primary: FamilyText,
    secondary: FamilyText,
}

/// Tags and limits of the document as a whole.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// Root of a batch.
    pub batch: String,
    /// Root of one transcript.
    pub record: String,
    /// The signed data region.
    pub data: String,
    /// Container of the signers' blocks.
    pub signers: String,
    /// Attribute that carries the ID of the data region.
    pub id_attribute: String,
    /// Rows of one group that a transcript may have.
    pub rows_max: usize,
    /// Violations after which decoding of a transcript ends.
    pub violations_max: usize,
    /// Law named by violations found while decoding.
    pub source: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FamilyText {
    grades: [u8; 2],
    levels: Vec<String>,
    versions: Vec<String>,
    parts: Vec<PartText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartText {
    tag: String,
    #[serde(default)]
    also: Vec<String>,
    rows: Option<RowsText>,
    #[serde(default)]
    fields: Vec<Vec<String>>,
    #[serde(default)]
    parts: Vec<PartText>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RowsText {
    group: String,
    tags: Vec<String>,
}

/// A part of the document as it is written.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) tag: Box<str>,
    /// Group and tag of the rows, when the part is a list.
    pub(super) rows: Option<(Group, Box<str>)>,
    pub(super) fields: Vec<(Field, Box<str>)>,
    pub(super) parts: Vec<Part>,
}

#[derive(Debug)]
pub(super) struct FamilyProfile {
    grades: std::ops::RangeInclusive<u8>,
    levels: Vec<String>,
    pub(super) versions: Vec<String>,
    pub(super) parts: Vec<Part>,
    pub(super) paths: Paths,
}

// Path of the part, tag of the row, tag of the field.
pub(super) type Paths = HashMap<Field, (Box<str>, Option<Box<str>>, Box<str>)>;

/// What a tag opens when a document is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    /// Fields of the general group.
    General,
    /// Rows of a group.
    List(Group),
    /// One row of a group.
    Row(Group),
}

/// The Ministry's XML as data, compiled once.
#[derive(Debug)]
pub struct Profile {
    pub(super) document: Document,
    families: [FamilyProfile; 2],
    pub(super) containers: HashMap<Box<str>, Container>,
    general: HashMap<Box<str>, Field>,
    rows: [HashMap<Box<str>, Field>; 3],
}

fn slot(group: Group) -> Option<usize> {
    match group {
        Group::General => None,
        Group::Subject => Some(0),
        Group::History => Some(1),
        Group::Certificate => Some(2),
    }
}

impl Profile {
    /// Load the table; a wrong entry is named with its file and key.
    pub fn load(tables: &Tables) -> Result<Self, ConfigError> {
        let file: File = tables.parse(FILE)?;
        let primary = compile_family("primary", &file.families.primary)?;
        let secondary = compile_family("secondary", &file.families.secondary)?;
        let mut profile = Self {
            document: file.document,
            families: [primary, secondary],
            containers: HashMap::new(),
            general: HashMap::new(),
            rows: Default::default(),
        };
        for part in &file.families.primary.parts {
            profile.index_part(part)?;
        }
        for part in &file.families.secondary.parts {
            profile.index_part(part)?;
        }
        Ok(profile)
    }

    /// Return the tags and limits of the document as a whole.
    pub fn document(&self) -> &Document {
        &self.document
    }

    /// Tell which family a transcript is of: by its grade, else by its level; `None` when neither is known.
    pub fn family_of(&self, transcript: &Transcript) -> Option<Family> {
        let grade = transcript.value(Field::Grade).and_then(|text| text.parse::<u8>().ok());
        if let Some(grade) = grade {
            let by_grade =
                Family::ALL.into_iter().find(|family| self.family(*family).grades.contains(&grade));
            if by_grade.is_some() {
                return by_grade;
            }
        }
        let level = transcript.value(Field::Level)?;
        Family::ALL.into_iter().find(|family| {
            let levels = &self.family(*family).levels;
            levels.iter().any(|known| known == level)
        })
    }

    /// Tell whether documents of `family` have a tag for `field`.
    pub fn has(&self, family: Family, field: Field) -> bool {
        self.family(family).paths.contains_key(&field)
    }

    pub(super) fn family(&self, family: Family) -> &FamilyProfile {
        &self.families[family.index()]
    }

    // The known name and the field that `tag` holds in `group`.
    pub(super) fn field(&self, group: Group, tag: &str) -> Option<(&str, Field)> {
        let names = match slot(group) {
            None => &self.general,
            Some(slot) => &self.rows[slot],
        };
        names.get_key_value(tag).map(|(name, field)| (&**name, *field))
    }

    // Reading accepts the tags of both families, so a tag must mean the same in both.
    fn index_part(&mut self, part: &PartText) -> Result<(), ConfigError> {
        let group = match &part.rows {
            None => Group::General,
            Some(rows) => {
                let group = group_of(&part.tag, &rows.group)?;
                for tag in &rows.tags {
                    agree(&mut self.containers, tag, Container::Row(group))?;
                }
                group
            }
        };
        let container = match group {
            Group::General => Container::General,
            group => Container::List(group),
        };
        for tag in std::iter::once(&part.tag).chain(&part.also) {
            agree(&mut self.containers, tag, container)?;
        }
        for entry in &part.fields {
            let (field, tags) = field_of(&part.tag, entry, group)?;
            let names = match slot(group) {
                None => &mut self.general,
                Some(slot) => &mut self.rows[slot],
            };
            for tag in tags {
                agree(names, tag, field)?;
            }
        }
        for inner in &part.parts {
            self.index_part(inner)?;
        }
        Ok(())
    }
}

fn wrong(key: &str, message: String) -> ConfigError {
    ConfigError::Value { place: FILE.to_owned(), key: key.to_owned(), message }
}

fn agree<T: Copy + PartialEq>(
    names: &mut HashMap<Box<str>, T>,
    tag: &str,
    meaning: T,
) -> Result<(), ConfigError> {
    if *names.entry(tag.into()).or_insert(meaning) == meaning {
        Ok(())
    } else {
        Err(wrong(tag, "the tag has two meanings".to_owned()))
    }
}

fn group_of(part: &str, name: &str) -> Result<Group, ConfigError> {
    [Group::Subject, Group::History, Group::Certificate]
        .into_iter()
        .find(|group| group.name() == name)
        .ok_or_else(|| {
            let permitted = "subjects, history, certificates";
            wrong(part, format!("no group `{name}`; permitted: {permitted}"))
        })
}

fn field_of<'a>(
    part: &str,
    entry: &'a [String],
    group: Group,
) -> Result<(Field, &'a [String]), ConfigError> {
    let (name, tags) = entry
        .split_first()
        .filter(|(_, tags)| !tags.is_empty())
        .ok_or_else(|| wrong(part, "an entry is [field, tag, ...]".to_owned()))?;
    let field =
        Field::from_name(name).ok_or_else(|| wrong(part, format!("there is no field `{name}`")))?;
    if field.group() != group {
        let message = format!("field `{name}` is not of group `{}`", group.name());
        return Err(wrong(part, message));
    }
    if let Some(tag) = tags.iter().find(|tag| !is_tag(tag)) {
        return Err(wrong(part, format!("`{tag}` is not a tag name")));
    }
    Ok((field, tags))
}

fn is_tag(tag: &str) -> bool {
    tag.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn compile_family(name: &str, text: &FamilyText) -> Result<FamilyProfile, ConfigError> {
    let mut family = FamilyProfile {
        grades: text.grades[0]..=text.grades[1],
        levels: text.levels.clone(),
        versions: text.versions.clone(),
        parts: Vec::new(),
        paths: HashMap::new(),
    };
    for part in &text.parts {
        let part = compile_part(part, "", &mut family.paths, name)?;
        family.parts.push(part);
    }
    Ok(family)
}

fn compile_part(
    text: &PartText,
    above: &str,
    paths: &mut Paths,
    family: &str,
) -> Result<Part, ConfigError> {
    let key = format!("{family}.{}", text.tag);
    for tag in std::iter::once(&text.tag).chain(&text.also) {
        if !is_tag(tag) {
            return Err(wrong(&key, format!("`{tag}` is not a tag name")));
        }
    }
    let path = format!("{above}/{}", text.tag);
    let rows: Option<(Group, Box<str>)> = match &text.rows {
        None => None,
        Some(rows) => {
            let tag = rows
                .tags
                .first()
                .filter(|tag| is_tag(tag))
                .ok_or_else(|| wrong(&key, "rows need a tag".to_owned()))?;
            Some((group_of(&key, &rows.group)?, Box::from(tag.as_str())))
        }
    };
    let group = rows.as_ref().map_or(Group::General, |(group, _)| *group);
    let mut fields = Vec::with_capacity(text.fields.len());
    for entry in &text.fields {
        let (field, tags) = field_of(&key, entry, group)?;
        let tag: Box<str> = tags[0].as_str().into();
        let row = rows.as_ref().map(|(_, tag)| tag.clone());
        if paths.insert(field, (path.as_str().into(), row, tag.clone())).is_some() {
            return Err(wrong(&key, format!("`{}` stands twice", field.name())));
        }
        fields.push((field, tag));
    }
    let mut parts = Vec::with_capacity(text.parts.len());
    for inner in &text.parts {
        if rows.is_some() {
            return Err(wrong(&key, "a list of rows has no parts".to_owned()));
        }
        parts.push(compile_part(inner, &path, paths, family)?);
    }
    Ok(Part { tag: text.tag.as_str().into(), rows, fields, parts })
}

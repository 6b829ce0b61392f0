//! Reads one code list and finds its rows by code, name or alias.

use std::collections::HashMap;

use serde::de::DeserializeOwned;

use super::plain::key;
use crate::platform::config::{ConfigError, Tables};

/// Read the rows of the CSV table `name`, naming file and line of a wrong one.
pub(super) fn rows<T: DeserializeOwned>(
    tables: &Tables,
    name: &str,
) -> Result<Vec<T>, ConfigError> {
    let text = tables.read(name)?;
    let mut reader = csv::ReaderBuilder::new().from_reader(text.as_bytes());
    reader.deserialize().collect::<Result<Vec<T>, csv::Error>>().map_err(|error| {
        let line = error.position().map_or(0, csv::Position::line);
        ConfigError::Syntax { place: format!("{name}:{line}"), message: error.to_string() }
    })
}

/// Say that the table `name` holds a row that cannot be used.
pub(super) fn wrong_row(name: &str, row: &str, message: &str) -> ConfigError {
    ConfigError::Value { place: name.to_owned(), key: row.to_owned(), message: message.to_owned() }
}

/// Names that lead to an index; exact spellings are found without normalising.
#[derive(Debug, Default)]
pub(super) struct Index {
    exact: HashMap<Box<str>, u32>,
    folded: HashMap<Box<str>, u32>,
}

impl Index {
    /// Let `name` lead to `index`; a name already taken keeps its first meaning.
    pub(super) fn add(&mut self, name: &str, index: usize) {
        if name.is_empty() {
            return;
        }
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        self.exact.entry(name.into()).or_insert(index);
        self.folded.entry(key(name).into()).or_insert(index);
    }

    /// Let each of the `|`-separated `names` lead to `index`.
    pub(super) fn add_all(&mut self, names: &str, index: usize) {
        for name in names.split('|') {
            self.add(name.trim(), index);
        }
    }

    /// Find the index `text` leads to.
    pub(super) fn find(&self, text: &str) -> Option<usize> {
        self.exact
            .get(text)
            .or_else(|| self.folded.get(key(text).as_str()))
            .map(|index| *index as usize)
    }
}

/// A list of codes found by code, name or alias.
#[derive(Debug, Default)]
pub(super) struct CodeList {
    codes: Vec<Box<str>>,
    names: Vec<Box<str>>,
    index: Index,
}

impl CodeList {
    /// Add one row.
    pub(super) fn add(&mut self, code: &str, name: &str, aliases: &str) {
        let position = self.codes.len();
        self.index.add(code, position);
        self.index.add(name, position);
        self.index.add_all(aliases, position);
        self.codes.push(code.into());
        self.names.push(name.into());
    }

    /// Return the code `text` stands for.
    pub(super) fn code(&self, text: &str) -> Option<&str> {
        self.index.find(text).map(|position| &*self.codes[position])
    }

    /// Return the name of `code`.
    pub(super) fn name(&self, code: &str) -> Option<&str> {
        let position = self.codes.iter().position(|known| &**known == code)?;
        Some(&self.names[position])
    }

    /// Return the codes, for texts that say what is permitted.
    pub(super) fn permitted(&self) -> String {
        self.codes.join(", ")
    }
}

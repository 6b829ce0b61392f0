//! Reads the national dictionary: tables, columns, types, lengths and value lists.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Deserialize;

pub use super::column::{Column, ColumnType, Fault, FaultKind, Form};

use crate::platform::config::{ConfigError, Tables};

/// Path of the dictionary below `config/`.
pub const FILE: &str = "code-lists/dictionary/ttdlqg.csv";

/// A table of the dictionary with the columns a sender writes, in order.
#[derive(Debug, Clone)]
pub struct Table {
    /// Name.
    pub name: String,
    /// Columns that every record begins with: its id, event, version and time.
    pub envelope: Vec<Column>,
    /// Columns of kind `data`; technical keys and the receiver's columns are not sent.
    pub columns: Vec<Column>,
    /// Tables whose rows belong to one row of this table, in the order of the dictionary.
    pub children: Vec<Child>,
}

/// A table of rows that belong to a record.
#[derive(Debug, Clone)]
pub struct Child {
    /// Tag of the container: the table's name after that of its parent.
    pub tag: String,
    /// The table.
    pub table: Table,
}

impl Table {
    /// Find what is absent though required, or present though another of its group is.
    ///
    /// `value` gives the value of the column at an index, if it has one.
    pub fn absences<'v>(
        &self,
        value: impl Fn(usize) -> Option<&'v str>,
    ) -> Vec<(usize, FaultKind)> {
        let mut faults = Vec::new();
        for (index, column) in self.columns.iter().enumerate() {
            let excused = column.unless.is_some_and(|other| value(other) == Some("1"));
            if column.required && !excused && value(index).is_none() {
                faults.push((index, FaultKind::Missing));
            }
            let Some(group) = &column.group else { continue };
            let in_group = |other: &&Column| other.group.as_ref() == Some(group);
            if self.columns[..index].iter().any(|other| in_group(&other)) {
                continue;
            }
            let filled = (index..self.columns.len())
                .filter(|other| in_group(&&self.columns[*other]) && value(*other).is_some())
                .count();
            match filled {
                0 => faults.push((index, FaultKind::Missing)),
                1 => {}
                _ => faults.push((index, FaultKind::MoreThanOne)),
            }
        }
        faults
    }
}

/// The dictionary of the record tables the gateway sends.
#[derive(Debug, Clone)]
pub struct Dictionary {
    tables: BTreeMap<String, Arc<Table>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    table: String,
    ord: u32,
    column: String,
    #[serde(rename = "type")]
    kind: ColumnType,
    length: Option<usize>,
    required: Answer,
    #[serde(rename = "kind")]
    role: Role,
    values: String,
    form: Option<Form>,
    group: Option<String>,
    unless: Option<String>,
    min: Option<u32>,
    max: Option<u32>,
    #[expect(dead_code, reason = "names the lists for people who read the table")]
    code_lists: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Answer {
    Yes,
    No,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Role {
    TechnicalKey,
    Data,
    Envelope,
    Receiver,
}

impl Dictionary {
    /// Load the dictionary; a wrong row is named with file and line.
    pub fn load(tables: &Tables) -> Result<Self, ConfigError> {
        let text = tables.read(FILE)?;
        let mut flat: Vec<Table> = Vec::new();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        for (index, row) in reader.deserialize::<Row>().enumerate() {
            let line = index + 2;
            let row = row.map_err(|error| ConfigError::Syntax {
                place: format!("{FILE}:{line}"),
                message: error.to_string(),
            })?;
            if flat.last().is_none_or(|last| last.name != row.table) {
                flat.push(Table {
                    name: row.table.clone(),
                    envelope: Vec::new(),
                    columns: Vec::new(),
                    children: Vec::new(),
                });
            }
            let (role, Some(table)) = (row.role, flat.last_mut()) else {
                continue;
            };
            match role {
                Role::Data => {
                    let column = column_of(row, table, line)?;
                    table.columns.push(column);
                }
                Role::Envelope => {
                    let column = column_of(row, table, line)?;
                    table.envelope.push(column);
                }
                Role::TechnicalKey | Role::Receiver => {}
            }
        }
        nest(flat)
    }

    /// Find a table of records by its name.
    pub fn table(&self, name: &str) -> Option<&Arc<Table>> {
        self.tables.get(name)
    }

    /// Walk over the tables of records.
    pub fn tables(&self) -> impl Iterator<Item = &Arc<Table>> {
        self.tables.values()
    }
}

fn column_of(row: Row, table: &Table, line: usize) -> Result<Column, ConfigError> {
    let wrong = |message: String| ConfigError::Value {
        place: format!("{FILE}:{line}"),
        key: format!("{}.{}", row.table, row.column),
        message,
    };
    if row.kind == ColumnType::Varchar && row.length.is_none() {
        return Err(wrong("a varchar column needs a length".to_owned()));
    }
    if table.columns.iter().any(|column| column.name == row.column) {
        return Err(wrong(format!("stands twice (ord {})", row.ord)));
    }
    let unless = match &row.unless {
        None => None,
        Some(name) => Some(
            table
                .columns
                .iter()
                .position(|column| column.name == *name && column.kind == ColumnType::Boolean)
                .ok_or_else(|| wrong(format!("`{name}` is no boolean column above it")))?,
        ),
    };
    Ok(Column {
        kind: row.kind,
        length: row.length,
        required: row.required == Answer::Yes,
        values: row
            .values
            .split('|')
            .filter(|value| !value.is_empty())
            .map(str::to_owned)
            .collect(),
        form: row.form,
        group: row.group,
        unless,
        min: row.min,
        max: row.max,
        name: row.column,
    })
}

// A table named `<parent>_<tag>` holds rows of `<parent>`.
fn nest(flat: Vec<Table>) -> Result<Dictionary, ConfigError> {
    let names: BTreeSet<String> = flat.iter().map(|table| table.name.clone()).collect();
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for table in flat {
        let parent = table.name.rsplit_once('_').filter(|(parent, _)| names.contains(*parent));
        match parent {
            None => {
                tables.insert(table.name.clone(), table);
            }
            Some((parent, tag)) => {
                let (parent, tag) = (parent.to_owned(), tag.to_owned());
                let Some(owner) = tables.get_mut(&parent) else {
                    return Err(ConfigError::Value {
                        place: FILE.to_owned(),
                        key: table.name,
                        message: format!("stands before its parent `{parent}`"),
                    });
                };
                owner.children.push(Child { tag, table });
            }
        }
    }
    Ok(Dictionary {
        tables: tables.into_iter().map(|(name, table)| (name, Arc::new(table))).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_dictionary_has_both_transcripts_with_their_rows() {
        let dictionary = Dictionary::load(&Tables::default()).unwrap();
        let shape = |name: &str| {
            let table = dictionary.table(name).unwrap();
            let mut shape = vec![(table.name.as_str(), table.columns.len())];
            let rows = table.children.iter();
            shape.extend(rows.map(|child| (child.tag.as_str(), child.table.columns.len())));
            shape
                .into_iter()
                .map(|(name, columns)| format!("{name} {columns}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        assert_eq!(
            shape("thongtinsohocbasotieuhoc"),
            "thongtinsohocbasotieuhoc 76, quatrinhhoctap 5, dsbangdiem 4"
        );
        assert_eq!(
            shape("thongtinsohocbasothcsthpt"),
            "thongtinsohocbasothcsthpt 69, quatrinhhoctap 5, chungchi 2, bangdiem 9"
        );
        assert_eq!(dictionary.tables().count(), 2);
    }
}

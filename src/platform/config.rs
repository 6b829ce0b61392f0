//! Reads layered TOML configuration and names the file and line of every wrong value.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use rust_embed::RustEmbed;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Files under `config/` as they were when the binary was built.
#[derive(RustEmbed)]
#[folder = "config/"]
struct BuiltinFiles;

/// Say why configuration could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file could not be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not TOML.
    #[error("{place}: not valid TOML: {message}")]
    Syntax {
        /// File and line.
        place: String,
        /// What the parser said.
        message: String,
    },
    /// A key is unknown or its value is not permitted.
    #[error("{place}: {key}: {message}")]
    Value {
        /// File and line, or the environment variable.
        place: String,
        /// The dotted key.
        key: String,
        /// What is wrong and what is permitted.
        message: String,
    },
    /// A built-in or configured table does not exist.
    #[error("there is no configuration table named {name}")]
    NoSuchTable {
        /// Path below `config/`.
        name: String,
    },
}

/// Where tables (mappings, code lists, texts) come from: a directory that overrides, else the built-in copy.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    directory: Option<PathBuf>,
}

impl Tables {
    /// Use `directory` before the built-in tables; `None` means built-in only.
    pub fn new(directory: Option<PathBuf>) -> Self {
        Self { directory }
    }

    /// Return the text of the table at `name`, a path below `config/` such as `code-lists/ethnic-groups.csv`.
    pub fn read(&self, name: &str) -> Result<String, ConfigError> {
        if let Some(directory) = &self.directory {
            let path = directory.join(name);
            if path.is_file() {
                return read_file(&path);
            }
        }
        let file = BuiltinFiles::get(name)
            .ok_or_else(|| ConfigError::NoSuchTable { name: name.to_owned() })?;
        String::from_utf8(file.data.into_owned()).map_err(|error| ConfigError::Syntax {
            place: name.to_owned(),
            message: error.to_string(),
        })
    }

    /// Parse the TOML table at `name` into `T`, naming file and line of a wrong value.
    pub fn parse<T: DeserializeOwned>(&self, name: &str) -> Result<T, ConfigError> {
        let text = self.read(name)?;
        toml::from_str(&text).map_err(|error| ConfigError::Syntax {
            place: place_of(name, &text, error.span()),
            message: error.message().to_owned(),
        })
    }

    /// Return the names of the built-in tables below `prefix`, sorted.
    pub fn names(prefix: &str) -> Vec<Cow<'static, str>> {
        let mut names: Vec<_> =
            BuiltinFiles::iter().filter(|name| name.starts_with(prefix)).collect();
        names.sort();
        names
    }
}

/// Load settings: the built-in `default.toml`, then `file`, then `HOCBA__SECTION__KEY` variables.
pub fn load<T: DeserializeOwned>(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<T, ConfigError> {
    let default_text = Tables::default().read("default.toml")?;
    let mut merged = parse_table("default.toml", &default_text)?;
    let mut layers = vec![("default.toml".to_owned(), default_text)];
    if let Some(path) = file {
        let text = read_file(path)?;
        let name = path.display().to_string();
        merge(&mut merged, parse_table(&name, &text)?);
        layers.push((name, text));
    }
    let mut variables = Vec::new();
    for (name, value) in environment {
        if let Some(key) = name.strip_prefix("HOCBA__") {
            let path: Vec<String> = key.split("__").map(str::to_lowercase).collect();
            set(&mut merged, &path, scalar(&value));
            variables.push((path.join("."), name));
        }
    }
    serde_path_to_error::deserialize(Value::Table(merged)).map_err(|error| {
        let message = error.inner().message().to_owned();
        let key = key_of(&error.path().to_string(), &message);
        let place = variables
            .iter()
            .find(|(path, _)| *path == key)
            .map(|(_, name)| name.clone())
            .or_else(|| layers.iter().rev().find_map(|(name, text)| find_line(name, text, &key)))
            .unwrap_or_else(|| "configuration".to_owned());
        ConfigError::Value { place, key, message }
    })
}

fn key_of(path: &str, message: &str) -> String {
    let unknown = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next());
    match unknown {
        Some(field) if path == "." || path.is_empty() => field.to_owned(),
        Some(field) if !path.ends_with(field) => format!("{path}.{field}"),
        _ => path.to_owned(),
    }
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Unreadable { path: path.display().to_string(), source })
}

fn parse_table(name: &str, text: &str) -> Result<Table, ConfigError> {
    text.parse::<Table>().map_err(|error| ConfigError::Syntax {
        place: place_of(name, text, error.span()),
        message: error.message().to_owned(),
    })
}

fn place_of(name: &str, text: &str, span: Option<std::ops::Range<usize>>) -> String {
    match span {
        Some(span) => format!("{name}:{}", line_at(text, span.start)),
        None => name.to_owned(),
    }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

fn find_line(name: &str, text: &str, key: &str) -> Option<String> {
    let document = text.parse::<toml_edit::Document<String>>().ok()?;
    let mut item = document.as_item();
    let mut span = None;
    for part in key.split('.') {
        let table = item.as_table_like()?;
        let (found_key, found) = table.get_key_value(part)?;
        span = found_key.span().or_else(|| found.span());
        item = found;
    }
    span.map(|span| format!("{name}:{}", line_at(text, span.start)))
}

fn merge(base: &mut Table, over: Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(Value::Table(inner)), Value::Table(table)) => merge(inner, table),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

fn set(table: &mut Table, path: &[String], value: Value) {
    match path {
        [] => {}
        [last] => {
            table.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let entry = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
            if let Value::Table(inner) = entry {
                set(inner, rest, value);
            }
        }
    }
}

fn scalar(text: &str) -> Value {
    let wrapped = format!("v = {text}");
    wrapped
        .parse::<Table>()
        .ok()
        .and_then(|table| table.get("v").cloned())
        .unwrap_or_else(|| Value::String(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[derive(Debug, serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[expect(dead_code, reason = "read by the deserializer only")]
        socket_dir: Option<String>,
    }

    fn load_text(text: &str) -> Result<std::collections::BTreeMap<String, Value>, ConfigError> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        load(Some(file.path()), std::iter::empty())
    }

    #[test]
    fn a_syntax_error_names_file_and_line() {
        let error = load_text("[a]\nb = = 1\n").unwrap_err().to_string();
        assert!(error.contains(":2"), "{error}");
    }

    #[test]
    fn an_unknown_key_names_file_and_line() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"# comment\nnonsense = 3\n").unwrap();
        #[derive(Debug, serde::Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Nothing {
            #[expect(dead_code, reason = "read by the deserializer only")]
            database: Option<Inner>,
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        let error =
            serde_path_to_error::deserialize::<_, Nothing>(Value::Table(text.parse().unwrap()))
                .unwrap_err();
        let key = key_of(&error.path().to_string(), error.inner().message());
        assert_eq!(key, "nonsense");
        assert_eq!(find_line("f", &text, &key).unwrap(), "f:2");
    }

    #[test]
    fn an_environment_variable_overrides_a_file() {
        let variables = [("HOCBA__X__Y_MS".to_owned(), "12".to_owned())];
        let all: Table = load(None, variables.into_iter()).unwrap();
        assert_eq!(all["x"]["y_ms"].as_integer(), Some(12));
    }
}

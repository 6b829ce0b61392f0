//! Serves every sentence people read, Vietnamese and English, from one catalogue.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

use super::config::Tables;

/// Language of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// Vietnamese, the first language of the interface.
    #[default]
    Vi,
    /// English.
    En,
}

impl Lang {
    /// Choose from a `LANG` value such as `en_US.UTF-8`; everything that is not English is Vietnamese.
    pub fn from_environment(value: Option<&str>) -> Self {
        match value {
            Some(value) if value.starts_with("en") => Self::En,
            _ => Self::Vi,
        }
    }
}

/// One sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Bilingual {
    /// Vietnamese.
    pub vi: String,
    /// English.
    pub en: String,
}

impl Bilingual {
    /// Return the text in `lang`.
    pub fn in_lang(&self, lang: Lang) -> &str {
        match lang {
            Lang::Vi => &self.vi,
            Lang::En => &self.en,
        }
    }
}

static CATALOGUE: LazyLock<BTreeMap<String, Bilingual>> = LazyLock::new(load_catalogue);

// The catalogue is constant data of the binary; a test proves that every file of it parses.
fn load_catalogue() -> BTreeMap<String, Bilingual> {
    let mut all = BTreeMap::new();
    for name in Tables::names("texts/") {
        let module = name.trim_start_matches("texts/").trim_end_matches(".toml").to_owned();
        let table: BTreeMap<String, Bilingual> = Tables::default().parse(&name).unwrap_or_default();
        for (key, text) in table {
            all.insert(format!("{module}.{key}"), text);
        }
    }
    all
}

/// Return the text `key` (`<file>.<key>`) in both languages with `{name}` places filled from `args`.
///
/// An unknown key gives the key itself, so that nothing panics; a test finds such keys in the source.
pub fn both(key: &str, args: &[(&str, &str)]) -> Bilingual {
    let mut text = CATALOGUE
        .get(key)
        .cloned()
        .unwrap_or_else(|| Bilingual { vi: key.to_owned(), en: key.to_owned() });
    for (name, value) in args {
        let place = format!("{{{name}}}");
        text.vi = text.vi.replace(&place, value);
        text.en = text.en.replace(&place, value);
    }
    text
}

/// Return the text `key` in `lang` with `{name}` places filled from `args`.
pub fn text(lang: Lang, key: &str, args: &[(&str, &str)]) -> String {
    let found = both(key, args);
    match lang {
        Lang::Vi => found.vi,
        Lang::En => found.en,
    }
}

/// Tell whether the catalogue has `key`.
pub fn has(key: &str) -> bool {
    CATALOGUE.contains_key(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_catalogue_parses_in_both_languages() {
        let names = Tables::names("texts/");
        assert!(!names.is_empty());
        for name in names {
            let table: BTreeMap<String, Bilingual> = Tables::default().parse(&name).unwrap();
            for (key, text) in table {
                assert!(!text.vi.is_empty() && !text.en.is_empty(), "{name}: {key}");
            }
        }
    }

    #[test]
    fn places_are_filled_in_both_languages() {
        let text = both("problem.document-too-large.detail", &[("limit", "10")]);
        assert!(text.vi.contains("10") && text.en.contains("10"));
    }
}

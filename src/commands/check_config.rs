//! Checks the configuration and every table without starting anything.

use std::path::Path;

use crate::app::Settings;
use crate::codes::Codes;
use crate::intake::ministry;
use crate::map::Mapping;
use crate::platform::texts::{Lang, text};
use crate::query;
use crate::validate::Rules;

/// Load everything; the first wrong value is the error, with its file and line.
pub fn run(config: Option<&Path>, show: bool, lang: Lang) -> anyhow::Result<()> {
    let settings = Settings::load(config)?;
    let tables = settings.tables();
    let codes = Codes::load(&tables)?;
    Rules::load(&tables, &settings.validate)?;
    Mapping::load(&tables, &codes)?;
    ministry::Profile::load(&tables)?;
    query::Catalogue::load(&tables)?;
    crate::app::parts::verifier(&tables, &settings.signature)?;
    if show {
        put!("{settings:#?}");
    }
    eprintln!("{}", text(lang, "cli.config-good", &[]));
    Ok(())
}

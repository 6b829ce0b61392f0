//! Describes the table `config/rules.toml` as it is written.

use std::collections::BTreeMap;

use jiff::civil::Date;
use serde::Deserialize;

use crate::platform::config::ConfigError;
use crate::transcript::{Circular, Level, Severity};

/// Path of the table below `config/`.
pub(super) const NAME: &str = "rules.toml";

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Table {
    pub(super) limits: Limits,
    pub(super) awards: Awards,
    pub(super) level: Vec<LevelRow>,
    pub(super) circular: Vec<CircularRow>,
    pub(super) required: Vec<RequiredRow>,
    pub(super) rule: BTreeMap<String, RuleRow>,
}

/// Numbers the circulars name.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    pub(super) absences_max: u32,
    pub(super) chosen_subjects: usize,
    pub(super) test_excellent: u8,
    pub(super) test_good: u8,
    pub(super) test_passed: u8,
    pub(super) award_subjects: usize,
    pub(super) award_mark: u8,
    pub(super) retest_below: u8,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Awards {
    pub(super) prefixes: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LevelRow {
    pub(super) slug: String,
    pub(super) texts: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CircularRow {
    pub(super) name: String,
    pub(super) texts: Vec<String>,
    #[serde(default)]
    pub(super) scored_min: usize,
    pub(super) source: Option<String>,
    pub(super) years: Vec<YearsRow>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct YearsRow {
    pub(super) grades: Vec<u8>,
    pub(super) from: i16,
    pub(super) to: Option<i16>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RequiredRow {
    pub(super) rule: String,
    pub(super) fields: Vec<String>,
    #[serde(default)]
    pub(super) levels: Vec<String>,
    #[serde(default)]
    pub(super) circulars: Vec<String>,
    #[serde(default)]
    pub(super) grades: Vec<u8>,
    pub(super) from: Option<toml::value::Datetime>,
    pub(super) until: Option<toml::value::Datetime>,
    #[serde(default)]
    pub(super) assessed_only: bool,
    #[serde(default)]
    pub(super) domestic_only: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleRow {
    pub(super) severity: Severity,
    pub(super) source: String,
    #[serde(default)]
    pub(super) levels: Vec<String>,
    #[serde(default)]
    pub(super) circulars: Vec<String>,
    pub(super) from: Option<toml::value::Datetime>,
    pub(super) to: Option<toml::value::Datetime>,
}

pub(super) fn wrong(key: &str, message: &str) -> ConfigError {
    ConfigError::Value { place: NAME.to_owned(), key: key.to_owned(), message: message.to_owned() }
}

pub(super) fn level(slug: &str, key: &str) -> Result<Level, ConfigError> {
    Level::from_slug(slug).ok_or_else(|| wrong(key, "a level is tieu_hoc, thcs or thpt"))
}

pub(super) fn circular(name: &str, key: &str) -> Result<Circular, ConfigError> {
    Circular::from_name(name)
        .ok_or_else(|| wrong(key, "a circular is TT27, TT22, TT43, TT58 or TT22-2016"))
}

pub(super) fn levels(slugs: &[String], key: &str) -> Result<Vec<Level>, ConfigError> {
    slugs.iter().map(|slug| level(slug, key)).collect()
}

pub(super) fn circulars(names: &[String], key: &str) -> Result<Vec<Circular>, ConfigError> {
    names.iter().map(|name| circular(name, key)).collect()
}

pub(super) fn day(
    value: Option<toml::value::Datetime>,
    key: &str,
) -> Result<Option<Date>, ConfigError> {
    value
        .map(|value| value.to_string().parse())
        .transpose()
        .map_err(|_| wrong(key, "a day is written YYYY-MM-DD"))
}

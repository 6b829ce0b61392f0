//! Finds provinces and communes by code or name as they were on a given day.

use std::collections::HashMap;

use jiff::civil::Date;
use serde::Deserialize;

use super::list::{rows, wrong_row};
use super::plain::key;
use crate::platform::config::{ConfigError, Tables};

/// First day of the two-tier local government and of the 34 provinces (QĐ 19/2025/QĐ-TTg).
pub const NEW_TERRITORY_FROM: Date = jiff::civil::date(2025, 7, 1);

/// A province or centrally run city in one period of its life.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Province {
    /// Two digits; seven of them name another province since 2025-07-01.
    pub code: Box<str>,
    /// Name without "Tỉnh" or "Thành phố".
    pub name: Box<str>,
    /// Name with "Tỉnh" or "Thành phố".
    pub full_name: Box<str>,
    /// Other names, separated by `|`.
    pub aliases: Box<str>,
    /// First day of this period; empty means as far back as records go.
    pub valid_from: Option<Date>,
    /// Last day of this period; empty means still in force.
    pub valid_to: Option<Date>,
    /// Code of the province it belongs to today.
    pub today: Box<str>,
}

impl Province {
    fn holds_on(&self, on: Date) -> bool {
        self.valid_from.is_none_or(|from| from <= on) && self.valid_to.is_none_or(|to| on <= to)
    }
}

/// A commune, ward, township or special zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commune {
    /// Five digits.
    pub code: Box<str>,
    /// Name with "Xã", "Phường", "Thị trấn" or "Đặc khu".
    pub full_name: Box<str>,
    /// Code of its province in the same period.
    pub province: Box<str>,
    /// Codes of the communes it became on 2025-07-01; empty for a commune of today.
    pub became: Vec<Box<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewCommuneRow {
    code: Box<str>,
    #[serde(rename = "name")]
    _name: Box<str>,
    full_name: Box<str>,
    province: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OldCommuneRow {
    province: Box<str>,
    code: Box<str>,
    full_name: Box<str>,
    became: Box<str>,
}

#[derive(Debug, Default)]
struct Communes {
    all: Vec<Commune>,
    by_code: HashMap<Box<str>, u32>,
    // province code, then name with and without its kind, then positions
    by_name: HashMap<Box<str>, HashMap<Box<str>, Vec<u32>>>,
}

/// Provinces and communes of all periods.
#[derive(Debug)]
pub(super) struct Territory {
    provinces: Vec<Province>,
    province_names: HashMap<Box<str>, Vec<u32>>,
    before: Communes,
    after: Communes,
}

const PROVINCE_KINDS: [&str; 3] = ["tỉnh ", "thành phố ", "tp "];
const COMMUNE_KINDS: [&str; 9] =
    ["xã ", "phường ", "thị trấn ", "đặc khu ", "huyện ", "p ", "x ", "tt ", "tx "];

fn bare<'a>(key: &'a str, kinds: &[&str]) -> &'a str {
    kinds.iter().find_map(|kind| key.strip_prefix(kind)).unwrap_or(key)
}

impl Territory {
    pub(super) fn load(tables: &Tables) -> Result<Self, ConfigError> {
        let name = "code-lists/provinces.csv";
        let provinces: Vec<Province> = rows(tables, name)?;
        let mut province_names: HashMap<Box<str>, Vec<u32>> = HashMap::new();
        for (position, province) in provinces.iter().enumerate() {
            if province.code.len() != 2 || province.name.is_empty() {
                return Err(wrong_row(
                    name,
                    &province.code,
                    "a province has a code of 2 digits and a name",
                ));
            }
            let position = u32::try_from(position).unwrap_or(u32::MAX);
            let names = [&*province.name].into_iter();
            for text in names.chain(province.aliases.split('|')) {
                let key = key(text);
                let positions =
                    province_names.entry(bare(&key, &PROVINCE_KINDS).into()).or_default();
                if !key.is_empty() && !positions.contains(&position) {
                    positions.push(position);
                }
            }
        }
        Ok(Self {
            provinces,
            province_names,
            before: load_before(tables)?,
            after: load_after(tables)?,
        })
    }

    pub(super) fn province_by_code(&self, code: &str, on: Date) -> Option<&Province> {
        self.provinces.iter().find(|province| &*province.code == code && province.holds_on(on))
    }

    pub(super) fn province_by_name(&self, name: &str, on: Date) -> Option<&Province> {
        let key = key(name);
        let positions = self
            .province_names
            .get(key.as_str())
            .or_else(|| self.province_names.get(bare(&key, &PROVINCE_KINDS)))?;
        positions
            .iter()
            .map(|position| &self.provinces[*position as usize])
            .find(|province| province.holds_on(on))
    }

    pub(super) fn provinces_on(&self, on: Date) -> impl Iterator<Item = &Province> {
        self.provinces.iter().filter(move |province| province.holds_on(on))
    }

    fn communes(&self, on: Date) -> &Communes {
        if on < NEW_TERRITORY_FROM { &self.before } else { &self.after }
    }

    pub(super) fn commune_by_code(&self, code: &str, on: Date) -> Option<&Commune> {
        let communes = self.communes(on);
        let position = communes.by_code.get(code)?;
        communes.all.get(*position as usize)
    }

    pub(super) fn communes_named(&self, name: &str, province: &str, on: Date) -> Vec<&Commune> {
        let communes = self.communes(on);
        let Some(names) = communes.by_name.get(province) else {
            return Vec::new();
        };
        let key = key(name);
        // The name with its kind first: "Phường 1" and "Xã 1" may stand in one province.
        let positions = names.get(key.as_str()).or_else(|| names.get(bare(&key, &COMMUNE_KINDS)));
        positions
            .into_iter()
            .flatten()
            .filter_map(|position| communes.all.get(*position as usize))
            .collect()
    }

    pub(super) fn communes_of(&self, province: &str, on: Date) -> impl Iterator<Item = &Commune> {
        self.communes(on).all.iter().filter(move |commune| &*commune.province == province)
    }
}

impl Communes {
    fn add(&mut self, commune: Commune) {
        let position = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        let names = self.by_name.entry(commune.province.clone()).or_default();
        let full = key(&commune.full_name);
        let short: Box<str> = bare(&full, &COMMUNE_KINDS).into();
        if *short != *full {
            names.entry(short).or_default().push(position);
        }
        names.entry(full.into()).or_default().push(position);
        self.by_code.insert(commune.code.clone(), position);
        self.all.push(commune);
    }
}

fn load_after(tables: &Tables) -> Result<Communes, ConfigError> {
    let mut communes = Communes::default();
    for row in rows::<NewCommuneRow>(tables, "code-lists/communes.csv")? {
        communes.add(Commune {
            code: row.code,
            full_name: row.full_name,
            province: row.province,
            became: Vec::new(),
        });
    }
    Ok(communes)
}

fn load_before(tables: &Tables) -> Result<Communes, ConfigError> {
    let mut communes = Communes::default();
    for row in rows::<OldCommuneRow>(tables, "code-lists/communes-until-2025.csv")? {
        if let Some(position) = communes.by_code.get(&row.code) {
            if let Some(known) = communes.all.get_mut(*position as usize) {
                known.became.push(row.became);
            }
            continue;
        }
        communes.add(Commune {
            code: row.code,
            full_name: row.full_name,
            province: row.province,
            became: vec![row.became],
        });
    }
    Ok(communes)
}

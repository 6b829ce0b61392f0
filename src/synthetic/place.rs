//! Describes the province in which the made-up people live.

use jiff::civil::{Date, date};

use super::SyntheticError;
use super::chance::Chance;
use super::words::{Weighted, Words};
use crate::codes::{Codes, NEW_TERRITORY_FROM};
use crate::transcript::SchoolYear;

/// A commune by code and full name.
#[derive(Debug, Clone)]
pub(super) struct CommuneName {
    pub(super) code: String,
    pub(super) full_name: String,
}

/// Where births of the province were registered.
#[derive(Debug, Clone)]
pub(super) struct BirthPlace {
    /// First three digits of the personal number.
    pub(super) prefix: String,
    /// Full name of the province at that time.
    pub(super) province: String,
    /// Full names of its communes at that time.
    pub(super) communes: Vec<String>,
}

/// One province on the day its transcripts are issued.
#[derive(Debug)]
pub(super) struct Place {
    /// Day on which the territory is looked at.
    pub(super) on: Date,
    pub(super) code: String,
    pub(super) name: String,
    pub(super) full_name: String,
    pub(super) region: String,
    pub(super) communes: Vec<CommuneName>,
    pub(super) births: Vec<(BirthPlace, u32)>,
    /// Full names of other provinces, for origins and transfers.
    pub(super) elsewhere: Vec<String>,
    /// Prefixes of the whole country, for the few born elsewhere.
    pub(super) other_births: Vec<(String, String)>,
    /// Ethnic groups: code and share.
    pub(super) groups: Weighted,
}

// Most births of today's pupils were registered before the new territory.
const BEFORE: Date = date(2020, 1, 1);

impl Place {
    /// Look the province `code` up as it is when transcripts of `year` are issued.
    pub(super) fn load(
        codes: &Codes,
        words: &Words,
        code: &str,
        year: SchoolYear,
    ) -> Result<Self, SyntheticError> {
        let on = date(year.start() + 1, 5, 31);
        let unknown = || SyntheticError::UnknownProvince { code: code.to_owned() };
        let province = codes.province_by_code(code, on).ok_or_else(unknown)?;
        let listed = words.provinces.get(&*province.today).ok_or_else(unknown)?;
        let communes: Vec<CommuneName> = codes
            .communes_of(code, on)
            .map(|commune| CommuneName {
                code: commune.code.to_string(),
                full_name: commune.full_name.to_string(),
            })
            .collect();
        if communes.is_empty() {
            return Err(unknown());
        }
        let births = listed.births.iter().map(|(prefix, name, weight)| {
            let old_code = prefix.get(1..).unwrap_or_default();
            let communes = codes.communes_of(old_code, BEFORE);
            let place = BirthPlace {
                prefix: prefix.clone(),
                province: name.clone(),
                communes: communes.map(|commune| commune.full_name.to_string()).collect(),
            };
            (place, *weight)
        });
        let other_births = codes
            .provinces_on(BEFORE)
            .map(|province| (format!("0{}", province.code), province.full_name.to_string()));
        Ok(Self {
            on,
            code: code.to_owned(),
            name: province.name.to_string(),
            full_name: province.full_name.to_string(),
            region: listed.region.clone(),
            communes,
            births: births.collect(),
            elsewhere: codes
                .provinces_on(on)
                .filter(|other| *other.code != *code)
                .map(|other| other.full_name.to_string())
                .collect(),
            other_births: other_births.collect(),
            groups: listed.groups.clone(),
        })
    }

    /// Tell whether districts still exist on the day of issue.
    pub(super) fn has_districts(&self) -> bool {
        self.on < NEW_TERRITORY_FROM
    }

    /// Draw the prefix of a personal number and the place of birth in words.
    pub(super) fn birth(&self, chance: &mut Chance, hospitals: &[String]) -> (String, String) {
        if chance.percent(7)
            && let Some((prefix, province)) = chance.one(&self.other_births)
        {
            return (prefix.clone(), province.clone());
        }
        let Some(place) = chance.weighted(&self.births) else {
            return ("001".to_owned(), self.full_name.clone());
        };
        let words = match chance.between(0, 9) {
            0..=4 => {
                let commune = chance.text(&place.communes);
                if commune.is_empty() {
                    place.province.clone()
                } else {
                    format!("{commune}, {}", place.province)
                }
            }
            5..=7 => format!("{}, {}", chance.text(hospitals), place.province),
            _ => place.province.clone(),
        };
        (place.prefix.clone(), words)
    }

    /// Draw an address in the commune `home`, or in a neighbouring one.
    pub(super) fn address(
        &self,
        chance: &mut Chance,
        home: &CommuneName,
        streets: &[String],
        hamlets: &[String],
    ) -> String {
        let commune = if chance.percent(88) {
            &home.full_name
        } else {
            chance.one(&self.communes).map_or(&home.full_name, |commune| &commune.full_name)
        };
        let door = if commune.starts_with("Phường") {
            let number = chance.between(1, 480);
            format!("Số {number}, đường {}", chance.text(streets))
        } else {
            chance.text(hamlets).to_owned()
        };
        format!("{door}, {commune}, {}", self.full_name)
    }

    /// Draw a place of origin.
    pub(super) fn origin(&self, chance: &mut Chance) -> String {
        if chance.percent(18) {
            return chance.text(&self.elsewhere).to_owned();
        }
        match chance.one(&self.communes) {
            Some(commune) => format!("{}, {}", commune.full_name, self.full_name),
            None => self.full_name.clone(),
        }
    }
}

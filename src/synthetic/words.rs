//! Reads the word lists below `config/synthetic/` from which people and comments are made.

use std::collections::HashMap;

use serde::Deserialize;

use crate::platform::config::{ConfigError, Tables};

/// Texts with weights.
pub(super) type Weighted = Vec<(String, u32)>;

/// How a group makes names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum NameOrder {
    /// Family, middle, given.
    FamilyGiven,
    /// Prefix by sex, given, clan.
    GivenClan,
    /// Clan, then given with a prefix.
    ClanGiven,
    /// Prefix by sex, then given.
    PrefixGiven,
}

/// Names of one group.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct GroupNames {
    pub(super) order: NameOrder,
    pub(super) families: Weighted,
    /// Share in per cent whose given name is the group's own.
    #[serde(default)]
    pub(super) own: u32,
    #[serde(default)]
    pub(super) middle_male: Vec<String>,
    #[serde(default)]
    pub(super) given_male: Vec<String>,
    #[serde(default)]
    pub(super) middle_female: Vec<String>,
    #[serde(default)]
    pub(super) given_female: Vec<String>,
}

/// Given names that most families of today use.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NamePool {
    pub(super) middle_male: Weighted,
    pub(super) given_male: Vec<String>,
    pub(super) middle_female: Weighted,
    pub(super) given_female: Vec<String>,
    pub(super) adult_middle_male: Weighted,
    pub(super) adult_given_male: Vec<String>,
    pub(super) adult_middle_female: Weighted,
    pub(super) adult_given_female: Vec<String>,
}

/// `names.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Names {
    pub(super) pool: NamePool,
    pub(super) group: HashMap<String, GroupNames>,
}

/// One province of `provinces.toml`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProvinceWords {
    /// Group of family names of the Kinh: `north`, `mountain`, `central`, `south`.
    pub(super) region: String,
    /// Prefix of the personal number, name of the old province, weight.
    pub(super) births: Vec<(String, String, u32)>,
    /// Code of the ethnic group, weight.
    pub(super) groups: Weighted,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Provinces {
    province: HashMap<String, ProvinceWords>,
}

/// Sentences of one kind of comment by band of achievement.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sentences {
    pub(super) good: Vec<String>,
    pub(super) fair: Vec<String>,
    pub(super) weak: Vec<String>,
}

/// Awards, competitions and certificates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Awards {
    pub(super) occasional: Vec<String>,
    pub(super) competitions: Vec<String>,
    /// Name and kind.
    pub(super) certificates: Vec<(String, String)>,
}

/// `comments.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Comments {
    pub(super) homeroom: Sentences,
    pub(super) quality: Sentences,
    pub(super) competency: Sentences,
    pub(super) specific: Sentences,
    pub(super) subject: Sentences,
    pub(super) awards: Awards,
}

/// Mean height and weight at an age.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Growth {
    pub(super) age: i16,
    /// Height in centimetres, weight in kilograms.
    pub(super) boy: (f64, f64),
    pub(super) girl: (f64, f64),
}

/// `schools.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Surroundings {
    pub(super) school_names: Vec<String>,
    pub(super) private_names: Vec<String>,
    pub(super) streets: Vec<String>,
    pub(super) hamlets: Vec<String>,
    pub(super) hospitals: Vec<String>,
    pub(super) policy_groups: Vec<String>,
    /// Occupation, weight in lowlands and towns, weight in mountain provinces.
    pub(super) occupations: Vec<(String, u32, u32)>,
    pub(super) growth: Vec<Growth>,
}

/// Every word list.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) names: Names,
    pub(super) provinces: HashMap<String, ProvinceWords>,
    pub(super) comments: Comments,
    pub(super) around: Surroundings,
}

impl Words {
    /// Read the lists; a wrong one is named with its line.
    pub(super) fn load(tables: &Tables) -> Result<Self, ConfigError> {
        let provinces: Provinces = tables.parse("synthetic/provinces.toml")?;
        Ok(Self {
            names: tables.parse("synthetic/names.toml")?,
            provinces: provinces.province,
            comments: tables.parse("synthetic/comments.toml")?,
            around: tables.parse("synthetic/schools.toml")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use unicode_normalization::is_nfc;

    use super::*;

    #[test]
    fn the_word_lists_parse_and_stand_in_composed_form() {
        let words = Words::load(&Tables::default()).unwrap();
        assert_eq!(words.provinces.len(), 34);
        for name in Tables::names("synthetic/") {
            assert!(is_nfc(&Tables::default().read(&name).unwrap()), "{name}");
        }
    }

    #[test]
    fn every_group_with_own_names_has_them_for_both_sexes() {
        let words = Words::load(&Tables::default()).unwrap();
        for region in ["north", "mountain", "central", "south", "other"] {
            assert!(words.names.group.contains_key(region), "{region}");
        }
        for (code, group) in &words.names.group {
            assert!(!group.families.is_empty(), "{code}");
            if group.own > 0 {
                let lists = [
                    &group.middle_male,
                    &group.given_male,
                    &group.middle_female,
                    &group.given_female,
                ];
                assert!(lists.into_iter().all(|list| !list.is_empty()), "{code}");
            }
        }
    }
}

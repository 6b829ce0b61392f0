//! Makes made-up but realistic transcripts, schools and certificates.

mod chance;
mod comment;
mod fault;
mod name;
mod person;
mod place;
mod primary;
mod record;
mod run;
mod school;
mod secondary;
mod words;

use crate::codes::{Codes, Subject};
use crate::platform::config::{ConfigError, Tables};
use crate::transcript::{Level, SchoolYear};

use place::Place;
use words::Words;

pub use fault::{Fate, FaultKind};
pub use person::Adult;

/// Say why made-up transcripts could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SyntheticError {
    /// A word list is wrong.
    #[error("a word list is wrong: {0}")]
    Words(#[from] ConfigError),
    /// There is no such province in that school year.
    #[error(
        "there is no province {code} in that school year; permitted: a code of two digits such as 01, 20, 79"
    )]
    UnknownProvince {
        /// What was asked for.
        code: String,
    },
}

/// What is to be made.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Level of schooling.
    pub level: Level,
    /// Two-digit code of the province.
    pub province: String,
    /// School year of the transcripts; they are signed in May, some in August, of its second calendar year.
    pub school_year: SchoolYear,
    /// How many records there are in the whole run; decides how many schools there are.
    pub records: u64,
    /// The same seed makes the same people.
    pub seed: u64,
    /// Share of records with a mistake, 0 to 1.
    pub fault_rate: f64,
    /// Kinds of mistakes to plant; empty means every kind.
    pub fault_kinds: Vec<FaultKind>,
}

/// What every made-up person of a run has in common.
#[derive(Debug)]
struct Setting {
    options: Options,
    words: Words,
    place: Place,
    subjects: Vec<Subject>,
    /// Occupations with the weights of the region.
    occupations: words::Weighted,
    group_names: std::collections::HashMap<String, String>,
    /// Sets the choices of one province and level apart from those of another.
    scope: u32,
}

impl Setting {
    fn new(options: Options, codes: &Codes, tables: &Tables) -> Result<Self, SyntheticError> {
        let words = Words::load(tables)?;
        let place = Place::load(codes, &words, &options.province, options.school_year)?;
        let mountain = place.region == "mountain";
        let occupations = words.around.occupations.iter();
        let occupations = occupations
            .map(|(name, lowland, high)| (name.clone(), if mountain { *high } else { *lowland }))
            .collect();
        let group_names = place.groups.iter().filter_map(|(code, _)| {
            let name = codes.ethnic_group_name(code)?;
            Some((code.clone(), name.to_owned()))
        });
        let province: u32 = options.province.parse().unwrap_or(0);
        let level = u32::from(options.level.number().unsigned_abs());
        let year = u32::from(options.school_year.start().unsigned_abs());
        Ok(Self {
            scope: (year * 100 + province) * 10 + level,
            subjects: codes.subjects_of(options.level).cloned().collect(),
            group_names: group_names.collect(),
            occupations,
            words,
            place,
            options,
        })
    }

    /// Return the name of the ethnic group with `code`.
    fn group_name(&self, code: &str) -> &str {
        self.group_names.get(code).map_or("Kinh", String::as_str)
    }
}

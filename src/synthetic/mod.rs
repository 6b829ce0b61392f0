//! Makes made-up but realistic transcripts, schools and certificates.

mod batch;
mod chance;
mod comment;
mod fault;
mod name;
mod packing;
mod person;
pub mod pki;
mod place;
mod primary;
mod record;
mod run;
mod school;
mod secondary;
mod signing;
mod staff;
mod words;

use std::io::Write;
use std::ops::Range;

use crate::codes::{Codes, Subject};
use crate::intake::ministry;
use crate::platform::clock::SharedClock;
use crate::platform::config::{ConfigError, Tables};
use crate::signature::SignError;
use crate::transcript::{Level, SchoolYear, Transcript};

use batch::{BatchWriter, Forms};
use place::Place;
use run::Run;
use staff::Staff;
use words::Words;

pub use batch::{Format, PlantedFault, Written};
pub use fault::{Fate, FaultKind};
pub use person::Adult;

/// Say why made-up transcripts could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SyntheticError {
    /// A word list is wrong.
    #[error("a word list is wrong: {0}")]
    Words(#[from] ConfigError),
    /// The development PKI cannot be used.
    #[error("the development PKI cannot be used: {0}")]
    Pki(#[from] pki::PkiError),
    /// A record could not be signed.
    #[error("a record could not be signed: {0}")]
    Signature(#[from] SignError),
    /// A record could not be written in the Ministry's XML.
    #[error("a record could not be written: {0}")]
    Encoding(#[from] ministry::EncodeError),
    /// The output failed.
    #[error("the output failed: {0}")]
    Output(#[from] std::io::Error),
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

/// Path of the profile of signed documents below `config/`.
const SIGNATURE_PROFILE: &str = "mappings/signature-profile.toml";

/// Makes signed transcripts of made-up people; the same options make the same content.
///
/// Keys, certificates and signature values are drawn anew in each run.
pub struct Generator {
    run: Run,
    forms: Forms,
    staff: Staff,
    threads: usize,
}

impl Generator {
    /// Prepare a run; `layout` is the development PKI, `clock` dates the certificates, nothing else.
    ///
    /// Signing times lie in May to August of the school year's second calendar year, and certificates
    /// reach ten years back and five ahead of the clock.
    pub fn new(
        options: Options,
        codes: &Codes,
        tables: &Tables,
        layout: &pki::Layout,
        clock: SharedClock,
    ) -> Result<Self, SyntheticError> {
        let setting = Setting::new(options, codes, tables)?;
        let staff = Staff::open(&setting, layout, clock)?;
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Ok(Self {
            run: Run::new(setting),
            forms: Forms {
                signatures: tables.parse(SIGNATURE_PROFILE)?,
                ministry: ministry::Profile::load(tables)?,
            },
            staff,
            threads,
        })
    }

    /// Use `threads` threads instead of one for each processor.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Return the transcript at `position` (from 0), unsigned and without a mistake.
    pub fn transcript(&self, position: u64) -> Transcript {
        let (school, class) = self.run.class(position);
        self.run.make(school, &class, position).transcript
    }

    /// Write the records `range` of the run as one batch; memory does not grow with the range.
    ///
    /// Positions in the answer count from the start of this batch.
    pub fn write_batch<W: Write>(
        &self,
        out: &mut W,
        range: Range<u64>,
        format: Format,
    ) -> Result<Written, SyntheticError> {
        let writer = BatchWriter {
            run: &self.run,
            forms: &self.forms,
            staff: &self.staff,
            threads: self.threads,
        };
        writer.write(out, range, format)
    }
}

#[cfg(test)]
mod tests;

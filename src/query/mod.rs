//! Answers agencies that ask about one pupil.

pub mod answer;
pub mod birth;
pub mod catalogue;
pub mod evidence;
pub mod http;
mod ledger;
pub mod pace;
mod policy;
pub mod request;
pub mod shape;
mod store;
pub mod verdict;
mod years;
#[cfg(test)]
mod tests;

pub use answer::{Answerer, Asker};
pub use catalogue::Catalogue;
pub use evidence::EvidenceReader;
pub use shape::{Answer, YearAnswer};
pub use verdict::Verdict;

use std::num::NonZeroU32;

use serde::Deserialize;

use crate::access::AccessError;
use crate::platform::database::DatabaseError;
use crate::signature::SignError;
use pace::TooFast;
use request::Malformed;

/// Settings of the section `[query]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Questions of one agency per minute and process.
    pub agency_per_minute: NonZeroU32,
    /// Questions of one officer per minute and process.
    pub officer_per_minute: NonZeroU32,
    /// Questions by personal number of one officer per hour and process.
    pub officer_by_number_per_hour: NonZeroU32,
    /// Largest question, in bytes.
    pub request_bytes_max: usize,
    /// Most school years in one question.
    pub school_years_max: usize,
    /// Longest file number, in characters.
    pub case_chars_max: usize,
    /// Most transcripts of one pupil that are looked at.
    pub rows_max: i64,
    /// Largest stored record that is opened, in bytes.
    pub source_bytes_max: usize,
}

/// Say why a question got no answer; tells nothing about any pupil.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The question has not the form it should have.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// No procedure of this code may ask today.
    #[error("no procedure of this code may ask today")]
    ProcedureUnknown,
    /// The procedure does not permit this way of naming a pupil.
    #[error("the procedure does not permit to ask by personal number")]
    WayNotPermitted,
    /// The procedure is not about this level.
    #[error("the procedure is not about this level")]
    LevelNotPermitted,
    /// The question must name the level.
    #[error("the question must name the level")]
    LevelNeeded,
    /// The question must name the school years.
    #[error("the question must name the school years")]
    YearsNeeded,
    /// The officer named is not one of this agency, or not any more.
    #[error("the officer is not registered for this agency")]
    OfficerUnknown,
    /// The registry of officers cannot be asked.
    #[error(transparent)]
    Registry(#[from] AccessError),
    /// A budget is used up.
    #[error("too many questions; next one in {} s", .0.retry_after_s)]
    TooFast(TooFast),
    /// The audit leaf cannot be written, so nothing is disclosed.
    #[error("the answer cannot be logged")]
    Unavailable(#[from] DatabaseError),
    /// The answer could not be signed.
    #[error("the answer cannot be signed")]
    Unsigned(#[from] SignError),
    /// A fault of ours.
    #[error("{0}")]
    Fault(&'static str),
}

impl From<TooFast> for QueryError {
    fn from(error: TooFast) -> Self {
        Self::TooFast(error)
    }
}

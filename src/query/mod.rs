//! Answers agencies that ask about one pupil.

pub mod birth;
pub mod catalogue;
pub mod request;
pub mod verdict;

//! Walks the journeys of a transcript from the province to the agency.

mod command_line;
mod contract;
mod intake;
mod national;
mod privacy;
mod verification;

//! Walks the journeys of a transcript from the province to the agency.

mod command_line;
mod intake;
mod privacy;
mod verification;

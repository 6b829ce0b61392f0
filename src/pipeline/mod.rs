//! Shows the two journeys of a transcript on one screen: process and deliver.

pub mod deliver;
pub mod examine;
pub mod process;

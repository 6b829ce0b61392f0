//! Shows the two journeys of a transcript on one screen: process and deliver.

mod chunks;
pub mod deliver;
pub mod examine;
pub mod process;

//! Shows the two journeys of a transcript on one screen.

pub mod deliver;

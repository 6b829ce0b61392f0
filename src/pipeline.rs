//! Shows the two journeys of a transcript on one screen.

//! Holds the code lists of the national dictionary with their effective dates.

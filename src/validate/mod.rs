//! Names every rule of the circular in force that a transcript breaks.

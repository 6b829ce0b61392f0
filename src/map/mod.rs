//! Turns a valid transcript into national records, driven by tables.

pub mod dictionary;

//! Decodes and writes transcripts in the Ministry's XML, by the table `mappings/ministry-xml.toml`.

mod decode;
mod encode;
mod profile;
#[cfg(test)]
mod tests;

pub use decode::{Decoded, decode};
pub use encode::{EncodeError, encode};
pub use profile::{FILE, Family, Profile, pointer};

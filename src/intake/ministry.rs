//! Decodes and writes transcripts in the Ministry's XML, by the table `mappings/ministry-xml.toml`.

mod decode;
mod encode;
mod pointer;
mod profile;
#[cfg(test)]
mod tests;

pub(crate) use decode::resolved;
pub use decode::{Decoded, decode};
pub use encode::{EncodeError, encode};
pub(crate) use encode::{escape_text, is_xml_char};
pub use pointer::pointer;
pub use profile::{FILE, Family, Profile};

//! Writes one audit leaf per change in the caller's transaction.

mod store;

use aws_lc_rs::digest::{self, SHA256};
use jiff::{Timestamp, TimestampRound, Unit};
use serde::Serialize;
use serde_json::Value;

pub use store::append;

/// One thing that was done, as it enters the log.
///
/// No personal data: a leaf is kept for good and shown to auditors. Pupils stand as record ids or
/// digests, persons and participants as ids; never a name, a number, a date of birth or a mark.
/// Numbers in `details` are integers below 2^53, which RFC 8785 writes in one way only.
#[derive(Debug, Clone, PartialEq)]
pub struct Leaf {
    /// When; kept to the microsecond, as the database does.
    pub at: Timestamp,
    /// Who: `participant:<id>`, `person:<uuid>` or `process:<role>`.
    pub actor: String,
    /// What, in words joined by `_`, such as `register_person`.
    pub action: &'static str,
    /// On what, such as `record:<uuid>` or `proposal:<uuid>`.
    pub object: String,
    /// Facts of the action, without personal data.
    pub details: Value,
}

/// The form that is hashed; RFC 8785 sorts its members.
#[derive(Serialize)]
struct HashedLeaf<'a> {
    at: String,
    actor: &'a str,
    action: &'a str,
    object: &'a str,
    details: &'a Value,
}

/// Return the RFC 6962 leaf hash: SHA-256 of 0x00 and the RFC 8785 bytes of the leaf (RFC 6962 section 2.1).
pub fn leaf_hash(
    at: Timestamp,
    actor: &str,
    action: &str,
    object: &str,
    details: &Value,
) -> [u8; 32] {
    let leaf =
        HashedLeaf { at: format!("{:.6}", to_microseconds(at)), actor, action, object, details };
    let bytes = serde_json_canonicalizer::to_vec(&leaf)
        .expect("strings and a JSON value without NaN always have a canonical form");
    let mut context = digest::Context::new(&SHA256);
    context.update(&[0]);
    context.update(&bytes);
    let mut hash = [0; 32];
    hash.copy_from_slice(context.finish().as_ref());
    hash
}

/// Cut to what a `timestamptz` keeps, so that the hash can be computed again from the row.
fn to_microseconds(at: Timestamp) -> Timestamp {
    let round = TimestampRound::new().smallest(Unit::Microsecond).mode(jiff::RoundMode::Trunc);
    at.round(round).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    #[test]
    fn the_leaf_hash_is_that_of_rfc_6962_over_rfc_8785_bytes() {
        let at: Timestamp = "2026-11-23T05:46:32.1234569Z".parse().unwrap();
        let hash = leaf_hash(at, "process:work", "sealed", "batch:1", &json!({"b": 1, "a": "é"}));
        let bytes = "\0{\"action\":\"sealed\",\"actor\":\"process:work\",\
                     \"at\":\"2026-11-23T05:46:32.123456Z\",\
                     \"details\":{\"a\":\"é\",\"b\":1},\"object\":\"batch:1\"}";
        assert_eq!(hash, digest::digest(&SHA256, bytes.as_bytes()).as_ref());
    }

    #[test]
    fn every_part_of_a_leaf_changes_its_hash() {
        let at = Timestamp::UNIX_EPOCH;
        let base = leaf_hash(at, "a", "b", "c", &json!({}));
        let later = at + jiff::SignedDuration::from_micros(1);
        assert_ne!(base, leaf_hash(later, "a", "b", "c", &json!({})));
        assert_ne!(base, leaf_hash(at, "x", "b", "c", &json!({})));
        assert_ne!(base, leaf_hash(at, "a", "x", "c", &json!({})));
        assert_ne!(base, leaf_hash(at, "a", "b", "x", &json!({})));
        assert_ne!(base, leaf_hash(at, "a", "b", "c", &json!({"x": 1})));
    }
}

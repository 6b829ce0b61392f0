//! Builds the bytes of a batch: header, sealed records, the gateway's signature over all.

pub mod store;

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use uuid::Uuid;

use super::members::Member;
use super::schedule::BatchKey;
use crate::signature::writing::vietnam_time;
use crate::signature::{SignError, XmlSigner, seal_element};
use crate::vault::{Context, SealedBody, Vault, VaultError};

/// Kind of a sealed record's body in the vault's context.
pub const KIND_RECORD: i16 = 2;
/// Kind of a batch's frame in the vault's context.
pub const KIND_FRAME: i16 = 3;
/// Kind of a receipt's body in the vault's context.
pub const KIND_RECEIPT: i16 = 4;

const FRAME_BYTES_MAX: usize = 64 * 1024;
const ROOT: &str = "LoBanGhi";

/// Members reserved for a batch whose bytes are to be built.
#[derive(Debug, Clone)]
pub struct Forming {
    /// The batch.
    pub key: BatchKey,
    /// School year of its records.
    pub school_year: i16,
    /// Lease of the builder.
    pub epoch: i32,
    /// When it was begun.
    pub created_at: Timestamp,
    /// Its members, in their order.
    pub members: Vec<Member>,
}

/// An encrypted body as it stands in the database.
#[derive(Debug, Clone)]
pub struct StoredBody {
    /// How it was compressed and encrypted.
    pub codec: i16,
    /// Version of the key.
    pub key_id: i32,
    /// The ciphertext.
    pub body: Vec<u8>,
}

/// What is fixed when a batch is frozen.
#[derive(Debug, Clone)]
pub struct Frozen {
    /// The encrypted frame.
    pub frame: SealedBody,
    /// Size of the whole.
    pub body_bytes: i64,
    /// SHA-256 of the whole.
    pub body_sha256: [u8; 32],
    /// Members that did not fit and go back to the queue.
    pub left_out: Vec<Uuid>,
    /// Members whose bodies cannot be read, for persons.
    pub unreadable: Vec<Uuid>,
}

/// Say why a batch could not be built; the lease ends and another worker tries.
#[derive(Debug, thiserror::Error)]
pub enum FormingError {
    /// No member could be read: the key is missing rather than the records broken.
    #[error("none of {members} record bodies could be opened")]
    NothingReadable {
        /// How many were tried.
        members: usize,
    },
    /// The gateway's key did not sign.
    #[error("the batch could not be signed")]
    Sign(#[from] SignError),
    /// The frame could not be encrypted or opened.
    #[error("the frame of the batch could not be used")]
    Vault(#[from] VaultError),
    /// The records and the frame do not give the frozen bytes any more.
    #[error("the stored records do not give the frozen bytes")]
    NotTheFrozenBytes,
}

/// Limits and header of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Shape<'a> {
    /// Bytes at most; a single record may be larger.
    pub batch_bytes_max: usize,
    /// Bytes of one record at most.
    pub record_bytes_max: usize,
    /// Code of the participant, for the header.
    pub participant: &'a str,
    /// When the batch is signed.
    pub signed_at: Timestamp,
}

/// Open the members, join and sign them; returns what to freeze and the bytes to send.
///
/// Pure but for the key; takes milliseconds of one core for 500 records, so it belongs on a thread.
pub fn build(
    vault: &Vault,
    signer: &XmlSigner,
    forming: &Forming,
    bodies: &[Option<StoredBody>],
    shape: &Shape<'_>,
) -> Result<(Frozen, Vec<u8>), FormingError> {
    let mut opened = Vec::with_capacity(forming.members.len());
    let (mut left_out, mut unreadable) = (Vec::new(), Vec::new());
    let (mut bytes, room) = (0, shape.batch_bytes_max.saturating_sub(FRAME_BYTES_MAX / 8));
    for (member, body) in forming.members.iter().zip(bodies) {
        if !left_out.is_empty() {
            left_out.push(member.record_id);
            continue;
        }
        let plain = body.as_ref().and_then(|body| {
            open_record(
                vault,
                forming.key,
                forming.school_year,
                member,
                body,
                shape.record_bytes_max,
            )
        });
        match plain {
            None => unreadable.push(member.record_id),
            Some(plain) if opened.is_empty() || bytes + plain.len() <= room => {
                bytes += plain.len();
                opened.push(plain);
            }
            Some(_) => left_out.push(member.record_id),
        }
    }
    if opened.is_empty() {
        return Err(FormingError::NothingReadable { members: forming.members.len() });
    }
    let (frame, whole) = join_and_sign(signer, forming, &opened, shape)?;
    let frozen = Frozen {
        frame: vault.seal(&frame_context(forming.key, forming.school_year), &frame)?,
        body_bytes: i64::try_from(whole.len()).unwrap_or(i64::MAX),
        body_sha256: sha256(&whole),
        left_out,
        unreadable,
    };
    Ok((frozen, whole))
}

/// What the database holds of a frozen batch.
#[derive(Debug, Clone, Copy)]
pub struct Parts<'a> {
    /// The batch.
    pub key: BatchKey,
    /// School year of its records.
    pub school_year: i16,
    /// Its members, in their order.
    pub members: &'a [Member],
    /// Their bodies, in the same order.
    pub bodies: &'a [Option<StoredBody>],
    /// Its frame.
    pub frame: &'a StoredBody,
}

/// Join frame and records again into exactly the frozen bytes, whose digest is `body_sha256`.
pub fn rebuild(
    vault: &Vault,
    parts: &Parts<'_>,
    body_sha256: &[u8],
    record_bytes_max: usize,
) -> Result<Vec<u8>, FormingError> {
    let (key, school_year) = (parts.key, parts.school_year);
    let frame = vault.open_body(
        &frame_context(key, school_year),
        parts.frame.codec,
        parts.frame.key_id,
        &parts.frame.body,
        FRAME_BYTES_MAX,
    )?;
    let lost = FormingError::NotTheFrozenBytes;
    let Some((prefix, suffix)) = split_frame(&frame) else {
        return Err(lost);
    };
    let mut whole = prefix.to_vec();
    for (member, body) in parts.members.iter().zip(parts.bodies) {
        let opened = body
            .as_ref()
            .and_then(|body| open_record(vault, key, school_year, member, body, record_bytes_max));
        let Some(plain) = opened else {
            return Err(lost);
        };
        whole.extend_from_slice(&plain);
    }
    whole.extend_from_slice(suffix);
    if sha256(&whole) == *body_sha256 { Ok(whole) } else { Err(lost) }
}

/// Return SHA-256 of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut out = [0; 32];
    out.copy_from_slice(digest(&SHA256, bytes).as_ref());
    out
}

fn open_record(
    vault: &Vault,
    key: BatchKey,
    school_year: i16,
    member: &Member,
    body: &StoredBody,
    bytes_max: usize,
) -> Option<Vec<u8>> {
    let context = Context {
        participant_id: key.participant_id,
        school_year,
        id: member.record_id,
        version: member.version,
        kind: KIND_RECORD,
    };
    let plain = vault.open_body(&context, body.codec, body.key_id, &body.body, bytes_max).ok()?;
    // What is sent is what was sealed: the entry holds the digest of it since then.
    (sha256(&plain) == *member.digest).then_some(plain)
}

fn frame_context(key: BatchKey, school_year: i16) -> Context {
    Context {
        participant_id: key.participant_id,
        school_year,
        id: key.message_id,
        version: 1,
        kind: KIND_FRAME,
    }
}

// The frame: length of what stands before the records (4 bytes, little-endian), that, and what stands after.
fn join_and_sign(
    signer: &XmlSigner,
    forming: &Forming,
    records: &[Vec<u8>],
    shape: &Shape<'_>,
) -> Result<(Vec<u8>, Vec<u8>), FormingError> {
    let id = format!("lo-{}", forming.key.message_id);
    let mut start = String::new();
    let _ = write!(
        start,
        "<{ROOT} Id=\"{id}\" createdAt=\"{}\" messageId=\"{}\" participant=\"",
        vietnam_time(forming.created_at),
        forming.key.message_id
    );
    push_attribute(&mut start, shape.participant);
    start.push_str("\">");
    let size: usize = records.iter().map(Vec::len).sum();
    let mut element = Vec::with_capacity(start.len() + size + 64);
    element.extend_from_slice(start.as_bytes());
    for record in records {
        element.extend_from_slice(record);
    }
    let records_end = element.len();
    element.extend_from_slice(format!("</{ROOT}>").as_bytes());
    let whole = seal_element(&element, &id, signer, shape.signed_at)?;
    // The seal stands after the records; what is before them must not have moved.
    if whole.get(..records_end) != element.get(..records_end) {
        return Err(SignError::Shape("the seal changed the records").into());
    }
    let prefix_len = u32::try_from(start.len()).unwrap_or(u32::MAX);
    let mut frame = prefix_len.to_le_bytes().to_vec();
    frame.extend_from_slice(start.as_bytes());
    frame.extend_from_slice(&whole[records_end..]);
    Ok((frame, whole))
}

fn split_frame(frame: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = frame.split_first_chunk::<4>()?;
    rest.split_at_checked(usize::try_from(u32::from_le_bytes(*len)).ok()?)
}

// Attributes in canonical form (Canonical XML 1.0, section 2.3).
fn push_attribute(out: &mut String, value: &str) {
    for letter in value.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '"' => out.push_str("&quot;"),
            '\t' => out.push_str("&#x9;"),
            '\n' => out.push_str("&#xA;"),
            '\r' => out.push_str("&#xD;"),
            letter => out.push(letter),
        }
    }
}

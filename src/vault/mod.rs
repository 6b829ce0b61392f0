//! Keeps record bodies encrypted and pupils behind a keyed reference.

mod keys;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use serde::Deserialize;
use uuid::Uuid;
use zeroize::Zeroizing;
use zstd::bulk::{Compressor, Decompressor};
use zstd::zstd_safe::get_frame_content_size;

use crate::transcript::PersonalNumber;
use keys::{KeySet, VersionedKey};

/// Body is zstd, then AES-256-GCM.
const CODEC_ZSTD_AES_256_GCM: i16 = 1;
/// Body is stored as it is, then AES-256-GCM; used where compression does not help.
const CODEC_STORED_AES_256_GCM: i16 = 2;
const COMPRESSION_LEVEL: i32 = 3;
const CONTEXT_BYTES: usize = 4 + 2 + 16 + 4 + 2;

/// Settings of the section `[vault]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// TOML file with the keys; not readable by others.
    pub keys_file: PathBuf,
}

/// Say why a body or a key could not be used; holds no key and no content.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The key file cannot be used.
    #[error("key file {path}: {reason}")]
    KeyFile {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The body names a key version that the key file does not hold.
    #[error("there is no key {key_id} in the key file")]
    UnknownKey {
        /// The missing version.
        key_id: i32,
    },
    /// The body names a codec this version does not know.
    #[error("there is no body codec {codec}")]
    UnknownCodec {
        /// The unknown number.
        codec: i16,
    },
    /// The body was changed, or it belongs to another record, version or participant.
    #[error("the body is not the one that was sealed for this record")]
    NotAuthentic,
    /// The plain body is larger than the caller permits.
    #[error("the plain body is over {bytes_max} bytes")]
    TooLarge {
        /// The limit in bytes.
        bytes_max: usize,
    },
    /// The compressor or the cipher refused; a fault of ours.
    #[error("the body could not be compressed or encrypted")]
    Cipher,
}

/// What a body belongs to; bound into the ciphertext, so a body moved to another row does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Context {
    /// Participant the row belongs to.
    pub participant_id: i32,
    /// First calendar year of the school year, as in the row's key.
    pub school_year: i16,
    /// Record id, or batch id for raw chunks.
    pub id: Uuid,
    /// Version of the record, or number of the raw chunk.
    pub version: i32,
    /// Which body of the row it is.
    pub kind: i16,
}

impl Context {
    /// Return the associated data: every field big-endian at a fixed width, so no two contexts are equal.
    fn associated_data(&self) -> [u8; CONTEXT_BYTES] {
        let mut bytes = [0; CONTEXT_BYTES];
        bytes[0..4].copy_from_slice(&self.participant_id.to_be_bytes());
        bytes[4..6].copy_from_slice(&self.school_year.to_be_bytes());
        bytes[6..22].copy_from_slice(self.id.as_bytes());
        bytes[22..26].copy_from_slice(&self.version.to_be_bytes());
        bytes[26..28].copy_from_slice(&self.kind.to_be_bytes());
        bytes
    }
}

/// An encrypted body with what is needed to open it, as its columns.
#[derive(Clone, PartialEq, Eq)]
pub struct SealedBody {
    /// How it was compressed and encrypted.
    pub codec: i16,
    /// Version of the key.
    pub key_id: i32,
    /// 12-byte nonce, ciphertext, 16-byte tag.
    pub body: Vec<u8>,
}

impl fmt::Debug for SealedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedBody")
            .field("codec", &self.codec)
            .field("key_id", &self.key_id)
            .field("bytes", &self.body.len())
            .finish()
    }
}

/// A pupil without his number: HMAC-SHA-256 under a versioned key of the installation.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SubjectRef {
    /// Version of the reference key.
    pub key_id: i32,
    /// The reference.
    pub value: [u8; 32],
}

impl fmt::Debug for SubjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SubjectRef(key {}, …)", self.key_id)
    }
}

/// Seals and opens bodies and makes references; the only holder of the installation's data keys.
pub struct Vault {
    keys: KeySet,
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(…)")
    }
}

thread_local! {
    // A compression context costs more to make than a record costs to compress.
    static COMPRESSOR: RefCell<Option<Compressor<'static>>> = const { RefCell::new(None) };
}

impl Vault {
    /// Read the key file of `settings`; it names its path in every error.
    pub fn open(settings: &Settings) -> Result<Self, VaultError> {
        let keys = KeySet::read(&settings.keys_file)?;
        Ok(Self { keys })
    }

    /// Make a key file with one random key at `path` (mode 0600); an existing file is kept as it is.
    pub fn create_development_keys(path: &Path) -> Result<(), VaultError> {
        keys::create(path)
    }

    /// Compress and encrypt `plain` for `context` under the active key.
    pub fn seal(&self, context: &Context, plain: &[u8]) -> Result<SealedBody, VaultError> {
        let key = self.keys.active();
        let packed = compress(plain)?;
        let (codec, content) = if packed.len() < plain.len() {
            (CODEC_ZSTD_AES_256_GCM, packed.as_slice())
        } else {
            (CODEC_STORED_AES_256_GCM, plain)
        };
        let mut nonce = [0; NONCE_LEN];
        aws_lc_rs::rand::fill(&mut nonce).map_err(|_| VaultError::Cipher)?;
        let mut body = Vec::with_capacity(NONCE_LEN + content.len() + AES_256_GCM.tag_len());
        body.extend_from_slice(&nonce);
        body.extend_from_slice(content);
        let tag = body_key(key, context)?
            .seal_in_place_separate_tag(
                Nonce::assume_unique_for_key(nonce),
                associated_data(codec, key.id, context),
                &mut body[NONCE_LEN..],
            )
            .map_err(|_| VaultError::Cipher)?;
        body.extend_from_slice(tag.as_ref());
        Ok(SealedBody { codec, key_id: key.id, body })
    }

    /// Decrypt and inflate a body sealed for `context`; refuses more than `plain_bytes_max` bytes.
    pub fn open_body(
        &self,
        context: &Context,
        codec: i16,
        key_id: i32,
        body: &[u8],
        plain_bytes_max: usize,
    ) -> Result<Vec<u8>, VaultError> {
        if !matches!(codec, CODEC_ZSTD_AES_256_GCM | CODEC_STORED_AES_256_GCM) {
            return Err(VaultError::UnknownCodec { codec });
        }
        let key = self.keys.find(key_id)?;
        let (nonce, content) =
            body.split_first_chunk::<NONCE_LEN>().ok_or(VaultError::NotAuthentic)?;
        let mut buffer = content.to_vec();
        let plain_bytes = body_key(key, context)?
            .open_in_place(
                Nonce::assume_unique_for_key(*nonce),
                associated_data(codec, key_id, context),
                &mut buffer,
            )
            .map_err(|_| VaultError::NotAuthentic)?
            .len();
        buffer.truncate(plain_bytes);
        if codec == CODEC_ZSTD_AES_256_GCM {
            return inflate(&buffer, plain_bytes_max);
        }
        if buffer.len() > plain_bytes_max {
            return Err(VaultError::TooLarge { bytes_max: plain_bytes_max });
        }
        Ok(buffer)
    }

    /// Return the reference of a pupil under the active key, for new rows.
    pub fn subject_ref(&self, number: &PersonalNumber) -> SubjectRef {
        subject_ref_under(self.keys.active(), number)
    }

    /// Return the references of a pupil under every key version, the active first, for look-ups.
    pub fn subject_refs(&self, number: &PersonalNumber) -> Vec<SubjectRef> {
        self.keys.all().map(|key| subject_ref_under(key, number)).collect()
    }

    /// Return a keyed commitment to `text`, such as a case number, that cannot be tried out without the key.
    ///
    /// `label` keeps commitments of different uses apart. It uses the active key: after a change of key
    /// the same text gives another commitment.
    pub fn commitment(&self, label: &str, text: &str) -> [u8; 32] {
        let mut context = hmac::Context::with_key(&self.keys.active().reference);
        context.update(b"hocba/commitment/1\0");
        context.update(&u64::try_from(label.len()).unwrap_or(u64::MAX).to_be_bytes());
        context.update(label.as_bytes());
        context.update(text.as_bytes());
        digest_of(&context.sign())
    }
}

fn subject_ref_under(key: &VersionedKey, number: &PersonalNumber) -> SubjectRef {
    let mut context = hmac::Context::with_key(&key.reference);
    context.update(b"hocba/subject/1\0");
    context.update(number.digits().as_bytes());
    SubjectRef { key_id: key.id, value: digest_of(&context.sign()) }
}

fn digest_of(tag: &hmac::Tag) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(tag.as_ref());
    digest
}

/// Derive the key of one participant and school year (counter-less KDF in the sense of NIST SP 800-108).
///
/// Random 96-bit nonces are safe for 2^32 bodies per key (NIST SP 800-38D 8.3); one key for the whole
/// country and all years could pass that, one per participant and year cannot.
fn body_key(key: &VersionedKey, context: &Context) -> Result<LessSafeKey, VaultError> {
    let mut derivation = hmac::Context::with_key(&key.data);
    derivation.update(b"hocba/body/1\0");
    derivation.update(&context.participant_id.to_be_bytes());
    derivation.update(&context.school_year.to_be_bytes());
    let derived = Zeroizing::new(digest_of(&derivation.sign()));
    let unbound =
        UnboundKey::new(&AES_256_GCM, derived.as_slice()).map_err(|_| VaultError::Cipher)?;
    Ok(LessSafeKey::new(unbound))
}

// Codec and key version are bound too, so that neither column can be changed to confuse the reader.
fn associated_data(codec: i16, key_id: i32, context: &Context) -> Aad<[u8; CONTEXT_BYTES + 6]> {
    let mut bytes = [0; CONTEXT_BYTES + 6];
    bytes[..CONTEXT_BYTES].copy_from_slice(&context.associated_data());
    bytes[CONTEXT_BYTES..CONTEXT_BYTES + 2].copy_from_slice(&codec.to_be_bytes());
    bytes[CONTEXT_BYTES + 2..].copy_from_slice(&key_id.to_be_bytes());
    Aad::from(bytes)
}

fn compress(plain: &[u8]) -> Result<Vec<u8>, VaultError> {
    COMPRESSOR.with_borrow_mut(|slot| {
        let compressor = match slot {
            Some(compressor) => compressor,
            None => {
                slot.insert(Compressor::new(COMPRESSION_LEVEL).map_err(|_| VaultError::Cipher)?)
            }
        };
        compressor.compress(plain).map_err(|_| VaultError::Cipher)
    })
}

fn inflate(packed: &[u8], plain_bytes_max: usize) -> Result<Vec<u8>, VaultError> {
    let announced =
        get_frame_content_size(packed).ok().flatten().ok_or(VaultError::NotAuthentic)?;
    let capacity = usize::try_from(announced)
        .ok()
        .filter(|bytes| *bytes <= plain_bytes_max)
        .ok_or(VaultError::TooLarge { bytes_max: plain_bytes_max })?;
    Decompressor::new()
        .and_then(|mut decompressor| decompressor.decompress(packed, capacity))
        .map_err(|_| VaultError::NotAuthentic)
}

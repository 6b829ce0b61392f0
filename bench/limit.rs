//! Computes what no gateway could avoid for the same records: signatures, digests, encryption, rows.

use std::io::Cursor;

use anyhow::anyhow;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    ParsedPublicKey,
};
use futures_util::{SinkExt, TryStreamExt};
use hocba::intake::Format;
use uuid::Uuid;

use super::cpu;
use super::steps::Shape;
use super::world::{Part, World};

/// Tables of the same columns, keys and indexes, without row-level security, triggers and partitions.
const TABLES: &str = include_str!("tables.sql");

/// What a table's rows are found by, in the order in which the product writes them.
const ROWS: [(&str, &str); 6] = [
    ("batch_chunk", "batch_id = '{batch}'"),
    (
        "record_source",
        "record_id IN (SELECT record_id FROM hocba.record WHERE batch_id = '{batch}')",
    ),
    ("directory", "record_id IN (SELECT record_id FROM hocba.record WHERE batch_id = '{batch}')"),
    ("record", "batch_id = '{batch}'"),
    ("record_body", "record_id IN (SELECT record_id FROM hocba.record WHERE batch_id = '{batch}')"),
    (
        "outbox_entry",
        "record_id IN (SELECT record_id FROM hocba.record WHERE batch_id = '{batch}')",
    ),
];

/// A SignedInfo of the Ministry's profile in canonical form has about so many bytes.
const SIGNED_INFO_BYTES: f64 = 1_200.0;
/// A JWS header with one P-256 certificate has about so many bytes in Base64.
const JWS_HEADER_BYTES: f64 = 1_400.0;
const KEYS: usize = 16;
/// How often the rows are copied; one copy is short against the clock of PostgreSQL's processes.
const COPIES: u32 = 4;
const CRYPTO_RECORDS: u32 = 1_000;

/// The limit of one format, in microseconds of processor time per record.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct Limit {
    /// Verifications of the record's signatures and its share of the list's.
    pub verify_us: f64,
    /// SHA-256 of what was sent, of the document, of what was signed, of what was sealed.
    pub digest_us: f64,
    /// One P-256 signature.
    pub seal_us: f64,
    /// AES-256-GCM of what is stored.
    pub encrypt_us: f64,
    /// Bare binary COPY, in the client.
    pub copy_client_us: f64,
    /// Bare binary COPY, in PostgreSQL.
    pub copy_postgres_us: f64,
}

impl Limit {
    /// Return the sum.
    pub fn total_us(&self) -> f64 {
        self.verify_us
            + self.digest_us
            + self.seal_us
            + self.encrypt_us
            + self.copy_client_us
            + self.copy_postgres_us
    }
}

/// Make the tables of the limit.
pub async fn prepare(world: &World) -> anyhow::Result<()> {
    Ok(world.root.batch_execute(TABLES).await?)
}

/// Measure the limit for records like `shape`, with the rows of `batches`.
pub async fn measure(
    world: &World,
    part: &Part,
    shape: &Shape,
    batches: &[Uuid],
    records: u64,
) -> anyhow::Result<Limit> {
    let mut limit = crypto(part, shape)?;
    let rows = rows_of(world, batches).await?;
    for _ in 0..COPIES {
        let names: Vec<String> = ROWS.iter().map(|(name, _)| format!("bench.{name}")).collect();
        let empty = format!("TRUNCATE {}", names.join(", "));
        world.root.batch_execute(&empty).await?;
        let before = (cpu::of_process(std::process::id())?, world.postgres_us()?);
        for batch in &rows {
            copy(world, batch).await?;
        }
        let scale = f64::from(COPIES) * records as f64;
        limit.copy_client_us += (cpu::of_process(std::process::id())? - before.0) / scale;
        limit.copy_postgres_us += (world.postgres_us()? - before.1) / scale;
    }
    Ok(limit)
}

// The rows the product wrote, as bytes of the binary format: per batch, per table.
async fn rows_of(world: &World, batches: &[Uuid]) -> anyhow::Result<Vec<Vec<Vec<u8>>>> {
    let mut all = Vec::with_capacity(batches.len());
    for batch in batches {
        let mut tables = Vec::with_capacity(ROWS.len());
        for (name, condition) in ROWS {
            let condition = condition.replace("{batch}", &batch.to_string());
            let read = format!(
                "COPY (SELECT * FROM hocba.{name} WHERE {condition}) TO STDOUT (FORMAT binary)"
            );
            let stream = world.root.copy_out(&read).await?;
            let bytes = stream.try_fold(Vec::new(), async |mut all, piece| {
                all.extend_from_slice(&piece);
                Ok(all)
            });
            tables.push(bytes.await?);
        }
        all.push(tables);
    }
    Ok(all)
}

// One transaction for each body, as the product has one for each chunk.
async fn copy(world: &World, tables: &[Vec<u8>]) -> anyhow::Result<()> {
    world.root.batch_execute("BEGIN").await?;
    for ((name, _), rows) in ROWS.iter().zip(tables) {
        let write = format!("COPY bench.{name} FROM STDIN (FORMAT binary)");
        let sink = world.root.copy_in::<_, Cursor<Vec<u8>>>(&write).await?;
        let mut sink = std::pin::pin!(sink);
        sink.send(Cursor::new(rows.clone())).await?;
        sink.finish().await?;
    }
    Ok(world.root.batch_execute("COMMIT").await?)
}

fn crypto(part: &Part, shape: &Shape) -> anyhow::Result<Limit> {
    let failed = |_| anyhow!("cryptography failed");
    let is_line = part.format == Format::Ndjson;
    // Each signature of a line of JSON covers the whole record in Base64 (RFC 7515, 5.1).
    let message = match is_line {
        true => JWS_HEADER_BYTES + shape.octets * 4.0 / 3.0,
        false => SIGNED_INFO_BYTES,
    };
    let message = bytes(message);
    let signing = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let random = SystemRandom::new();
    let mut keys = Vec::with_capacity(KEYS);
    for _ in 0..KEYS {
        let pair = EcdsaKeyPair::generate(signing).map_err(failed)?;
        let public = pair.public_key().as_ref();
        let parsed = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public)
            .map_err(|_| anyhow!("a key could not be read"))?;
        let signature = pair.sign(&random, &message).map_err(failed)?;
        keys.push((pair, parsed, signature));
    }
    let mut limit = Limit::default();
    let per_record = |us: f64| us / f64::from(CRYPTO_RECORDS);
    let verify = |count: u32| {
        cpu::of_thread(|| {
            for (_, key, signature) in keys.iter().cycle().take(count as usize) {
                key.verify_sig(&message, signature.as_ref()).map_err(failed)?;
            }
            Ok(())
        })
    };
    let share = if shape.list_records > 0.0 { 1.0 / shape.list_records } else { 0.0 };
    limit.verify_us = per_record(verify(CRYPTO_RECORDS)?.1) * (shape.signatures + share);
    let to_digest = shape.wire + shape.document + shape.octets + shape.sealed;
    let to_digest = bytes(to_digest);
    let ((), digests) = cpu::of_thread(|| {
        for _ in 0..CRYPTO_RECORDS {
            std::hint::black_box(digest(&SHA256, &to_digest));
        }
        Ok(())
    })?;
    limit.digest_us = per_record(digests);
    let ((), seals) = cpu::of_thread(|| {
        for (pair, _, _) in keys.iter().cycle().take(CRYPTO_RECORDS as usize) {
            pair.sign(&random, &message).map_err(failed)?;
        }
        Ok(())
    })?;
    limit.seal_us = per_record(seals);
    limit.encrypt_us = per_record(encryption(bytes(shape.stored + shape.wire))?);
    Ok(limit)
}

fn encryption(mut plain: Vec<u8>) -> anyhow::Result<f64> {
    let key = UnboundKey::new(&AES_256_GCM, &[7; 32]).map_err(|_| anyhow!("AES"))?;
    let key = LessSafeKey::new(key);
    let ((), us) = cpu::of_thread(|| {
        for _ in 0..CRYPTO_RECORDS {
            let nonce = Nonce::assume_unique_for_key([1; 12]);
            let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut plain);
            drop(tag.map_err(|_| anyhow!("AES"))?);
        }
        Ok(())
    })?;
    Ok(us)
}

fn bytes(count: f64) -> Vec<u8> {
    // Sizes of records are far below 2^32.
    vec![b'x'; count.round() as usize]
}

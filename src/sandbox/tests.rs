//! Holds the sandbox's book to its rules; its listener is tested with the delivery.

use std::sync::Arc;

use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use uuid::Uuid;

use super::batch::{Checked, Refused};
use super::book::Book;
use super::ledger;
use crate::seal::FileSigner;

fn signer() -> Arc<FileSigner> {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["sandbox.test".to_owned()]).unwrap();
    let der = params.self_signed(&key).unwrap().der().to_vec();
    Arc::new(FileSigner::from_der(&key.serialize_der(), der, Vec::new()).unwrap())
}

fn record(version: i32, digest: &str) -> Checked {
    Checked { record_id: "r".to_owned(), version, digest: digest.to_owned(), refused: None }
}

fn verdict(token: &str) -> String {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(payload).unwrap();
    let receipt: crate::receipts::Receipt = serde_json::from_slice(&payload).unwrap();
    receipt.items[0].verdict.clone()
}

#[test]
fn only_a_greater_version_is_applied_and_a_restart_remembers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.ndjson");
    let at = Timestamp::UNIX_EPOCH;
    let mut number = 0;
    let mut enter = |book: &mut Book, version, digest: &str| {
        number += 1;
        let id = Uuid::from_u128(number);
        let answer = book.enter(id, "00", Ok(vec![record(version, digest)]), at).unwrap();
        verdict(&answer.token)
    };
    let mut book = Book::open(&path, signer()).unwrap();
    assert_eq!(enter(&mut book, 2, "aa"), "accepted");
    assert_eq!(enter(&mut book, 2, "aa"), "already-applied");
    assert_eq!(enter(&mut book, 2, "bb"), "ignored-older");
    assert_eq!(enter(&mut book, 1, "cc"), "ignored-older");
    let first = book.answer(Uuid::from_u128(1)).unwrap().clone();
    drop(book);
    let mut book = Book::open(&path, signer()).unwrap();
    assert_eq!(book.answer(Uuid::from_u128(1)), Some(&first), "byte for byte");
    assert_eq!(enter(&mut book, 2, "aa"), "already-applied");
    assert_eq!(enter(&mut book, 3, "dd"), "accepted");
    let ledger = ledger::read(&path).unwrap();
    assert_eq!(ledger.iter().map(|line| line.phien_ban).collect::<Vec<_>>(), [2, 3]);
}

#[test]
fn a_record_twice_in_one_batch_is_applied_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.ndjson");
    let mut book = Book::open(&path, signer()).unwrap();
    let both = Ok(vec![record(1, "aa"), record(1, "aa"), record(1, "bb")]);
    book.enter(Uuid::nil(), "00", both, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(ledger::read(&path).unwrap().len(), 1);
}

#[test]
fn a_refusal_applies_nothing_and_is_remembered() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.ndjson");
    let mut book = Book::open(&path, signer()).unwrap();
    let refused = Refused { status: 422, reason: "seal" };
    let answer = book.enter(Uuid::nil(), "00", Err(refused), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!((answer.status, book.answer(Uuid::nil())), (422, Some(&answer)));
    assert!(ledger::read(&path).unwrap().is_empty());
}

//! Shows that bodies open only where they belong and that references hide the number.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use proptest::prelude::*;

use super::*;

const LIMIT: usize = 1 << 20;

fn vault() -> Vault {
    let folder = tempfile::tempdir().unwrap();
    let keys_file = folder.path().join("keys.toml");
    Vault::create_development_keys(&keys_file).unwrap();
    Vault::open(&Settings { keys_file }).unwrap()
}

fn context() -> Context {
    Context { participant_id: 7, school_year: 2025, id: Uuid::from_u128(42), version: 1, kind: 2 }
}

fn open(vault: &Vault, context: &Context, sealed: &SealedBody) -> Result<Vec<u8>, VaultError> {
    vault.open_body(context, sealed.codec, sealed.key_id, &sealed.body, LIMIT)
}

#[test]
fn a_body_opens_only_for_the_row_it_was_sealed_for() {
    let vault = vault();
    let sealed = vault.seal(&context(), &b"Toan 9,5; ".repeat(50)).unwrap();
    assert_eq!(sealed.codec, CODEC_ZSTD_AES_256_GCM);
    assert!(open(&vault, &context(), &sealed).is_ok());
    let own = context();
    let others = [
        Context { participant_id: 8, ..own },
        Context { school_year: 2024, ..own },
        Context { id: Uuid::from_u128(43), ..own },
        Context { version: 2, ..own },
        Context { kind: 1, ..own },
    ];
    for other in others {
        let result = open(&vault, &other, &sealed);
        assert!(matches!(result, Err(VaultError::NotAuthentic)), "{other:?}");
    }
}

#[test]
fn a_changed_bit_anywhere_is_noticed() {
    let vault = vault();
    let sealed = vault.seal(&context(), b"short").unwrap();
    assert_eq!(sealed.codec, CODEC_STORED_AES_256_GCM);
    for index in 0..sealed.body.len() {
        let mut changed = sealed.clone();
        changed.body[index] ^= 1;
        let result = open(&vault, &context(), &changed);
        assert!(matches!(result, Err(VaultError::NotAuthentic)), "{index}");
    }
    let mut other_codec = sealed.clone();
    other_codec.codec = CODEC_ZSTD_AES_256_GCM;
    assert!(open(&vault, &context(), &other_codec).is_err());
    assert!(vault.open_body(&context(), 9, 1, &sealed.body, LIMIT).is_err());
    assert!(vault.open_body(&context(), 2, 9, &sealed.body, LIMIT).is_err());
    assert!(vault.open_body(&context(), 2, 1, &[], LIMIT).is_err());
}

#[test]
fn a_body_larger_than_the_limit_is_not_inflated() {
    let vault = vault();
    let sealed = vault.seal(&context(), &vec![0; 100_000]).unwrap();
    assert!(sealed.body.len() < 1_000);
    let result = vault.open_body(&context(), sealed.codec, sealed.key_id, &sealed.body, 99_999);
    assert!(matches!(result, Err(VaultError::TooLarge { bytes_max: 99_999 })));
}

#[test]
fn two_seals_of_one_body_differ() {
    let vault = vault();
    let first = vault.seal(&context(), b"same").unwrap();
    let second = vault.seal(&context(), b"same").unwrap();
    assert_ne!(first.body, second.body);
}

#[test]
fn references_of_all_key_versions_find_a_pupil_after_a_change_of_key() {
    let folder = tempfile::tempdir().unwrap();
    let keys_file = folder.path().join("keys.toml");
    Vault::create_development_keys(&keys_file).unwrap();
    let settings = Settings { keys_file: keys_file.clone() };
    let number: PersonalNumber = "001317000001".parse().unwrap();
    let before = Vault::open(&settings).unwrap();
    let old = before.subject_ref(&number);
    let sealed = before.seal(&context(), b"kept").unwrap();
    let old_text = fs::read_to_string(&keys_file).unwrap();
    let entry = format!(
        "\n[[key]]\nid = 2\ndata = \"{}\"\nreference = \"{}\"\n",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
    );
    fs::write(&keys_file, old_text.replace("active = 1", "active = 2") + &entry).unwrap();
    let after = Vault::open(&settings).unwrap();
    assert_eq!(after.subject_ref(&number).key_id, 2);
    assert!(after.subject_refs(&number).contains(&old));
    assert_eq!(open(&after, &context(), &sealed).unwrap(), b"kept");
}

#[test]
fn commitments_differ_by_label_and_text() {
    let vault = vault();
    let one = vault.commitment("case", "12");
    assert_eq!(one, vault.commitment("case", "12"));
    assert_ne!(one, vault.commitment("case1", "2"));
    assert_ne!(one, vault.commitment("purpose", "12"));
    assert_ne!(one, vault.commitment("case", "13"));
}

#[test]
fn a_key_file_that_others_may_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let keys_file = folder.path().join("keys.toml");
    Vault::create_development_keys(&keys_file).unwrap();
    let mode = fs::metadata(&keys_file).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    fs::set_permissions(&keys_file, fs::Permissions::from_mode(0o644)).unwrap();
    let error = Vault::open(&Settings { keys_file: keys_file.clone() }).unwrap_err().to_string();
    assert!(error.contains("keys.toml") && error.contains("0644"), "{error}");
}

#[test]
fn making_development_keys_twice_keeps_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.toml");
    Vault::create_development_keys(&path).unwrap();
    let first = fs::read(&path).unwrap();
    Vault::create_development_keys(&path).unwrap();
    assert_eq!(first, fs::read(&path).unwrap());
}

#[test]
fn a_broken_key_file_is_named_without_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let keys_file = folder.path().join("keys.toml");
    let secret = "c2VjcmV0";
    for text in [
        format!("active = 1\n[[key]]\nid = 1\ndata = \"{secret}\"\nreference = \"{secret}\"\n"),
        format!("active = 1\n[[key]]\nid = 1\ndata = {secret}\n"),
        "active = 1\nkey = []\n".to_owned(),
    ] {
        fs::write(&keys_file, text).unwrap();
        fs::set_permissions(&keys_file, fs::Permissions::from_mode(0o600)).unwrap();
        let error = Vault::open(&Settings { keys_file: keys_file.clone() }).unwrap_err();
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("keys.toml") && !shown.contains(secret), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn what_is_sealed_opens_to_the_same_bytes(plain in proptest::collection::vec(any::<u8>(), 0..4_000)) {
        let vault = vault();
        let sealed = vault.seal(&context(), &plain).unwrap();
        prop_assert_eq!(open(&vault, &context(), &sealed).unwrap(), plain);
    }
}

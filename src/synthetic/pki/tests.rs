use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::platform::clock::{Clock, ManualClock};
use crate::seal;
use crate::signature::certificate::SignerKey;
use crate::trust::{
    Anchors, Decision, Reason, Settings, SignerPurpose, SystemSettings, TrustSystem,
};

fn clock() -> ManualClock {
    ManualClock::new("2026-11-23T08:00:00Z".parse().unwrap())
}

fn trust_of(layout: &Layout) -> Settings {
    let system = |role| SystemSettings {
        anchors: vec![layout.certificate_path(layout.only(role).unwrap())],
        intermediates: Vec::new(),
    };
    Settings {
        public_ca: system(Role::PublicRoot),
        official_duty: system(Role::OfficialDutyRoot),
        clock_skew_s: 300,
        chain_length_max: 4,
        cache_entries: 100,
        extended_key_usages: vec!["1.3.6.1.5.5.7.3.4".to_owned()],
    }
}

#[test]
fn a_development_pki_is_written_once_and_its_keys_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let provinces = ["01".to_owned(), "79".to_owned()];
    let made = Pki::create(dir.path(), &provinces, &clock()).unwrap();
    let opened = Layout::open(dir.path()).unwrap();
    assert_eq!(made.entries(), opened.entries());
    assert_eq!(opened.of_role(Role::Operator).count(), 2);
    assert_eq!(opened.participant("79").unwrap().id, "participant-79");
    for entry in opened.entries() {
        let mode = std::fs::metadata(opened.key_path(entry)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", entry.id);
        let key = SignerKey::from_der(&opened.read_certificates(entry).unwrap()[0]).unwrap();
        let hex: String = key.fingerprint().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, entry.sha256);
    }
    assert!(matches!(Pki::create(dir.path(), &provinces, &clock()), Err(PkiError::Exists { .. })));
}

#[test]
fn the_seal_key_of_the_pki_opens_and_signs() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Pki::create(dir.path(), &[], &clock()).unwrap();
    let entry = layout.only(Role::Seal).unwrap();
    let settings = seal::Settings {
        key_file: layout.key_path(entry),
        certificate_file: layout.certificate_path(entry),
        password_file: PathBuf::new(),
        rsa_pss: false,
    };
    let signer = seal::open(&settings).unwrap();
    assert_eq!(signer.chain_der().len(), 1);
    assert_eq!(signer.sign(b"message").unwrap().len(), 64);
    let other = layout.only(Role::Answer).unwrap();
    let wrong = seal::Settings { certificate_file: layout.certificate_path(other), ..settings };
    assert!(matches!(seal::open(&wrong), Err(KeyError::Mismatch { .. })));
}

#[test]
fn signers_of_both_systems_are_believed_and_told_apart_by_their_chains() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let layout = Pki::create(dir.path(), &[], &clock).unwrap();
    let issuers = Issuers::open(&layout).unwrap();
    let anchors = Anchors::load(trust_of(&layout)).unwrap();
    let at = "2026-05-30T02:00:00Z".parse().unwrap();
    for system in [TrustSystem::OfficialDuty, TrustSystem::PublicCa] {
        let subject = PersonSubject {
            name: "Nguyễn Thị Mẫu",
            organisation: "Trường Tiểu học Mẫu",
            personal_number: Some("001185000001"),
        };
        let issued = issuers.person(system, subject, &clock).unwrap();
        let judge = |purpose| {
            anchors.check(&issued.certificate_der, &issued.chain_der, at, clock.now(), purpose)
        };
        let verdict = judge(SignerPurpose::Person);
        assert_eq!(verdict.decision, Decision::Confirmed, "{:?}", verdict.reasons);
        assert_eq!(verdict.system, Some(system));
        assert_eq!(verdict.personal_number(), Some("001185000001"));
        assert_eq!(judge(SignerPurpose::Organisation).reasons, [Reason::WrongKind]);
    }
}

#[test]
fn a_certificate_is_judged_at_the_signing_time() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let layout = Pki::create(dir.path(), &[], &clock).unwrap();
    let issuers = Issuers::open(&layout).unwrap();
    let anchors = Anchors::load(trust_of(&layout)).unwrap();
    let subject = OrganisationSubject {
        name: "Trường Tiểu học Mẫu",
        parent: "UBND phường Mẫu",
        code: Some("MST:0100000001"),
    };
    let issued = issuers.organisation(TrustSystem::PublicCa, subject, &clock).unwrap();
    let reasons = |at: &str| {
        let at = at.parse().unwrap();
        let (der, chain) = (&issued.certificate_der, &issued.chain_der);
        anchors.check(der, chain, at, clock.now(), SignerPurpose::Organisation).reasons
    };
    // In this order, so that a remembered answer meets times it does not hold for.
    assert!(reasons("2026-05-30T02:00:00Z").is_empty());
    assert_eq!(reasons("2010-05-30T02:00:00Z"), [Reason::NotYetValid]);
    assert_eq!(reasons("2033-05-30T02:00:00Z"), [Reason::Expired, Reason::SigningTimeInFuture]);
    assert!(reasons("2026-11-23T08:04:00Z").is_empty());
    assert_eq!(reasons("2026-11-23T08:06:00Z"), [Reason::SigningTimeInFuture]);
}

#[test]
fn what_does_not_end_in_an_anchor_is_not_believed() {
    let (dir, foreign) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let clock = clock();
    let layout = Pki::create(dir.path(), &[], &clock).unwrap();
    let other = Pki::create(foreign.path(), &[], &clock).unwrap();
    let anchors = Anchors::load(trust_of(&layout)).unwrap();
    let at = clock.now();
    let subject = PersonSubject {
        name: "Kẻ Mạo Danh",
        organisation: "Trường Tiểu học Mẫu",
        personal_number: None,
    };
    let issued =
        Issuers::open(&other).unwrap().person(TrustSystem::PublicCa, subject, &clock).unwrap();
    let judge =
        |der: &[u8], hints: &[Vec<u8>]| anchors.check(der, hints, at, at, SignerPurpose::Person);
    // Same names, other keys: not even with the foreign root as a hint.
    let mut hints = issued.chain_der.clone();
    hints.extend(other.read_certificates(other.only(Role::PublicRoot).unwrap()).unwrap());
    let verdict = judge(&issued.certificate_der, &hints);
    assert_eq!(verdict.decision, Decision::Refuted);
    assert_eq!(verdict.system, None);
    assert!(!judge(&issued.certificate_der, &[]).is_confirmed());
    assert_eq!(judge(b"no certificate", &[]).reasons, [Reason::Unreadable]);
    let server = layout.only(Role::Server).unwrap();
    let server = layout.read_certificates(server).unwrap().remove(0);
    assert!(judge(&server, &[]).reasons.contains(&Reason::ExtendedKeyUsage));
    let root = layout.only(Role::PublicRoot).unwrap();
    let root = layout.read_certificates(root).unwrap().remove(0);
    assert!(judge(&root, &[]).reasons.contains(&Reason::IsAuthority));
}

#[test]
fn without_anchors_nothing_can_be_decided() {
    let dir = tempfile::tempdir().unwrap();
    let clock = clock();
    let layout = Pki::create(dir.path(), &[], &clock).unwrap();
    let settings = Settings {
        public_ca: SystemSettings::default(),
        official_duty: SystemSettings::default(),
        extended_key_usages: vec!["1.3.6.1.5.5.7.3.4".to_owned()],
        ..trust_of(&layout)
    };
    let anchors = Anchors::load(settings).unwrap();
    let seal = layout.only(Role::Seal).unwrap();
    let ders = layout.read_certificates(seal).unwrap();
    let at = clock.now();
    let verdict = anchors.check(&ders[0], &ders[1..], at, at, SignerPurpose::Organisation);
    assert_eq!(verdict.decision, Decision::CannotDecide);
}

#[test]
fn the_choice_of_a_system_depends_on_seed_and_key_only() {
    let keys: Vec<String> = (0..1000).map(|number| format!("school-{number}")).collect();
    let count = |seed| {
        keys.iter()
            .filter(|key| Issuers::system_for(seed, key, 70) == TrustSystem::OfficialDuty)
            .count()
    };
    assert_eq!(count(7), count(7));
    assert!((600..800).contains(&count(7)), "{}", count(7));
    assert_eq!(Issuers::system_for(1, "a", 50), Issuers::system_for(1, "a", 50));
}

//! Uses the command line as a new user would.

use std::process::{Command, Output};

use hocba::synthetic::Format;
use hocba::transcript::Level;
use serde_json::Value;

use crate::support::{PROGRAM, World, body};

fn hocba(arguments: &[&str]) -> Output {
    Command::new(PROGRAM)
        .args(arguments)
        .env("LANG", "vi_VN.UTF-8")
        .env_remove("LC_ALL")
        .output()
        .unwrap()
}

#[test]
fn wrong_use_exits_2_with_a_hint_and_help_speaks_both_languages() {
    let wrong = hocba(&["push"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("hocba --help"));
    let vietnamese = String::from_utf8(hocba(&["push", "--help"]).stdout).unwrap();
    let english = String::from_utf8(hocba(&["push", "--help", "--lang", "en"]).stdout).unwrap();
    assert!(vietnamese.contains("Gửi một tệp"), "{vietnamese}");
    assert!(english.contains("Push a file"), "{english}");
    let missing =
        hocba(&["generate", "--level", "thcs", "--province", "01", "--pki", "missing-folder"]);
    assert_eq!(missing.status.code(), Some(1));
}

#[test]
fn a_wrong_configuration_names_file_and_line() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "[intake]\nuploads_max = \"many\"\n").unwrap();
    let output = hocba(&["check-config", "--config", file.path().to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(message.contains(&format!("{}:2", file.path().display())), "{message}");
    assert!(message.contains("intake.uploads_max"), "{message}");
}

#[test]
fn the_demonstration_balances() {
    let output = hocba(&["demo", "--once", "--records", "90", "--json", "--fault-rate", "0.2"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let figures: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let number = |name: &str| figures[name].as_u64().unwrap();
    let right: u64 =
        ["rejected", "held", "acknowledged", "refused", "in_flight", "parked", "superseded"]
            .iter()
            .map(|name| number(name))
            .sum();
    assert_eq!(number("received"), right, "{figures}");
    assert_eq!((number("in_flight"), number("parked")), (0, 0));
    assert!(number("rejected") > 0, "at a fault rate of 20 % something is rejected: {figures}");
    assert_eq!(figures["verification"], "valid");
}

#[tokio::test]
async fn push_works_from_another_folder_with_the_certificate_of_the_demonstration() {
    let world = World::start("").await;
    let generator = world.generator("01", Level::Primary, 5, &[]);
    let elsewhere = tempfile::tempdir().unwrap();
    std::fs::write(elsewhere.path().join("my.xml"), body(&generator, 5, Format::Xml)).unwrap();
    let entry = world.installation.pki.participant("01").unwrap();
    let (cert, key) = world.installation.files(entry);
    let push = || {
        Command::new(PROGRAM)
            .current_dir(elsewhere.path())
            .args(["push", "my.xml", "--json", "--url", &world.installation.machines])
            .arg("--cert")
            .arg(&cert)
            .arg("--key")
            .arg(&key)
            .arg("--ca")
            .arg(world.installation.ca().unwrap())
            .output()
            .unwrap()
    };
    let output = push();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    let first: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(first["accepted"], 5, "{first}");
    // The file's digest is the idempotency key, so a second push reads the same batch again.
    let again: Value = serde_json::from_slice(&push().stdout).unwrap();
    assert_eq!(again["batch_id"], first["batch_id"]);
    let verified = Command::new(PROGRAM)
        .args(["verify", "--lang", "en", "--json", "--config"])
        .arg(&world.installation.config)
        .arg(elsewhere.path().join("my.xml"))
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}

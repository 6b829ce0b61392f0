//! Asks about pupils as an agency does.

use hocba::commands::gateway::Answer;
use hocba::synthetic::Format;
use hocba::transcript::{Field, Level, Transcript};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{World, body, push_and_wait};

async fn ask(world: &World, subject: Value) -> Answer {
    let agency = world.agency();
    let request = json!({
        "procedure": "1.005099",
        "case": "H26.01.12-261123-0007",
        "officer": world.installation.officer,
        "subject": subject,
        "level": "tieu_hoc",
        "school_years": ["2025-2026"],
    });
    let sent = agency.request(Method::POST, "/v1/verifications").unwrap();
    agency
        .send(sent.header("content-type", "application/json").body(request.to_string()))
        .await
        .unwrap()
}

fn value(transcript: &Transcript, field: Field) -> &str {
    transcript.value(field).unwrap()
}

#[tokio::test]
async fn an_agency_gets_a_verdict_it_can_act_on() {
    let world = World::start("").await;
    let generator = world.generator("01", Level::Primary, 3, &[]);
    let status =
        push_and_wait(&world.province("01"), "application/xml", body(&generator, 3, Format::Xml))
            .await;
    assert_eq!(status["accepted"], 3, "{status}");
    let pupil = generator.transcript(0);
    let code = value(&pupil, Field::Code);
    let name = value(&pupil, Field::StudentName);

    let valid = ask(&world, json!({ "transcript_code": code, "name": name })).await;
    assert_eq!((valid.status, &valid.body["verdict"]), (200, &"valid".into()), "{}", valid.body);
    assert_eq!(valid.body["years"][0]["school_year"], "2025-2026");
    assert!(valid.body["years"][0]["transcript"].is_object());
    assert!(valid.body["signature"].is_string());

    let mismatch = ask(&world, json!({ "transcript_code": code, "name": "Người Khác" })).await;
    assert_eq!(mismatch.body["verdict"], "identity-mismatch", "{}", mismatch.body);
    assert!(mismatch.body["years"][0]["transcript"].is_null());

    let unknown =
        json!({ "transcript_code": "123e4567-e89b-42d3-a456-556642440000", "name": name });
    let unknown = ask(&world, unknown).await;
    assert_eq!(unknown.body["verdict"], "not-found", "{}", unknown.body);
    assert!(unknown.body["supplement"]["vi"].as_str().is_some_and(|text| !text.is_empty()));

    let files = tempfile::tempdir().unwrap();
    let path = files.path().join("answer.json");
    std::fs::write(&path, valid.body.to_string()).unwrap();
    let verify = |path: &std::path::Path| {
        std::process::Command::new(crate::support::PROGRAM)
            .args(["verify", "--lang", "en"])
            .arg(path)
            .arg("--config")
            .arg(&world.installation.config)
            .output()
            .unwrap()
    };
    let good = verify(&path);
    assert!(good.status.success(), "{}", String::from_utf8_lossy(&good.stdout));
    let mut forged = valid.body.clone();
    forged["verdict"] = "not-found".into();
    std::fs::write(&path, forged.to_string()).unwrap();
    assert_eq!(verify(&path).status.code(), Some(1));
}

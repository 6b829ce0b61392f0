//! Pushes good, broken and repeated batches and reads what became of every record.

use hocba::synthetic::{FaultKind, Format};
use hocba::transcript::Level;
use reqwest::Method;

use crate::support::{World, body, broken_rules, push, push_and_wait};

#[tokio::test]
async fn every_format_and_level_travels_from_the_province_to_the_national_system() {
    let world = World::start("").await;
    let gateway = world.province("01");
    let cases = [
        (Level::Primary, Format::Xml, "application/xml"),
        (Level::LowerSecondary, Format::Content, "application/vnd.hocba.content"),
        (Level::UpperSecondary, Format::Ndjson, "application/x-ndjson"),
    ];
    for (level, format, media_type) in cases {
        let generator = world.generator("01", level, 25, &[]);
        let status = push_and_wait(&gateway, media_type, body(&generator, 25, format)).await;
        assert_eq!(status["accepted"], 25, "{level:?}: {status}");
    }
    let counts = world.wait_for_delivery().await;
    assert_eq!((counts.acknowledged, counts.refused, counts.parked), (75, 0, 0));
    let applied = world.applied();
    assert_eq!(applied.len(), 75);
    assert_eq!(hocba::sandbox::ledger::applied_twice(&applied), 0);
}

#[tokio::test]
async fn the_same_batch_pushed_twice_creates_nothing_twice() {
    let world = World::start("").await;
    let gateway = world.province("01");
    let generator = world.generator("01", Level::Primary, 20, &[FaultKind::ALL[0]]);
    let bytes = body(&generator, 20, Format::Xml);
    let first = push_and_wait(&gateway, "application/xml", bytes.clone()).await;
    let second = push_and_wait(&gateway, "application/xml", bytes.clone()).await;
    assert_eq!(first["received"], 20, "{first}");
    assert_eq!((&second["received"], &second["duplicates"]), (&0.into(), &20.into()), "{second}");
    world.wait_for_delivery().await;
    assert_eq!(world.applied().len() as u64, first["accepted"].as_u64().unwrap());

    let send = |key: &'static str, bytes: Vec<u8>| {
        let request = gateway.request(Method::POST, "/v1/batches").unwrap();
        let request =
            request.header("content-type", "application/xml").header("idempotency-key", key);
        gateway.send(request.body(bytes))
    };
    let receipt = send("k-1", bytes.clone()).await.unwrap();
    let again = send("k-1", bytes.clone()).await.unwrap();
    assert_eq!((receipt.status, receipt.body.to_string()), (again.status, again.body.to_string()));
    let mut other = bytes;
    other.push(b'\n');
    assert_eq!(send("k-1", other).await.unwrap().status, 422);
}

#[tokio::test]
async fn a_forged_mark_is_refused_in_xml_and_in_json() {
    let world = World::start("").await;
    let gateway = world.province("01");
    let generator = world.generator("01", Level::LowerSecondary, 4, &[]);
    let forge = |text: String, from: &str, to: &str| {
        let place = text.find(from).unwrap_or_else(|| panic!("{from}"));
        format!("{}{to}{}", &text[..place], &text[place + from.len()..])
    };
    let xml = String::from_utf8(body(&generator, 4, Format::Xml)).unwrap();
    let mark = xml.find("<DIEM_CA_NAM>").map(|at| xml[at..at + 16].to_owned());
    let mark = mark.unwrap_or_else(|| panic!("no year mark in {}", &xml[..2000]));
    let forged = forge(xml.clone(), &mark, "<DIEM_CA_NAM>9.9");
    let status = push_and_wait(&gateway, "application/xml", forged.into_bytes()).await;
    assert_eq!(status["state"], "refused", "{status}");
    assert_eq!(status["refusal"]["reason"], "data-digest", "{status}");
    assert_eq!(status["received"], 0);

    let lines = String::from_utf8(body(&generator, 4, Format::Ndjson)).unwrap();
    let at = lines.find("\"subject_year\":\"").unwrap();
    let mark = lines[at..at + 19].to_owned();
    let forged = forge(lines, &mark, "\"subject_year\":\"9.9");
    let status = push_and_wait(&gateway, "application/x-ndjson", forged.into_bytes()).await;
    assert_eq!((&status["rejected"], &status["accepted"]), (&1.into(), &3.into()), "{status}");
    let rejected =
        status["results"].as_array().unwrap().iter().find(|r| r["outcome"] == "rejected").unwrap();
    assert_eq!(broken_rules(rejected)[0], "signature.signature-invalid");
}

#[tokio::test]
async fn a_batch_with_bad_records_accepts_the_good_ones_and_lists_the_bad() {
    let world = World::start("").await;
    let gateway = world.province("20");
    for (level, format, media_type) in [
        (Level::Primary, Format::Xml, "application/xml"),
        (Level::UpperSecondary, Format::Ndjson, "application/x-ndjson"),
    ] {
        let generator = world.generator("20", level, 60, FaultKind::ALL);
        let mut bytes = Vec::new();
        let written = generator.write_batch(&mut bytes, 0..60, format).unwrap();
        let status = push_and_wait(&gateway, media_type, bytes).await;
        assert_eq!(status["state"], "done", "{status}");
        for fault in &written.faults {
            let results = status["results"].as_array().unwrap();
            let result =
                results.iter().find(|result| result["position"] == fault.position).unwrap();
            let outcome = result["outcome"].as_str().unwrap();
            let expected = format!("{:?}", fault.fate).to_lowercase();
            assert_eq!(outcome, expected, "{fault:?}: {result}");
            if let (Some(rule), "rejected" | "held") = (fault.rule_expected, outcome) {
                assert!(broken_rules(result).contains(&rule), "{fault:?}: {result}");
                let violation = &result["violations"][0];
                assert!(violation["message"]["vi"].as_str().is_some_and(|text| !text.is_empty()));
                assert!(
                    violation["message"]["vi"] != violation["rule"],
                    "no text for {}",
                    violation["rule"]
                );
            }
        }
    }
}

#[tokio::test]
async fn a_broken_document_is_refused_whole_and_its_place_named() {
    let world = World::start("[intake]\ndocument_bytes_max = 300000\n").await;
    let gateway = world.province("01");
    let generator = world.generator("01", Level::Primary, 3, &[]);
    let good = body(&generator, 3, Format::Xml);
    let text = String::from_utf8(good.clone()).unwrap();
    let deep = format!("{}{}", "<a>".repeat(40), "</a>".repeat(40));
    let after_root = text.find("<HOC_BA").unwrap();
    let with = |inserted: &str| {
        format!("{}{inserted}{}", &text[..after_root], &text[after_root..]).into_bytes()
    };
    let doctype = format!(
        "<!DOCTYPE x [<!ENTITY e \"e\">]>{}",
        text.trim_start_matches("<?xml version=\"1.0\" encoding=\"UTF-8\"?>")
    );
    let cases: Vec<(&str, Vec<u8>, u16, &str)> = vec![
        ("truncated", good[..good.len() - 10].to_vec(), 400, "/problems/malformed-document"),
        ("deep", with(&deep), 400, "/problems/malformed-document"),
        ("doctype", doctype.into_bytes(), 400, "/problems/malformed-document"),
        ("not xml", b"hello".to_vec(), 400, "/problems/malformed-document"),
        (
            "latin-1",
            with("<HOC_BA>\u{e9}</HOC_BA>")
                .iter()
                .map(|b| if *b == 0xc3 { 0xe9 } else { *b })
                .collect(),
            400,
            "/problems/malformed-document",
        ),
        ("oversize", vec![b'<'; 300_001], 413, "/problems/document-too-large"),
        ("empty", Vec::new(), 400, "/problems/malformed-document"),
    ];
    for (name, bytes, status, kind) in cases {
        let answer = push(&gateway, "application/xml", bytes).await;
        assert_eq!(
            (answer.status, answer.body["type"].as_str()),
            (status, Some(kind)),
            "{name}: {}",
            answer.body
        );
        if status == 400 {
            assert!(
                answer.body["line"].as_u64().is_some_and(|line| line > 0),
                "{name}: {}",
                answer.body
            );
            assert!(
                !answer.body["detail"].as_str().unwrap().contains('{'),
                "{name}: {}",
                answer.body
            );
        }
    }
    let exactly = push(&gateway, "application/x-ndjson", vec![b' '; 300_000]).await;
    assert_eq!(
        exactly.body["type"], "/problems/empty-batch",
        "the limit itself passes: {}",
        exactly.body
    );
    let broken = push(&gateway, "application/vnd.hocba.content", "GQAAAB+L").await;
    assert_eq!(broken.body["type"], "/problems/broken-envelope", "{}", broken.body);
    let unknown = push(&gateway, "application/pdf", "x").await;
    assert_eq!(unknown.status, 415);
}

#[tokio::test]
async fn a_client_without_a_registered_certificate_is_refused() {
    let world = World::start("").await;
    let pki = &world.installation.pki;
    let officer = pki.only(hocba::synthetic::pki::Role::Officer).unwrap();
    let answer = push(&world.connect(officer), "application/xml", "<x/>").await;
    assert_eq!(
        (answer.status, answer.body["type"].as_str()),
        (403, Some("/problems/unknown-client-certificate"))
    );
    let agency = push(&world.agency(), "application/xml", "<x/>").await;
    assert_eq!(
        (agency.status, agency.body["type"].as_str()),
        (403, Some("/problems/wrong-participant-kind"))
    );
    // The client certificate of another authority does not even pass the handshake.
    let foreign = pki.only(hocba::synthetic::pki::Role::GatewayClient).unwrap();
    let gateway = world.connect(foreign);
    let request = gateway.request(Method::GET, "/v1/batches/x").unwrap();
    assert!(gateway.send(request).await.is_err());
    // Another province sees nothing of a batch, and its transcripts are not accepted from here.
    let generator = world.generator("20", Level::Primary, 2, &[]);
    let bytes = body(&generator, 2, Format::Xml);
    let status = push_and_wait(&world.province("01"), "application/xml", bytes).await;
    assert_eq!(status["rejected"], 2, "{status}");
    assert!(
        broken_rules(&status["results"][0]).contains(&"CV2088.department-province"),
        "{status}"
    );
    let id = status["batch_id"].as_str().unwrap();
    let other = world.province("20").read(&format!("/v1/batches/{id}")).await.unwrap();
    assert_eq!(other.status, 404);
}

/// Change the signatures of one line.
fn with_signatures(
    lines: &str,
    number: usize,
    change: impl Fn(&mut serde_json::Map<String, serde_json::Value>),
) -> Vec<u8> {
    let mut line: serde_json::Value =
        serde_json::from_str(lines.lines().nth(number).unwrap()).unwrap();
    change(line["signatures"].as_object_mut().unwrap());
    format!("{line}\n").into_bytes()
}

#[tokio::test]
async fn nobody_signs_in_the_place_of_another() {
    let world = World::start("").await;
    let gateway = world.province("01");
    let generator = world.generator("01", Level::LowerSecondary, 3, &[]);
    let lines = String::from_utf8(body(&generator, 3, Format::Ndjson)).unwrap();
    for (number, place, from) in [(0, "CBQL", "KY_PHAT_HANH"), (1, "KY_PHAT_HANH", "CBQL")] {
        let forged = with_signatures(&lines, number, |signatures| {
            let other = signatures[from].clone();
            signatures.insert(place.to_owned(), other);
        });
        let status = push_and_wait(&gateway, "application/x-ndjson", forged).await;
        assert_eq!(status["rejected"], 1, "{place} by {from}: {status}");
        let rules = broken_rules(&status["results"][0]).join(" ");
        assert!(rules.contains("trust.one-certificate-two-kinds"), "{rules}");
    }
    let by_teacher = with_signatures(&lines, 2, |signatures| {
        let teacher = signatures.get("GVCN").cloned();
        signatures.insert("CBQL".to_owned(), teacher.unwrap());
    });
    let status = push_and_wait(&gateway, "application/x-ndjson", by_teacher).await;
    assert_eq!(status["rejected"], 1, "{status}");
    let good = push_and_wait(&gateway, "application/x-ndjson", lines.into_bytes()).await;
    assert_eq!(good["accepted"], 3, "what was rejected does not stand in the way: {good}");
}

#[tokio::test]
async fn a_used_code_makes_nothing_new_however_often_it_comes_again() {
    let world = World::start("").await;
    let gateway = world.province("01");
    let generator = world.generator("01", Level::Primary, 4, &[]);
    let first = push_and_wait(&gateway, "application/xml", body(&generator, 4, Format::Xml)).await;
    assert_eq!(first["accepted"], 4, "{first}");
    let lines = body(&generator, 4, Format::Ndjson);
    let other = push_and_wait(&gateway, "application/x-ndjson", lines.clone()).await;
    assert_eq!((&other["received"], &other["rejected"]), (&4.into(), &4.into()), "{other}");
    let rejected = &other["results"][0];
    assert_eq!(broken_rules(rejected), ["register.code-used"], "{rejected}");
    assert_eq!(
        rejected["violations"].as_array().unwrap().last().unwrap()["pointer"],
        "/record/general/code"
    );
    for _ in 0..2 {
        let again = push_and_wait(&gateway, "application/x-ndjson", lines.clone()).await;
        assert_eq!((&again["received"], &again["duplicates"]), (&0.into(), &4.into()), "{again}");
        assert_eq!(again["results"][0]["first_outcome"], "rejected");
    }
}

#[tokio::test]
async fn a_held_record_gets_in_when_its_cause_is_mended() {
    let mut world =
        World::start("[trust.official_duty]\nanchors = []\n[trust.public_ca]\nanchors = []\n")
            .await;
    let gateway = world.province("01");
    let generator = world.generator("01", Level::Primary, 2, &[]);
    let lines = body(&generator, 2, Format::Ndjson);
    let held = push_and_wait(&gateway, "application/x-ndjson", lines.clone()).await;
    assert_eq!(held["held"], 2, "{held}");
    world.roles.work.stop();
    let pki = &world.installation.pki;
    let path = |role| pki.certificate_path(pki.only(role).unwrap()).display().to_string();
    use hocba::synthetic::pki::Role;
    world.configure(&format!(
        "[trust.official_duty]\nanchors = [{:?}]\n[trust.public_ca]\nanchors = [{:?}]\n",
        path(Role::OfficialDutyRoot),
        path(Role::PublicRoot)
    ));
    world.roles.work = world
        .installation
        .start(std::path::Path::new(crate::support::PROGRAM), "work", &[])
        .unwrap();
    let accepted = push_and_wait(&gateway, "application/x-ndjson", lines).await;
    assert_eq!(
        (&accepted["received"], &accepted["accepted"]),
        (&2.into(), &2.into()),
        "{accepted}"
    );
    let id = held["batch_id"].as_str().unwrap();
    let before = gateway.read(&format!("/v1/batches/{id}")).await.unwrap().body;
    assert_eq!((&before["held"], &before["superseded"]), (&0.into(), &2.into()), "{before}");
    world.wait_for_delivery().await;
    assert_eq!(world.applied().len(), 2);
}

//! Asks the whole way: look-up, evidence, verdict, leaf, signature, over a real database.

mod world;

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::signature::jws;
use crate::transcript::{Field, Transcript};
use world::{Form, GOOD, Planting, new_base, shared_base, world};

fn by_code(transcript: &Transcript) -> Value {
    json!({
        "transcript_code": transcript.value(Field::Code).unwrap(),
        "name": transcript.value(Field::StudentName).unwrap(),
    })
}

fn by_number(transcript: &Transcript) -> Value {
    let born = transcript.value(Field::BirthDate).unwrap();
    json!({
        "personal_number": transcript.value(Field::PersonalNumber).unwrap(),
        "birth_date": born,
        "name": transcript.value(Field::StudentName).unwrap(),
    })
}

fn with<'a>(
    status: &'a str,
    tamper: Option<(&'a str, &'a str)>,
    damage: bool,
    form: Form,
) -> Planting<'a> {
    Planting { form, status, tamper, damage }
}

#[tokio::test]
async fn every_kind_of_evidence_gives_its_verdict() {
    let world = world(shared_base()).await;
    let pupil = |position| world.generator.transcript(position);
    for (position, planting, expected) in [
        (0, GOOD, Verdict::Valid),
        (1, with("EFFECTIVE", None, false, Form::Json), Verdict::Valid),
        (2, with("RECALLED", None, false, Form::Xml), Verdict::Recalled),
        (3, with("SUPERSEDED", None, false, Form::Json), Verdict::Superseded),
        (4, with("EFFECTIVE", None, true, Form::Xml), Verdict::SourceUnavailable),
    ] {
        let transcript = pupil(position);
        world.plant(&transcript, &planting).await;
        assert_eq!(world.verdict(by_code(&transcript)).await, expected, "{position}");
        assert_eq!(world.verdict(by_number(&transcript)).await, expected, "{position}");
    }
    for (position, form) in [(5, Form::Xml), (6, Form::Json)] {
        let transcript = pupil(position);
        let school = transcript.value(Field::SchoolName).unwrap().to_owned();
        let forged = with("EFFECTIVE", Some((&school, "Trường Giả")), false, form);
        world.plant(&transcript, &forged).await;
        assert_eq!(world.verdict(by_code(&transcript)).await, Verdict::SignatureInvalid);
        // A forged document proves no date of birth, so the number alone learns nothing.
        assert_eq!(world.verdict(by_number(&transcript)).await, Verdict::NotFound);
    }
    let mut lacking = pupil(7);
    lacking.general.set(Field::StudyYear, "");
    world.plant(&lacking, &GOOD).await;
    let question = world.question("1.001088", &by_code(&lacking));
    let answer = world.ask(world.agency, &question).await.unwrap();
    assert_eq!(answer.verdict, Verdict::Incomplete);
    assert_eq!(answer.years[0].missing, ["study_year"]);
    assert!(answer.years[0].transcript.is_none());

    let known = pupil(0);
    let mut wrong = by_code(&known);
    wrong["name"] = json!("Người Khác");
    assert_eq!(world.verdict(wrong).await, Verdict::IdentityMismatch);
    let mut wrong = by_number(&known);
    wrong["name"] = json!("Người Khác");
    assert_eq!(world.verdict(wrong).await, Verdict::IdentityMismatch);
}

#[tokio::test]
async fn what_is_not_found_looks_the_same_whether_it_exists_or_not() {
    let world = world(shared_base()).await;
    let known = world.generator.transcript(0);
    world.plant(&known, &GOOD).await;
    let mut recalled = world.generator.transcript(1);
    recalled.general.set(Field::BirthDate, "2013-02-03");
    let planting = Planting { status: "RECALLED", ..GOOD };
    world.plant(&recalled, &planting).await;
    let mut wrong_day = by_number(&known);
    wrong_day["birth_date"] = json!("2001-01-01");
    let mut wrong_day_recalled = by_number(&recalled);
    wrong_day_recalled["birth_date"] = json!("2001-01-01");
    let nobody = json!({
        "personal_number": "020313999999", "birth_date": "2001-01-01", "name": "Người Không Có"
    });
    let no_code = json!({"transcript_code": Uuid::new_v4().to_string(), "name": "Người Không Có"});
    let mut bodies = Vec::new();
    for subject in [wrong_day, wrong_day_recalled, nobody, no_code] {
        let question = world.question("1.001088", &subject);
        let answer = world.ask(world.agency, &question).await.unwrap();
        assert_eq!(answer.verdict, Verdict::NotFound);
        let mut body = serde_json::to_value(&answer).unwrap();
        for member in ["answer_id", "answered_at", "request_sha256", "leaf_hash", "signature"] {
            assert!(body.as_object_mut().unwrap().remove(member).is_some());
        }
        bodies.push(body.to_string());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
}

#[tokio::test]
async fn nothing_is_disclosed_without_its_audit_leaf() {
    let world = world(Arc::new(new_base())).await;
    let known = world.generator.transcript(0);
    world.plant(&known, &GOOD).await;
    let question = world.question("1.001088", &by_code(&known));
    let leaves = world.leaves().await;
    let answer = world.ask(world.agency, &question).await.unwrap();
    assert_eq!(world.leaves().await, leaves + 1);

    let client = world.owner.get().await.unwrap();
    let sql = "SELECT encode(leaf_hash, 'hex'), actor, details::text FROM hocba.audit_leaf
               ORDER BY leaf_id DESC LIMIT 1";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), answer.leaf_hash);
    assert_eq!(row.get::<_, String>(1), format!("person:{}", world.officer));
    let details: String = row.get(2);
    for secret in [
        known.value(Field::StudentName).unwrap(),
        known.value(Field::PersonalNumber).unwrap(),
        known.value(Field::Code).unwrap(),
        "H01.23.45-261123-0001",
    ] {
        assert!(!details.contains(secret), "{secret} in {details}");
    }
    assert!(details.contains("study_year"));

    world.as_owner("REVOKE INSERT ON hocba.audit_leaf FROM hocba_query").await;
    let refused = world.ask(world.agency, &question).await;
    assert!(matches!(refused, Err(QueryError::Unavailable(_))));
    world.as_owner("GRANT INSERT ON hocba.audit_leaf TO hocba_query").await;
    world.as_owner("REVOKE INSERT ON hocba.answer FROM hocba_query").await;
    let refused = world.ask(world.agency, &question).await;
    assert!(matches!(refused, Err(QueryError::Unavailable(_))));
    assert_eq!(world.leaves().await, leaves + 1, "row and leaf go together");
    world.as_owner("GRANT INSERT ON hocba.answer TO hocba_query").await;

    world.as_owner("REVOKE SELECT ON hocba.directory FROM hocba_query").await;
    let dark = world.ask(world.agency, &question).await.unwrap();
    assert_eq!(dark.verdict, Verdict::SourceUnavailable);
    assert!(dark.years.iter().all(|year| year.transcript.is_none()));
    assert_eq!(world.leaves().await, leaves + 2);
}

#[tokio::test]
async fn an_answer_is_signed_and_bound_to_question_officer_and_time() {
    let world = world(shared_base()).await;
    let known = world.generator.transcript(0);
    world.plant(&known, &GOOD).await;
    let question = world.question("1.001088", &by_code(&known));
    let answer = world.ask(world.agency, &question).await.unwrap();
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, question.to_string().as_bytes());
    assert_eq!(answer.request_sha256, shape::hex(digest.as_ref()));
    assert_eq!((answer.agency, answer.officer), (world.agency, world.officer));
    assert_eq!(answer.answer_id.get_version_num(), 7);

    let mut body = serde_json::to_value(&answer).unwrap();
    let token = body.as_object_mut().unwrap().remove("signature").unwrap();
    let token = token.as_str().unwrap();
    let payload = jws::canonical_json(&body).unwrap();
    assert!(world.verifier.verify_detached(token, &payload).is_ok());
    let forgeries: [(&str, Value); 3] = [
        ("verdict", json!("not-found")),
        ("request_sha256", json!("00")),
        ("officer", json!(world.other_officer)),
    ];
    for (member, value) in forgeries {
        let mut forged = body.clone();
        forged[member] = value;
        let payload = jws::canonical_json(&forged).unwrap();
        assert!(world.verifier.verify_detached(token, &payload).is_err(), "{member}");
    }
}

#[tokio::test]
async fn who_may_not_ask_is_refused_before_any_look() {
    let world = world(shared_base()).await;
    let known = world.generator.transcript(0);
    world.plant(&known, &GOOD).await;
    let leaves = world.leaves().await;
    let good = world.question("1.001088", &by_code(&known));
    let mut foreign = good.clone();
    foreign["officer"] = json!(world.other_officer);
    assert!(matches!(world.ask(world.agency, &foreign).await, Err(QueryError::OfficerUnknown)));
    assert!(matches!(world.ask(world.other_agency, &good).await, Err(QueryError::OfficerUnknown)));
    let by_number_in_a_transfer = world.question("2.002481", &by_number(&known));
    assert!(matches!(
        world.ask(world.agency, &by_number_in_a_transfer).await,
        Err(QueryError::WayNotPermitted)
    ));
    assert!(matches!(
        world.ask(world.agency, &world.question("9.999999", &by_code(&known))).await,
        Err(QueryError::ProcedureUnknown)
    ));
    let mut level = good.clone();
    level["level"] = json!("tieu_hoc");
    assert!(matches!(world.ask(world.agency, &level).await, Err(QueryError::LevelNotPermitted)));
    assert_eq!(world.leaves().await, leaves);
    let mut refused = 0;
    for _ in 0..70 {
        match world.ask(world.agency, &good).await {
            Err(QueryError::TooFast(limit)) => {
                assert!(limit.retry_after_s >= 1);
                refused += 1;
            }
            other => assert_eq!(other.unwrap().verdict, Verdict::Valid),
        }
    }
    assert!(refused > 0, "the officer's budget is finite");
}

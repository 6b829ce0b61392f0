//! Delivers through a real database and a real sandbox over mutual TLS, and breaks both on the way.

mod support;

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::outbox::forming::store::{Reserve, reserve};
use crate::outbox::schedule::Note;
use crate::outbox::schedule::store::{conclude, expire};
use crate::outbox::{BatchState, Event, Outcome};
use crate::sandbox::ledger::applied_twice;
use support::{LIMIT, World, applied_ids, fast_policy, fresh_id, ids};

// Everything was applied, once, and everybody knows it.
async fn assert_delivered_once(
    world: &World,
    participant_id: i32,
    entries: &[crate::outbox::NewEntry],
) {
    let ledger = world.ledger();
    assert_eq!(applied_twice(&ledger), 0);
    assert_eq!(applied_ids(&ledger), ids(entries));
    let counts = world.counts(participant_id).await;
    assert_eq!(counts.acknowledged, entries.len() as u64, "{counts:?}");
    assert_eq!(counts.submitted, entries.len() as u64, "{counts:?}");
    assert_eq!((counts.in_flight, counts.parked, counts.refused), (0, 0, 0));
    let open = world
        .rows(participant_id, "SELECT message_id::text FROM hocba.outbox_batch_item WHERE open")
        .await;
    assert!(open.is_empty());
}

#[actix_web::test]
async fn records_are_delivered_acknowledged_and_applied_once() {
    let world = World::start("").await;
    let participant_id = world.participant().await;
    let entries = world.enqueue(participant_id, 25).await;
    assert_eq!(world.counts(participant_id).await.in_flight, 25);
    let summary = world.engine("one").work_until_settled(LIMIT).await;
    assert_eq!((summary.formed, summary.sent, summary.asked), (3, 3, 0), "{summary:?}");
    assert!(summary.settled && summary.failed == 0, "{summary:?}");
    assert_delivered_once(&world, participant_id, &entries).await;
    let classes = world.rows(participant_id, "SELECT class FROM hocba.attempt").await;
    assert_eq!(classes, ["SETTLED", "SETTLED", "SETTLED"]);
    let leaves = "SELECT state FROM hocba.outbox_batch WHERE attempts = 1";
    assert_eq!(world.rows(participant_id, leaves).await, ["SETTLED"; 3]);
}

#[actix_web::test]
async fn a_dropped_response_is_asked_for_and_nothing_is_applied_twice() {
    let world = World::start("[[sequence]]\nfault = { kind = \"drop_response\" }\n").await;
    let participant_id = world.participant().await;
    let entries = world.enqueue(participant_id, 5).await;
    let summary = world.engine("one").work_until_settled(LIMIT).await;
    assert_eq!((summary.sent, summary.asked), (1, 1), "{summary:?}");
    assert_delivered_once(&world, participant_id, &entries).await;
    let sql = "SELECT kind || ' ' || class FROM hocba.attempt ORDER BY epoch";
    assert_eq!(world.rows(participant_id, sql).await, ["send UNKNOWN", "query SETTLED"]);
}

#[actix_web::test]
async fn a_request_that_was_lost_is_sent_again_with_the_same_bytes_and_id() {
    let world = World::start("[[sequence]]\ntimes = 2\nfault = { kind = \"drop_before\" }\n").await;
    let participant_id = world.participant().await;
    let entries = world.enqueue(participant_id, 5).await;
    let summary = world.engine("one").work_until_settled(LIMIT).await;
    assert_eq!(summary.sent, 3, "{summary:?}");
    assert!(summary.asked >= 4, "twice not found before each resend: {summary:?}");
    assert_delivered_once(&world, participant_id, &entries).await;
    let sql = "SELECT DISTINCT message_id || encode(body_sha256, 'hex') FROM hocba.attempt";
    assert_eq!(world.rows(participant_id, sql).await.len(), 1);
    let sql = "SELECT possible_duplicate::text FROM hocba.outbox_batch";
    assert_eq!(world.rows(participant_id, sql).await, ["true"]);
}

#[actix_web::test]
async fn a_storm_of_429_and_5xx_delays_but_loses_and_doubles_nothing() {
    let faults = "[[sequence]]\ntimes = 4\nfault = { kind = \"status\", status = 429, retry_after_s = 1 }\n\
                  [[sequence]]\ntimes = 2\nfault = { kind = \"status\", status = 503, retry_after_s = 1 }\n\
                  [[sequence]]\ntimes = 2\nfault = { kind = \"status\", status = 500 }\n\
                  [[sequence]]\nfault = { kind = \"status\", status = 502 }\n\
                  [[sequence]]\nfault = { kind = \"trickle\", bytes = 200, pause_ms = 2 }\n\
                  [[sequence]]\nfault = { kind = \"delay\", ms = 50 }\n";
    let world = World::start(faults).await;
    let participant_id = world.participant().await;
    let entries = world.enqueue(participant_id, 30).await;
    let summary = world.engine("one").work_until_settled(LIMIT).await;
    assert!(summary.settled, "{summary:?}");
    assert_delivered_once(&world, participant_id, &entries).await;
    let sql = "SELECT class FROM hocba.attempt WHERE http_status IN (429, 503)";
    assert_eq!(world.rows(participant_id, sql).await, ["REFUSED_LOAD"; 6]);
}

#[actix_web::test]
async fn a_refused_record_delays_nobody_and_keeps_its_reason() {
    let world =
        World::start("[[sequence]]\nfault = { kind = \"refuse_record\", position = 2 }\n").await;
    let participant_id = world.participant().await;
    world.enqueue(participant_id, 5).await;
    let summary = world.engine("one").work_until_settled(LIMIT).await;
    assert_eq!((summary.sent, summary.settled), (1, true));
    let counts = world.counts(participant_id).await;
    assert_eq!((counts.acknowledged, counts.refused, counts.in_flight), (4, 1, 0));
    let sql = "SELECT reason FROM hocba.outbox_entry WHERE state = 'REFUSED'";
    assert_eq!(world.rows(participant_id, sql).await, ["sandbox-refusal"]);
    assert_eq!(world.ledger().len(), 4);
}

#[actix_web::test]
async fn a_batch_refused_whole_is_split_until_each_part_passes() {
    let mut world = World::without_sandbox().await;
    world.sandbox_settings.batch_records_max = 3;
    world.start_sandbox("");
    let participant_id = world.participant().await;
    let entries = world.enqueue(participant_id, 10).await;
    let summary = world.engine("one").work_until_settled(LIMIT).await;
    assert!(summary.settled, "{summary:?}");
    let sql = "SELECT state FROM hocba.outbox_batch ORDER BY state";
    let states = world.rows(participant_id, sql).await;
    assert_eq!(states.iter().filter(|state| *state == "SPLIT").count(), 3);
    assert_eq!(states.iter().filter(|state| *state == "SETTLED").count(), 4);
    assert_delivered_once(&world, participant_id, &entries).await;
}

#[actix_web::test]
async fn a_worker_lost_between_claim_and_sending_is_replaced_without_a_double() {
    let world = World::start("").await;
    let participant_id = world.participant().await;
    let entries = world.enqueue(participant_id, 5).await;
    let engine = world.engine("lost");
    let chance = Chance::seeded(1);
    // The first worker forms and claims, then dies before a byte is sent.
    form_only(&world, &engine).await;
    let claim = Claim { destination: &world.destination, worker: "lost", lease_ms: 50 };
    let policy = fast_policy();
    let lease =
        schedule::store::claim(&world.work, &claim, &policy, &chance).await.unwrap().unwrap();
    assert_eq!(lease.batch.state, BatchState::Sending);
    tokio::time::sleep(Duration::from_millis(80)).await;
    let summary = world.engine("next").work_until_settled(LIMIT).await;
    assert!(summary.expired == 1 && summary.asked >= 2 && summary.sent == 1, "{summary:?}");
    assert_delivered_once(&world, participant_id, &entries).await;
    let sql = "SELECT worker || ' ' || coalesce(seen, '') FROM hocba.attempt WHERE epoch = 2";
    assert_eq!(world.rows(participant_id, sql).await, ["lost lease-expired"]);
}

async fn form_only(world: &World, engine: &Deliverer) {
    let ask = Reserve {
        destination: &world.destination,
        worker: "lost",
        records_max: 10,
        linger_ms: 0,
        lease_ms: 10_000,
    };
    let forming = reserve(&world.work, &ask, fresh_id()).await.unwrap().unwrap();
    assert!(engine.form(&world.route(), forming).await.unwrap());
}

#[actix_web::test]
async fn a_builder_lost_while_forming_is_replaced_with_the_same_members() {
    let world = World::start("").await;
    let participant_id = world.participant().await;
    let entries = world.enqueue(participant_id, 5).await;
    let ask = Reserve {
        destination: &world.destination,
        worker: "lost",
        records_max: 10,
        linger_ms: 0,
        lease_ms: 30,
    };
    let lost = reserve(&world.work, &ask, fresh_id()).await.unwrap().unwrap();
    assert!(reserve(&world.work, &ask, fresh_id()).await.unwrap().is_none());
    tokio::time::sleep(Duration::from_millis(60)).await;
    let summary = world.engine("next").work_until_settled(LIMIT).await;
    assert!(summary.settled && summary.formed == 1, "{summary:?}");
    let sql = "SELECT message_id::text FROM hocba.outbox_batch";
    assert_eq!(world.rows(participant_id, sql).await, [lost.key.message_id.to_string()]);
    assert_delivered_once(&world, participant_id, &entries).await;
    // The lost builder comes back late: its freeze is refused.
    assert!(world.engine("lost").form(&world.route(), lost).await.unwrap());
    assert_delivered_once(&world, participant_id, &entries).await;
}

#[actix_web::test]
async fn a_stale_epoch_concludes_nothing() {
    let world = World::start("").await;
    let participant_id = world.participant().await;
    world.enqueue(participant_id, 3).await;
    let engine = world.engine("one");
    form_only(&world, &engine).await;
    let (policy, chance) = (fast_policy(), Chance::seeded(1));
    let claim = Claim { destination: &world.destination, worker: "slow", lease_ms: 20 };
    let slow =
        schedule::store::claim(&world.work, &claim, &policy, &chance).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(40)).await;
    let expired = expire(&world.work, &world.destination, 10, &policy, &chance).await.unwrap();
    assert_eq!(expired, 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let query =
        schedule::store::claim(&world.work, &claim, &policy, &chance).await.unwrap().unwrap();
    assert_eq!((query.kind, query.batch.epoch), (LeaseKind::Query, slow.batch.epoch + 1));
    let mut client = world.work.get().await.unwrap();
    let transaction = store::begin(&mut client, participant_id).await.unwrap();
    let late = Event::Answered(Outcome::RefusedBatch { proven: true, too_large: false });
    let concluded = conclude(
        &transaction,
        &slow.key,
        slow.batch.epoch,
        late,
        &Note::default(),
        &policy,
        &chance,
    )
    .await
    .unwrap();
    assert_eq!(concluded, Concluded::Stale);
    transaction.commit().await.unwrap();
    let batch = schedule::store::batch(&world.work, &slow.key).await.unwrap();
    assert_eq!((batch.state, batch.epoch), (BatchState::InDoubt, query.batch.epoch));
}

#[actix_web::test]
async fn a_forged_receipt_closes_nothing() {
    let mut world = World::without_sandbox().await;
    let impostor = world.other_signer();
    world.start_sandbox_as("", impostor);
    let participant_id = world.participant().await;
    let entries = world.enqueue(participant_id, 4).await;
    let summary = world.engine("one").work_until_settled(Duration::from_millis(600)).await;
    assert!(!summary.settled && summary.sent == 1 && summary.asked > 0, "{summary:?}");
    let counts = world.counts(participant_id).await;
    assert_eq!((counts.in_flight, counts.acknowledged), (4, 0));
    let verdicts =
        world.rows(participant_id, "SELECT DISTINCT verdict || reason FROM hocba.receipt").await;
    assert_eq!(verdicts, ["INVALIDsigner-not-pinned"]);
    // The true destination, with the same ledger, settles the doubt by what it answered before: nothing is resent.
    world.start_sandbox("");
    std::fs::remove_file(format!("{}.answers", world.sandbox_settings.ledger_file.display()))
        .unwrap();
    world.start_sandbox("");
    let summary = world.engine("two").work_until_settled(LIMIT).await;
    assert!(summary.settled, "{summary:?}");
    assert_delivered_once(&world, participant_id, &entries).await;
}

#[actix_web::test]
async fn a_destination_that_refuses_our_certificate_is_halted_and_nothing_is_lost() {
    let mut world = World::without_sandbox().await;
    world.sandbox_settings.client_certificate_files = vec![world.gateway.certificate_file.clone()];
    world.start_sandbox("");
    let participant_id = world.participant().await;
    let entries = world.enqueue(participant_id, 5).await;
    let summary = world.engine("one").work_until_idle().await;
    assert_eq!((summary.sent, summary.settled), (1, false), "{summary:?}");
    let states = store::destination_states(&world.watch).await.unwrap();
    let state = states.iter().find(|state| state.destination == world.destination).unwrap();
    assert!(state.halted && state.reason.as_deref() == Some("peer-refuses-us"), "{state:?}");
    world.sandbox_settings.client_certificate_files = vec![world.client.certificate_file.clone()];
    world.start_sandbox("");
    let mut client = world.work.get().await.unwrap();
    let transaction = client.transaction().await.unwrap();
    crate::outbox::destination::store::resume(&transaction, &world.destination, "person:test")
        .await
        .unwrap();
    transaction.commit().await.unwrap();
    assert!(world.engine("two").work_until_settled(LIMIT).await.settled);
    assert_delivered_once(&world, participant_id, &entries).await;
}

#[actix_web::test]
async fn a_destination_that_cannot_be_reached_opens_the_breaker() {
    let world = World::without_sandbox().await;
    let participant_id = world.participant().await;
    world.enqueue(participant_id, 30).await;
    let engine = world.engine("one");
    for _ in 0..20 {
        engine.work_until_idle().await;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let states = store::destination_states(&world.watch).await.unwrap();
    let state = states.iter().find(|state| state.destination == world.destination).unwrap();
    assert!(state.failures >= 3 && state.open_until.is_some(), "{state:?}");
    let attempts = world.rows(participant_id, "SELECT class FROM hocba.attempt").await;
    assert!(attempts.len() <= 5, "the breaker holds the others back: {attempts:?}");
    assert!(attempts.iter().all(|class| class == "NOT_SENT"));
    assert_eq!(world.counts(participant_id).await.in_flight, 30);
}

#[actix_web::test]
async fn workers_share_the_load_of_several_provinces_under_faults() {
    let faults = "seed = 3\n[[chance]]\nprobability = 0.2\nfault = { kind = \"drop_response\" }\n\
                  [[chance]]\nprobability = 0.2\nfault = { kind = \"drop_before\" }\n\
                  [[chance]]\non = \"any\"\nprobability = 0.1\nfault = { kind = \"status\", status = 503 }\n";
    let world = World::start(faults).await;
    let (first, second) = (world.participant().await, world.participant().await);
    let mut entries = world.enqueue(first, 60).await;
    entries.extend(world.enqueue(second, 60).await);
    let (one, two) = (world.engine("one"), world.engine("two"));
    let (one, two) = tokio::join!(one.work_until_settled(LIMIT), two.work_until_settled(LIMIT));
    assert!(one.settled && two.settled && one.sent > 0 && two.sent > 0, "{one:?} {two:?}");
    let ledger = world.ledger();
    assert_eq!((applied_twice(&ledger), applied_ids(&ledger)), (0, ids(&entries)));
    for participant_id in [first, second] {
        let counts = world.counts(participant_id).await;
        assert_eq!((counts.acknowledged, counts.submitted), (60, 60), "{counts:?}");
    }
    // Fair: the first six batches are three of each province.
    let sql = "SELECT participant_id::text FROM hocba.outbox_batch WHERE destination = '";
    let turns = world
        .rows(first, &format!("{sql}{}' ORDER BY created_at LIMIT 6", world.destination))
        .await;
    assert_eq!(turns.iter().filter(|turn| **turn == first.to_string()).count(), 3, "{turns:?}");
}

#[actix_web::test]
async fn the_database_refuses_what_must_not_happen() {
    let world =
        World::start("[[sequence]]\nfault = { kind = \"refuse_record\", position = 0 }\n").await;
    let participant_id = world.participant().await;
    world.enqueue(participant_id, 3).await;
    let ready = "UPDATE hocba.outbox_entry SET state = 'ACKED' WHERE state = 'READY'";
    let refusal = world.refusal(participant_id, ready).await;
    assert!(refusal.contains("without a verified receipt"), "{refusal}");
    world.engine("one").work_until_settled(LIMIT).await;
    let own = format!("participant_id = {participant_id}");
    for (sql, said) in [
        (format!("UPDATE hocba.outbox_entry SET state = 'READY' WHERE {own}"), "never leaves"),
        (format!("UPDATE hocba.outbox_batch SET state = 'RETRY_WAIT' WHERE {own}"), "never leaves"),
        (format!("UPDATE hocba.outbox_batch_body SET body = '' WHERE {own}"), "denied"),
        (format!("DELETE FROM hocba.attempt WHERE {own}"), "denied"),
        (format!("DELETE FROM hocba.outbox_batch_item WHERE {own}"), "never leave"),
        (format!("UPDATE hocba.receipt SET verdict = 'VERIFIED' WHERE {own}"), "never changed"),
        (format!("UPDATE hocba.attempt SET class = 'UNKNOWN' WHERE {own}"), "never changed"),
        (format!("UPDATE hocba.receipt_line SET verdict = 'accepted' WHERE {own}"), "denied"),
    ] {
        let refusal = world.refusal(participant_id, &sql).await;
        assert!(refusal.contains(said), "{sql}: {refusal}");
    }
    // A line without a verified receipt, and a second open batch for one record.
    let forged = format!(
        "INSERT INTO hocba.receipt_line SELECT participant_id, school_year, gen_random_uuid(), destination,
         message_id, gen_random_uuid(), digest, 'accepted', NULL FROM hocba.receipt_line WHERE {own} LIMIT 1"
    );
    let refusal = world.refusal(participant_id, &forged).await;
    assert!(refusal.contains("only a verified receipt"), "{refusal}");
    let twice = format!(
        "INSERT INTO hocba.outbox_batch_item SELECT participant_id, school_year, gen_random_uuid(), record_id,
         destination, position, version, digest, true FROM hocba.outbox_batch_item i, generate_series(1, 2)
         WHERE i.{own}"
    );
    let refusal = world.refusal(participant_id, &twice).await;
    assert!(refusal.contains("duplicate key"), "{refusal}");
}

#[actix_web::test]
async fn the_engine_stops_when_asked_and_goes_on_where_it_stood() {
    let world = World::start("").await;
    let participant_id = world.participant().await;
    let entries = world.enqueue(participant_id, 40).await;
    let (trigger, shutdown) = Shutdown::new();
    let engine = Arc::new(world.engine("one"));
    let running = tokio::spawn(Arc::clone(&engine).run(shutdown));
    tokio::time::sleep(Duration::from_millis(150)).await;
    trigger.request();
    tokio::time::timeout(Duration::from_secs(10), running).await.unwrap().unwrap();
    let sql = "SELECT state FROM hocba.outbox_batch WHERE state IN ('SENDING', 'FORMING')";
    assert!(world.rows(participant_id, sql).await.is_empty(), "what was begun is concluded");
    world.engine("two").work_until_settled(LIMIT).await;
    assert_delivered_once(&world, participant_id, &entries).await;
}

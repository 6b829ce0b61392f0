//! Shows several workers side by side, a destination that refuses, and what the database itself forbids.

use std::sync::Arc;
use std::time::Duration;

use super::settings::fast_policy;
use super::support::{LIMIT, World, applied_ids, ids};
use super::*;

#[actix_web::test]
async fn a_stale_epoch_concludes_nothing() {
    let world = World::start("").await;
    let participant_id = world.participant().await;
    world.enqueue(participant_id, 3).await;
    let engine = world.engine("one");
    form_only(&world, &engine).await;
    let (policy, chance) = (fast_policy(), Chance::seeded(1));
    let ask = Claim { destination: &world.destination, worker: "slow", lease_ms: 20 };
    let slow = claim(&world.work, &ask, &policy, &chance).await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(40)).await;
    let expired = expire(&world.work, &world.destination, 10, &policy, &chance).await.unwrap();
    assert_eq!(expired, 1);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let query = claim(&world.work, &ask, &policy, &chance).await.unwrap().unwrap();
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
        .rows_as(
            Role::Work,
            first,
            &format!("{sql}{}' ORDER BY created_at LIMIT 6", world.destination),
        )
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

//! Walks the state machine: each arrow of reliability S3 and S4, then what no path may do.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;

use super::state::*;
use super::step;
use super::step::backoff_ms;

fn policy() -> Policy {
    Policy {
        backoff_base_ms: 2_000,
        backoff_cap_ms: 900_000,
        retry_after_cap_ms: 3_600_000,
        park_after_attempts: 5,
        park_after_ms: 259_200_000,
        visibility_ms: 60_000,
        not_found_spacing_ms: 60_000,
        receipt_wait_ms: 600_000,
        receipt_poll_ms: 30_000,
        breaker_failures: 5,
        breaker_open_ms: 30_000,
    }
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + seconds).unwrap()
}

fn batch(state: BatchState) -> Batch {
    let waits = matches!(
        state,
        BatchState::InDoubt | BatchState::AwaitingReceipt | BatchState::SettledPartial
    );
    Batch {
        state,
        epoch: 3,
        lease_until: None,
        not_before: time(0),
        attempts: 1,
        queries: 0,
        size: 10,
        doubt: state == BatchState::InDoubt,
        possible_duplicate: false,
        waiting_since: waits.then(|| time(0)),
        not_found: 0,
        not_found_at: None,
        created_at: time(0),
        reason: None,
    }
}

fn after(batch: &Batch, event: Event, seconds: i64) -> (Batch, Vec<Command>) {
    step(&policy(), batch, event, time(seconds), &mut StdRng::seed_from_u64(1))
}

fn state_after(batch: &Batch, event: Event, seconds: i64) -> BatchState {
    after(batch, event, seconds).0.state
}

const REFUSED: Outcome = Outcome::RefusedBatch { proven: true, too_large: false };
const UNPROVEN: Outcome = Outcome::RefusedBatch { proven: false, too_large: false };
const TOO_LARGE: Outcome = Outcome::RefusedBatch { proven: false, too_large: true };
const LOAD: Outcome = Outcome::RefusedLoad { retry_after_ms: 20_000 };

#[test]
fn each_answer_to_an_attempt_leads_where_table_s4_says() {
    use BatchState as S;
    let sending = batch(S::Sending);
    for (outcome, state) in [
        (Outcome::NotSent, S::RetryWait),
        (Outcome::Unknown, S::InDoubt),
        (LOAD, S::RetryWait),
        (Outcome::PeerHalt, S::RetryWait),
        (REFUSED, S::Split),
        (TOO_LARGE, S::Split),
        (UNPROVEN, S::InDoubt),
        (Outcome::AlreadyKnown, S::InDoubt),
        (Outcome::Settled, S::Settled),
        (Outcome::PartlySettled, S::SettledPartial),
        (Outcome::TransportOk, S::AwaitingReceipt),
        (Outcome::Conflict, S::Parked),
    ] {
        assert_eq!(state_after(&sending, Event::Answered(outcome), 10), state, "{outcome:?}");
    }
    assert_eq!(state_after(&sending, Event::LeaseExpired, 200), S::InDoubt);
    let one = Batch { size: 1, ..sending };
    assert_eq!(state_after(&one, Event::Answered(REFUSED), 10), S::Settled);
    assert_eq!(state_after(&one, Event::Answered(UNPROVEN), 10), S::Parked);
    let doubted = Batch { doubt: true, ..batch(S::Sending) };
    assert_eq!(state_after(&doubted, Event::Answered(REFUSED), 10), S::InDoubt);
}

#[test]
fn each_answer_to_a_query_leads_where_table_s3_says() {
    use BatchState as S;
    let doubt = batch(S::InDoubt);
    for (outcome, state) in [
        (QueryOutcome::Settled, S::Settled),
        (QueryOutcome::PartlySettled, S::SettledPartial),
        (QueryOutcome::Pending, S::AwaitingReceipt),
        (QueryOutcome::NotFound, S::InDoubt),
        (QueryOutcome::Unsupported, S::RetryWait),
        (QueryOutcome::Refused, S::RetryWait),
        (QueryOutcome::Unknown, S::InDoubt),
        (QueryOutcome::PeerHalt, S::InDoubt),
        (QueryOutcome::Conflict, S::Parked),
    ] {
        assert_eq!(state_after(&doubt, Event::Queried(outcome), 100), state, "{outcome:?}");
    }
    let awaiting = batch(S::AwaitingReceipt);
    let pending = Event::Queried(QueryOutcome::Pending);
    assert_eq!(state_after(&awaiting, pending, 100), S::AwaitingReceipt);
    assert_eq!(state_after(&awaiting, pending, 601), S::InDoubt);
    let partial = batch(S::SettledPartial);
    let still = Event::Queried(QueryOutcome::PartlySettled);
    assert_eq!(state_after(&partial, still, 100), S::SettledPartial);
    let (parked, commands) = after(&partial, still, 601);
    assert_eq!((parked.state, parked.reason), (S::Parked, Some(Reason::LeftOut)));
    assert!(commands.contains(&Command::ParkMembers));
}

#[test]
fn a_message_must_be_unknown_twice_and_long_enough_before_it_is_sent_again() {
    let not_found = Event::Queried(QueryOutcome::NotFound);
    let doubt = batch(BatchState::InDoubt);
    let (early, _) = after(&doubt, not_found, 59);
    assert_eq!((early.state, early.not_found), (BatchState::InDoubt, 0), "not yet visible");
    let (once, _) = after(&early, not_found, 60);
    assert_eq!((once.state, once.not_found, once.not_before), (BatchState::InDoubt, 1, time(120)));
    let (soon, _) = after(&once, not_found, 119);
    assert_eq!(soon.state, BatchState::InDoubt, "too soon after the first");
    let (twice, _) = after(&soon, not_found, 121);
    assert_eq!(twice.state, BatchState::RetryWait);
    assert!(twice.possible_duplicate && !twice.doubt);
}

#[test]
fn retry_after_is_honoured_within_its_cap() {
    let sending = batch(BatchState::Sending);
    let (waiting, _) = after(&sending, Event::Answered(LOAD), 0);
    assert!(waiting.not_before >= time(20));
    let endless = Outcome::RefusedLoad { retry_after_ms: u64::MAX };
    let (waiting, _) = after(&sending, Event::Answered(endless), 0);
    assert_eq!(waiting.not_before, time(3_600));
}

#[test]
fn a_parked_batch_is_released_by_persons_or_settled_by_late_evidence() {
    let parked = batch(BatchState::Parked);
    let (released, commands) = after(&parked, Event::Released, 10);
    assert_eq!((released.state, released.attempts), (BatchState::RetryWait, 0));
    assert_eq!(commands, [Command::ReopenMembers]);
    let (settled, commands) = after(&parked, Event::Evidence { complete: true }, 10);
    assert_eq!(settled.state, BatchState::Settled);
    assert_eq!(commands, [Command::ApplyEvidence]);
}

#[test]
fn an_attempt_that_was_not_sent_does_not_count_but_its_age_does() {
    let sending = batch(BatchState::Sending);
    let (waiting, _) = after(&sending, Event::Answered(Outcome::NotSent), 10);
    assert_eq!((waiting.state, waiting.attempts), (BatchState::RetryWait, 0));
    let (old, _) = after(&sending, Event::Answered(Outcome::NotSent), 259_200);
    assert_eq!((old.state, old.reason), (BatchState::Parked, Some(Reason::Exhausted)));
}

#[test]
fn names_in_the_database_lead_back_to_their_states() {
    for state in BatchState::ALL {
        assert_eq!(BatchState::parse(state.name()), Some(state));
    }
    assert_eq!(Reason::parse(Reason::LeftOut.code()), Some(Reason::LeftOut));
    assert_eq!(BatchState::parse("NONE"), None);
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::AlreadyKnown),
        Just(Outcome::Conflict),
        Just(Outcome::NotSent),
        Just(Outcome::PartlySettled),
        Just(Outcome::PeerHalt),
        (any::<bool>(), any::<bool>())
            .prop_map(|(proven, too_large)| Outcome::RefusedBatch { proven, too_large }),
        any::<u64>().prop_map(|retry_after_ms| Outcome::RefusedLoad { retry_after_ms }),
        Just(Outcome::Settled),
        Just(Outcome::TransportOk),
        Just(Outcome::Unknown),
    ]
}

fn query_outcomes() -> impl Strategy<Value = QueryOutcome> {
    prop_oneof![
        Just(QueryOutcome::Conflict),
        Just(QueryOutcome::NotFound),
        Just(QueryOutcome::PartlySettled),
        Just(QueryOutcome::PeerHalt),
        Just(QueryOutcome::Pending),
        Just(QueryOutcome::Refused),
        any::<u64>().prop_map(|retry_after_ms| QueryOutcome::RefusedLoad { retry_after_ms }),
        Just(QueryOutcome::Settled),
        Just(QueryOutcome::Unknown),
        Just(QueryOutcome::Unsupported),
    ]
}

fn events() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => outcomes().prop_map(Event::Answered),
        4 => query_outcomes().prop_map(Event::Queried),
        6 => Just(Event::Leased { until: time(1_000_000) }),
        1 => Just(Event::LeaseExpired),
        1 => any::<bool>().prop_map(|complete| Event::Evidence { complete }),
        1 => Just(Event::Frozen),
    ]
}

proptest! {
    #[test]
    fn no_path_leaves_an_end_splits_a_doubt_or_tries_for_ever(
        size in 1_u32..4,
        seed in any::<u64>(),
        path in proptest::collection::vec((events(), 0_i64..5_000), 1..60),
    ) {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut now = time(0);
        let mut current = Batch { size, attempts: 0, ..batch(BatchState::Forming) };
        let mut unresolved = false;
        for (event, seconds) in path {
            now += SignedDuration::from_secs(seconds);
            let (next, commands) = step(&policy(), &current, event, now, &mut rng);
            if current.state.is_end() {
                prop_assert_eq!(&next, &current);
                prop_assert!(commands.is_empty());
            }
            prop_assert!(next.attempts <= policy().park_after_attempts);
            prop_assert!(next.epoch >= current.epoch);
            if current.state == BatchState::Sending {
                unresolved |= matches!(event, Event::Answered(Outcome::Unknown) | Event::LeaseExpired);
            }
            if current.state == BatchState::InDoubt && next.state != BatchState::InDoubt && !next.doubt {
                unresolved = false;
            }
            if next.state == BatchState::Split && current.state != BatchState::Split {
                prop_assert!(!unresolved && !current.doubt && size > 1);
                prop_assert_eq!(current.state, BatchState::Sending);
                prop_assert!(commands.contains(&Command::SplitInTwo));
            }
            if next.state == BatchState::Settled && current.state != BatchState::Settled {
                prop_assert!(commands.contains(&Command::ApplyEvidence));
            }
            if next.state == BatchState::Parked && current.state != BatchState::Parked {
                prop_assert!(commands.contains(&Command::ParkMembers));
                prop_assert!(next.reason.is_some());
            }
            if next.state == BatchState::Sending && current.state != BatchState::Sending {
                prop_assert!(next.epoch == current.epoch + 1 && next.lease_until.is_some());
            }
            current = next;
        }
    }

    #[test]
    fn back_off_is_bounded_by_its_cap_and_its_doubling(k in 0_u32..200, seed in any::<u64>()) {
        let mut rng = StdRng::seed_from_u64(seed);
        let pause = backoff_ms(&policy(), k, &mut rng);
        prop_assert!(pause <= 900_000);
        prop_assert!(k > 8 || pause <= 2_000 << k);
    }

    #[test]
    fn equal_input_and_chance_give_equal_steps(event in events(), seed in any::<u64>(), seconds in 0_i64..100_000) {
        for state in BatchState::ALL {
            let run = || step(&policy(), &batch(state), event, time(seconds), &mut StdRng::seed_from_u64(seed));
            prop_assert_eq!(run(), run());
        }
    }
}

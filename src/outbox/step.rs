//! Decides what becomes of a batch: a pure function of state, event, time and chance.

use jiff::{SignedDuration, Timestamp};
use rand::{Rng, RngCore};

use super::state::{Batch, BatchState, Command, Event, Outcome, Policy, QueryOutcome, Reason};

/// Return the batch after `event` and what must be done with it (reliability S3, S4).
///
/// An event that means nothing in the present state changes nothing. Two steps with equal input,
/// chance included, give equal output: production, simulation and tests run this same code.
pub fn step(
    policy: &Policy,
    batch: &Batch,
    event: Event,
    now: Timestamp,
    rng: &mut dyn RngCore,
) -> (Batch, Vec<Command>) {
    let mut next = Step { policy, batch: batch.clone(), commands: Vec::new(), now, rng };
    match (batch.state, event) {
        (BatchState::Settled | BatchState::Split, _) => {}
        (BatchState::Forming, Event::Frozen) => next.enter(BatchState::Formed, None),
        (BatchState::Forming, Event::Leased { until }) => next.lease(until),
        (BatchState::Formed | BatchState::RetryWait, Event::Leased { until }) => {
            next.lease(until);
            next.batch.state = BatchState::Sending;
            next.batch.attempts += 1;
        }
        (
            BatchState::InDoubt | BatchState::AwaitingReceipt | BatchState::SettledPartial,
            Event::Leased { until },
        ) => {
            next.lease(until);
            next.batch.queries += 1;
        }
        (BatchState::Sending, Event::LeaseExpired) => next.doubt(Reason::WorkerLost),
        (BatchState::Sending, Event::Answered(outcome)) => next.answered(outcome),
        (
            BatchState::InDoubt | BatchState::AwaitingReceipt | BatchState::SettledPartial,
            Event::Queried(outcome),
        ) => next.queried(outcome),
        (BatchState::Forming | BatchState::Formed, Event::Evidence { .. }) => {}
        (_, Event::Evidence { complete }) => next.evidence(complete),
        (BatchState::Parked, Event::Released) => {
            next.enter(BatchState::RetryWait, None);
            // The limits start anew, or the next failure would park it at once.
            next.batch.attempts = 0;
            next.batch.created_at = now;
            next.commands.push(Command::ReopenMembers);
        }
        _ => {}
    }
    (next.batch, next.commands)
}

/// Draw the pause before attempt `k + 1`: full jitter, `random(0, min(cap, base·2^k))`.
pub fn backoff_ms(policy: &Policy, k: u32, rng: &mut dyn RngCore) -> u64 {
    let doubled =
        policy.backoff_base_ms.saturating_mul(1_u64 << k.min(32)).min(policy.backoff_cap_ms);
    rng.random_range(0..=doubled)
}

struct Step<'a> {
    policy: &'a Policy,
    batch: Batch,
    commands: Vec<Command>,
    now: Timestamp,
    rng: &'a mut dyn RngCore,
}

// A peer that cannot be reached is tried again within 0 to base·2^3; the breaker sets the pace of all batches.
const NOT_SENT_EXPONENT: u32 = 3;

impl Step<'_> {
    fn lease(&mut self, until: Timestamp) {
        self.batch.epoch += 1;
        self.batch.lease_until = Some(until);
    }

    fn enter(&mut self, state: BatchState, reason: Option<Reason>) {
        self.batch.state = state;
        self.batch.reason = reason;
        self.batch.lease_until = None;
        self.batch.not_before = self.now;
        if !matches!(
            state,
            BatchState::InDoubt | BatchState::AwaitingReceipt | BatchState::SettledPartial
        ) {
            self.batch.waiting_since = None;
        }
    }

    fn wait_ms(&mut self, ms: u64) {
        self.batch.not_before = after(self.now, ms);
    }

    fn age_ms(&self, since: Timestamp) -> u64 {
        u64::try_from(self.now.duration_since(since).as_millis()).unwrap_or(0)
    }

    fn is_old(&self) -> bool {
        self.age_ms(self.batch.created_at) >= self.policy.park_after_ms
    }

    fn park(&mut self, reason: Reason) {
        self.enter(BatchState::Parked, Some(reason));
        self.commands.push(Command::ParkMembers);
        self.commands.push(Command::Alarm(reason));
    }

    // Same bytes, same message id, later; parked once the limits are reached.
    fn retry(&mut self, reason: Reason, at_least_ms: u64) {
        if self.batch.attempts >= self.policy.park_after_attempts || self.is_old() {
            return self.park(Reason::Exhausted);
        }
        let backoff = backoff_ms(self.policy, self.batch.attempts.saturating_sub(1), self.rng);
        self.enter(BatchState::RetryWait, Some(reason));
        self.wait_ms(backoff.max(at_least_ms.min(self.policy.retry_after_cap_ms)));
    }

    fn doubt(&mut self, reason: Reason) {
        self.enter(BatchState::InDoubt, Some(reason));
        self.batch.doubt = true;
        self.begin_wait();
    }

    fn begin_wait(&mut self) {
        self.batch.waiting_since = Some(self.now);
        self.batch.queries = 0;
        self.batch.not_found = 0;
        self.batch.not_found_at = None;
    }

    fn evidence(&mut self, complete: bool) {
        let was_partial = self.batch.state == BatchState::SettledPartial;
        self.commands.push(Command::ApplyEvidence);
        if complete {
            self.enter(BatchState::Settled, None);
            self.batch.doubt = false;
            return;
        }
        self.enter(BatchState::SettledPartial, Some(Reason::LeftOut));
        if !was_partial {
            self.begin_wait();
        }
        self.wait_ms(self.policy.receipt_poll_ms);
    }

    fn answered(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::AlreadyKnown => self.doubt(Reason::AlreadyKnown),
            Outcome::Conflict => self.park(Reason::Contradiction),
            Outcome::NotSent => self.not_sent(),
            Outcome::PartlySettled => self.evidence(false),
            Outcome::PeerHalt => {
                let backoff = backoff_ms(self.policy, NOT_SENT_EXPONENT, self.rng);
                self.enter(BatchState::RetryWait, Some(Reason::PeerRefusesUs));
                self.wait_ms(backoff);
                self.batch.attempts = self.batch.attempts.saturating_sub(1);
                self.halt();
            }
            Outcome::RefusedBatch { proven, too_large } => self.refused(proven, too_large),
            Outcome::RefusedLoad { retry_after_ms } => self.retry(Reason::Load, retry_after_ms),
            Outcome::Settled => self.evidence(true),
            Outcome::TransportOk => {
                self.enter(BatchState::AwaitingReceipt, None);
                self.begin_wait();
                self.wait_ms(self.policy.receipt_poll_ms);
            }
            Outcome::Unknown => self.doubt(Reason::Unknown),
        }
    }

    fn not_sent(&mut self) {
        // Nothing reached the wire: it does not count as an attempt, only the age limits it.
        self.batch.attempts = self.batch.attempts.saturating_sub(1);
        if self.is_old() {
            return self.park(Reason::Exhausted);
        }
        let backoff = backoff_ms(self.policy, NOT_SENT_EXPONENT, self.rng);
        self.enter(BatchState::RetryWait, Some(Reason::NotSent));
        self.wait_ms(backoff);
    }

    fn halt(&mut self) {
        self.commands.push(Command::HaltDestination(Reason::PeerRefusesUs));
        self.commands.push(Command::Alarm(Reason::PeerRefusesUs));
    }

    fn refused(&mut self, proven: bool, too_large: bool) {
        if self.batch.doubt {
            // An earlier attempt may have been applied: halves under new ids could double it.
            return self.doubt(Reason::Refused);
        }
        if self.batch.size > 1 {
            if !(proven || too_large) {
                return self.doubt(Reason::UnprovenRefusal);
            }
            self.enter(BatchState::Split, Some(Reason::Refused));
            self.commands.push(Command::SplitInTwo);
        } else if proven {
            self.enter(BatchState::Settled, Some(Reason::Refused));
            self.commands.push(Command::ApplyEvidence);
        } else {
            self.park(Reason::UnprovenRefusal);
        }
    }

    fn queried(&mut self, outcome: QueryOutcome) {
        self.batch.lease_until = None;
        match outcome {
            QueryOutcome::Conflict => self.park(Reason::Contradiction),
            QueryOutcome::PartlySettled => self.evidence(false),
            QueryOutcome::Settled => return self.evidence(true),
            QueryOutcome::PeerHalt => {
                self.ask_again(0);
                self.halt();
            }
            QueryOutcome::RefusedLoad { retry_after_ms } => self.ask_again(retry_after_ms),
            QueryOutcome::Unknown => self.ask_again(0),
            QueryOutcome::Pending => self.pending(),
            QueryOutcome::NotFound => self.not_found(),
            QueryOutcome::Refused if self.batch.state == BatchState::InDoubt => {
                // The refusal is proven for this message id, so nothing was applied; the next attempt is
                // refused again, without doubt, and may then be split.
                self.batch.doubt = false;
                self.retry(Reason::Refused, 0);
            }
            QueryOutcome::Refused if self.batch.state == BatchState::AwaitingReceipt => {
                self.doubt(Reason::Refused);
            }
            QueryOutcome::Unsupported if self.batch.state == BatchState::InDoubt => {
                self.batch.possible_duplicate = true;
                self.batch.doubt = true;
                self.retry(Reason::Unknown, 0);
            }
            QueryOutcome::Refused | QueryOutcome::Unsupported => self.ask_again(0),
        }
        self.limit_waiting();
    }

    fn ask_again(&mut self, at_least_ms: u64) {
        let backoff = backoff_ms(self.policy, self.batch.queries.saturating_sub(1), self.rng);
        self.wait_ms(backoff.max(at_least_ms.min(self.policy.retry_after_cap_ms)));
    }

    fn pending(&mut self) {
        if self.batch.state == BatchState::InDoubt {
            self.enter(BatchState::AwaitingReceipt, None);
            self.begin_wait();
        }
        self.wait_ms(self.policy.receipt_poll_ms);
    }

    fn not_found(&mut self) {
        if self.batch.state == BatchState::SettledPartial {
            return self.ask_again(0);
        }
        if self.batch.state == BatchState::AwaitingReceipt {
            self.doubt(Reason::Unknown);
        }
        let waited = self.batch.waiting_since.unwrap_or(self.now);
        if self.age_ms(waited) < self.policy.visibility_ms {
            self.batch.not_before = after(waited, self.policy.visibility_ms);
            return;
        }
        let Some(first) = self.batch.not_found_at else {
            self.batch.not_found = 1;
            self.batch.not_found_at = Some(self.now);
            return self.wait_ms(self.policy.not_found_spacing_ms);
        };
        if self.age_ms(first) < self.policy.not_found_spacing_ms {
            self.batch.not_before = after(first, self.policy.not_found_spacing_ms);
            return;
        }
        self.batch.not_found += 1;
        self.batch.doubt = false;
        self.batch.possible_duplicate = true;
        self.retry(Reason::Unknown, 0);
    }

    // A wait that outlives its limit ends: the receipt is asked for as a doubt, the doubt by persons.
    fn limit_waiting(&mut self) {
        let waited = self.batch.waiting_since.map_or(0, |at| self.age_ms(at));
        match self.batch.state {
            BatchState::AwaitingReceipt if self.is_old() => self.park(Reason::Undecidable),
            BatchState::AwaitingReceipt if waited >= self.policy.receipt_wait_ms => {
                self.doubt(Reason::Unknown);
            }
            BatchState::InDoubt if self.is_old() => self.park(Reason::Undecidable),
            BatchState::SettledPartial if waited >= self.policy.receipt_wait_ms => {
                self.park(Reason::LeftOut);
            }
            _ => {}
        }
    }
}

fn after(time: Timestamp, ms: u64) -> Timestamp {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    time.checked_add(SignedDuration::from_millis(ms)).unwrap_or(Timestamp::MAX)
}

//! Makes one exchange under a lease and concludes it: receipt first, then verdict and states in one transaction.

use std::sync::{Arc, PoisonError};

use uuid::Uuid;

use super::{DeliverError, Deliverer, Route, policy};
use crate::outbox::forming::{self, KIND_RECEIPT, sha256};
use crate::outbox::members::{Closing, Member};
use crate::outbox::schedule::store::{self as schedule, Concluded};
use crate::outbox::schedule::{Lease, LeaseKind, Note, new_message_id};
use crate::outbox::{Command, Event, members, store};
use crate::receipts::store as receipts;
use crate::receipts::{Comparison, Expected, Judgement, StoredVerdict, compare};
use crate::submit::{Envelope, Exchange, Proof, Wire, classify, classify_query};
use crate::vault::Context;

// Receipts of one batch looked at again after a crash.
const UNJUDGED_MAX: u32 = 20;

// A stored answer with what it is worth.
struct Kept {
    receipt_id: Uuid,
    judgement: Judgement,
}

impl Deliverer {
    /// Send the frozen bytes once and conclude.
    pub(super) async fn send(&self, route: &Route, lease: &Lease) -> Result<(), DeliverError> {
        let (body, members) = match self.frozen_bytes(route, lease).await {
            Ok(found) => found,
            Err(error) => {
                // Nothing was sent: the batch waits, and a person sees the alarm.
                self.figures.alarm(route.destination.name(), "bytes-unavailable");
                let members = self.members(lease).await?;
                self.conclude(route, lease, &members, Wire::HeldBack, None, 0.0).await?;
                return Err(error);
            }
        };
        let envelope = Envelope {
            message_id: lease.key.message_id,
            body,
            body_sha256: lease.body_sha256.clone(),
            possible_duplicate: lease.batch.possible_duplicate,
        };
        let begun = self.parts.clock.monotonic();
        let exchange = route.destination.submit(envelope).await;
        let seconds = (self.parts.clock.monotonic() - begun).as_secs_f64();
        let kept = self.keep(route, lease, &members, &exchange).await?;
        self.conclude(route, lease, &members, exchange.wire, kept, seconds).await
    }

    /// Ask what became of a batch and conclude; evidence that a lost worker left behind comes first.
    pub(super) async fn ask(&self, route: &Route, lease: &Lease) -> Result<(), DeliverError> {
        let members = self.members(lease).await?;
        let stored = Wire::Answer { status: 200, retry_after_ms: None };
        let left = receipts::unjudged(&self.parts.work, &lease.key, UNJUDGED_MAX).await?;
        for receipt in left {
            let opened = self.parts.vault.open_body(
                &receipt_context(lease, receipt.receipt_id),
                receipt.body.codec,
                receipt.body.key_id,
                &receipt.body.body,
                route.destination.settings().answer_bytes_max,
            )?;
            let kept = Kept {
                receipt_id: receipt.receipt_id,
                judgement: self.judge(route, lease, &members, &opened),
            };
            if kept.judgement.proof() == Proof::Complete {
                return self.conclude(route, lease, &members, stored, Some(kept), 0.0).await;
            }
            self.write_verdict(lease, &kept).await?;
        }
        let begun = self.parts.clock.monotonic();
        let exchange = route.destination.status(lease.key.message_id).await;
        let seconds = (self.parts.clock.monotonic() - begun).as_secs_f64();
        let kept = self.keep(route, lease, &members, &exchange).await?;
        self.conclude(route, lease, &members, exchange.wire, kept, seconds).await
    }

    async fn members(&self, lease: &Lease) -> Result<Vec<Member>, DeliverError> {
        let mut client = self.parts.work.get().await?;
        let transaction = store::begin(&mut client, lease.key.participant_id).await?;
        Ok(members::store::members(&transaction, &lease.key, lease.school_year).await?)
    }

    // Bytes just frozen here, or else joined again from the database and held against their digest.
    async fn frozen_bytes(
        &self,
        route: &Route,
        lease: &Lease,
    ) -> Result<(Vec<u8>, Vec<Member>), DeliverError> {
        let prepared = {
            let mut all = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
            all.remove(&lease.key)
        };
        if let Some(prepared) = prepared
            && sha256(&prepared.bytes) == *lease.body_sha256
        {
            return Ok((prepared.bytes, prepared.members));
        }
        let members = self.members(lease).await?;
        let work = &self.parts.work;
        let (participant_id, year) = (lease.key.participant_id, lease.school_year);
        let bodies = forming::store::bodies(work, participant_id, year, &members).await?;
        let frame = forming::store::frame(work, &lease.key)
            .await?
            .ok_or(forming::FormingError::NotTheFrozenBytes)?;
        let vault = Arc::clone(&self.parts.vault);
        let (key, digest) = (lease.key, lease.body_sha256.clone());
        let record_bytes_max = route.destination.settings().record_bytes_max;
        let _permit = self.builders.acquire().await;
        let (whole, members) = tokio::task::spawn_blocking(move || {
            let source = forming::Parts {
                key,
                school_year: year,
                members: &members,
                bodies: &bodies,
                frame: &frame,
            };
            let whole = forming::rebuild(&vault, &source, &digest, record_bytes_max);
            (whole, members)
        })
        .await?;
        Ok((whole?, members))
    }

    // The raw answer is committed before anything is concluded from it.
    async fn keep(
        &self,
        route: &Route,
        lease: &Lease,
        members: &[Member],
        exchange: &Exchange,
    ) -> Result<Option<Kept>, DeliverError> {
        let Some(kind) = kind_of(lease.kind, exchange) else {
            return Ok(None);
        };
        let now = self.parts.clock.now();
        let receipt_id = new_message_id(now);
        let context = receipt_context(lease, receipt_id);
        let raw = receipts::RawReceipt {
            receipt_id,
            key: lease.key,
            destination: route.destination.name(),
            kind,
            received_at: now,
            body_sha256: sha256(&exchange.body),
            body: self.parts.vault.seal(&context, &exchange.body)?,
        };
        receipts::store_raw(&self.parts.work, &raw).await?;
        Ok(Some(Kept { receipt_id, judgement: self.judge(route, lease, members, &exchange.body) }))
    }

    fn judge(&self, route: &Route, lease: &Lease, members: &[Member], body: &[u8]) -> Judgement {
        let expected = Expected {
            message_id: lease.key.message_id,
            body_sha256: &lease.body_sha256,
            members,
            now: self.parts.clock.now(),
        };
        route.evidence.judge(body, &expected)
    }

    async fn write_verdict(&self, lease: &Lease, kept: &Kept) -> Result<(), DeliverError> {
        let (verdict, reason) = kept.judgement.stored_verdict();
        let mut client = self.parts.work.get().await?;
        let participant_id = lease.key.participant_id;
        let transaction = store::begin(&mut client, participant_id).await?;
        receipts::judge(&transaction, participant_id, kept.receipt_id, verdict, reason).await?;
        transaction.commit().await?;
        Ok(())
    }

    // One transaction: verdict, lines, members, attempt, state and audit leaf, or none of them.
    async fn conclude(
        &self,
        route: &Route,
        lease: &Lease,
        members: &[Member],
        wire: Wire,
        kept: Option<Kept>,
        seconds: f64,
    ) -> Result<(), DeliverError> {
        let destination = route.destination.name();
        let mut client = self.parts.work.get().await?;
        let transaction = store::begin(&mut client, lease.key.participant_id).await?;
        schedule::lock_batch(&transaction, &lease.key).await?;
        let (proof, seen, closed) = match &kept {
            None => (Proof::Nothing, wire.code(), Vec::new()),
            Some(kept) => apply(&transaction, destination, lease, members, kept).await?,
        };
        let event = match lease.kind {
            LeaseKind::Send => Event::Answered(classify(wire, proof)),
            LeaseKind::Query => Event::Queried(classify_query(wire, proof)),
        };
        let note = Note {
            http_status: wire.status(),
            seen,
            connect_failed: wire == Wire::Unreachable,
            failures: lease.failures,
        };
        let concluded = schedule::conclude(
            &transaction,
            &lease.key,
            lease.batch.epoch,
            event,
            &note,
            policy(route),
            &self.parts.chance,
        )
        .await?;
        transaction.commit().await?;
        self.figures.attempted(destination, lease.kind.name(), event.class(), seconds);
        let acknowledged = closed.iter().filter(|closing| closing.acknowledged).count() as u64;
        self.figures.closed(destination, acknowledged, closed.len() as u64 - acknowledged);
        self.tell(destination, lease, kept.as_ref(), &concluded);
        Ok(())
    }

    fn tell(&self, destination: &str, lease: &Lease, kept: Option<&Kept>, concluded: &Concluded) {
        let message = lease.key.message_id;
        if let Some(kept) = kept {
            let (verdict, reason) = kept.judgement.stored_verdict();
            self.figures.receipt(destination, verdict.name());
            if verdict != StoredVerdict::Verified {
                let verdict = verdict.name();
                tracing::warn!(destination, %message, verdict, reason, "a receipt does not count");
            }
        }
        let Concluded::Done { batch, commands } = concluded else {
            tracing::warn!(destination, %message, epoch = lease.batch.epoch, "a late outcome was dropped");
            return;
        };
        let state = batch.state.name();
        tracing::debug!(destination, %message, state, "a batch was concluded");
        for command in commands {
            if let Command::Alarm(reason) = command {
                self.figures.alarm(destination, reason.code());
                tracing::error!(destination, %message, state, reason = reason.code(), "a person is needed");
            }
        }
    }
}

// Write the verdict and what follows from it; the first evidence stays in force.
async fn apply(
    transaction: &tokio_postgres::Transaction<'_>,
    destination: &str,
    lease: &Lease,
    members: &[Member],
    kept: &Kept,
) -> Result<(Proof, &'static str, Vec<Closing>), DeliverError> {
    let (key, year) = (&lease.key, lease.school_year);
    let (verdict, reason) = kept.judgement.stored_verdict();
    let Judgement::Lines { lines, .. } = &kept.judgement else {
        let id = kept.receipt_id;
        receipts::judge(transaction, key.participant_id, id, verdict, reason).await?;
        return Ok((kept.judgement.proof(), reason.unwrap_or("evidence"), Vec::new()));
    };
    let records: Vec<Uuid> = members.iter().map(|member| member.record_id).collect();
    let in_force = receipts::lines(transaction, key, year, destination, &records).await?;
    let (verdict, fresh) = match compare(lines, &in_force) {
        Comparison::Contradicts => (StoredVerdict::Contradicts, None),
        Comparison::Duplicate => (StoredVerdict::Duplicate, Some(Vec::new())),
        Comparison::New(fresh) => (StoredVerdict::Verified, Some(fresh)),
    };
    let (id, participant_id) = (kept.receipt_id, key.participant_id);
    receipts::judge(transaction, participant_id, id, verdict, None).await?;
    let Some(fresh) = fresh else {
        return Ok((Proof::Conflict, "contradicts", Vec::new()));
    };
    receipts::insert_lines(transaction, key, year, destination, id, &fresh).await?;
    let closings: Vec<Closing> = fresh.iter().map(crate::receipts::Line::closing).collect();
    members::store::close(transaction, key, year, destination, &closings).await?;
    let complete = in_force.len() + fresh.len() == members.len();
    let proof = if complete { Proof::Complete } else { Proof::Partial };
    Ok((proof, verdict.name(), closings))
}

// Answers to refused load and of proxies in between prove nothing and may be endless; they are not kept.
fn kind_of(kind: LeaseKind, exchange: &Exchange) -> Option<&'static str> {
    let status = exchange.wire.status().filter(|_| !exchange.body.is_empty())?;
    match (kind, status) {
        (_, 429 | 500..) => None,
        (LeaseKind::Send, 400..) => Some("refusal"),
        (LeaseKind::Send, _) => Some("receipt"),
        (LeaseKind::Query, _) => Some("status"),
    }
}

fn receipt_context(lease: &Lease, receipt_id: Uuid) -> Context {
    Context {
        participant_id: lease.key.participant_id,
        school_year: lease.school_year,
        id: receipt_id,
        version: 1,
        kind: KIND_RECEIPT,
    }
}

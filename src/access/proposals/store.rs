//! Reads and writes proposals.

use deadpool_postgres::Object;
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use super::{Proposal, State};
use crate::access::{AccessError, Action};
use crate::platform::database::DatabaseError;

/// Count the proposals that wait for a second person.
pub(super) async fn count_open(
    transaction: &Transaction<'_>,
    now: Timestamp,
) -> Result<i64, AccessError> {
    let row = transaction
        .query_one(
            "SELECT count(*) FROM hocba.proposal WHERE state = 'OPEN' AND expires_at > $1",
            &[&now],
        )
        .await?;
    Ok(row.get(0))
}

/// Insert an open proposal.
pub(super) async fn insert(
    transaction: &Transaction<'_>,
    proposal: &Proposal,
) -> Result<(), AccessError> {
    let params = serde_json::to_value(&proposal.action)
        .ok()
        .and_then(|mut whole| whole.get_mut("params").map(Value::take))
        .unwrap_or(Value::Null);
    transaction
        .execute(
            "INSERT INTO hocba.proposal
                 (proposal_id, action, params, proposed_by, proposed_at, expires_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                &proposal.proposal_id,
                &proposal.action.name(),
                &params,
                &proposal.proposed_by,
                &proposal.proposed_at,
                &proposal.expires_at,
            ],
        )
        .await?;
    Ok(())
}

/// Read one proposal and hold it until the transaction ends.
pub(super) async fn lock(
    transaction: &Transaction<'_>,
    id: Uuid,
) -> Result<Option<Proposal>, AccessError> {
    let row = transaction
        .query_opt(
            "SELECT proposal_id, action, params, proposed_by, proposed_at, expires_at, state,
                    decided_by, decided_at
             FROM hocba.proposal WHERE proposal_id = $1 FOR UPDATE",
            &[&id],
        )
        .await?;
    row.as_ref().map(from_row).transpose()
}

/// Write state and decision of a proposal that was locked.
pub(super) async fn decide(
    transaction: &Transaction<'_>,
    proposal: &Proposal,
) -> Result<(), AccessError> {
    transaction
        .execute(
            "UPDATE hocba.proposal SET state = $2, decided_by = $3, decided_at = $4
             WHERE proposal_id = $1 AND state = 'OPEN'",
            &[
                &proposal.proposal_id,
                &proposal.state.name(),
                &proposal.decided_by,
                &proposal.decided_at,
            ],
        )
        .await?;
    Ok(())
}

/// Count those of `persons` who are operators in office, and hold them until the transaction ends.
pub(super) async fn operators_among(
    transaction: &Transaction<'_>,
    persons: &[Uuid],
    now: Timestamp,
) -> Result<usize, AccessError> {
    let rows = transaction
        .query(
            "SELECT person_id FROM hocba.person
             WHERE person_id = ANY($1) AND role = 'operator' AND ended_at IS NULL
               AND not_after > $2 ORDER BY person_id FOR UPDATE",
            &[&persons, &now],
        )
        .await?;
    Ok(rows.len())
}

/// List proposals, the newest first; one whose time ran out shows as expired.
pub(super) async fn list(
    client: &Object,
    state: Option<State>,
    limit: i64,
    now: Timestamp,
) -> Result<Vec<Proposal>, AccessError> {
    let rows = client
        .query(
            "SELECT * FROM (
                 SELECT proposal_id, action, params, proposed_by, proposed_at, expires_at,
                        CASE WHEN state = 'OPEN' AND expires_at <= $3 THEN 'EXPIRED' ELSE state END
                            AS state,
                        decided_by, decided_at
                 FROM hocba.proposal) shown
             WHERE $1::text IS NULL OR state = $1
             ORDER BY proposed_at DESC, proposal_id DESC LIMIT $2",
            &[&state.map(State::name), &limit, &now],
        )
        .await?;
    rows.iter().map(from_row).collect()
}

fn from_row(row: &Row) -> Result<Proposal, AccessError> {
    let unknown = |what: &str| DatabaseError::Settings(format!("a proposal has an unknown {what}"));
    let whole = json!({"action": row.get::<_, &str>(1), "params": row.get::<_, Value>(2)});
    let action: Action = serde_json::from_value(whole).map_err(|_| unknown("action"))?;
    Ok(Proposal {
        proposal_id: row.get(0),
        action,
        proposed_by: row.get(3),
        proposed_at: row.get(4),
        expires_at: row.get(5),
        state: State::from_name(row.get(6)).ok_or_else(|| unknown("state"))?,
        decided_by: row.get(7),
        decided_at: row.get(8),
    })
}

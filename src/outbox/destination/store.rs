//! Keeps the halt and the breaker of each destination, shared by all workers.

use serde_json::json;
use tokio_postgres::Transaction;

use crate::audit::{self, Leaf};
use crate::outbox::state::{Policy, Reason};
use crate::platform::database::DatabaseError;

/// Return the failures counted, or `None` when nothing may be sent: halted, or the breaker is open.
pub async fn gate(
    transaction: &Transaction<'_>,
    destination: &str,
) -> Result<Option<i32>, DatabaseError> {
    let row = transaction
        .query_opt(
            "SELECT halted OR coalesce(open_until > clock_timestamp(), false), failures
             FROM hocba.destination_state WHERE destination = $1",
            &[&destination],
        )
        .await?;
    Ok(match row {
        None => Some(0),
        Some(row) if row.get(0) => None,
        Some(row) => Some(row.get(1)),
    })
}

/// Tell whether one more may pass: a breaker that was open lets a single batch try, then waits again.
pub async fn pass(
    transaction: &Transaction<'_>,
    destination: &str,
    failures: i32,
    policy: &Policy,
) -> Result<bool, DatabaseError> {
    if failures < limit(policy) {
        return Ok(true);
    }
    let passed = transaction
        .execute(
            "UPDATE hocba.destination_state SET open_until = clock_timestamp() + $2 * interval '1 ms'
             WHERE destination = $1 AND (open_until IS NULL OR open_until < clock_timestamp())",
            &[&destination, &(policy.breaker_open_ms as f64)],
        )
        .await?;
    Ok(passed == 1)
}

/// Count a failure to connect; at the limit the breaker opens.
pub async fn count_failure(
    transaction: &Transaction<'_>,
    destination: &str,
    policy: &Policy,
) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "INSERT INTO hocba.destination_state AS d (destination, failures) VALUES ($1, 1)
             ON CONFLICT (destination) DO UPDATE SET failures = d.failures + 1, changed_at = clock_timestamp(),
                 open_until = CASE WHEN d.failures + 1 >= $2
                     THEN clock_timestamp() + $3 * interval '1 ms' ELSE d.open_until END",
            &[&destination, &limit(policy), &(policy.breaker_open_ms as f64)],
        )
        .await?;
    Ok(())
}

/// Close the breaker: the peer was reached.
pub async fn reached(
    transaction: &Transaction<'_>,
    destination: &str,
) -> Result<(), DatabaseError> {
    transaction
        .execute(
            "UPDATE hocba.destination_state SET failures = 0, open_until = NULL, changed_at = clock_timestamp()
             WHERE destination = $1 AND failures > 0",
            &[&destination],
        )
        .await?;
    Ok(())
}

/// Stop all sending until persons let it go on.
pub async fn halt(
    transaction: &Transaction<'_>,
    destination: &str,
    reason: Reason,
) -> Result<(), DatabaseError> {
    set_halted(transaction, destination, Some(reason), "process:work").await
}

/// Let a halted destination go on; `actor` is who decided (`person:<uuid>`), after a second person agreed.
pub async fn resume(
    transaction: &Transaction<'_>,
    destination: &str,
    actor: &str,
) -> Result<(), DatabaseError> {
    set_halted(transaction, destination, None, actor).await
}

async fn set_halted(
    transaction: &Transaction<'_>,
    destination: &str,
    reason: Option<Reason>,
    actor: &str,
) -> Result<(), DatabaseError> {
    let row = transaction
        .query_one(
            "INSERT INTO hocba.destination_state AS d (destination, halted, reason) VALUES ($1, $2, $3)
             ON CONFLICT (destination) DO UPDATE SET halted = $2, reason = $3, changed_at = clock_timestamp()
             RETURNING clock_timestamp()",
            &[&destination, &reason.is_some(), &reason.map(Reason::code)],
        )
        .await?;
    let leaf = Leaf {
        at: row.get(0),
        actor: actor.to_owned(),
        action: if reason.is_some() { "halt_destination" } else { "resume_destination" },
        object: format!("destination:{destination}"),
        details: json!({ "reason": reason.map(Reason::code) }),
    };
    audit::append(transaction, &leaf).await?;
    Ok(())
}

fn limit(policy: &Policy) -> i32 {
    i32::try_from(policy.breaker_failures).unwrap_or(i32::MAX)
}

//! Reads and writes participants, client certificates and persons.

use deadpool_postgres::Object;
use jiff::Timestamp;
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use super::certificate::{CertificateFacts, Fingerprint};
use super::{AccessError, Client, Known, ParticipantKind, Person, Reason, Role};
use crate::platform::database::DatabaseError;

/// Find the participant that may use the certificate, revoked and ended ones left out.
pub(super) async fn client(
    client: &Object,
    fingerprint: &[u8; 32],
) -> Result<Option<Known<Client>>, AccessError> {
    let statement = client
        .prepare_cached(
            "SELECT participant_id, p.kind, p.code, c.not_before, c.not_after
             FROM hocba.client_certificate c JOIN hocba.participant p USING (participant_id)
             WHERE c.fingerprint = $1 AND c.revoked_at IS NULL AND p.ended_at IS NULL",
        )
        .await?;
    let row = client.query_opt(&statement, &[&fingerprint.as_slice()]).await?;
    Ok(row.and_then(|row| {
        Some(Known {
            who: Client {
                participant_id: row.get(0),
                kind: ParticipantKind::from_name(row.get(1))?,
                code: row.get(2),
            },
            not_before: row.get(3),
            not_after: row.get(4),
        })
    }))
}

/// Find the person of a personal certificate, ended ones and officers of ended agencies left out.
pub(super) async fn person(
    client: &Object,
    fingerprint: &[u8; 32],
) -> Result<Option<Known<Person>>, AccessError> {
    let statement = client
        .prepare_cached(
            "SELECT r.person_id, r.role, r.participant_id, r.registered_at, r.not_after
             FROM hocba.person r LEFT JOIN hocba.participant p USING (participant_id)
             WHERE r.fingerprint = $1 AND r.ended_at IS NULL AND p.ended_at IS NULL",
        )
        .await?;
    let row = client.query_opt(&statement, &[&fingerprint.as_slice()]).await?;
    Ok(row.as_ref().and_then(known_person))
}

/// Find an officer of an agency by id.
pub(super) async fn officer_of(
    client: &Object,
    participant_id: i32,
    person_id: Uuid,
) -> Result<Option<Known<Person>>, AccessError> {
    let statement = client
        .prepare_cached(
            "SELECT r.person_id, r.role, r.participant_id, r.registered_at, r.not_after
             FROM hocba.person r JOIN hocba.participant p USING (participant_id)
             WHERE r.person_id = $1 AND r.participant_id = $2 AND r.role = 'officer'
               AND r.ended_at IS NULL AND p.ended_at IS NULL",
        )
        .await?;
    let row = client.query_opt(&statement, &[&person_id, &participant_id]).await?;
    Ok(row.as_ref().and_then(known_person))
}

fn known_person(row: &Row) -> Option<Known<Person>> {
    Some(Known {
        who: Person {
            person_id: row.get(0),
            role: Role::from_name(row.get(1))?,
            participant_id: row.get(2),
        },
        // The certificate's own beginning is checked in the handshake.
        not_before: row.get(3),
        not_after: row.get(4),
    })
}

/// Insert a participant; returns its new id.
pub(super) async fn insert_participant(
    transaction: &Transaction<'_>,
    kind: ParticipantKind,
    code: &str,
    now: Timestamp,
) -> Result<i32, AccessError> {
    let row = transaction
        .query_one(
            "INSERT INTO hocba.participant (kind, code, registered_at)
             VALUES ($1, $2, $3) RETURNING participant_id",
            &[&kind.name(), &code, &now],
        )
        .await
        .map_err(taken)?;
    Ok(row.get(0))
}

/// Return the kind of a participant that has not ended, and hold it until the transaction ends.
pub(super) async fn participant_kind(
    transaction: &Transaction<'_>,
    participant_id: i32,
) -> Result<Option<ParticipantKind>, AccessError> {
    let row = transaction
        .query_opt(
            "SELECT kind FROM hocba.participant
             WHERE participant_id = $1 AND ended_at IS NULL FOR SHARE",
            &[&participant_id],
        )
        .await?;
    Ok(row.and_then(|row| ParticipantKind::from_name(row.get(0))))
}

/// Insert a client certificate; one that was ever registered, revoked or not, cannot come again.
pub(super) async fn insert_certificate(
    transaction: &Transaction<'_>,
    participant_id: i32,
    certificate: &CertificateFacts,
    now: Timestamp,
) -> Result<(), AccessError> {
    transaction
        .execute(
            "INSERT INTO hocba.client_certificate
                 (fingerprint, participant_id, spki_sha256, not_before, not_after, registered_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                &certificate.fingerprint.0.as_slice(),
                &participant_id,
                &certificate.spki_sha256.0.as_slice(),
                &certificate.not_before,
                &certificate.not_after,
                &now,
            ],
        )
        .await
        .map_err(taken)?;
    Ok(())
}

/// Revoke a client certificate; false if there is none that could be.
pub(super) async fn revoke_certificate(
    transaction: &Transaction<'_>,
    fingerprint: Fingerprint,
    now: Timestamp,
) -> Result<bool, AccessError> {
    let changed = transaction
        .execute(
            "UPDATE hocba.client_certificate SET revoked_at = $2
             WHERE fingerprint = $1 AND revoked_at IS NULL",
            &[&fingerprint.0.as_slice(), &now],
        )
        .await?;
    Ok(changed == 1)
}

/// Insert a person; a certificate that ever belonged to a person cannot come again.
pub(super) async fn insert_person(
    transaction: &Transaction<'_>,
    person_id: Uuid,
    role: Role,
    participant_id: Option<i32>,
    certificate: &CertificateFacts,
    now: Timestamp,
) -> Result<(), AccessError> {
    transaction
        .execute(
            "INSERT INTO hocba.person
                 (person_id, role, participant_id, fingerprint, not_after, registered_at)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[
                &person_id,
                &role.name(),
                &participant_id,
                &certificate.fingerprint.0.as_slice(),
                &certificate.not_after,
                &now,
            ],
        )
        .await
        .map_err(taken)?;
    Ok(())
}

/// Lock the operators in office, so that no two transactions end the last of them; returns their ids.
pub(super) async fn lock_operators(
    transaction: &Transaction<'_>,
    now: Timestamp,
) -> Result<Vec<Uuid>, AccessError> {
    let rows = transaction
        .query(
            "SELECT person_id FROM hocba.person
             WHERE role = 'operator' AND ended_at IS NULL AND not_after > $1
             ORDER BY person_id FOR UPDATE",
            &[&now],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// End a person; returns the role that ended, `None` if there is nobody in office.
pub(super) async fn end_person(
    transaction: &Transaction<'_>,
    person_id: Uuid,
    now: Timestamp,
) -> Result<Option<Role>, AccessError> {
    let row = transaction
        .query_opt(
            "UPDATE hocba.person SET ended_at = $2
             WHERE person_id = $1 AND ended_at IS NULL RETURNING role",
            &[&person_id, &now],
        )
        .await?;
    Ok(row.and_then(|row| Role::from_name(row.get(0))))
}

fn taken(error: tokio_postgres::Error) -> AccessError {
    let error = DatabaseError::from(error);
    if error.is_unique_violation() {
        AccessError::Impossible(Reason::AlreadyRegistered)
    } else {
        AccessError::Database(error)
    }
}

/// List the ids of provinces that have not ended.
pub(super) async fn provinces(client: &Object) -> Result<Vec<i32>, AccessError> {
    let rows = client
        .query(
            "SELECT participant_id FROM hocba.participant WHERE kind = 'province' AND ended_at IS NULL
             ORDER BY participant_id",
            &[],
        )
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

//! Names the changes of the registry and applies one with its audit leaf in one transaction.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio_postgres::Transaction;
use uuid::{NoContext, Uuid};

use super::certificate::{CertificateFacts, Fingerprint};
use super::{AccessError, ParticipantKind, Reason, Role, store};
use crate::audit::{self, Leaf};

/// A change that two persons must agree on; holds digests and ids, no personal data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(tag = "action", content = "params", rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Let a new province or agency in.
    RegisterParticipant {
        /// Province or agency.
        kind: ParticipantKind,
        /// Its code today.
        code: String,
    },
    /// Let a participant use a certificate.
    RegisterClientCertificate {
        /// Whose it is.
        participant_id: i32,
        /// What is kept of it.
        certificate: CertificateFacts,
    },
    /// Keep a certificate out for good.
    RevokeClientCertificate {
        /// Which.
        fingerprint: Fingerprint,
    },
    /// Let a person in.
    RegisterPerson {
        /// What the person may do.
        role: Role,
        /// The agency of an officer.
        participant_id: Option<i32>,
        /// What is kept of the personal certificate.
        certificate: CertificateFacts,
    },
    /// End a person's role for good.
    EndPerson {
        /// Who.
        person_id: Uuid,
    },
}

impl Action {
    /// Return the word used in the database, in audit leaves and in the API.
    pub fn name(&self) -> &'static str {
        match self {
            Self::RegisterParticipant { .. } => "register_participant",
            Self::RegisterClientCertificate { .. } => "register_client_certificate",
            Self::RevokeClientCertificate { .. } => "revoke_client_certificate",
            Self::RegisterPerson { .. } => "register_person",
            Self::EndPerson { .. } => "end_person",
        }
    }
}

/// What an action made or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(untagged)]
pub enum Effect {
    /// A participant.
    Participant {
        /// Its id.
        participant_id: i32,
    },
    /// A client certificate.
    Certificate {
        /// Its fingerprint.
        fingerprint: Fingerprint,
    },
    /// A person.
    Person {
        /// The id.
        person_id: Uuid,
    },
}

impl Effect {
    fn object(&self) -> String {
        match self {
            Self::Participant { participant_id } => format!("participant:{participant_id}"),
            Self::Certificate { fingerprint } => format!("certificate:{fingerprint}"),
            Self::Person { person_id } => format!("person:{person_id}"),
        }
    }
}

/// Apply `action` and append its leaf; nothing is kept unless the caller commits.
///
/// `proposal_id` names the proposal that two persons agreed on, if it was one.
pub(super) async fn apply(
    transaction: &Transaction<'_>,
    actor: &str,
    action: &Action,
    proposal_id: Option<Uuid>,
    now: Timestamp,
) -> Result<Effect, AccessError> {
    let effect = change(transaction, action, now).await?;
    let mut details = serde_json::to_value(action).unwrap_or_default();
    details["action"] = json!(action.name());
    if let Some(proposal_id) = proposal_id {
        details["proposal_id"] = json!(proposal_id);
    }
    let leaf = Leaf {
        at: now,
        actor: actor.to_owned(),
        action: action.name(),
        object: effect.object(),
        details,
    };
    audit::append(transaction, &leaf).await?;
    Ok(effect)
}

async fn change(
    transaction: &Transaction<'_>,
    action: &Action,
    now: Timestamp,
) -> Result<Effect, AccessError> {
    match action {
        Action::RegisterParticipant { kind, code } => {
            check_code(code)?;
            let participant_id = store::insert_participant(transaction, *kind, code, now).await?;
            Ok(Effect::Participant { participant_id })
        }
        Action::RegisterClientCertificate { participant_id, certificate } => {
            check_validity(certificate, now)?;
            require_participant(transaction, *participant_id, None).await?;
            store::insert_certificate(transaction, *participant_id, certificate, now).await?;
            let fingerprint = certificate.fingerprint;
            Ok(Effect::Certificate { fingerprint })
        }
        Action::RevokeClientCertificate { fingerprint } => {
            if !store::revoke_certificate(transaction, *fingerprint, now).await? {
                return Err(AccessError::Impossible(Reason::NoSuchCertificate));
            }
            let fingerprint = *fingerprint;
            Ok(Effect::Certificate { fingerprint })
        }
        Action::RegisterPerson { role, participant_id, certificate } => {
            check_validity(certificate, now)?;
            match (role, participant_id) {
                (Role::Officer, Some(agency)) => {
                    let kind = Some(ParticipantKind::Agency);
                    require_participant(transaction, *agency, kind).await?;
                }
                (Role::Operator | Role::Auditor, None) => {}
                _ => return Err(AccessError::Impossible(Reason::OfficerNeedsAgency)),
            }
            let person_id = new_id(now);
            let agency = *participant_id;
            store::insert_person(transaction, person_id, *role, agency, certificate, now).await?;
            Ok(Effect::Person { person_id })
        }
        Action::EndPerson { person_id } => {
            let person_id = *person_id;
            let others = store::lock_operators(transaction, now)
                .await?
                .into_iter()
                .filter(|operator| *operator != person_id)
                .count();
            let role = store::end_person(transaction, person_id, now)
                .await?
                .ok_or(AccessError::Impossible(Reason::NoSuchPerson))?;
            if role == Role::Operator && others < 2 {
                return Err(AccessError::Impossible(Reason::OperatorsTooFew));
            }
            Ok(Effect::Person { person_id })
        }
    }
}

async fn require_participant(
    transaction: &Transaction<'_>,
    participant_id: i32,
    kind: Option<ParticipantKind>,
) -> Result<(), AccessError> {
    let found = store::participant_kind(transaction, participant_id).await?;
    match found {
        Some(found) if kind.is_none_or(|kind| kind == found) => Ok(()),
        _ => Err(AccessError::Impossible(Reason::NoSuchParticipant)),
    }
}

fn check_validity(certificate: &CertificateFacts, now: Timestamp) -> Result<(), AccessError> {
    if certificate.not_after <= now {
        return Err(AccessError::Impossible(Reason::CertificateExpired));
    }
    Ok(())
}

fn check_code(code: &str) -> Result<(), AccessError> {
    let permitted = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    if (1..=35).contains(&code.len()) && code.bytes().all(permitted) {
        return Ok(());
    }
    Err(AccessError::Impossible(Reason::CodeMalformed))
}

/// Make an id that sorts by time (UUID v7) from the clock that was handed in.
pub(super) fn new_id(now: Timestamp) -> Uuid {
    let seconds = u64::try_from(now.as_second()).unwrap_or(0);
    let nanoseconds = u32::try_from(now.subsec_nanosecond()).unwrap_or(0);
    Uuid::new_v7(uuid::Timestamp::from_unix(NoContext, seconds, nanoseconds))
}

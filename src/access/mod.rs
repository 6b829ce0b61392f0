//! Knows participants, persons, their certificates and what two persons must agree on.

mod action;
mod cache;
mod certificate;
pub mod http;
pub mod proposals;
mod store;
#[cfg(test)]
mod tests;

use std::time::Duration;

use deadpool_postgres::Pool;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::platform::clock::SharedClock;
use crate::platform::database::DatabaseError;

pub use action::{Action, Effect};
use cache::Cache;
pub use certificate::{CertificateFacts, Fingerprint};

/// Settings of the section `[access]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Time after which a change of the registry is seen at the latest, in milliseconds.
    pub cache_ms: u64,
    /// Certificates remembered at once.
    pub cache_entries_max: usize,
    /// Time a proposal waits for its second person, in seconds.
    pub proposal_expires_s: u32,
    /// Proposals open at once.
    pub open_proposals_max: u32,
}

/// What a participant does here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ParticipantKind {
    /// Sends transcripts.
    Province,
    /// Asks about pupils.
    Agency,
}

impl ParticipantKind {
    /// Return the word kept in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Province => "province",
            Self::Agency => "agency",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Province, Self::Agency].into_iter().find(|kind| kind.name() == name)
    }
}

/// A participant, known by the certificate of its connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// Never changes and is never used again, unlike the province code.
    pub participant_id: i32,
    /// Province or agency.
    pub kind: ParticipantKind,
    /// Its code when it was registered.
    pub code: String,
}

impl Client {
    /// Return the actor string of audit leaves.
    pub fn actor(&self) -> String {
        format!("participant:{}", self.participant_id)
    }
}

/// What a person may do; each has one role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Asks about pupils for an agency.
    Officer,
    /// Runs the gateway and decides proposals.
    Operator,
    /// Reads the audit log.
    Auditor,
}

impl Role {
    /// Return the word kept in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Officer => "officer",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Officer, Self::Operator, Self::Auditor].into_iter().find(|role| role.name() == name)
    }
}

/// A person, known by a personal certificate; the name stands in the certificate only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Id the gateway gave.
    pub person_id: Uuid,
    /// What the person may do.
    pub role: Role,
    /// The agency of an officer.
    pub participant_id: Option<i32>,
}

impl Person {
    /// Return the actor string of audit leaves.
    pub fn actor(&self) -> String {
        format!("person:{}", self.person_id)
    }
}

/// Why an action cannot be done as asked; the key of its text is `access.reason.<name>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Not one X.509 certificate.
    CertificateMalformed,
    /// Its validity is over.
    CertificateExpired,
    /// It belongs to an authority.
    CertificateIsCa,
    /// Participant, certificate or person is there already.
    AlreadyRegistered,
    /// No such participant, or it has ended.
    NoSuchParticipant,
    /// No such certificate, or it is revoked.
    NoSuchCertificate,
    /// No such person, or the person has ended.
    NoSuchPerson,
    /// An officer without an agency, or another person with one.
    OfficerNeedsAgency,
    /// Fewer than two operators would remain.
    OperatorsTooFew,
    /// The code is not of the permitted form.
    CodeMalformed,
}

impl Reason {
    /// Return the last part of the key of its text.
    pub fn name(self) -> &'static str {
        match self {
            Self::CertificateMalformed => "certificate-malformed",
            Self::CertificateExpired => "certificate-expired",
            Self::CertificateIsCa => "certificate-is-ca",
            Self::AlreadyRegistered => "already-registered",
            Self::NoSuchParticipant => "no-such-participant",
            Self::NoSuchCertificate => "no-such-certificate",
            Self::NoSuchPerson => "no-such-person",
            Self::OfficerNeedsAgency => "officer-needs-agency",
            Self::OperatorsTooFew => "operators-too-few",
            Self::CodeMalformed => "code-malformed",
        }
    }
}

/// Say why a question or a change was not answered.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The database could not be used; access is denied meanwhile.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The action cannot be done as asked.
    #[error("the action is not possible: {}", .0.name())]
    Impossible(Reason),
    /// Only operators may.
    #[error("only an operator may do this")]
    NotOperator,
    /// There is no such proposal.
    #[error("there is no such proposal")]
    NoSuchProposal,
    /// Whoever proposed may not decide.
    #[error("whoever proposed may not decide")]
    SecondPersonRequired,
    /// The proposal was decided, or it expired.
    #[error("the proposal is {}", .0.name())]
    NotOpen(proposals::State),
    /// Too many proposals are open.
    #[error("there are already {limit} open proposals")]
    TooManyProposals {
        /// The limit.
        limit: u32,
    },
}

impl From<tokio_postgres::Error> for AccessError {
    fn from(error: tokio_postgres::Error) -> Self {
        Self::Database(error.into())
    }
}

impl From<deadpool_postgres::PoolError> for AccessError {
    fn from(error: deadpool_postgres::PoolError) -> Self {
        Self::Database(error.into())
    }
}

/// A registered certificate and until when it is good.
#[derive(Debug, Clone)]
struct Known<T> {
    who: T,
    not_before: Timestamp,
    not_after: Timestamp,
}

impl<T> Known<T> {
    fn valid_at(self, now: Timestamp) -> Option<T> {
        (self.not_before <= now && now < self.not_after).then_some(self.who)
    }
}

/// The registry of who may do what; register it as `web::Data<Access>`.
pub struct Access {
    pool: Pool,
    clock: SharedClock,
    settings: Settings,
    clients: Cache<Option<Known<Client>>>,
    persons: Cache<Option<Known<Person>>>,
}

impl Access {
    /// Use `pool`, a pool of the role `hocba_query`.
    pub fn new(pool: Pool, clock: SharedClock, settings: &Settings) -> Self {
        let keep = Duration::from_millis(settings.cache_ms);
        Self {
            pool,
            clock,
            settings: settings.clone(),
            clients: Cache::new(keep, settings.cache_entries_max),
            persons: Cache::new(keep, settings.cache_entries_max),
        }
    }

    /// Find the participant of a client certificate; `None` if it is unknown, expired, revoked or ended.
    ///
    /// Another process's change is seen after `cache_ms` at the latest, one of this process at once.
    pub async fn client(&self, fingerprint: &[u8; 32]) -> Result<Option<Client>, AccessError> {
        let now = self.clock.monotonic();
        let known = match self.clients.find(fingerprint, now) {
            Some(known) => known,
            None => {
                let client = self.pool.get().await?;
                let known = store::client(&client, fingerprint).await?;
                self.clients.keep(*fingerprint, known.clone(), now);
                known
            }
        };
        Ok(known.and_then(|known| known.valid_at(self.clock.now())))
    }

    /// Find the person of a personal certificate; `None` if it is unknown, expired or ended.
    pub async fn person(&self, fingerprint: &[u8; 32]) -> Result<Option<Person>, AccessError> {
        let now = self.clock.monotonic();
        let known = match self.persons.find(fingerprint, now) {
            Some(known) => known,
            None => {
                let client = self.pool.get().await?;
                let known = store::person(&client, fingerprint).await?;
                self.persons.keep(*fingerprint, known.clone(), now);
                known
            }
        };
        Ok(known.and_then(|known| known.valid_at(self.clock.now())))
    }

    /// List the provinces that take part.
    pub async fn provinces(&self) -> Result<Vec<i32>, AccessError> {
        let client = self.pool.get().await?;
        store::provinces(&client).await
    }

    /// Find the officer `person_id` of the agency `participant_id`; `None` if there is none in office.
    pub async fn officer_of(
        &self,
        participant_id: i32,
        person_id: Uuid,
    ) -> Result<Option<Person>, AccessError> {
        let client = self.pool.get().await?;
        let known = store::officer_of(&client, participant_id, person_id).await?;
        Ok(known.and_then(|known| known.valid_at(self.clock.now())))
    }

    /// Do `action` at once, with its audit leaf, without a second person.
    ///
    /// Only for setting up (`hocba demo`, `hocba migrate --bootstrap`), where there are no persons yet;
    /// everything later goes through [`Access::propose`]. `actor` is such as `process:migrate`.
    pub async fn execute(&self, actor: &str, action: &Action) -> Result<Effect, AccessError> {
        let now = self.clock.now();
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        let effect = action::apply(&transaction, actor, action, None, now).await?;
        transaction.commit().await?;
        self.forget();
        Ok(effect)
    }

    /// Register a participant at once (see [`Access::execute`]); returns its id.
    pub async fn register_participant(
        &self,
        actor: &str,
        kind: ParticipantKind,
        code: &str,
    ) -> Result<i32, AccessError> {
        let code = code.to_owned();
        let action = Action::RegisterParticipant { kind, code };
        match self.execute(actor, &action).await? {
            Effect::Participant { participant_id } => Ok(participant_id),
            _ => Err(AccessError::Impossible(Reason::NoSuchParticipant)),
        }
    }

    /// Register the client certificate (PEM or DER) of a participant at once; returns its fingerprint.
    pub async fn register_client_certificate(
        &self,
        actor: &str,
        participant_id: i32,
        certificate: &[u8],
    ) -> Result<Fingerprint, AccessError> {
        let certificate = CertificateFacts::read(certificate)?;
        let fingerprint = certificate.fingerprint;
        let action = Action::RegisterClientCertificate { participant_id, certificate };
        self.execute(actor, &action).await?;
        Ok(fingerprint)
    }

    /// Revoke a client certificate at once.
    pub async fn revoke_client_certificate(
        &self,
        actor: &str,
        fingerprint: Fingerprint,
    ) -> Result<(), AccessError> {
        let action = Action::RevokeClientCertificate { fingerprint };
        self.execute(actor, &action).await.map(|_| ())
    }

    /// Register a person with a personal certificate (PEM or DER) at once; returns the id.
    pub async fn register_person(
        &self,
        actor: &str,
        role: Role,
        participant_id: Option<i32>,
        certificate: &[u8],
    ) -> Result<Uuid, AccessError> {
        let action = Action::RegisterPerson {
            role,
            participant_id,
            certificate: CertificateFacts::read(certificate)?,
        };
        match self.execute(actor, &action).await? {
            Effect::Person { person_id } => Ok(person_id),
            _ => Err(AccessError::Impossible(Reason::NoSuchPerson)),
        }
    }

    /// End a person's role at once.
    pub async fn end_person(&self, actor: &str, person_id: Uuid) -> Result<(), AccessError> {
        let action = Action::EndPerson { person_id };
        self.execute(actor, &action).await.map(|_| ())
    }

    /// Forget what is remembered, after a change of this process.
    fn forget(&self) {
        self.clients.clear();
        self.persons.clear();
    }
}

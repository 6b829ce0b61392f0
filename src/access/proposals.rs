//! Lets one operator propose a change and a second one decide, within a time (promise P45).

mod store;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{Access, AccessError, Action, Effect, Person, Reason, Role, action};
use crate::audit::{self, Leaf};

/// Where a proposal stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Waits for the second person.
    Open,
    /// A second person agreed, and it was done.
    Approved,
    /// A second person did not agree.
    Refused,
    /// Nobody decided in time.
    Expired,
}

impl State {
    /// Return the word kept in the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Open => "OPEN",
            Self::Approved => "APPROVED",
            Self::Refused => "REFUSED",
            Self::Expired => "EXPIRED",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Open, Self::Approved, Self::Refused, Self::Expired]
            .into_iter()
            .find(|state| state.name() == name)
    }
}

/// A change that waits for, or was decided by, a second person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Proposal {
    /// Its id.
    pub proposal_id: Uuid,
    /// What is to be done: `action` and `params`.
    #[serde(flatten)]
    pub action: Action,
    /// Who proposed it.
    pub proposed_by: Uuid,
    /// When.
    #[schema(value_type = String, format = DateTime)]
    pub proposed_at: Timestamp,
    /// When it is void.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Where it stands.
    pub state: State,
    /// Who decided.
    pub decided_by: Option<Uuid>,
    /// When.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub decided_at: Option<Timestamp>,
}

/// An approved proposal and what it made or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Approved {
    /// The proposal.
    pub proposal: Proposal,
    /// What was made or changed.
    pub effect: Effect,
}

impl Access {
    /// Propose `action` for another operator to decide.
    pub async fn propose(&self, person: &Person, action: Action) -> Result<Proposal, AccessError> {
        require_operator(person)?;
        let now = self.clock.now();
        let limit = self.settings.open_proposals_max;
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        if store::count_open(&transaction, now).await? >= i64::from(limit) {
            return Err(AccessError::TooManyProposals { limit });
        }
        let wait = SignedDuration::from_secs(i64::from(self.settings.proposal_expires_s.max(1)));
        let proposal = Proposal {
            proposal_id: action::new_id(now),
            action,
            proposed_by: person.person_id,
            proposed_at: now,
            expires_at: now.checked_add(wait).unwrap_or(Timestamp::MAX),
            state: State::Open,
            decided_by: None,
            decided_at: None,
        };
        store::insert(&transaction, &proposal).await?;
        let leaf = leaf(&proposal, &person.actor(), "propose", now);
        audit::append(&transaction, &leaf).await?;
        transaction.commit().await?;
        Ok(proposal)
    }

    /// List proposals, the newest first, those in `state` only if it is given.
    pub async fn proposals(
        &self,
        person: &Person,
        state: Option<State>,
    ) -> Result<Vec<Proposal>, AccessError> {
        require_operator(person)?;
        let client = self.pool.get().await?;
        let limit = i64::from(self.settings.open_proposals_max);
        store::list(&client, state, limit, self.clock.now()).await
    }

    /// Agree as the second person: the action, the proposal's state and both leaves are kept together.
    pub async fn approve(&self, person: &Person, id: Uuid) -> Result<Approved, AccessError> {
        let now = self.clock.now();
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        let mut proposal = match decidable(&transaction, person, id, now).await? {
            Decidable::Yes(proposal) => *proposal,
            Decidable::ExpiredJustNow => {
                transaction.commit().await?;
                return Err(AccessError::NotOpen(State::Expired));
            }
        };
        let actor = person.actor();
        let effect = action::apply(&transaction, &actor, &proposal.action, Some(id), now).await?;
        decide(&mut proposal, State::Approved, person, now);
        store::decide(&transaction, &proposal).await?;
        let leaf = leaf(&proposal, &actor, "approve_proposal", now);
        audit::append(&transaction, &leaf).await?;
        transaction.commit().await?;
        self.forget();
        Ok(Approved { proposal, effect })
    }

    /// Disagree as the second person; nothing is done.
    pub async fn refuse(&self, person: &Person, id: Uuid) -> Result<Proposal, AccessError> {
        let now = self.clock.now();
        let mut client = self.pool.get().await?;
        let transaction = client.transaction().await?;
        let mut proposal = match decidable(&transaction, person, id, now).await? {
            Decidable::Yes(proposal) => *proposal,
            Decidable::ExpiredJustNow => {
                transaction.commit().await?;
                return Err(AccessError::NotOpen(State::Expired));
            }
        };
        decide(&mut proposal, State::Refused, person, now);
        store::decide(&transaction, &proposal).await?;
        let leaf = leaf(&proposal, &person.actor(), "refuse_proposal", now);
        audit::append(&transaction, &leaf).await?;
        transaction.commit().await?;
        Ok(proposal)
    }
}

enum Decidable {
    Yes(Box<Proposal>),
    /// Its time ran out; the transaction notes it and is to be committed.
    ExpiredJustNow,
}

/// Lock the proposal and check that `person` may decide it now.
async fn decidable(
    transaction: &tokio_postgres::Transaction<'_>,
    person: &Person,
    id: Uuid,
    now: Timestamp,
) -> Result<Decidable, AccessError> {
    require_operator(person)?;
    let mut proposal = store::lock(transaction, id).await?.ok_or(AccessError::NoSuchProposal)?;
    if proposal.state != State::Open {
        return Err(AccessError::NotOpen(proposal.state));
    }
    if proposal.expires_at <= now {
        proposal.state = State::Expired;
        store::decide(transaction, &proposal).await?;
        let leaf = leaf(&proposal, &person.actor(), "expire_proposal", now);
        audit::append(transaction, &leaf).await?;
        return Ok(Decidable::ExpiredJustNow);
    }
    if proposal.proposed_by == person.person_id {
        return Err(AccessError::SecondPersonRequired);
    }
    // Both are asked for again here, where an end of either cannot slip in between.
    let both = [proposal.proposed_by, person.person_id];
    if store::operators_among(transaction, &both, now).await? != 2 {
        return Err(AccessError::Impossible(Reason::NoSuchPerson));
    }
    Ok(Decidable::Yes(Box::new(proposal)))
}

fn require_operator(person: &Person) -> Result<(), AccessError> {
    match person.role {
        Role::Operator => Ok(()),
        Role::Officer | Role::Auditor => Err(AccessError::NotOperator),
    }
}

fn decide(proposal: &mut Proposal, state: State, person: &Person, now: Timestamp) {
    proposal.state = state;
    proposal.decided_by = Some(person.person_id);
    proposal.decided_at = Some(now);
}

fn leaf(proposal: &Proposal, actor: &str, action: &'static str, now: Timestamp) -> Leaf {
    Leaf {
        at: now,
        actor: actor.to_owned(),
        action,
        object: format!("proposal:{}", proposal.proposal_id),
        details: json!({
            "proposed": proposal.action,
            "proposed_by": proposal.proposed_by,
            "state": proposal.state,
        }),
    }
}

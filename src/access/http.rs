//! Tells handlers who asks, and serves the proposals of operators.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest, HttpResponse, get, post, web};
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::proposals::{Approved, Proposal, State};
use super::{
    Access, AccessError, Action, CertificateFacts, Client, Fingerprint, ParticipantKind, Person,
    Role,
};
use crate::platform::listener::PeerCertificate;
use crate::platform::problem::Problem;
use crate::platform::texts;

/// A province, known by its certificate; asked for anew at each request.
#[derive(Debug, Clone)]
pub struct ProvinceClient(pub Client);

/// An agency, known by its certificate; asked for anew at each request.
#[derive(Debug, Clone)]
pub struct AgencyClient(pub Client);

/// An operator, known by a personal certificate.
#[derive(Debug, Clone)]
pub struct Operator(pub Person);

/// An officer of an agency, known by a personal certificate.
#[derive(Debug, Clone)]
pub struct Officer(pub Person);

/// An auditor, known by a personal certificate.
#[derive(Debug, Clone)]
pub struct Auditor(pub Person);

type Found<T> = Pin<Box<dyn Future<Output = Result<T, Problem>>>>;

macro_rules! extract {
    ($name:ident, $find:ident, $wanted:expr) => {
        impl FromRequest for $name {
            type Error = Problem;
            type Future = Found<Self>;

            fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
                let asked = Asked::of(request);
                Box::pin(async move {
                    let asked = asked.map_err(|problem| *problem)?;
                    $find(asked, $wanted).await.map($name)
                })
            }
        }
    };
}

extract!(ProvinceClient, client_of_kind, ParticipantKind::Province);
extract!(AgencyClient, client_of_kind, ParticipantKind::Agency);
extract!(Operator, person_in_role, Role::Operator);
extract!(Officer, person_in_role, Role::Officer);
extract!(Auditor, person_in_role, Role::Auditor);

struct Asked {
    access: web::Data<Access>,
    fingerprint: [u8; 32],
}

impl Asked {
    fn of(request: &HttpRequest) -> Result<Self, Box<Problem>> {
        let access = request
            .app_data::<web::Data<Access>>()
            .cloned()
            .ok_or_else(|| Box::new(Problem::internal()))?;
        let peer = request
            .conn_data::<PeerCertificate>()
            .ok_or_else(|| Box::new(Problem::new(403, "client-certificate-required", &[])))?;
        Ok(Self { access, fingerprint: peer.fingerprint })
    }

    fn stranger(&self) -> Problem {
        let fingerprint = Fingerprint(self.fingerprint);
        tracing::warn!(%fingerprint, "refused: the certificate is not registered or no longer good");
        Problem::new(403, "unknown-client-certificate", &[])
    }
}

async fn client_of_kind(asked: Asked, wanted: ParticipantKind) -> Result<Client, Problem> {
    let client = asked.access.client(&asked.fingerprint).await?;
    let client = client.ok_or_else(|| asked.stranger())?;
    let span = tracing::Span::current();
    span.record("participant", client.participant_id);
    if client.kind != wanted {
        tracing::warn!("refused: wrong kind of participant");
        let permitted = texts::both(&format!("access.kind.{}", wanted.name()), &[]);
        return Err(refusal(403, "wrong-participant-kind", "permitted", &permitted));
    }
    Ok(client)
}

async fn person_in_role(asked: Asked, wanted: Role) -> Result<Person, Problem> {
    let person = asked.access.person(&asked.fingerprint).await?;
    let person = person.ok_or_else(|| asked.stranger())?;
    let span = tracing::Span::current();
    span.record("person", tracing::field::display(person.person_id));
    if person.role != wanted {
        tracing::warn!("refused: wrong role");
        let permitted = texts::both(&format!("access.role.{}", wanted.name()), &[]);
        return Err(refusal(403, "wrong-role", "permitted", &permitted));
    }
    Ok(person)
}

/// Make a problem whose place `name` is filled by a text of its own in each language.
fn refusal(status: u16, kind: &str, name: &str, text: &texts::Bilingual) -> Problem {
    let mut problem = Problem::new(status, kind, &[(name, &text.vi)]);
    problem.detail_en = Problem::new(status, kind, &[(name, &text.en)]).detail_en;
    problem
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        match error {
            AccessError::Database(error) => {
                tracing::error!(%error, "the registry could not be asked");
                Self::new(503, "unavailable", &[]).retry_after(5)
            }
            AccessError::Impossible(reason) => {
                let text = texts::both(&format!("access.reason.{}", reason.name()), &[]);
                refusal(409, "action-not-possible", "reason", &text).with("reason", reason.name())
            }
            AccessError::NotOperator => {
                let text = texts::both("access.role.operator", &[]);
                refusal(403, "wrong-role", "permitted", &text)
            }
            AccessError::NoSuchProposal => Self::new(404, "not-found", &[]),
            AccessError::SecondPersonRequired => Self::new(403, "second-person-required", &[]),
            AccessError::NotOpen(state) => {
                Self::new(409, "proposal-not-open", &[("state", state.name())])
                    .with("state", state.name())
            }
            AccessError::TooManyProposals { limit } => {
                Self::new(409, "proposals-too-many", &[("limit", &limit.to_string())])
            }
        }
    }
}

/// What an operator proposes. Of a certificate only digests and validity are kept, not the name in it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(tag = "action", content = "params", rename_all = "snake_case", deny_unknown_fields)]
pub enum ProposedAction {
    /// Let a new province or agency in.
    RegisterParticipant {
        /// Province or agency.
        kind: ParticipantKind,
        /// Its code today, 1 to 35 letters, digits, dots or hyphens.
        code: String,
    },
    /// Let a participant use a certificate.
    RegisterClientCertificate {
        /// Whose it is.
        participant_id: i32,
        /// The certificate in PEM.
        certificate_pem: String,
    },
    /// Keep a certificate out for good.
    RevokeClientCertificate {
        /// SHA-256 of its DER in hexadecimal.
        fingerprint: Fingerprint,
    },
    /// Let a person in.
    RegisterPerson {
        /// What the person may do.
        role: Role,
        /// The agency of an officer; absent for others.
        participant_id: Option<i32>,
        /// The personal certificate in PEM.
        certificate_pem: String,
    },
    /// End a person's role for good.
    EndPerson {
        /// Who.
        person_id: Uuid,
    },
}

impl ProposedAction {
    fn into_action(self) -> Result<Action, AccessError> {
        Ok(match self {
            Self::RegisterParticipant { kind, code } => Action::RegisterParticipant { kind, code },
            Self::RegisterClientCertificate { participant_id, certificate_pem } => {
                Action::RegisterClientCertificate {
                    participant_id,
                    certificate: CertificateFacts::read(certificate_pem.as_bytes())?,
                }
            }
            Self::RevokeClientCertificate { fingerprint } => {
                Action::RevokeClientCertificate { fingerprint }
            }
            Self::RegisterPerson { role, participant_id, certificate_pem } => {
                Action::RegisterPerson {
                    role,
                    participant_id,
                    certificate: CertificateFacts::read(certificate_pem.as_bytes())?,
                }
            }
            Self::EndPerson { person_id } => Action::EndPerson { person_id },
        })
    }
}

/// Which proposals to list.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those in this state; without it, all.
    state: Option<State>,
}

/// List the proposals, the newest first.
#[utoipa::path(
    tag = "operators",
    params(Filter),
    responses(
        (status = 200, description = "The proposals", body = Vec<Proposal>),
        (status = 403, description = "Not an operator", body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/proposals")]
async fn list_proposals(
    operator: Operator,
    access: web::Data<Access>,
    filter: web::Query<Filter>,
) -> Result<web::Json<Vec<Proposal>>, Problem> {
    Ok(web::Json(access.proposals(&operator.0, filter.state).await?))
}

/// Propose a change for another operator to decide.
#[utoipa::path(
    tag = "operators",
    request_body = ProposedAction,
    responses(
        (status = 201, description = "The open proposal", body = Proposal),
        (status = 403, description = "Not an operator", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Not possible", body = Problem, content_type = "application/problem+json"),
    )
)]
#[post("/v1/proposals")]
async fn propose(
    operator: Operator,
    access: web::Data<Access>,
    proposed: web::Json<ProposedAction>,
) -> Result<HttpResponse, Problem> {
    let action = proposed.into_inner().into_action()?;
    let proposal = access.propose(&operator.0, action).await?;
    Ok(HttpResponse::Created().json(proposal))
}

/// Agree as the second person; the change is made at once.
#[utoipa::path(
    tag = "operators",
    params(("id" = Uuid, Path, description = "The proposal")),
    responses(
        (status = 200, description = "What was done", body = Approved),
        (status = 403, description = "Not a second operator", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such proposal", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Not open, or not possible", body = Problem, content_type = "application/problem+json"),
    )
)]
#[post("/v1/proposals/{id}/approval")]
async fn approve_proposal(
    operator: Operator,
    access: web::Data<Access>,
    id: web::Path<Uuid>,
) -> Result<web::Json<Approved>, Problem> {
    Ok(web::Json(access.approve(&operator.0, *id).await?))
}

/// Disagree as the second person; nothing is changed.
#[utoipa::path(
    tag = "operators",
    params(("id" = Uuid, Path, description = "The proposal")),
    responses(
        (status = 200, description = "The refused proposal", body = Proposal),
        (status = 403, description = "Not a second operator", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such proposal", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "Not open", body = Problem, content_type = "application/problem+json"),
    )
)]
#[post("/v1/proposals/{id}/refusal")]
async fn refuse_proposal(
    operator: Operator,
    access: web::Data<Access>,
    id: web::Path<Uuid>,
) -> Result<web::Json<Proposal>, Problem> {
    Ok(web::Json(access.refuse(&operator.0, *id).await?))
}

/// Add the routes of the persons listener; the app holds `web::Data<Access>`.
pub fn configure(cfg: &mut ServiceConfig<'_>) {
    cfg.service(list_proposals).service(propose).service(approve_proposal).service(refuse_proposal);
}

//! Serves the pages of operators and officers, their figures, and the first page of the public.

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::{ACCEPT_LANGUAGE, CACHE_CONTROL, CONTENT_TYPE};
use actix_web::{Error, FromRequest, HttpRequest, HttpResponse, get, post, web};
use askama::Template;
use rust_embed::RustEmbed;
use serde::Deserialize;
use utoipa_actix_web::service_config::ServiceConfig;
use uuid::Uuid;

use super::Settings;
use super::chart::chart;
use super::figures::{FigureBoard, Figures};
use super::page::{self, AnswerPage, BatchPage, OfficerPage, OperatorPage, PublicPage, View};
use crate::access::http::{Auditor, Officer, Operator};
use crate::platform::database::DatabaseError;
use crate::platform::problem::Problem;
use crate::platform::texts::Lang;
use crate::query::request::{self, SubjectRequest, VerificationRequest};
use crate::query::{Answer, Answerer, Asker, QueryError};
use crate::signature::jws;
use crate::transcript::Level;

/// What the pages load; nothing comes from elsewhere.
#[derive(RustEmbed)]
#[folder = "src/dashboard/pages/assets/"]
struct Assets;

/// An operator or an auditor: both may look at figures, which hold no personal data.
struct Watcher;

impl FromRequest for Watcher {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let operator = Operator::from_request(request, payload);
        let auditor = Auditor::from_request(request, payload);
        Box::pin(async move {
            match operator.await {
                Ok(_) => Ok(Self),
                Err(refusal) => auditor.await.map(|_| Self).map_err(|_| refusal),
            }
        })
    }
}

/// Language of a page; without it the browser's, else Vietnamese.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Wanted {
    /// `vi` or `en`.
    #[param(value_type = Option<String>)]
    lang: Option<Lang>,
}

fn view(request: &HttpRequest, wanted: &Wanted) -> View {
    let browser = request.headers().get(ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    View {
        lang: wanted.lang.unwrap_or_else(|| Lang::from_environment(browser)),
        explicit: wanted.lang.is_some(),
    }
}

fn html(template: &impl Template) -> Result<HttpResponse, Problem> {
    let text = template.render().map_err(|error| {
        tracing::error!(%error, "a page could not be rendered");
        Problem::internal()
    })?;
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .body(text))
}

fn unavailable(error: DatabaseError) -> Problem {
    tracing::error!(%error, "figures cannot be counted");
    Problem::new(503, "unavailable", &[]).retry_after(5)
}

/// Show the operators' page.
#[utoipa::path(
    tag = "operators",
    params(Wanted),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 403, description = "Neither operator nor auditor", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The figures cannot be counted now", body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/")]
async fn operator_page(
    _watcher: Watcher,
    board: web::Data<FigureBoard>,
    request: HttpRequest,
    wanted: web::Query<Wanted>,
) -> Result<HttpResponse, Problem> {
    let figures = board.figures().await.map_err(unavailable)?;
    html(&operator(&figures, board.settings(), view(&request, &wanted)))
}

pub(super) fn operator<'a>(
    figures: &'a Figures,
    settings: &Settings,
    view: View,
) -> OperatorPage<'a> {
    OperatorPage {
        view,
        figures,
        charts: vec![
            chart(view, "last-hours", &figures.hours, "%H", 3),
            chart(view, "last-days", &figures.days, "%d/%m", 2),
        ],
        refresh_ms: settings.refresh_ms,
        seconds: (settings.refresh_ms / 1_000).max(1).to_string(),
        error_days: settings.error_days.to_string(),
        shape: page::shape_of(figures),
    }
}

/// Count records by province, state and time; the queue; the newest errors.
#[utoipa::path(
    tag = "operators",
    responses(
        (status = 200, description = "The figures", body = Figures),
        (status = 403, description = "Neither operator nor auditor", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The figures cannot be counted now", body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/v1/figures")]
async fn count_figures(
    _watcher: Watcher,
    board: web::Data<FigureBoard>,
) -> Result<HttpResponse, Problem> {
    let figures = board.figures().await.map_err(unavailable)?;
    Ok(HttpResponse::Ok().insert_header((CACHE_CONTROL, "no-store")).json(&*figures))
}

/// Show one batch: its state and the rules its records broke.
#[utoipa::path(
    tag = "operators",
    params(
        ("participant" = i32, Path, description = "Number of the province at this gateway"),
        ("id" = Uuid, Path, description = "The batch"),
        Wanted,
    ),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 403, description = "Neither operator nor auditor", body = Problem, content_type = "application/problem+json"),
        (status = 404, description = "No such batch", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "The figures cannot be counted now", body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/batches/{participant}/{id}")]
async fn batch_page(
    _watcher: Watcher,
    board: web::Data<FigureBoard>,
    request: HttpRequest,
    wanted: web::Query<Wanted>,
    path: web::Path<(i32, Uuid)>,
) -> Result<HttpResponse, Problem> {
    let (participant, id) = *path;
    let found = board.batch(participant, id).await.map_err(unavailable)?;
    let (batch, rules, province) = found.ok_or_else(|| Problem::new(404, "not-found", &[]))?;
    html(&BatchPage {
        view: view(&request, &wanted),
        batch: &batch,
        province: &province,
        rules: &rules,
    })
}

/// Show the form with which an officer asks.
#[utoipa::path(
    tag = "officers",
    params(Wanted),
    responses(
        (status = 200, description = "The page", body = String, content_type = "text/html"),
        (status = 403, description = "Not an officer", body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/officer")]
async fn officer_page(
    _officer: Officer,
    answerer: web::Data<Answerer>,
    request: HttpRequest,
    wanted: web::Query<Wanted>,
) -> Result<HttpResponse, Problem> {
    html(&officer_form(&answerer, view(&request, &wanted), None))
}

pub(super) fn officer_form<'a>(
    answerer: &'a Answerer,
    view: View,
    refusal: Option<&'a Problem>,
) -> OfficerPage<'a> {
    OfficerPage {
        view,
        procedures: answerer.procedures().collect(),
        levels: [Level::Primary.slug(), Level::LowerSecondary.slug(), Level::UpperSecondary.slug()],
        refusal,
    }
}

/// The form of an officer; empty fields count as absent.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct OfficerForm {
    procedure: String,
    case: String,
    name: String,
    #[serde(default)]
    transcript_code: String,
    #[serde(default)]
    personal_number: String,
    #[serde(default)]
    birth_date: String,
    #[serde(default)]
    level: String,
    #[serde(default)]
    school_years: String,
}

impl OfficerForm {
    fn into_request(self, officer: Uuid) -> VerificationRequest {
        let given = |text: String| {
            let text = text.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let years: Vec<String> = self
            .school_years
            .split([',', ';', ' '])
            .filter(|year| !year.is_empty())
            .map(str::to_owned)
            .collect();
        VerificationRequest {
            procedure: self.procedure.trim().to_owned(),
            case: self.case.trim().to_owned(),
            officer: officer.to_string(),
            subject: SubjectRequest {
                transcript_code: given(self.transcript_code),
                personal_number: given(self.personal_number),
                birth_date: given(self.birth_date),
                name: self.name,
            },
            level: given(self.level),
            school_years: (!years.is_empty()).then_some(years),
            nonce: None,
        }
    }
}

/// Ask as an officer, by the form; the answer is a page. The listener refuses forms of other sites.
#[utoipa::path(
    tag = "officers",
    params(Wanted),
    request_body(content = OfficerForm, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The answer as a page", body = String, content_type = "text/html"),
        (status = 400, description = "Not a form of this page", body = Problem, content_type = "application/problem+json"),
        (status = 403, description = "Not an officer, or the form of another site", body = Problem, content_type = "application/problem+json"),
        (status = "4XX", description = "The form again, with the reason", body = String, content_type = "text/html"),
        (status = 503, description = "The form again, with the reason", body = String, content_type = "text/html"),
    )
)]
#[post("/officer/verifications")]
async fn officer_verifications(
    officer: Officer,
    answerer: web::Data<Answerer>,
    request: HttpRequest,
    wanted: web::Query<Wanted>,
    form: web::Form<OfficerForm>,
) -> Result<HttpResponse, Problem> {
    let view = view(&request, &wanted);
    match ask(&answerer, &officer, form.into_inner()).await {
        Ok(answer) => html(&AnswerPage { view, json: &page::pretty(&answer), answer: &answer }),
        Err(error) => {
            let problem = Problem::from(error);
            let mut response = html(&officer_form(&answerer, view, Some(&problem)))?;
            *response.status_mut() = actix_web::ResponseError::status_code(&problem);
            Ok(response)
        }
    }
}

async fn ask(
    answerer: &Answerer,
    officer: &Officer,
    form: OfficerForm,
) -> Result<Answer, QueryError> {
    let person = &officer.0;
    let agency = person.participant_id.ok_or(QueryError::OfficerUnknown)?;
    let request = form.into_request(person.person_id);
    let bytes = jws::canonical_json(&request)?;
    let question = request::check(request, &bytes, answerer.limits())?;
    let asker = Asker { agency, officer: person.person_id };
    answerer.answer(asker, question).await
}

/// Say what this is, in both languages; no personal data.
#[utoipa::path(
    tag = "public",
    responses((status = 200, description = "The page", body = String, content_type = "text/html"))
)]
#[get("/")]
async fn public_page() -> Result<HttpResponse, Problem> {
    html(&PublicPage::new())
}

/// Serve what the pages load.
#[utoipa::path(
    tag = "public",
    params(("name" = String, Path, description = "File name")),
    responses(
        (status = 200, description = "The file", body = String, content_type = "text/css"),
        (status = 404, description = "No such file", body = Problem, content_type = "application/problem+json"),
    )
)]
#[get("/assets/{name}")]
async fn asset(name: web::Path<String>) -> Result<HttpResponse, Problem> {
    let file = Assets::get(&name).ok_or_else(|| Problem::new(404, "not-found", &[]))?;
    let kind = match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        _ => "image/svg+xml",
    };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, kind))
        .insert_header((CACHE_CONTROL, "max-age=300"))
        .body(file.data.into_owned()))
}

fn form_problem(_: actix_web::error::UrlencodedError, _: &HttpRequest) -> Error {
    // The framework's message can quote what was typed.
    Problem::new(400, "bad-request", &[]).into()
}

/// Add the routes of the persons listener; the app holds `web::Data` of [`FigureBoard`], [`Answerer`], `Access`.
pub fn configure_persons(cfg: &mut ServiceConfig<'_>, settings: &Settings) {
    let form =
        web::FormConfig::default().limit(settings.form_bytes_max).error_handler(form_problem);
    cfg.app_data(form)
        .service(operator_page)
        .service(count_figures)
        .service(batch_page)
        .service(officer_page)
        .service(officer_verifications)
        .service(asset);
}

/// Add the routes of the public listener.
pub fn configure_public(cfg: &mut ServiceConfig<'_>) {
    cfg.service(public_page).service(asset);
}

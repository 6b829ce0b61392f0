//! Runs the role that receives batches, answers agencies and shows the operator pages; lists every route.

use std::sync::Arc;
use std::time::Duration;

use actix_web::{App, HttpResponse, get, web};
use tokio::task::JoinSet;
use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;
use utoipa_actix_web::AppExt;
use utoipa_actix_web::service_config::ServiceConfig;

use super::inside;
use super::parts::Foundation;
use super::settings::Settings;
use crate::access::Access;
use crate::codes::Codes;
use crate::dashboard::FigureBoard;
use crate::intake::{Intake, ministry};
use crate::platform::database::{self, Role};
use crate::platform::listener::{self, AllowedMethods, Entry, Kind, Listener};
use crate::platform::shutdown::Shutdown;
use crate::platform::telemetry;
use crate::query::{Answerer, Catalogue, EvidenceReader};
use crate::{access, dashboard, intake, query};

/// Time between two looks for pieces of interrupted uploads.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);

/// Routes of provinces and agencies.
pub fn machine_routes(config: &mut ServiceConfig<'_>) {
    intake::http::configure(config);
    query::http::configure(config);
}

/// Routes of operators and officers.
pub fn person_routes(config: &mut ServiceConfig<'_>, settings: &dashboard::Settings) {
    access::http::configure(config);
    dashboard::http::configure_persons(config, settings);
}

/// Routes of everybody.
pub fn public_routes(config: &mut ServiceConfig<'_>) {
    dashboard::http::configure_public(config);
}

#[derive(utoipa::OpenApi)]
#[openapi(info(
    title = "Hocba Gateway",
    description = "Carries digital school transcripts from the provinces to the national data systems and answers agencies."
))]
struct Description;

/// Collect the description of every route of the machines and persons listeners.
pub fn openapi(settings: &Settings) -> OpenApi {
    let (_, api) = App::new()
        .into_utoipa_app()
        .openapi(Description::openapi())
        .configure(machine_routes)
        .configure(|config| person_routes(config, &settings.dashboard))
        .split_for_parts();
    api
}

#[get("/openapi.json")]
async fn openapi_document(document: web::Data<OpenApi>) -> HttpResponse {
    HttpResponse::Ok().json(document.as_ref())
}

/// What the routes of `serve` need, each registered by its own type.
#[derive(Clone)]
struct Parts {
    access: web::Data<Access>,
    intake: web::Data<Intake>,
    answerer: web::Data<Answerer>,
    board: web::Data<FigureBoard>,
    document: web::Data<OpenApi>,
}

/// Serve until SIGTERM.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let telemetry = telemetry::install(&settings.telemetry)?;
    let shutdown = Shutdown::on_signals()?;
    let foundation = Foundation::open(settings)?;
    foundation.migrate_if_private().await?;
    let parts = parts(&foundation).await?;
    listener::limit_handshakes(&foundation.settings.listener);
    let mut servers = JoinSet::new();
    for listener in listeners(&foundation, &parts, &shutdown)? {
        servers.spawn(listener.server);
    }
    let sweeper = tokio::spawn(sweep(parts.intake.clone(), parts.access.clone(), shutdown.clone()));
    while let Some(ended) = servers.join_next().await {
        ended??;
    }
    sweeper.await?;
    telemetry.shutdown();
    Ok(())
}

async fn parts(foundation: &Foundation) -> anyhow::Result<Parts> {
    let settings = &foundation.settings;
    let intake_pool = foundation.database.pool(Role::Intake)?;
    database::check_durability(&intake_pool).await?;
    let query_pool = foundation.database.pool(Role::Query)?;
    let (vault, verifier, anchors) =
        (foundation.vault(), foundation.verifier()?, foundation.anchors()?);
    let signer = foundation.answer_signer()?;
    let codes = Arc::new(Codes::load(&foundation.tables)?);
    let clock = || Arc::clone(&foundation.clock);
    let access = Arc::new(Access::new(query_pool.clone(), clock(), &settings.access));
    let evidence = EvidenceReader::new(
        Arc::clone(&vault),
        Arc::clone(&verifier),
        Arc::new(ministry::Profile::load(&foundation.tables)?),
        settings.intake.line.clone(),
        anchors,
        settings.query.source_bytes_max,
    );
    let answerer = Answerer::new(
        query_pool,
        Arc::clone(&access),
        Arc::clone(&vault),
        Arc::new(evidence),
        Arc::new(Catalogue::load(&foundation.tables)?),
        Arc::clone(&signer),
        clock(),
        settings.query.clone(),
    );
    let watch = foundation.database.pool(Role::Watch)?;
    let board = FigureBoard::new(watch, codes, clock(), settings.dashboard.clone());
    let intake = Intake::new(
        intake_pool,
        vault,
        verifier,
        signer,
        clock(),
        Arc::new(settings.intake.clone()),
    );
    Ok(Parts {
        access: web::Data::from(access),
        intake: web::Data::new(intake),
        answerer: web::Data::new(answerer),
        board: web::Data::new(board),
        document: web::Data::new(openapi(settings)),
    })
}

fn listeners(
    foundation: &Foundation,
    parts: &Parts,
    shutdown: &Shutdown,
) -> anyhow::Result<Vec<Listener>> {
    let settings = &foundation.settings;
    let entry = |kind| {
        let (clock, metrics) = (Arc::clone(&foundation.clock), foundation.metrics.clone());
        Entry::new(kind, settings.listener.of(kind), clock, metrics)
    };
    let (machines, persons, public) =
        (entry(Kind::Machines), entry(Kind::Persons), entry(Kind::Public));
    let own = parts.clone();
    let machines = machines.clone().serve(shutdown, move || {
        let (app, api) = App::new()
            .app_data(own.access.clone())
            .app_data(own.intake.clone())
            .app_data(own.answerer.clone())
            .app_data(own.document.clone())
            .service(openapi_document)
            .into_utoipa_app()
            .configure(|config| machines.defaults(config))
            .configure(machine_routes)
            .split_for_parts();
        app.app_data(web::Data::new(AllowedMethods::of(&api))).wrap(machines.door())
    })?;
    let (own, pages) = (parts.clone(), settings.dashboard.clone());
    let persons = persons.clone().serve(shutdown, move || {
        let (app, api) = App::new()
            .app_data(own.access.clone())
            .app_data(own.answerer.clone())
            .app_data(own.board.clone())
            .app_data(own.document.clone())
            .service(openapi_document)
            .into_utoipa_app()
            .configure(|config| persons.defaults(config))
            .configure(|config| person_routes(config, &pages))
            .split_for_parts();
        app.app_data(web::Data::new(AllowedMethods::of(&api))).wrap(persons.door())
    })?;
    let public = public.clone().serve(shutdown, move || {
        let (app, api) = App::new()
            .into_utoipa_app()
            .configure(|config| public.defaults(config))
            .configure(public_routes)
            .split_for_parts();
        app.app_data(web::Data::new(AllowedMethods::of(&api))).wrap(public.door())
    })?;
    let watch = foundation.database.pool(Role::Watch)?;
    let clock = Arc::clone(&foundation.clock);
    let inside =
        inside::listen(&settings.listener, clock, foundation.metrics.clone(), watch, shutdown)?;
    Ok(vec![machines, persons, public, inside])
}

async fn sweep(intake: web::Data<Intake>, access: web::Data<Access>, shutdown: Shutdown) {
    loop {
        match access.provinces().await {
            Ok(provinces) => {
                for participant_id in provinces {
                    if let Err(error) = intake.sweep(participant_id).await {
                        tracing::warn!(%error, participant_id, "pieces of interrupted uploads could not be removed");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "participants could not be listed"),
        }
        tokio::select! {
            () = tokio::time::sleep(SWEEP_INTERVAL) => {}
            () = shutdown.requested() => return,
        }
    }
}

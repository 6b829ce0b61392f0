//! Answers health and metrics on the inside listener of every role.

use actix_web::http::header::CONTENT_TYPE;
use actix_web::{App, HttpResponse, get, web};
use deadpool_postgres::Pool;
use utoipa_actix_web::AppExt;

use crate::platform::clock::SharedClock;
use crate::platform::listener::{Entry, Kind, Listener, Settings};
use crate::platform::shutdown::Shutdown;
use crate::platform::telemetry::Metrics;

/// Tells whether the process lives; never asks the database.
#[get("/healthz")]
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// Tells whether the process can do its work: it is not stopping and the database answers.
#[get("/readyz")]
async fn readyz(pool: web::Data<Pool>, shutdown: web::Data<Shutdown>) -> HttpResponse {
    let answers = async {
        let client = pool.get().await.ok()?;
        client.query_one("SELECT 1", &[]).await.ok()
    };
    if shutdown.is_requested() || answers.await.is_none() {
        return HttpResponse::ServiceUnavailable()
            .content_type("text/plain; charset=utf-8")
            .body("not ready\n");
    }
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ready\n")
}

/// Gives the figures in the Prometheus text format.
#[get("/metrics")]
async fn figures(metrics: web::Data<Metrics>) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8"))
        .body(metrics.render())
}

/// Bind the inside listener.
pub fn listen(
    settings: &Settings,
    clock: SharedClock,
    metrics: Metrics,
    pool: Pool,
    shutdown: &Shutdown,
) -> anyhow::Result<Listener> {
    let entry = Entry::new(Kind::Inside, settings.of(Kind::Inside), clock, metrics.clone());
    let stop = shutdown.clone();
    let listener = entry.clone().serve(shutdown, move || {
        let entry = entry.clone();
        App::new()
            .app_data(web::Data::new(pool.clone()))
            .app_data(web::Data::new(metrics.clone()))
            .app_data(web::Data::new(stop.clone()))
            .service(healthz)
            .service(readyz)
            .service(figures)
            .into_utoipa_app()
            .configure(|config| entry.defaults(config))
            .into_app()
            .wrap(entry.door())
    })?;
    Ok(listener)
}

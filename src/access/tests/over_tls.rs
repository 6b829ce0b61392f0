//! Shows on real sockets who gets in and who is put out.

use std::net::SocketAddr;

use actix_web::{App, HttpResponse, get};
use serde_json::{Value, json};
use utoipa_actix_web::AppExt;

use super::*;
use crate::access::http::{AgencyClient, Officer, ProvinceClient};
use crate::platform::http::{ClientSettings, HttpClient, Method, Response, read_capped};
use crate::platform::listener::{AllowedMethods, Entry, Kind, ListenerSettings};
use crate::platform::shutdown::{Shutdown, ShutdownTrigger};
use crate::platform::telemetry::Metrics;

#[utoipa::path]
#[get("/v1/province")]
async fn for_provinces(client: ProvinceClient) -> HttpResponse {
    HttpResponse::Ok().body(client.0.code)
}

#[utoipa::path]
#[get("/v1/agency")]
async fn for_agencies(_client: AgencyClient) -> HttpResponse {
    HttpResponse::Ok().finish()
}

#[utoipa::path]
#[get("/v1/officer")]
async fn for_officers(_officer: Officer) -> HttpResponse {
    HttpResponse::Ok().finish()
}

fn listener_settings(pki: &TestPki) -> ListenerSettings {
    #[derive(Deserialize)]
    struct All {
        listener: crate::platform::listener::Settings,
    }
    let all: All = crate::platform::config::load(None, std::iter::empty()).unwrap();
    let server = pki.server();
    ListenerSettings {
        bind: "127.0.0.1:0".parse().unwrap(),
        certificate_file: server.certificate_file,
        key_file: server.key_file,
        client_ca_file: pki.ca_file(),
        shutdown_timeout_s: 1,
        ..all.listener.persons
    }
}

fn start(world: &World, kind: Kind) -> (SocketAddr, ShutdownTrigger, Metrics) {
    let metrics = Metrics::new().unwrap();
    let settings = listener_settings(&world.pki);
    let entry = Entry::new(kind, &settings, Arc::new(SystemClock), metrics.clone());
    let (trigger, shutdown) = Shutdown::new();
    let (door, access) = (entry.clone(), world.access.clone());
    let factory = move || {
        let (app, api) = App::new()
            .into_utoipa_app()
            .configure(|cfg| door.defaults(cfg))
            .app_data(access.clone())
            .configure(super::http::configure)
            .service(for_provinces)
            .service(for_agencies)
            .service(for_officers)
            .split_for_parts();
        app.app_data(web::Data::new(AllowedMethods::of(&api))).wrap(door.door())
    };
    let listener = entry.serve(&shutdown, factory).unwrap();
    tokio::spawn(listener.server);
    (listener.addresses[0], trigger, metrics)
}

struct Caller {
    client: HttpClient,
    base: String,
}

impl Caller {
    fn new(world: &World, address: SocketAddr, own: &TestCertificate) -> Self {
        let settings = ClientSettings {
            connect_timeout_ms: 5_000,
            request_timeout_ms: 5_000,
            idle_connections_max: 1,
            idle_timeout_ms: 60_000,
        };
        let base = format!("https://localhost:{}", address.port());
        let tls = world.pki.client_config(Some(own));
        let client = HttpClient::new(tls, &[&base], &settings).unwrap();
        Self { client, base }
    }

    async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Response {
        let url = format!("{}{path}", self.base);
        let mut request = self.client.request(method, &url).unwrap();
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        request.send().await.unwrap()
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        answer(self.send(Method::GET, path, None).await).await
    }

    async fn post(&self, path: &str, body: Option<Value>) -> (u16, Value) {
        answer(self.send(Method::POST, path, body).await).await
    }
}

async fn answer(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let body = read_capped(response, 100_000).await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

fn kind_of(answer: &(u16, Value)) -> (u16, &str) {
    (answer.0, answer.1["type"].as_str().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_client_is_refused_within_the_same_connection() {
    let world = World::new().await;
    let (address, _trigger, metrics) = start(&world, Kind::Machines);
    let own = world.pki.client("own");
    let stranger = Caller::new(&world, address, &world.pki.client("stranger"));
    let unknown = (403, "/problems/unknown-client-certificate");
    assert_eq!(kind_of(&stranger.get("/v1/province").await), unknown);
    world.participant(ParticipantKind::Province, "01", &own).await;
    let caller = Caller::new(&world, address, &own);
    assert_eq!(caller.get("/v1/province").await.0, 200);
    let wrong = caller.get("/v1/agency").await;
    assert_eq!(kind_of(&wrong), (403, "/problems/wrong-participant-kind"));
    assert!(wrong.1["detail_en"].as_str().unwrap().contains("agencies"));
    assert_eq!(kind_of(&caller.get("/v1/officer").await), unknown, "a machine is no person");
    let connections = || {
        let figures = metrics.render();
        let mut lines = figures.lines();
        let line = lines.find(|line| line.starts_with("hocba_http_connections_total"));
        line.map(str::to_owned).expect("connections are counted")
    };
    let before = connections();
    let fingerprint = Fingerprint(digest(&own));
    world.access.revoke_client_certificate(ACTOR, fingerprint).await.unwrap();
    assert_eq!(kind_of(&caller.get("/v1/province").await), unknown);
    assert_eq!(connections(), before, "no new connection was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn operators_let_a_province_in_over_http_by_two_persons() {
    let world = World::new().await;
    let (first, first_certificate) = world.operator("first").await;
    let (_, second_certificate) = world.operator("second").await;
    let own = world.pki.client("own");
    let participant =
        world.access.register_participant(ACTOR, ParticipantKind::Province, "79").await.unwrap();
    let (address, _trigger, _) = start(&world, Kind::Persons);
    let one = Caller::new(&world, address, &first_certificate);
    let two = Caller::new(&world, address, &second_certificate);
    let machine = Caller::new(&world, address, &own);
    assert_eq!(machine.get("/v1/proposals").await.0, 403);
    assert_eq!(kind_of(&one.get("/v1/officer").await), (403, "/problems/wrong-role"));

    let body = json!({
        "action": "register_client_certificate",
        "params": {"participant_id": participant, "certificate_pem": own.pem},
    });
    let (status, proposal) = one.post("/v1/proposals", Some(body)).await;
    assert_eq!((status, proposal["state"].as_str()), (201, Some("OPEN")));
    assert_eq!(proposal["proposed_by"], json!(first.person_id));
    assert!(!proposal.to_string().contains("BEGIN"), "the certificate itself is not kept");
    let shown = proposal["params"]["certificate"]["fingerprint"].as_str().unwrap();
    assert_eq!(shown, Fingerprint(digest(&own)).to_string());
    let path = format!("/v1/proposals/{}/approval", proposal["proposal_id"].as_str().unwrap());
    let alone = one.post(&path, None).await;
    assert_eq!(kind_of(&alone), (403, "/problems/second-person-required"));

    let url = format!("{}{path}", two.base);
    for (name, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = two.client.request(Method::POST, &url).unwrap().header(name, value);
        let forged = answer(request.send().await.unwrap()).await;
        assert_eq!(kind_of(&forged), (403, "/problems/cross-site-request"), "{name}");
    }
    let request = two.client.request(Method::POST, &url).unwrap();
    let request = request.header("origin", two.base.as_str());
    let (status, approved) = answer(request.send().await.unwrap()).await;
    assert_eq!(status, 200, "{approved}");
    assert_eq!(approved["effect"]["fingerprint"].as_str(), Some(shown));
    assert!(world.access.client(&digest(&own)).await.unwrap().is_some());

    let again = two.post(&path, None).await;
    assert_eq!(kind_of(&again), (409, "/problems/proposal-not-open"));
    let listed = two.get("/v1/proposals?state=APPROVED").await.1;
    assert_eq!(listed.as_array().unwrap().len(), 1);
    let odd = two.get("/v1/proposals?order=up").await;
    assert_eq!(kind_of(&odd), (400, "/problems/invalid-query"));
    let nowhere = two.post("/v1/proposals/x/approval", None).await;
    assert_eq!(kind_of(&nowhere), (404, "/problems/not-found"));
    let malformed = json!({
        "action": "register_person",
        "params": {"role": "auditor", "certificate_pem": "Nguyễn"},
    });
    let refused = one.post("/v1/proposals", Some(malformed)).await;
    assert_eq!(kind_of(&refused), (409, "/problems/action-not-possible"));
    assert_eq!(refused.1["reason"], "certificate-malformed");
    assert!(refused.1["detail_en"].as_str().unwrap().contains("PEM"));
    let unknown = one.post("/v1/proposals", Some(json!({"action": "drop_tables"}))).await;
    assert_eq!(kind_of(&unknown), (400, "/problems/malformed-json"));
}

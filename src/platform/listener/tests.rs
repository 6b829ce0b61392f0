//! Starts listeners with a few routes, and clients, for the tests below it.

mod handshakes;
mod limits;

use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use reqwest::Method;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde::Deserialize;
use utoipa_actix_web::AppExt;

use super::test_pki::{TestCertificate, TestPki};
use super::*;
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::http::{ClientSettings, HttpClient, HttpError, read_capped};
use crate::platform::shutdown::ShutdownTrigger;

#[derive(Deserialize, utoipa::ToSchema)]
struct Named {
    #[expect(dead_code, reason = "read by the deserializer only")]
    number: u32,
}

#[utoipa::path]
#[get("/v1/who")]
async fn who(request: HttpRequest) -> HttpResponse {
    match request.conn_data::<PeerCertificate>() {
        Some(peer) => HttpResponse::Ok().body(peer.fingerprint.to_vec()),
        None => HttpResponse::Ok().body("nobody"),
    }
}

#[utoipa::path]
#[post("/v1/things/{id}")]
async fn thing(_id: web::Path<u32>, _body: web::Json<Named>) -> HttpResponse {
    HttpResponse::NoContent().finish()
}

#[utoipa::path]
#[get("/v1/elsewhere")]
async fn elsewhere() -> HttpResponse {
    HttpResponse::Found().insert_header(("location", "/v1/who")).finish()
}

#[utoipa::path]
#[get("/v1/stuck")]
async fn stuck() -> HttpResponse {
    tokio::time::sleep(Duration::from_secs(60)).await;
    HttpResponse::Ok().finish()
}

fn settings(pki: &TestPki, server: &TestCertificate) -> ListenerSettings {
    ListenerSettings {
        bind: "127.0.0.1:0".parse().unwrap(),
        certificate_file: server.certificate_file.clone(),
        key_file: server.key_file.clone(),
        client_ca_file: pki.ca_file(),
        tls12_permitted: false,
        workers: 1,
        connections_max: 100,
        body_bytes_max: 2_000,
        json_bytes_max: 1_000,
        target_bytes_max: 200,
        tls_handshake_timeout_ms: 1_000,
        client_header_timeout_ms: 1_000,
        body_grace_ms: 500,
        body_bytes_per_s_min: 1_000,
        request_timeout_ms: 3_000,
        keep_alive_s: 5,
        connection_age_max_s: 60,
        shutdown_timeout_s: 1,
    }
}

struct Running {
    address: SocketAddr,
    metrics: Metrics,
    trigger: ShutdownTrigger,
    server: tokio::task::JoinHandle<std::io::Result<()>>,
}

fn start(kind: Kind, settings: &ListenerSettings) -> Running {
    let metrics = Metrics::new().unwrap();
    let entry = Entry::new(kind, settings, Arc::new(SystemClock), metrics.clone());
    let (trigger, shutdown) = Shutdown::new();
    let factory = {
        let entry = entry.clone();
        move || {
            let (app, api) = App::new()
                .into_utoipa_app()
                .configure(|cfg| entry.defaults(cfg))
                .service(who)
                .service(thing)
                .service(elsewhere)
                .service(stuck)
                .split_for_parts();
            app.app_data(web::Data::new(AllowedMethods::of(&api))).wrap(entry.door())
        }
    };
    let listener = entry.serve(&shutdown, factory).unwrap();
    Running {
        address: listener.addresses[0],
        metrics,
        trigger,
        server: tokio::spawn(listener.server),
    }
}

fn http_client(running: &Running, tls: ClientConfig) -> (HttpClient, String) {
    let base = format!("https://localhost:{}", running.address.port());
    let settings = ClientSettings {
        connect_timeout_ms: 5_000,
        request_timeout_ms: 5_000,
        idle_connections_max: 1,
        idle_timeout_ms: 5_000,
    };
    (HttpClient::new(tls, &[&base], &settings).unwrap(), base)
}

type TlsClient = StreamOwned<ClientConnection, StdStream>;

fn connect(address: SocketAddr, mut tls: ClientConfig) -> TlsClient {
    tls.alpn_protocols = vec![b"http/1.1".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(tls), name).unwrap();
    let socket = StdStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    StreamOwned::new(connection, socket)
}

/// Send `parts` with `pause` between them and return all that comes back until the end.
async fn exchange(
    address: SocketAddr,
    tls: ClientConfig,
    parts: Vec<String>,
    pause: Duration,
) -> std::io::Result<String> {
    tokio::task::spawn_blocking(move || {
        let mut stream = connect(address, tls);
        for part in parts {
            // The server may have answered and closed before we are done.
            if stream.write_all(part.as_bytes()).and_then(|()| stream.flush()).is_err() {
                break;
            }
            std::thread::sleep(pause);
        }
        let mut answer = Vec::new();
        let result = stream.read_to_end(&mut answer);
        if answer.is_empty() {
            result?;
        }
        Ok(String::from_utf8_lossy(&answer).into_owned())
    })
    .await
    .unwrap()
}

fn get_of(path: &str) -> Vec<String> {
    vec![format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")]
}

fn public(settings: &ListenerSettings) -> ListenerSettings {
    let mut settings = settings.clone();
    settings.client_ca_file = PathBuf::new();
    settings
}

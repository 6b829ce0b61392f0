//! Shows on real sockets that each listener lets in only whom and what it should.

use std::io::{Read, Write};
use std::net::TcpStream as StdStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, get, post, web};
use reqwest::Method;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use serde::Deserialize;
use utoipa_actix_web::AppExt;

use super::test_pki::{TestCertificate, TestPki};
use super::*;
use crate::platform::clock::SystemClock;
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
    HttpResponse::Found()
        .insert_header(("location", "/v1/who"))
        .finish()
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
            app.app_data(web::Data::new(AllowedMethods::of(&api)))
                .wrap(entry.door())
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
    socket
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
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
            if stream
                .write_all(part.as_bytes())
                .and_then(|()| stream.flush())
                .is_err()
            {
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
    vec![format!(
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_client_with_a_valid_certificate_of_the_right_authority_gets_in() {
    let (pki, foreign) = (TestPki::new(), TestPki::new());
    let server = pki.server();
    let running = start(Kind::Machines, &settings(&pki, &server));
    let good = pki.client("good");
    let (client, base) = http_client(&running, pki.client_config(Some(&good)));
    let url = format!("{base}/v1/who");
    let answer = client
        .request(Method::GET, &url)
        .unwrap()
        .send()
        .await
        .unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_2);
    let seen = read_capped(answer, 100).await.unwrap();
    assert_eq!(seen, digest(&SHA256, &good.der).as_ref());

    let expired = pki.expired_client("expired");
    let stranger = foreign.client("stranger");
    let server_as_client = pki.server();
    for (name, own) in [
        ("none", None),
        ("expired", Some(&expired)),
        ("foreign", Some(&stranger)),
        ("server certificate", Some(&server_as_client)),
    ] {
        let (client, base) = http_client(&running, pki.client_config(own));
        let request = client
            .request(Method::GET, &format!("{base}/v1/who"))
            .unwrap();
        assert!(request.send().await.is_err(), "{name}");
    }
}

fn tls12_only(pki: &TestPki, own: &TestCertificate) -> ClientConfig {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(pki.ca_file()).unwrap())
        .unwrap();
    ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from(own.der.clone())],
            PrivateKeyDer::from_pem_file(&own.key_file).unwrap(),
        )
        .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_1_2_is_refused_unless_a_person_has_permitted_it() {
    let pki = TestPki::new();
    let (server, own) = (pki.server(), pki.client("own"));
    let mut settings = settings(&pki, &server);
    for permitted in [false, true] {
        settings.tls12_permitted = permitted;
        let running = start(Kind::Machines, &settings);
        let tls = tls12_only(&pki, &own);
        let result = exchange(running.address, tls, get_of("/v1/who"), Duration::ZERO).await;
        assert_eq!(result.is_ok_and(|text| text.contains("200 OK")), permitted);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn path_tricks_are_refused_before_routing() {
    let pki = TestPki::new();
    let running = start(Kind::Public, &public(&settings(&pki, &pki.server())));
    let tls = pki.client_config(None);
    for path in [
        "/v1/x/../who",
        "/v1//who",
        "/v1/./who",
        "/v1/%77ho",
        "/v1%2fwho",
        "/v1/%2e%2e/who",
        "/v1/who;a=b",
        "/v1/who%00",
        "/v1%252fwho",
        "/v1/who\\",
        "/v1/%ff",
    ] {
        let answer = exchange(running.address, tls.clone(), get_of(path), Duration::ZERO)
            .await
            .unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
        let ours = answer.contains("application/problem+json")
            && answer.contains("/problems/path-not-canonical");
        // The parser of the framework refuses some of them even before us.
        assert!(
            ours || answer.contains("content-length: 0"),
            "{path}: {answer}"
        );
    }
    let refused = running.metrics.render();
    assert!(
        refused.contains("hocba_http_refused_paths_total{listener=\"public\"} 1"),
        "{refused}"
    );
    assert!(!refused.contains("who;"), "no raw path in the figures");
}

fn public(settings: &ListenerSettings) -> ListenerSettings {
    let mut settings = settings.clone();
    settings.client_ca_file = PathBuf::new();
    settings
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_is_a_problem_in_both_languages_with_the_security_headers() {
    let pki = TestPki::new();
    let running = start(Kind::Public, &public(&settings(&pki, &pki.server())));
    let (client, base) = http_client(&running, pki.client_config(None));
    let post = |path: &str, body: &'static str| {
        let request = client
            .request(Method::POST, &format!("{base}{path}"))
            .unwrap();
        request
            .header("content-type", "application/json")
            .body(body)
    };
    let get = |path: &str| {
        client
            .request(Method::GET, &format!("{base}{path}"))
            .unwrap()
    };
    let big: &'static str = Box::leak("[".repeat(1_500).into_boxed_str());
    let huge: &'static str = Box::leak("[".repeat(2_500).into_boxed_str());
    let long = format!("/v1/{}", "x".repeat(300));
    let cases = [
        (get("/nothing"), 404, "not-found"),
        (post("/v1/who", "{}"), 405, "method-not-allowed"),
        (get("/v1/things/1"), 405, "method-not-allowed"),
        (post("/v1/things/none", "{}"), 404, "not-found"),
        (
            post("/v1/things/1", "{\"number\": \"Nguyễn\"}"),
            400,
            "malformed-json",
        ),
        (post("/v1/things/1", big), 413, "body-too-large"),
        (post("/v1/things/1", huge), 413, "body-too-large"),
        (get(&long), 414, "target-too-long"),
        (get("/v1/stuck"), 408, "request-too-slow"),
    ];
    for (request, status, kind) in cases {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{kind}");
        let headers = answer.headers().clone();
        assert_eq!(
            headers["content-type"],
            "application/problem+json; charset=utf-8"
        );
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert_eq!(headers["cache-control"], "no-store");
        assert!(headers.contains_key("x-request-id"));
        assert!(headers.contains_key("strict-transport-security"));
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'self'"));
        assert_eq!(headers.contains_key("allow"), status == 405);
        let text = String::from_utf8(read_capped(answer, 10_000).await.unwrap()).unwrap();
        assert!(!text.contains("Nguyễn"), "a value came back: {text}");
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(problem["type"], format!("/problems/{kind}"));
        for member in ["title", "title_en", "detail", "detail_en"] {
            let value = problem[member].as_str().unwrap();
            assert!(
                !value.is_empty() && !value.starts_with("problem."),
                "{kind}: {value}"
            );
        }
    }
    let figures = running.metrics.render();
    assert!(figures.contains("route=\"/v1/things/{id}\""), "{figures}");
    assert!(figures.contains("hocba_http_requests_in_flight{listener=\"public\"} 0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_clients_are_cut_off_at_every_stage() {
    let pki = TestPki::new();
    let running = start(Kind::Public, &public(&settings(&pki, &pki.server())));
    let tls = pki.client_config(None);

    let silent = running.address;
    let handshake = tokio::task::spawn_blocking(move || {
        let begin = Instant::now();
        let mut socket = StdStream::connect(silent).unwrap();
        socket
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        let mut buffer = [0; 1];
        assert_eq!(socket.read(&mut buffer).unwrap_or(0), 0);
        begin.elapsed()
    });
    let slow_head: Vec<String> = "GET /v1/who HTTP/1.1\r\nhost: loc"
        .chars()
        .map(String::from)
        .collect();
    let begin = Instant::now();
    let head = exchange(
        running.address,
        tls.clone(),
        slow_head,
        Duration::from_millis(100),
    )
    .await;
    assert!(!head.is_ok_and(|text| text.contains("200 OK")));
    assert!(
        begin.elapsed() < Duration::from_secs(6),
        "{:?}",
        begin.elapsed()
    );

    let mut slow_body = vec![
        "POST /v1/things/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: 500\r\n\r\n"
            .to_owned(),
    ];
    slow_body.extend(std::iter::repeat_n(" ".to_owned(), 12));
    let body = exchange(running.address, tls, slow_body, Duration::from_millis(100))
        .await
        .unwrap();
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    assert!(body.contains("/problems/request-too-slow"), "{body}");
    assert!(handshake.await.unwrap() < Duration::from_secs(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_ours_reaches_named_hosts_only_and_follows_no_redirect() {
    let pki = TestPki::new();
    let running = start(Kind::Public, &public(&settings(&pki, &pki.server())));
    let (client, base) = http_client(&running, pki.client_config(None));
    for url in [
        "https://localhost:1/x",
        "https://example.org/x",
        &base.replace("https", "http"),
        &base.replace("localhost", "user@localhost"),
        "not an address",
    ] {
        let refused = client.request(Method::GET, url);
        assert!(matches!(refused, Err(HttpError::HostNotPermitted)), "{url}");
    }
    let moved = client
        .request(Method::GET, &format!("{base}/v1/elsewhere"))
        .unwrap();
    assert_eq!(moved.send().await.unwrap().status().as_u16(), 302);
    let answer = client
        .request(Method::GET, &format!("{base}/v1/who"))
        .unwrap()
        .send()
        .await;
    let capped = read_capped(answer.unwrap(), 3).await;
    assert!(matches!(
        capped,
        Err(HttpError::AnswerTooLarge { bytes_max: 3 })
    ));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_inside_speaks_plain_http_and_a_request_to_stop_ends_the_server() {
    let pki = TestPki::new();
    let mut inside = public(&settings(&pki, &pki.server()));
    inside.certificate_file = PathBuf::new();
    let running = start(Kind::Inside, &inside);
    let address = running.address;
    let text = tokio::task::spawn_blocking(move || {
        let mut socket = StdStream::connect(address).unwrap();
        socket.write_all(get_of("/v1/who")[0].as_bytes()).unwrap();
        let mut text = String::new();
        socket.read_to_string(&mut text).unwrap();
        text
    })
    .await
    .unwrap();
    assert!(
        text.starts_with("HTTP/1.1 200") && text.ends_with("nobody"),
        "{text}"
    );
    assert!(!text.contains("strict-transport-security"));
    running.trigger.request();
    let ended = tokio::time::timeout(Duration::from_secs(5), running.server).await;
    ended.expect("the server ends").unwrap().unwrap();
}

#[test]
fn a_listener_without_the_files_it_needs_is_refused_by_the_name_of_the_key() {
    let pki = TestPki::new();
    let complete = settings(&pki, &pki.server());
    let error = |kind, settings: &ListenerSettings| {
        let metrics = Metrics::new().unwrap();
        let entry = Entry::new(kind, settings, Arc::new(SystemClock), metrics);
        entry.tls().map(|_| ()).map_err(|error| error.to_string())
    };
    assert!(error(Kind::Machines, &complete).is_ok());
    let without_roots = error(Kind::Machines, &public(&complete)).unwrap_err();
    assert!(
        without_roots.contains("listener.machines.client_ca_file"),
        "{without_roots}"
    );
    assert!(
        error(Kind::Public, &complete)
            .unwrap_err()
            .contains("client_ca_file")
    );
    let mut missing = complete.clone();
    missing.key_file = pki.folder().join("absent.key");
    assert!(
        error(Kind::Machines, &missing)
            .unwrap_err()
            .contains("absent.key")
    );
}

#[test]
fn the_built_in_settings_of_the_listeners_are_complete() {
    #[derive(Deserialize)]
    struct All {
        listener: Settings,
        #[expect(dead_code, reason = "read by the deserializer only")]
        telemetry: crate::platform::telemetry::Settings,
    }
    let all: All = crate::platform::config::load(None, std::iter::empty()).unwrap();
    assert!(!all.listener.of(Kind::Machines).tls12_permitted);
    assert!(all.listener.of(Kind::Inside).bind.ip().is_loopback());
}

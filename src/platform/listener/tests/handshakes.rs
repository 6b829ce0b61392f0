//! Shows which certificates and versions get through the handshake.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_client_with_a_valid_certificate_of_the_right_authority_gets_in() {
    let (pki, foreign) = (TestPki::new(), TestPki::new());
    let server = pki.server();
    let running = start(Kind::Machines, &settings(&pki, &server));
    let good = pki.client("good");
    let (client, base) = http_client(&running, pki.client_config(Some(&good)));
    let url = format!("{base}/v1/who");
    let answer = client.request(Method::GET, &url).unwrap().send().await.unwrap();
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
        let request = client.request(Method::GET, &format!("{base}/v1/who")).unwrap();
        assert!(request.send().await.is_err(), "{name}");
    }
}

fn tls12_only(pki: &TestPki, own: &TestCertificate) -> ClientConfig {
    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(pki.ca_file()).unwrap()).unwrap();
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
    let moved = client.request(Method::GET, &format!("{base}/v1/elsewhere")).unwrap();
    assert_eq!(moved.send().await.unwrap().status().as_u16(), 302);
    let answer = client.request(Method::GET, &format!("{base}/v1/who")).unwrap().send().await;
    let capped = read_capped(answer.unwrap(), 3).await;
    assert!(matches!(capped, Err(HttpError::AnswerTooLarge { bytes_max: 3 })));
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
    assert!(text.starts_with("HTTP/1.1 200") && text.ends_with("nobody"), "{text}");
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
    assert!(without_roots.contains("listener.machines.client_ca_file"), "{without_roots}");
    assert!(error(Kind::Public, &complete).unwrap_err().contains("client_ca_file"));
    let mut missing = complete.clone();
    missing.key_file = pki.folder().join("absent.key");
    assert!(error(Kind::Machines, &missing).unwrap_err().contains("absent.key"));
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

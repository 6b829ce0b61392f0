//! Shows that odd paths, large bodies and slow clients are refused as problems.

use super::*;

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
        let answer =
            exchange(running.address, tls.clone(), get_of(path), Duration::ZERO).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 400"), "{path}: {answer}");
        let ours = answer.contains("application/problem+json")
            && answer.contains("/problems/path-not-canonical");
        // The parser of the framework refuses some of them even before us.
        assert!(ours || answer.contains("content-length: 0"), "{path}: {answer}");
    }
    let refused = running.metrics.render();
    assert!(refused.contains("hocba_http_refused_paths_total{listener=\"public\"} 1"), "{refused}");
    assert!(!refused.contains("who;"), "no raw path in the figures");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_is_a_problem_in_both_languages_with_the_security_headers() {
    let pki = TestPki::new();
    let running = start(Kind::Public, &public(&settings(&pki, &pki.server())));
    let (client, base) = http_client(&running, pki.client_config(None));
    let post = |path: &str, body: &'static str| {
        let request = client.request(Method::POST, &format!("{base}{path}")).unwrap();
        request.header("content-type", "application/json").body(body)
    };
    let get = |path: &str| client.request(Method::GET, &format!("{base}{path}")).unwrap();
    let big: &'static str = Box::leak("[".repeat(1_500).into_boxed_str());
    let huge: &'static str = Box::leak("[".repeat(2_500).into_boxed_str());
    let long = format!("/v1/{}", "x".repeat(300));
    let cases = [
        (get("/nothing"), 404, "not-found"),
        (post("/v1/who", "{}"), 405, "method-not-allowed"),
        (get("/v1/things/1"), 405, "method-not-allowed"),
        (post("/v1/things/none", "{}"), 404, "not-found"),
        (post("/v1/things/1", "{\"number\": \"Nguyễn\"}"), 400, "malformed-json"),
        (post("/v1/things/1", big), 413, "body-too-large"),
        (post("/v1/things/1", huge), 413, "body-too-large"),
        (get(&long), 414, "target-too-long"),
        (get("/v1/stuck"), 408, "request-too-slow"),
    ];
    for (request, status, kind) in cases {
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{kind}");
        let headers = answer.headers().clone();
        assert_eq!(headers["content-type"], "application/problem+json; charset=utf-8");
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
            assert!(!value.is_empty() && !value.starts_with("problem."), "{kind}: {value}");
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
        let begin = SystemClock.monotonic();
        let mut socket = StdStream::connect(silent).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let mut buffer = [0; 1];
        assert_eq!(socket.read(&mut buffer).unwrap_or(0), 0);
        SystemClock.monotonic() - begin
    });
    let slow_head: Vec<String> =
        "GET /v1/who HTTP/1.1\r\nhost: loc".chars().map(String::from).collect();
    let begin = SystemClock.monotonic();
    let head = exchange(running.address, tls.clone(), slow_head, Duration::from_millis(100)).await;
    assert!(!head.is_ok_and(|text| text.contains("200 OK")));
    assert!(
        (SystemClock.monotonic() - begin) < Duration::from_secs(6),
        "{:?}",
        (SystemClock.monotonic() - begin)
    );

    let mut slow_body = vec![
        "POST /v1/things/1 HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
         content-length: 500\r\n\r\n"
            .to_owned(),
    ];
    slow_body.extend(std::iter::repeat_n(" ".to_owned(), 12));
    let body = exchange(running.address, tls, slow_body, Duration::from_millis(100)).await.unwrap();
    assert!(body.starts_with("HTTP/1.1 408"), "{body}");
    assert!(body.contains("/problems/request-too-slow"), "{body}");
    assert!(handshake.await.unwrap() < Duration::from_secs(5));
}

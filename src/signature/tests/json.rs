//! Tests JSON Web Signatures: strict headers, detached and compact.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::super::jws::{canonical_json, sign_compact, sign_detached};
use super::*;

fn payload() -> Vec<u8> {
    canonical_json(&json!({"b": 1, "a": "ế", "c": [true, null, 1.50]})).unwrap()
}

fn detached(signer: &XmlSigner) -> String {
    sign_detached(&payload(), signer.signer().as_ref(), AT.parse().unwrap()).unwrap()
}

// Sign `payload` under any header, as a hostile but certified signer could.
fn under(header: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(header);
    let input = format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload()));
    let signature = SCHOOL.seal.signer().sign(input.as_bytes()).unwrap();
    format!("{header}..{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header_of(token: &str) -> String {
    let header = token.split('.').next().unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap()
}

#[test]
fn canonical_json_is_that_of_rfc_8785() {
    assert_eq!(payload(), "{\"a\":\"ế\",\"b\":1,\"c\":[true,null,1.5]}".as_bytes());
}

#[test]
fn detached_tokens_of_both_kinds_of_key_verify() {
    let verifier = verifier();
    for signer in [&SCHOOL.seal, &SCHOOL.principal] {
        let verified = verifier.verify_detached(&detached(signer), &payload()).unwrap();
        assert_eq!(verified.certificate, signer.signer().certificate_der());
        assert_eq!(verified.signing_time, AT.parse().unwrap());
        let other = verifier.verify_detached(&detached(signer), b"{}").unwrap_err();
        assert_eq!(other, FaultKind::SignatureInvalid);
    }
}

#[test]
fn compact_tokens_carry_their_payload_and_kind() {
    let signer = SCHOOL.seal.signer();
    let token =
        sign_compact(&payload(), "hocba-receipt", signer.as_ref(), AT.parse().unwrap()).unwrap();
    let verifier = verifier();
    let (read, verified) = verifier.verify_compact(&token).unwrap();
    assert_eq!(read, payload());
    assert_eq!(verified.kind.as_deref(), Some("hocba-receipt"));
    let parts: Vec<&str> = token.split('.').collect();
    let forged = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode("{}"), parts[2]);
    assert_eq!(verifier.verify_compact(&forged).unwrap_err(), FaultKind::SignatureInvalid);
    assert_eq!(verifier.verify_detached(&token, &payload()).unwrap_err(), FaultKind::JwsShape);
    assert_eq!(verifier.verify_compact(&detached(&SCHOOL.seal)).unwrap_err(), FaultKind::JwsShape);
}

#[test]
fn headers_are_read_strictly() {
    let verifier = verifier();
    let good = header_of(&detached(&SCHOOL.seal));
    let code = |header: &str| match verifier.verify_detached(&under(header), &payload()) {
        Ok(_) => "ok",
        Err(kind) => kind.code(),
    };
    assert_eq!(code(&good), "ok");
    let with = |member: &str| good.replacen('{', &format!("{{{member},"), 1);
    for (header, expected) in [
        (with("\"crit\":[\"sigT\"]"), "ok"),
        (with("\"b64\":true"), "ok"),
        (with("\"crit\":[\"exp\"],\"typ\":\"x\""), "jws-extension"),
        (with("\"crit\":[]"), "jws-extension"),
        (with("\"b64\":false"), "jws-extension"),
        (with("\"crit\":[\"b64\"]"), "jws-extension"),
        (with("\"alg\":\"ES256\""), "jws-shape"),
        (with("\"jwk\":{}"), "jws-shape"),
        (with("\"x5u\":\"https://example.org\""), "jws-shape"),
        (good.replace("ES256", "none"), "algorithm-not-permitted"),
        (good.replace("ES256", "HS256"), "algorithm-not-permitted"),
        (good.replace("ES256", "RS256"), "key-mismatch"),
        (good.replace("ES256", "ES384"), "key-mismatch"),
        (good.replace("sigT", "iat"), "jws-shape"),
        (good.replace("09:12:31+07:00", "09:12:31"), "signing-time-form"),
        (good.replace("\"x5c\":[\"", "\"x5c\":[],\"kid\":\"[\""), "jws-shape"),
        ("{}".to_owned(), "jws-shape"),
        (String::new(), "jws-shape"),
    ] {
        assert_eq!(code(&header), expected, "{header}");
    }
}

#[test]
fn tokens_of_another_shape_are_refused() {
    let verifier = verifier();
    let token = detached(&SCHOOL.seal);
    let refused = |token: &str| verifier.verify_detached(token, &payload()).unwrap_err();
    for bad in [String::new(), "..".to_owned(), format!("{token}."), format!("{token}=")] {
        assert_eq!(refused(&bad), FaultKind::JwsShape, "{bad}");
    }
    let mut small = settings();
    small.jws_bytes_max = token.len();
    assert!(Verifier::new(profile(), small.clone()).verify_detached(&token, &payload()).is_ok());
    small.jws_bytes_max -= 1;
    let strict = Verifier::new(profile(), small);
    assert_eq!(strict.verify_detached(&token, &payload()).unwrap_err(), FaultKind::JwsShape);
}

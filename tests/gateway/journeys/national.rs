//! Catches what is really sent and shows it to an independent validator.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use actix_web::{App, HttpResponse, HttpServer, web};
use hocba::platform::tls::{Credential, Versions, server_config};
use hocba::synthetic::Format;
use hocba::synthetic::pki::Role;
use hocba::transcript::Level;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::support::{PROGRAM, World, body, push_and_wait};

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/national/batch-1.xsd");

async fn keep(sender: web::Data<UnboundedSender<Vec<u8>>>, body: web::Bytes) -> HttpResponse {
    let _ = sender.send(body.to_vec());
    HttpResponse::ServiceUnavailable().insert_header(("retry-after", "60")).finish()
}

/// Listen as the national system would, keep every body and answer that it is busy.
fn catch(world: &World) -> (String, UnboundedReceiver<Vec<u8>>) {
    let pki = &world.installation.pki;
    let (certificate, key) = world.installation.files(pki.only(Role::SandboxServer).unwrap());
    let own = Credential { certificate_file: &certificate, key_file: &key };
    let clients = pki.certificate_path(pki.only(Role::SandboxClientCa).unwrap());
    let tls = server_config(own, Some(&clients), Versions::Tls13).unwrap();
    let (sender, receiver) = unbounded_channel();
    let sender = web::Data::new(sender);
    let server = HttpServer::new(move || {
        App::new()
            .app_data(sender.clone())
            .app_data(web::PayloadConfig::new(8 << 20))
            .default_service(web::to(keep))
    })
    .workers(1)
    .disable_signals()
    .bind_rustls_0_23("127.0.0.1:0", tls)
    .unwrap();
    let url = format!("https://localhost:{}", server.addrs()[0].port());
    tokio::spawn(server.run());
    (url, receiver)
}

fn validate(batch: &[u8]) {
    let mut child = Command::new("xmllint")
        .args(["--nonet", "--noout", "--schema", SCHEMA, "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("xmllint is needed: apt-get install libxml2-utils");
    child.stdin.take().unwrap().write_all(batch).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn what_is_sent_validates_against_the_schema_for_an_independent_validator() {
    let mut world = World::start("").await;
    world.roles.work.stop();
    let (url, mut sent) = catch(&world);
    world.configure(&format!(
        "[destination.national]\nurl = \"{url}\"\n[outbox]\nlinger_ms = 100\n"
    ));
    world.roles.work = world.installation.start(Path::new(PROGRAM), "work", &[]).unwrap();
    let gateway = world.province("01");
    for (level, format, media_type) in [
        (Level::Primary, Format::Xml, "application/xml"),
        (Level::LowerSecondary, Format::Ndjson, "application/x-ndjson"),
        (Level::UpperSecondary, Format::Content, "application/vnd.hocba.content"),
    ] {
        let generator = world.generator("01", level, 12, &[]);
        let status = push_and_wait(&gateway, media_type, body(&generator, 12, format)).await;
        assert_eq!(status["accepted"], 12, "{status}");
    }
    let mut records = 0;
    while records < 36 {
        let batch =
            tokio::time::timeout(Duration::from_secs(30), sent.recv()).await.unwrap().unwrap();
        validate(&batch);
        records += String::from_utf8(batch).unwrap().matches("<BanGhi ").count();
    }
    assert_eq!(records, 36);
}

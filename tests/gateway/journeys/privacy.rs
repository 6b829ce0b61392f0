//! Looks for made-up pupils in everything the processes wrote.

use hocba::synthetic::{FaultKind, Format};
use hocba::transcript::{Field, Level};

use crate::support::{World, body, push_and_wait};

#[tokio::test]
async fn no_name_and_no_number_reaches_logs_metrics_or_plain_columns() {
    let world = World::start("[telemetry]\nlevel = \"debug\"\n").await;
    let gateway = world.province("01");
    let generator =
        world.generator("01", Level::Primary, 40, &[FaultKind::ALL[0], FaultKind::ALL[1]]);
    push_and_wait(&gateway, "application/xml", body(&generator, 40, Format::Xml)).await;
    world.wait_for_delivery().await;
    let mut canaries = Vec::new();
    for position in 0..40 {
        let transcript = generator.transcript(position);
        for field in
            [Field::StudentName, Field::PersonalNumber, Field::MotherName, Field::StudentCode]
        {
            canaries.extend(transcript.value(field).map(str::to_owned));
        }
    }
    assert!(canaries.len() > 100);
    let mut written = world.logs();
    let metrics = metrics(&world).await;
    assert!(metrics.contains("hocba_"), "{metrics}");
    written.insert("metrics".into(), metrics);
    for (path, text) in &written {
        for canary in &canaries {
            assert!(!text.contains(canary.as_str()), "a pupil's data stands in {}", path.display());
        }
    }
}

async fn metrics(world: &World) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream =
        tokio::net::TcpStream::connect(world.installation.addresses.inside).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: inside\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

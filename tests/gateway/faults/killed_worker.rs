//! Kills the worker in mid-delivery and shows that every record is applied exactly once.

use std::path::Path;
use std::time::Duration;

use hocba::synthetic::Format;
use hocba::transcript::Level;

use crate::support::{PROGRAM, World, body, push_and_wait};

/// Times scaled down about thirtyfold, so that leases end while the test waits.
const SCALED: &str = r#"
[process]
lease_ms = 2000

[outbox]
forming_lease_ms = 2000
linger_ms = 100
poll_interval_ms = 50
attempts_in_flight_max = 2

[destination.national]
batch_records_max = 20
rate_wait_max_ms = 500

[destination.national.http]
connect_timeout_ms = 500
request_timeout_ms = 1500

[destination.national.schedule]
backoff_base_ms = 50
backoff_cap_ms = 500
visibility_ms = 1000
not_found_spacing_ms = 300
receipt_poll_ms = 200
"#;

/// A peer that is slow and sometimes loses its answer after it has applied the batch.
const FAULTS: &str = r#"
seed = 11

[[chance]]
probability = 0.2
fault = { kind = "drop_response" }

[[chance]]
probability = 0.8
fault = { kind = "delay", ms = 150 }
"#;

#[tokio::test]
async fn every_record_is_applied_exactly_once_after_kill_9_of_the_worker() {
    let script = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(script.path(), FAULTS).unwrap();
    let extra =
        format!("{SCALED}\n[sandbox]\nfaults_file = {:?}\n", script.path().display().to_string());
    let mut world = World::start(&extra).await;
    let gateway = world.province("01");
    let generator = world.generator("01", Level::Primary, 200, &[]);
    let status =
        push_and_wait(&gateway, "application/xml", body(&generator, 200, Format::Xml)).await;
    assert_eq!(status["accepted"], 200, "{status}");
    let mut kills = 0;
    for least in [1, 60, 120] {
        if world.wait_for_acknowledged(least).await {
            world.roles.work.kill();
            kills += 1;
            world.roles.work = world.installation.start(Path::new(PROGRAM), "work", &[]).unwrap();
        }
    }
    assert!(kills > 0, "the delivery was over before the first kill");
    let counts = world.wait_for_delivery().await;
    assert_eq!((counts.acknowledged, counts.refused, counts.parked), (200, 0, 0), "{counts:?}");
    let applied = world.applied();
    assert_eq!(applied.len(), 200);
    assert_eq!(hocba::sandbox::ledger::applied_twice(&applied), 0);
}

impl World {
    /// Wait until `least` records are acknowledged; false when the delivery ended before.
    async fn wait_for_acknowledged(&self, least: u64) -> bool {
        loop {
            let counts = self.counts().await;
            if counts.in_flight == 0 {
                return false;
            }
            if counts.acknowledged >= least {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

//! Starts a whole installation for one test and speaks to it as its users do.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use hocba::codes::Codes;
use hocba::commands::args::ConnectionArgs;
use hocba::commands::demo::Roles;
use hocba::commands::demo::installation::{Installation, Ports};
use hocba::commands::gateway::{Answer, Gateway};
use hocba::outbox::store::{Counts, counts};
use hocba::platform::clock::SystemClock;
use hocba::platform::config::Tables;
use hocba::platform::database::Role as DatabaseRole;
use hocba::sandbox::ledger::{self, Applied};
use hocba::synthetic::pki::{Entry, Role};
use hocba::synthetic::{FaultKind, Format, Generator, Options};
use hocba::transcript::{Level, SchoolYear};
use reqwest::Method;
use serde_json::Value;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_hocba");
/// Provinces that take part.
pub const PROVINCES: [&str; 2] = ["01", "20"];

/// A running installation in a temporary folder.
pub struct World {
    pub installation: Installation,
    pub roles: Roles,
    _folder: tempfile::TempDir,
}

impl World {
    /// Start everything; `extra` is added to the configuration file.
    pub async fn start(extra: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("hocba-test-").tempdir().unwrap();
        let provinces: Vec<String> = PROVINCES.iter().map(|code| (*code).to_owned()).collect();
        let installation =
            Installation::prepare(folder.path(), &provinces, Ports::Any).await.unwrap();
        add(&installation, extra);
        let roles = Roles::start_with(Path::new(PROGRAM), &installation).await.unwrap();
        Self { installation, roles, _folder: folder }
    }

    /// Add to the configuration; roles started from now on read it.
    pub fn configure(&self, extra: &str) {
        add(&self.installation, extra);
    }

    /// Connect as the machine of `province`.
    pub fn province(&self, province: &str) -> Gateway {
        self.connect(self.installation.pki.participant(province).unwrap())
    }

    /// Connect as the machine of the agency.
    pub fn agency(&self) -> Gateway {
        self.connect(self.installation.pki.only(Role::AgencyClient).unwrap())
    }

    /// Connect with the certificate of `entry`.
    pub fn connect(&self, entry: &Entry) -> Gateway {
        let (cert, key) = self.installation.files(entry);
        self.connect_with(cert, key)
    }

    /// Connect with certificate and key files.
    pub fn connect_with(&self, cert: PathBuf, key: PathBuf) -> Gateway {
        let url = self.installation.machines.clone();
        let ca = self.installation.ca().unwrap();
        Gateway::new(&ConnectionArgs { url, cert, key, ca }, 60).unwrap()
    }

    /// Make transcripts of `province`, without mistakes unless `faults` names some.
    pub fn generator(
        &self,
        province: &str,
        level: Level,
        records: u64,
        faults: &[FaultKind],
    ) -> Generator {
        let tables = Tables::default();
        let options = Options {
            level,
            province: province.to_owned(),
            school_year: SchoolYear::starting(2025).unwrap(),
            records,
            seed: 7,
            fault_rate: if faults.is_empty() { 0.0 } else { 1.0 },
            fault_kinds: faults.to_vec(),
        };
        let codes = Codes::load(&tables).unwrap();
        Generator::new(options, &codes, &tables, &self.installation.pki, Arc::new(SystemClock))
            .unwrap()
    }

    /// Count what became of sealed records.
    pub async fn counts(&self) -> Counts {
        let pool = self.installation.database.pool(DatabaseRole::Watch).unwrap();
        counts(&pool)
            .await
            .unwrap()
            .values()
            .fold(Counts::default(), |sum, counts| sum.plus(counts))
    }

    /// Wait until nothing is in flight.
    pub async fn wait_for_delivery(&self) -> Counts {
        for _ in 0..1_200 {
            let counts = self.counts().await;
            if counts.in_flight == 0 {
                return counts;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!(
            "records are still in flight: {:?}\n{}",
            self.counts().await,
            self.roles.work.log_tail()
        );
    }

    /// Read what the stand-in applied.
    pub fn applied(&self) -> Vec<Applied> {
        ledger::read(&self.installation.ledger).unwrap()
    }

    /// Read every byte the roles and the database wrote to their logs.
    pub fn logs(&self) -> BTreeMap<PathBuf, String> {
        let names = ["serve.log", "work.log", "sandbox.log", "pg/postgres.log"];
        names
            .iter()
            .map(|name| self.installation.dir.join(name))
            .map(|path| {
                let text = String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned();
                (path, text)
            })
            .collect()
    }
}

fn add(installation: &Installation, extra: &str) {
    let text = std::fs::read_to_string(&installation.config).unwrap();
    let mut configuration: toml::Table = text.parse().unwrap();
    merge(&mut configuration, extra.parse().unwrap());
    std::fs::write(&installation.config, configuration.to_string()).unwrap();
}

fn merge(base: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (base.get_mut(&key), value) {
            (Some(toml::Value::Table(inner)), toml::Value::Table(table)) => merge(inner, table),
            (_, value) => {
                base.insert(key, value);
            }
        }
    }
}

/// Write `records` transcripts as one body.
pub fn body(generator: &Generator, records: u64, format: Format) -> Vec<u8> {
    let mut body = Vec::new();
    generator.write_batch(&mut body, 0..records, format).unwrap();
    body
}

/// Push a body.
pub async fn push(gateway: &Gateway, media_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = gateway
        .request(Method::POST, "/v1/batches")
        .unwrap()
        .header("content-type", media_type)
        .body(body);
    gateway.send(request).await.unwrap()
}

/// Push a body that must be acknowledged and wait until its batch is processed; returns its status.
pub async fn push_and_wait(gateway: &Gateway, media_type: &str, body: Vec<u8>) -> Value {
    let answer = push(gateway, media_type, body).await;
    assert_eq!(answer.status, 202, "{}", answer.body);
    wait_for_batch(gateway, answer.body["batch_id"].as_str().unwrap()).await
}

/// Wait until a batch is processed; returns its status with results.
pub async fn wait_for_batch(gateway: &Gateway, batch_id: &str) -> Value {
    for _ in 0..600 {
        let status = gateway.read(&format!("/v1/batches/{batch_id}")).await.unwrap();
        assert_eq!(status.status, 200, "{}", status.body);
        if matches!(status.body["state"].as_str(), Some("done" | "refused")) {
            return status.body;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("batch {batch_id} was not processed in 30 s");
}

/// Return the rules a result breaks with severity hold or error.
pub fn broken_rules(result: &Value) -> Vec<&str> {
    let violations = result["violations"].as_array().unwrap();
    violations
        .iter()
        .filter(|v| v["severity"] != "warning")
        .filter_map(|v| v["rule"].as_str())
        .collect()
}

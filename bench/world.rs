//! Runs a whole installation from the release binary, pushes bodies and waits for what becomes of them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use hocba::codes::Codes;
use hocba::commands::demo::Roles;
use hocba::commands::demo::installation::{Installation, Ports};
use hocba::commands::demo::journey;
use hocba::commands::gateway::Gateway;
use hocba::intake::{Encoding, Format};
use hocba::platform::clock::{Clock, SystemClock};
use hocba::platform::config::Tables;
use hocba::platform::texts::Lang;
use hocba::synthetic::{self, Generator, Options};
use hocba::transcript::{Level, SchoolYear};
use jiff::Timestamp;
use reqwest::Method;
use uuid::Uuid;

use super::cpu;

/// The program that is measured.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_hocba");
/// First calendar year of the school year of the records.
pub const SCHOOL_YEAR: i16 = 2025;
/// Records of one pushed body.
pub const BODY_RECORDS: u64 = 500;
/// Bodies sent at the same time.
const UPLOADS: usize = 2;
const LOOK: Duration = Duration::from_millis(100);
const LOOKS_MAX: u32 = 6_000;

/// What one province sends, and how; the same school level everywhere, so that formats compare.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Name in the table.
    pub name: &'static str,
    /// Who sends.
    pub province: &'static str,
    /// How records are written.
    pub format: Format,
    /// How the body is compressed.
    pub encoding: Encoding,
    made: synthetic::Format,
}

/// The three formats.
pub const PARTS: [Part; 3] = [
    Part {
        name: "xml",
        province: "01",
        format: Format::Xml,
        encoding: Encoding::Gzip,
        made: synthetic::Format::Xml,
    },
    Part {
        name: "content",
        province: "79",
        format: Format::Content,
        encoding: Encoding::Identity,
        made: synthetic::Format::Content,
    },
    Part {
        name: "ndjson",
        province: "20",
        format: Format::Ndjson,
        encoding: Encoding::Zstd,
        made: synthetic::Format::Ndjson,
    },
];

/// A running installation.
pub struct World {
    /// Its folder, addresses and database.
    pub installation: Installation,
    /// A session of the database's superuser, for counting and for the limit.
    pub root: tokio_postgres::Client,
    roles: Roles,
}

/// Processor time of every process of an installation, in microseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    /// `hocba serve`.
    pub serve: f64,
    /// `hocba work`.
    pub work: f64,
    /// The stand-in of the national system; it is not ours to make fast.
    pub sandbox: f64,
    /// PostgreSQL with all its processes.
    pub postgres: f64,
}

/// What one measurement found.
pub struct Run {
    /// From the first byte sent to the last batch processed and committed, in seconds.
    pub durable_s: f64,
    /// Processor time until then.
    pub durable: Used,
    /// From the first byte sent to the last acknowledgement, where the installation delivers.
    pub acknowledged: Option<(f64, Used)>,
    /// The batches.
    pub batches: Vec<Uuid>,
}

impl World {
    /// Start everything in `dir`; without `delivers` the national system is halted, as an operator can do.
    pub async fn start(program: &Path, dir: &Path, delivers: bool) -> anyhow::Result<Self> {
        let provinces: Vec<String> = PARTS.iter().map(|part| part.province.to_owned()).collect();
        let installation = Installation::prepare(dir, &provinces, Ports::Any).await?;
        let mut configuration = std::fs::read_to_string(&installation.config)?;
        // The last, partly filled batch waits for more records by design; here nothing more comes.
        configuration.push_str("\n[outbox]\nlinger_ms = 200\npoll_interval_ms = 100\n");
        std::fs::write(&installation.config, configuration)?;
        let root = superuser(&installation.dir.join("pg")).await?;
        if !delivers {
            let halt = "INSERT INTO hocba.destination_state (destination, halted, reason)
                        VALUES ('national', true, 'bench')";
            root.batch_execute(halt).await?;
        }
        let roles = Roles::start_with(program, &installation).await?;
        Ok(Self { installation, root, roles })
    }

    /// Make the bodies of `records` new transcripts, compressed as they are sent.
    pub fn bodies(&self, part: &Part, seed: u64, records: u64) -> anyhow::Result<Vec<Vec<u8>>> {
        let tables = Tables::default();
        let options = Options {
            level: Level::LowerSecondary,
            province: part.province.to_owned(),
            school_year: SchoolYear::starting(SCHOOL_YEAR).context("school year")?,
            records,
            seed,
            fault_rate: 0.0,
            fault_kinds: Vec::new(),
        };
        let codes = Codes::load(&tables)?;
        let clock = Arc::new(SystemClock);
        let pki = &self.installation.pki;
        let generator = Generator::new(options, &codes, &tables, pki, clock)?;
        let starts = (0..records).step_by(usize::try_from(BODY_RECORDS)?);
        starts
            .map(|from| {
                let mut body = Vec::new();
                let to = (from + BODY_RECORDS).min(records);
                generator.write_batch(&mut body, from..to, part.made)?;
                compress(body, part.encoding)
            })
            .collect()
    }

    /// Push `bodies` of `records` transcripts and wait until all of it is done.
    pub async fn run(
        &self,
        part: &Part,
        bodies: Vec<Vec<u8>>,
        records: u64,
        delivers: bool,
    ) -> anyhow::Result<Run> {
        let before = self.used()?;
        let acknowledged_before = self.acknowledged().await?.0;
        let begun = SystemClock.now();
        let gateway = journey::gateway(&self.installation, part.province)?;
        let batches: Vec<Uuid> = stream::iter(bodies)
            .map(|body| push(&gateway, part, body))
            .buffer_unordered(UPLOADS)
            .try_collect()
            .await?;
        let finished_at = self.wait_until_durable(&batches, records).await?;
        let durable = self.used()?.since(&before);
        let mut acknowledged = None;
        if delivers {
            let wanted = acknowledged_before + i64::try_from(records)?;
            let at = self.wait_until_acknowledged(wanted).await?;
            acknowledged = Some((seconds(begun, at), self.used()?.since(&before)));
        }
        Ok(Run { durable_s: seconds(begun, finished_at), durable, acknowledged, batches })
    }

    async fn wait_until_durable(
        &self,
        batches: &[Uuid],
        records: u64,
    ) -> anyhow::Result<Timestamp> {
        for _ in 0..LOOKS_MAX {
            let row = self
                .root
                .query_one(
                    "SELECT count(*) FILTER (WHERE state IN ('RECEIVED', 'PROCESSING')),
                            max(finished_at), coalesce(sum(accepted), 0)::bigint
                     FROM hocba.batch WHERE batch_id = ANY($1)",
                    &[&batches],
                )
                .await?;
            if row.get::<_, i64>(0) == 0 {
                let accepted: i64 = row.get(2);
                ensure!(
                    u64::try_from(accepted)? == records,
                    "{accepted} of {records} records were accepted"
                );
                let finished_at: Option<Timestamp> = row.get(1);
                return finished_at.context("no batch");
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("not processed in time: {}", self.roles.work.log_tail())
    }

    async fn wait_until_acknowledged(&self, wanted: i64) -> anyhow::Result<Timestamp> {
        for _ in 0..LOOKS_MAX {
            let (count, at) = self.acknowledged().await?;
            if count >= wanted {
                return at.context("no batch");
            }
            tokio::time::sleep(LOOK).await;
        }
        bail!("not delivered in time: {}", self.roles.work.log_tail())
    }

    async fn acknowledged(&self) -> anyhow::Result<(i64, Option<Timestamp>)> {
        let row = self
            .root
            .query_one(
                "SELECT (SELECT coalesce(sum(entries), 0)::bigint FROM hocba.outbox_tally WHERE counted = 'ACKED'),
                        (SELECT max(updated_at) FROM hocba.outbox_batch WHERE state = 'SETTLED')",
                &[],
            )
            .await?;
        Ok((row.get(0), row.get(1)))
    }

    fn used(&self) -> anyhow::Result<Used> {
        let of = |process: Option<u32>| cpu::of_process(process.context("a role has ended")?);
        Ok(Used {
            serve: of(self.roles.serve.process_id())?,
            work: of(self.roles.work.process_id())?,
            sandbox: of(self.roles.sandbox.process_id())?,
            postgres: self.postgres_us()?,
        })
    }

    /// Return the processor time of PostgreSQL, in microseconds.
    pub fn postgres_us(&self) -> anyhow::Result<f64> {
        let server = self.installation.postgres_process_id();
        cpu::of_family(server.context("PostgreSQL was not started here")?)
    }

    /// End the roles.
    pub fn stop(&mut self) {
        self.roles.stop();
    }
}

impl Used {
    /// Return the sum of what is ours: without the stand-in.
    pub fn ours(&self) -> f64 {
        self.serve + self.work + self.postgres
    }

    /// Return the share of one of `records`.
    pub fn per(&self, records: f64) -> Self {
        Self {
            serve: self.serve / records,
            work: self.work / records,
            sandbox: self.sandbox / records,
            postgres: self.postgres / records,
        }
    }

    fn since(&self, earlier: &Self) -> Self {
        Self {
            serve: self.serve - earlier.serve,
            work: self.work - earlier.work,
            sandbox: self.sandbox - earlier.sandbox,
            postgres: self.postgres - earlier.postgres,
        }
    }
}

async fn push(gateway: &Gateway, part: &Part, body: Vec<u8>) -> anyhow::Result<Uuid> {
    let request = gateway
        .request(Method::POST, "/v1/batches")?
        .header("content-type", part.format.media_type())
        .header("content-encoding", part.encoding.name())
        .body(body);
    let receipt = gateway.send(request).await?.expect_success(Lang::En)?;
    let id = receipt["batch_id"].as_str().context("no batch id")?;
    Ok(id.parse()?)
}

async fn superuser(socket: &Path) -> anyhow::Result<tokio_postgres::Client> {
    let mut config = tokio_postgres::Config::new();
    config.host_path(PathBuf::from(socket)).user("postgres");
    config.dbname("hocba");
    let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

fn compress(body: Vec<u8>, encoding: Encoding) -> anyhow::Result<Vec<u8>> {
    Ok(match encoding {
        Encoding::Gzip => {
            let fast = flate2::Compression::fast();
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), fast);
            encoder.write_all(&body)?;
            encoder.finish()?
        }
        Encoding::Zstd => zstd::encode_all(&body[..], 3)?,
        Encoding::Identity => body,
    })
}

fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64()
}

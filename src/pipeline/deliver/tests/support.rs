//! Sets up a private database, a sandbox over real TLS and an engine between them.

use std::fs;
use std::num::NonZeroU32;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use deadpool_postgres::Pool;
use uuid::Uuid;

use crate::map::sample::{CODES, MAPPING, primary};
use crate::map::{self, Event, Stamp};
use crate::outbox::forming::{KIND_RECORD, sha256};
use crate::outbox::schedule::{Chance, new_message_id};
use crate::outbox::store::Counts;
use crate::outbox::{self, NewEntry, Policy, store};
use crate::pipeline::deliver::{Deliverer, Parts, Route};
use crate::platform::clock::{SharedClock, SystemClock};
use crate::platform::config::Tables;
use crate::platform::database::{self, Database, Role};
use crate::platform::http::ClientSettings;
use crate::platform::listener::ListenerSettings;
use crate::platform::listener::test_pki::{TestCertificate, TestPki};
use crate::platform::private_postgres::PrivatePostgres;
use crate::platform::shutdown::{Shutdown, ShutdownTrigger};
use crate::platform::telemetry::Metrics;
use crate::receipts::{Evidence, SignedReceipts, receipt_settings};
use crate::sandbox::{self, ledger};
use crate::seal::FileSigner;
use crate::signature::{self, Profile, Verifier, XmlLimits, XmlSigner, seal_element};
use crate::submit::national::National;
use crate::submit::{ConnectorKind, EvidenceKind, Settings};
use crate::transcript::RecordId;
use crate::vault::{self, Context, Vault};

pub(super) const YEAR: i16 = 2025;

/// One server for all tests that run at the same time; stops with the last of them.
struct Shared {
    database: Database,
    _server: PrivatePostgres,
    _folder: tempfile::TempDir,
}

static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());
static NEXT: AtomicU32 = AtomicU32::new(1);

fn database_settings() -> database::Settings {
    database::Settings {
        url: String::new(),
        passwords_dir: PathBuf::new(),
        private_dir: PathBuf::new(),
        connections_max: 8,
        wait_timeout_ms: 20_000,
        statement_timeout_ms: 20_000,
        private_shared_buffers_mib: 32,
    }
}

async fn shared() -> Arc<Shared> {
    // Tests run on threads of their own, so holding the lock while the server starts blocks nobody else's runtime.
    let mut slot = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = slot.upgrade() {
        return shared;
    }
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = PrivatePostgres::start(&folder.path().join("pg"), 32).unwrap();
    let database = Database::new(&server.url(), &database_settings()).unwrap();
    let migrating = database.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(migrating.migrate()).unwrap();
    })
    .join()
    .unwrap();
    let shared = Arc::new(Shared { database, _server: server, _folder: folder });
    *slot = Arc::downgrade(&shared);
    shared
}

pub(super) fn signature_settings() -> signature::Settings {
    signature::Settings {
        xml: XmlLimits {
            depth_max: 32,
            attributes_max: 16,
            namespaces_max: 16,
            start_tag_bytes_max: 4_096,
            text_bytes_max: 65_536,
            nodes_max: 10_000,
            record_bytes_max: 1_048_576,
        },
        key_cache_entries: 16,
        jws_bytes_max: 65_536,
        sealed_bytes_max: 16_777_216,
        sealed_nodes_max: 4_000_000,
    }
}

pub(super) fn fast_policy() -> Policy {
    Policy {
        backoff_base_ms: 10,
        backoff_cap_ms: 100,
        retry_after_cap_ms: 50,
        park_after_attempts: 30,
        park_after_ms: 60_000,
        visibility_ms: 0,
        not_found_spacing_ms: 30,
        receipt_wait_ms: 5_000,
        receipt_poll_ms: 20,
        breaker_failures: 3,
        breaker_open_ms: 60_000,
    }
}

fn open_signer(certificate: &TestCertificate) -> FileSigner {
    fs::set_permissions(&certificate.key_file, fs::Permissions::from_mode(0o600)).unwrap();
    FileSigner::from_pem_files(&certificate.key_file, &certificate.certificate_file).unwrap()
}

/// A sandbox under way; stops when dropped.
pub(super) struct Running {
    pub(super) port: u16,
    _trigger: ShutdownTrigger,
}

pub(super) struct World {
    shared: Arc<Shared>,
    pub(super) pki: TestPki,
    pub(super) work: Pool,
    pub(super) watch: Pool,
    pub(super) vault: Arc<Vault>,
    pub(super) gateway: TestCertificate,
    pub(super) client: TestCertificate,
    pub(super) receipts: TestCertificate,
    server: TestCertificate,
    pub(super) destination: String,
    pub(super) settings: Settings,
    pub(super) sandbox_settings: sandbox::Settings,
    pub(super) sandbox: Option<Running>,
}

impl World {
    /// Start everything but the engine; `faults` is the sandbox's script.
    pub(super) async fn start(faults: &str) -> Self {
        let mut world = Self::without_sandbox().await;
        world.start_sandbox(faults);
        world
    }

    pub(super) async fn without_sandbox() -> Self {
        let shared = shared().await;
        let pki = TestPki::new();
        let (gateway, client) = (pki.client("gateway-seal"), pki.client("gateway-client"));
        let (receipts, server) = (pki.client("receipts"), pki.server());
        let keys_file = pki.folder().join("vault.toml");
        Vault::create_development_keys(&keys_file).unwrap();
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let destination = format!("national-{number}");
        Self {
            work: shared.database.pool(Role::Work).unwrap(),
            watch: shared.database.pool(Role::Watch).unwrap(),
            vault: Arc::new(Vault::open(&vault::Settings { keys_file }).unwrap()),
            settings: settings(&pki, &client, &receipts),
            sandbox_settings: sandbox_settings(&pki, &server, &gateway),
            destination,
            shared,
            pki,
            gateway,
            client,
            receipts,
            server,
            sandbox: None,
        }
    }

    /// Start, or start again, the sandbox with the same ledger.
    pub(super) fn start_sandbox(&mut self, faults: &str) {
        let signer = open_signer(&self.receipts);
        self.start_sandbox_as(faults, signer);
    }

    pub(super) fn start_sandbox_as(&mut self, faults: &str, signer: FileSigner) {
        self.sandbox = None;
        let faults_file = self.pki.folder().join("faults.toml");
        fs::write(&faults_file, faults).unwrap();
        self.sandbox_settings.faults_file = faults_file;
        let parts = sandbox::Parts {
            signer: Arc::new(signer),
            signature: signature_settings(),
            clock: Arc::new(SystemClock),
            metrics: Metrics::new().unwrap(),
            tables: Tables::default(),
        };
        let (trigger, shutdown) = Shutdown::new();
        let running = sandbox::run(&self.sandbox_settings, &parts, &shutdown).unwrap();
        tokio::spawn(running.server);
        self.settings.url = format!("https://localhost:{}", running.address.port());
        self.sandbox = Some(Running { port: running.address.port(), _trigger: trigger });
    }

    pub(super) fn other_signer(&self) -> FileSigner {
        open_signer(&self.pki.client("impostor"))
    }

    pub(super) fn xml_signer(&self) -> XmlSigner {
        XmlSigner::new(Arc::new(open_signer(&self.gateway)), false).unwrap()
    }

    /// Make an engine; several share the work.
    pub(super) fn engine(&self, worker: &str) -> Deliverer {
        let clock: SharedClock = Arc::new(SystemClock);
        let parts = Parts {
            work: self.work.clone(),
            vault: Arc::clone(&self.vault),
            signer: self.xml_signer(),
            clock,
            chance: Arc::new(Chance::seeded(7)),
            metrics: Metrics::new().unwrap(),
            worker: worker.to_owned(),
            settings: outbox_settings(),
        };
        Deliverer::new(parts, vec![self.route()]).unwrap()
    }

    pub(super) fn route(&self) -> Route {
        let profile: Profile = Tables::default().parse(sandbox::PROFILE_FILE).unwrap();
        let limits = receipt_settings(&signature_settings(), self.settings.answer_bytes_max);
        let verifier = Arc::new(Verifier::new(profile, limits));
        let pinned = SignedReceipts::new(verifier, &[&self.receipts.der]);
        Route {
            destination: Arc::new(National::new(&self.destination, &self.settings).unwrap()),
            evidence: Arc::new(Evidence::Signed(pinned)),
        }
    }

    pub(super) async fn participant(&self) -> i32 {
        let pool = self.shared.database.pool(Role::Query).unwrap();
        let client = pool.get().await.unwrap();
        let code = format!("p{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let row = client
            .query_one(
                "INSERT INTO hocba.participant (kind, code, registered_at) VALUES ('province', $1, now())
                 RETURNING participant_id",
                &[&code],
            )
            .await
            .unwrap();
        row.get(0)
    }

    /// Seal, store and enqueue `records` records, as the first journey does.
    pub(super) async fn enqueue(&self, participant_id: i32, records: usize) -> Vec<NewEntry> {
        let signer = self.xml_signer();
        let now = jiff::Timestamp::from_second(1_779_934_351).unwrap();
        let mut client = self.work.get().await.unwrap();
        let transaction = database::begin_for(&mut client, participant_id).await.unwrap();
        let mut entries = Vec::new();
        for _ in 0..records {
            let record_id = new_message_id(now);
            let stamp = Stamp {
                record_id: RecordId(record_id),
                event: Event::New,
                version: NonZeroU32::MIN,
                updated_at: now,
            };
            let record = map::map(&MAPPING, &CODES, primary(), &stamp).unwrap();
            let mut xml = Vec::new();
            record.to_xml(&mut xml);
            let sealed = seal_element(&xml, &record.xml_id(), &signer, now).unwrap();
            let context = Context {
                participant_id,
                school_year: YEAR,
                id: record_id,
                version: 1,
                kind: KIND_RECORD,
            };
            let body = self.vault.seal(&context, &sealed).unwrap();
            transaction
                .execute(
                    "INSERT INTO hocba.record_body (participant_id, school_year, record_id, kind, codec, key_id, body)
                     VALUES ($1, $2, $3, 2, $4, $5, $6)",
                    &[&participant_id, &YEAR, &record_id, &body.codec, &body.key_id, &body.body],
                )
                .await
                .unwrap();
            entries.push(NewEntry {
                participant_id,
                school_year: YEAR,
                record_id,
                destination: self.destination.clone(),
                version: 1,
                digest: sha256(&sealed),
                priority: 0,
            });
        }
        store::enqueue(&transaction, &entries).await.unwrap();
        transaction.commit().await.unwrap();
        entries
    }

    pub(super) fn ledger(&self) -> Vec<ledger::Applied> {
        ledger::read(&self.sandbox_settings.ledger_file).unwrap()
    }

    pub(super) async fn counts(&self, participant_id: i32) -> Counts {
        let all = store::counts(&self.watch).await.unwrap();
        all.get(&(participant_id, self.destination.clone())).cloned().unwrap_or_default()
    }

    /// Return one text for each row of `sql` as the working role, for one participant.
    pub(super) async fn rows(&self, participant_id: i32, sql: &str) -> Vec<String> {
        let mut client = self.work.get().await.unwrap();
        let transaction = database::begin_for(&mut client, participant_id).await.unwrap();
        let rows = transaction.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get::<_, String>(0)).collect()
    }

    /// Try a statement as the working role; returns what the database said against it.
    pub(super) async fn refusal(&self, participant_id: i32, sql: &str) -> String {
        let mut client = self.work.get().await.unwrap();
        let transaction = database::begin_for(&mut client, participant_id).await.unwrap();
        match transaction.batch_execute(sql).await {
            Ok(()) => String::new(),
            Err(error) => error.as_db_error().map_or(error.to_string(), |e| e.message().to_owned()),
        }
    }
}

pub(super) const LIMIT: Duration = Duration::from_secs(30);

fn outbox_settings() -> outbox::Settings {
    outbox::Settings {
        poll_interval_ms: 20,
        linger_ms: 0,
        attempts_in_flight_max: 3,
        builders_max: 2,
        forming_lease_ms: 10_000,
        expired_leases_max: 10,
    }
}

fn settings(pki: &TestPki, client: &TestCertificate, receipts: &TestCertificate) -> Settings {
    Settings {
        connector: ConnectorKind::National,
        url: "https://localhost:1".to_owned(),
        submit_path: "/v1/batches".to_owned(),
        status_path: "/v1/batches/{messageId}".to_owned(),
        message_id_header: "Message-Id".to_owned(),
        possible_duplicate_header: "Possible-Duplicate".to_owned(),
        rate_per_s: 500,
        burst: 100,
        rate_wait_max_ms: 1_000,
        batch_records_max: 10,
        batch_bytes_max: 4_194_304,
        record_bytes_max: 1_048_576,
        answer_bytes_max: 262_144,
        evidence: EvidenceKind::SignedReceipt,
        receipt_certificate_files: vec![receipts.certificate_file.clone()],
        server_ca_file: pki.ca_file(),
        certificate_file: client.certificate_file.clone(),
        key_file: client.key_file.clone(),
        http: ClientSettings {
            connect_timeout_ms: 2_000,
            request_timeout_ms: 5_000,
            idle_connections_max: 4,
            idle_timeout_ms: 5_000,
        },
        schedule: fast_policy(),
    }
}

fn sandbox_settings(
    pki: &TestPki,
    server: &TestCertificate,
    gateway: &TestCertificate,
) -> sandbox::Settings {
    sandbox::Settings {
        listener: ListenerSettings {
            bind: "127.0.0.1:0".parse().unwrap(),
            certificate_file: server.certificate_file.clone(),
            key_file: server.key_file.clone(),
            client_ca_file: pki.ca_file(),
            tls12_permitted: false,
            workers: 1,
            connections_max: 50,
            body_bytes_max: 8_388_608,
            json_bytes_max: 1_000,
            target_bytes_max: 500,
            tls_handshake_timeout_ms: 5_000,
            client_header_timeout_ms: 5_000,
            body_grace_ms: 5_000,
            body_bytes_per_s_min: 1_000,
            request_timeout_ms: 10_000,
            keep_alive_s: 5,
            connection_age_max_s: 60,
            shutdown_timeout_s: 1,
        },
        client_certificate_files: Vec::new(),
        gateway_certificate_files: vec![gateway.certificate_file.clone()],
        ledger_file: pki.folder().join("ledger.ndjson"),
        rate_per_s: 500,
        burst: 200,
        batch_records_max: 1_000,
        batch_bytes_max: 8_388_608,
        faults_file: PathBuf::new(),
    }
}

/// Return the ids of entries, sorted.
pub(super) fn ids(entries: &[NewEntry]) -> Vec<String> {
    let mut ids: Vec<String> = entries.iter().map(|entry| entry.record_id.to_string()).collect();
    ids.sort();
    ids
}

/// Return the ids of a ledger, sorted.
pub(super) fn applied_ids(ledger: &[ledger::Applied]) -> Vec<String> {
    let mut ids: Vec<String> = ledger.iter().map(|line| line.id_ban_ghi.clone()).collect();
    ids.sort();
    ids
}

/// Return a message id of the present.
pub(super) fn fresh_id() -> Uuid {
    use crate::platform::clock::Clock;
    new_message_id(SystemClock.now())
}

//! Builds a register with signed records on a private database, for tests.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use deadpool_postgres::Pool;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::evidence::{JSON_MARK, XML_MARK};
use super::super::store::SIGNED_BODY;
use super::super::*;
use crate::access::{self, Access, ParticipantKind};
use crate::codes::Codes;
use crate::intake::{canonical, ministry};
use crate::platform::clock::{ManualClock, SharedClock};
use crate::platform::config::Tables;
use crate::platform::database::{self, Database, Role, begin_for};
use crate::platform::private_postgres::PrivatePostgres;
use crate::signature::{self, RecordSigner, Verifier, XmlSigner, jws, sign_record};
use crate::synthetic::pki::{
    self, IssuedSigner, Issuers, Layout, OrganisationSubject, PersonSubject, Pki,
};
use crate::synthetic::{Generator, Options};
use crate::transcript::{Field, Level, SchoolYear, Transcript};
use crate::trust::{self, Anchors, SystemSettings, TrustSystem};
use crate::vault::{self, Context, Vault};

const PROFILE: &str = "mappings/signature-profile.toml";

#[derive(Deserialize)]
struct Defaults {
    signature: signature::Settings,
    trust: trust::Settings,
    intake: IntakeDefaults,
    query: Settings,
}

#[derive(Deserialize)]
struct IntakeDefaults {
    line: canonical::Settings,
}

/// A register with one province and two agencies, on a private database.
pub(super) struct World {
    pub(super) answerer: Answerer,
    pub(super) verifier: Arc<Verifier>,
    work: Pool,
    pub(super) owner: Pool,
    vault: Arc<Vault>,
    ministry: Arc<ministry::Profile>,
    issuers: Issuers,
    clock: SharedClock,
    pub(super) generator: Generator,
    province: i32,
    pub(super) agency: i32,
    pub(super) other_agency: i32,
    pub(super) officer: Uuid,
    pub(super) other_officer: Uuid,
    _base: Arc<Base>,
}

/// A migrated private database; tests that change no grants share one.
pub(super) struct Base {
    database: Database,
    folder: tempfile::TempDir,
    _server: PrivatePostgres,
}

static SHARED: Mutex<Weak<Base>> = Mutex::new(Weak::new());
static WORLDS: AtomicU64 = AtomicU64::new(0);

pub(super) fn new_base() -> Base {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = PrivatePostgres::start(&folder.path().join("pg"), 32).unwrap();
    let database = Database::new(&server.url(), &database_settings()).unwrap();
    let migrating = database.clone();
    let migrate = move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(migrating.migrate()).unwrap();
    };
    std::thread::spawn(migrate).join().unwrap();
    Base { database, folder, _server: server }
}

pub(super) fn shared_base() -> Arc<Base> {
    let mut slot = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(base) = slot.upgrade() {
        return base;
    }
    let base = Arc::new(new_base());
    *slot = Arc::downgrade(&base);
    base
}

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Form {
    Xml,
    Json,
}

/// How a record is put into the register.
pub(super) struct Planting<'a> {
    pub(super) form: Form,
    pub(super) status: &'a str,
    // Changes the signed document after it was signed.
    pub(super) tamper: Option<(&'a str, &'a str)>,
    // Changes a byte of the ciphertext.
    pub(super) damage: bool,
}

pub(super) const GOOD: Planting<'static> =
    Planting { form: Form::Xml, status: "EFFECTIVE", tamper: None, damage: false };

fn database_settings() -> database::Settings {
    database::Settings {
        url: String::new(),
        passwords_dir: PathBuf::new(),
        private_dir: PathBuf::new(),
        connections_max: 4,
        wait_timeout_ms: 5_000,
        statement_timeout_ms: 10_000,
        private_shared_buffers_mib: 32,
    }
}

fn defaults(layout: &Layout) -> Defaults {
    let mut defaults: Defaults = Tables::default().parse("default.toml").unwrap();
    let system = |role| SystemSettings {
        anchors: vec![layout.certificate_path(layout.only(role).unwrap())],
        intermediates: Vec::new(),
    };
    defaults.trust.public_ca = system(pki::Role::PublicRoot);
    defaults.trust.official_duty = system(pki::Role::OfficialDutyRoot);
    defaults
}

fn open_access(pool: Pool, clock: SharedClock) -> Access {
    let settings = access::Settings {
        cache_ms: 0,
        cache_entries_max: 10,
        proposal_expires_s: 60,
        open_proposals_max: 10,
    };
    Access::new(pool, clock, &settings)
}

async fn register(access: &Access, kind: ParticipantKind, number: u64) -> i32 {
    let code = format!("test-{number}");
    let registered = access.register_participant("process:test", kind, &code).await;
    registered.unwrap()
}

fn person(issuers: &Issuers, name: &str, clock: &SharedClock) -> IssuedSigner {
    let subject =
        PersonSubject { name, organisation: "UBND phường Thử", personal_number: None };
    let issued = issuers.person(TrustSystem::OfficialDuty, subject, &**clock);
    issued.unwrap()
}

fn organisation(issuers: &Issuers, name: &str, clock: &SharedClock) -> IssuedSigner {
    let subject = OrganisationSubject { name, parent: "Bộ Thử", code: None };
    let issued = issuers.organisation(TrustSystem::OfficialDuty, subject, &**clock);
    issued.unwrap()
}

fn generator(number: u64, layout: &Layout, clock: SharedClock) -> Generator {
    let tables = Tables::default();
    let codes = Codes::load(&tables).unwrap();
    let options = Options {
        level: Level::LowerSecondary,
        province: "20".to_owned(),
        school_year: SchoolYear::starting(2025).unwrap(),
        records: 100,
        seed: 11 + number,
        fault_rate: 0.0,
        fault_kinds: Vec::new(),
    };
    Generator::new(options, &codes, &tables, layout, clock).unwrap()
}

pub(super) async fn world(base: Arc<Base>) -> World {
    // Codes of participants and of transcripts are used once in a database.
    let number = WORLDS.fetch_add(1, Ordering::SeqCst);
    let database = base.database.clone();
    let place = base.folder.path().join(number.to_string());
    fs::create_dir(&place).unwrap();
    let clock: SharedClock = Arc::new(ManualClock::new("2026-11-23T02:00:00Z".parse().unwrap()));
    let tables = Tables::default();
    let layout = Pki::create(&place.join("pki"), &["20".to_owned()], &*clock).unwrap();
    let defaults = defaults(&layout);
    let keys_file = place.join("keys.toml");
    Vault::create_development_keys(&keys_file).unwrap();
    let vault = Arc::new(Vault::open(&vault::Settings { keys_file }).unwrap());
    let verifier = Arc::new(Verifier::new(tables.parse(PROFILE).unwrap(), defaults.signature));
    let ministry = Arc::new(ministry::Profile::load(&tables).unwrap());
    let pool = database.pool(Role::Query).unwrap();
    let issuers = Issuers::open(&layout).unwrap();
    let access = Arc::new(open_access(pool.clone(), clock.clone()));
    let province = register(&access, ParticipantKind::Province, number).await;
    let agency = register(&access, ParticipantKind::Agency, number).await;
    let other_agency = register(&access, ParticipantKind::Agency, number + 1_000).await;
    let mut officers = Vec::new();
    for (name, of) in [("Cán Bộ Một", agency), ("Cán Bộ Hai", other_agency)] {
        let certificate = person(&issuers, name, &clock).certificate_der;
        let (role, actor) = (access::Role::Officer, "process:test");
        let id = access.register_person(actor, role, Some(of), &certificate).await;
        officers.push(id.unwrap());
    }
    let evidence = Arc::new(EvidenceReader::new(
        vault.clone(),
        verifier.clone(),
        ministry.clone(),
        defaults.intake.line,
        Arc::new(Anchors::load(defaults.trust).unwrap()),
        defaults.query.source_bytes_max,
    ));
    let signer = organisation(&issuers, "Cổng học bạ số", &clock).signer().unwrap();
    World {
        answerer: Answerer::new(
            pool.clone(),
            access,
            vault.clone(),
            evidence,
            Arc::new(Catalogue::load(&tables).unwrap()),
            signer,
            clock.clone(),
            defaults.query,
        ),
        generator: generator(number, &layout, clock.clone()),
        verifier,
        work: database.pool(Role::Work).unwrap(),
        owner: database.pool(Role::Owner).unwrap(),
        vault,
        ministry,
        issuers,
        clock,
        province,
        agency,
        other_agency,
        officer: officers[0],
        other_officer: officers[1],
        _base: base,
    }
}

impl World {
    fn signed(&self, transcript: &Transcript, form: Form) -> Vec<u8> {
        let at = "2026-06-01T02:00:00Z".parse().unwrap();
        let head = person(&self.issuers, "Nguyễn Hiệu Trưởng", &self.clock);
        let school = organisation(&self.issuers, "Trường Thử", &self.clock);
        let signers = [
            ("CBQL", XmlSigner::new(head.signer().unwrap(), true).unwrap()),
            ("KY_PHAT_HANH", XmlSigner::new(school.signer().unwrap(), true).unwrap()),
        ];
        let mut out = Vec::new();
        match form {
            Form::Xml => {
                let mut data = Vec::new();
                ministry::encode(transcript, &self.ministry, "hb1-data", &mut data).unwrap();
                let signers: Vec<RecordSigner<'_>> = signers
                    .iter()
                    .map(|(role, signer)| RecordSigner {
                        role,
                        signed_on: None,
                        personal_number: None,
                        signer,
                        at,
                    })
                    .collect();
                out.push(XML_MARK);
                let profile = self.verifier.profile();
                sign_record(profile, "hb1", &data, "hb1-data", &signers, &mut out).unwrap();
            }
            Form::Json => {
                let octets = canonical::record_octets(transcript).unwrap();
                let tokens: BTreeMap<String, String> = signers
                    .iter()
                    .map(|(role, signer)| {
                        let token = jws::sign_detached(&octets, signer.signer().as_ref(), at);
                        ((*role).to_owned(), token.unwrap())
                    })
                    .collect();
                out.push(JSON_MARK);
                canonical::write_line(&octets, &tokens, &mut out);
                out.pop();
            }
        }
        out
    }

    pub(super) async fn plant(&self, transcript: &Transcript, planting: &Planting<'_>) {
        let mut document = self.signed(transcript, planting.form);
        if let Some((from, to)) = planting.tamper {
            let text = String::from_utf8(document).unwrap();
            assert!(text.contains(from));
            document = text.replace(from, to).into_bytes();
        }
        let code: Uuid = transcript.value(Field::Code).unwrap().parse().unwrap();
        let year: SchoolYear = transcript.value(Field::SchoolYear).unwrap().parse().unwrap();
        let number = transcript.value(Field::PersonalNumber).unwrap();
        let subject = self.vault.subject_ref(&number.parse().unwrap());
        let record_id = Uuid::new_v4();
        let context = Context {
            participant_id: self.province,
            school_year: year.start(),
            id: record_id,
            version: 1,
            kind: SIGNED_BODY,
        };
        let mut sealed = self.vault.seal(&context, &document).unwrap();
        if planting.damage {
            sealed.body[40] ^= 1;
        }
        let mut client = self.work.get().await.unwrap();
        let transaction = begin_for(&mut client, self.province).await.unwrap();
        transaction
            .execute(
                "INSERT INTO hocba.record (participant_id, school_year, record_id, batch_id, position,
                     transcript_code, subject_ref, subject_key_id, source_sha256, level, state, status, received_at)
                 VALUES ($1, $2, $3, $3, 0, $4, $5, $6, sha256(uuid_send($3)), 3, 'SEALED', $7, $8)",
                &[
                    &self.province,
                    &year.start(),
                    &record_id,
                    &code,
                    &subject.value.as_slice(),
                    &subject.key_id,
                    &planting.status,
                    &self.clock.now(),
                ],
            )
            .await
            .unwrap();
        transaction
            .execute(
                "INSERT INTO hocba.record_body VALUES ($1, $2, $3, 1, $4, $5, $6)",
                &[
                    &self.province,
                    &year.start(),
                    &record_id,
                    &sealed.codec,
                    &sealed.key_id,
                    &sealed.body,
                ],
            )
            .await
            .unwrap();
        transaction
            .execute(
                "INSERT INTO hocba.directory VALUES ($1, $2, $3, $4, $5, 3)",
                &[&code, &subject.value.as_slice(), &self.province, &year.start(), &record_id],
            )
            .await
            .unwrap();
        transaction.commit().await.unwrap();
    }

    pub(super) fn question(&self, procedure: &str, subject: &Value) -> Value {
        json!({
            "procedure": procedure, "case": "H01.23.45-261123-0001", "officer": self.officer,
            "subject": subject, "level": "thcs", "school_years": ["2025-2026"],
        })
    }

    pub(super) async fn ask(&self, agency: i32, question: &Value) -> Result<Answer, QueryError> {
        let body = question.to_string();
        let question = request::parse(body.as_bytes(), self.answerer.limits())?;
        let asker = self.answerer.officer_of(agency, question.officer).await?;
        self.answerer.answer(asker, question).await
    }

    pub(super) async fn verdict(&self, subject: Value) -> Verdict {
        let question = self.question("1.001088", &subject);
        self.ask(self.agency, &question).await.unwrap().verdict
    }

    pub(super) async fn leaves(&self) -> i64 {
        let client = self.owner.get().await.unwrap();
        let sql = "SELECT count(*) FROM hocba.audit_leaf WHERE actor = $1";
        let actor = format!("person:{}", self.officer);
        client.query_one(sql, &[&actor]).await.unwrap().get(0)
    }

    pub(super) async fn as_owner(&self, sql: &str) {
        self.owner.get().await.unwrap().batch_execute(sql).await.unwrap();
    }
}

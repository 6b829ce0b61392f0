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

use super::evidence::{JSON_MARK, XML_MARK};
use super::store::SIGNED_BODY;
use super::*;
use crate::access::{self, Access, ParticipantKind};
use crate::codes::Codes;
use crate::intake::{canonical, ministry};
use crate::platform::clock::{ManualClock, SharedClock};
use crate::platform::config::Tables;
use crate::platform::database::{self, Database, Role, begin_for};
use crate::platform::private_postgres::PrivatePostgres;
use crate::signature::{self, RecordSigner, Verifier, XmlSigner, jws, sign_record};
use crate::synthetic::pki::{self, Issuers, OrganisationSubject, PersonSubject, Pki};
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
struct World {
    answerer: Answerer,
    verifier: Arc<Verifier>,
    work: Pool,
    owner: Pool,
    vault: Arc<Vault>,
    ministry: Arc<ministry::Profile>,
    issuers: Issuers,
    clock: SharedClock,
    generator: Generator,
    province: i32,
    agency: i32,
    other_agency: i32,
    officer: Uuid,
    other_officer: Uuid,
    _base: Arc<Base>,
}

/// A migrated private database; tests that change no grants share one.
struct Base {
    database: Database,
    folder: tempfile::TempDir,
    _server: PrivatePostgres,
}

static SHARED: Mutex<Weak<Base>> = Mutex::new(Weak::new());
static WORLDS: AtomicU64 = AtomicU64::new(0);

fn new_base() -> Base {
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

fn shared_base() -> Arc<Base> {
    let mut slot = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(base) = slot.upgrade() {
        return base;
    }
    let base = Arc::new(new_base());
    *slot = Arc::downgrade(&base);
    base
}

#[derive(Clone, Copy, PartialEq)]
enum Form {
    Xml,
    Json,
}

/// How a record is put into the register.
struct Planting<'a> {
    form: Form,
    status: &'a str,
    // Changes the signed document after it was signed.
    tamper: Option<(&'a str, &'a str)>,
    // Changes a byte of the ciphertext.
    damage: bool,
}

const GOOD: Planting<'static> =
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

async fn world(base: Arc<Base>) -> World {
    // Codes of participants and of transcripts are used once in a database.
    let number = WORLDS.fetch_add(1, Ordering::SeqCst);
    let database = base.database.clone();
    let place = base.folder.path().join(number.to_string());
    fs::create_dir(&place).unwrap();
    let clock: SharedClock = Arc::new(ManualClock::new("2026-11-23T02:00:00Z".parse().unwrap()));
    let tables = Tables::default();
    let layout = Pki::create(&place.join("pki"), &["20".to_owned()], &*clock).unwrap();
    let mut defaults: Defaults = tables.parse("default.toml").unwrap();
    let system = |role| SystemSettings {
        anchors: vec![layout.certificate_path(layout.only(role).unwrap())],
        intermediates: Vec::new(),
    };
    defaults.trust.public_ca = system(pki::Role::PublicRoot);
    defaults.trust.official_duty = system(pki::Role::OfficialDutyRoot);
    let keys_file = place.join("keys.toml");
    Vault::create_development_keys(&keys_file).unwrap();
    let vault = Arc::new(Vault::open(&vault::Settings { keys_file }).unwrap());
    let verifier = Arc::new(Verifier::new(tables.parse(PROFILE).unwrap(), defaults.signature));
    let ministry = Arc::new(ministry::Profile::load(&tables).unwrap());
    let pool = database.pool(Role::Query).unwrap();
    let access = Arc::new(Access::new(
        pool.clone(),
        clock.clone(),
        &access::Settings {
            cache_ms: 0,
            cache_entries_max: 10,
            proposal_expires_s: 60,
            open_proposals_max: 10,
        },
    ));
    let register = |kind, code: &'static str| {
        let access = access.clone();
        let code = format!("{code}-{number}");
        async move { access.register_participant("process:test", kind, &code).await.unwrap() }
    };
    let province = register(ParticipantKind::Province, "20").await;
    let agency = register(ParticipantKind::Agency, "UBND-1").await;
    let other_agency = register(ParticipantKind::Agency, "UBND-2").await;
    let issuers = Issuers::open(&layout).unwrap();
    let person = |name: &'static str| {
        let subject =
            PersonSubject { name, organisation: "UBND phường Thử", personal_number: None };
        issuers.person(TrustSystem::OfficialDuty, subject, &*clock).unwrap()
    };
    let mut officers = Vec::new();
    for (name, of) in [("Cán Bộ Một", agency), ("Cán Bộ Hai", other_agency)] {
        let id = access
            .register_person(
                "process:test",
                access::Role::Officer,
                Some(of),
                &person(name).certificate_der,
            )
            .await
            .unwrap();
        officers.push(id);
    }
    let evidence = Arc::new(EvidenceReader::new(
        vault.clone(),
        verifier.clone(),
        ministry.clone(),
        defaults.intake.line,
        Arc::new(Anchors::load(defaults.trust).unwrap()),
        vec!["KY_PHAT_HANH".to_owned()],
        defaults.query.source_bytes_max,
    ));
    let signer = issuers
        .organisation(
            TrustSystem::OfficialDuty,
            OrganisationSubject {
                name: "Cổng học bạ số", parent: "Bộ Thử", code: None
            },
            &*clock,
        )
        .unwrap()
        .signer()
        .unwrap();
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
        generator: Generator::new(options, &codes, &tables, &layout, clock.clone()).unwrap(),
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
        let head = PersonSubject {
            name: "Nguyễn Hiệu Trưởng",
            organisation: "Trường Thử",
            personal_number: None,
        };
        let school =
            OrganisationSubject { name: "Trường Thử", parent: "UBND xã Thử", code: None };
        let system = TrustSystem::OfficialDuty;
        let head = self.issuers.person(system, head, &*self.clock).unwrap();
        let school = self.issuers.organisation(system, school, &*self.clock).unwrap();
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

    async fn plant(&self, transcript: &Transcript, planting: &Planting<'_>) {
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

    fn question(&self, procedure: &str, subject: &Value) -> Value {
        json!({
            "procedure": procedure, "case": "H01.23.45-261123-0001", "officer": self.officer,
            "subject": subject, "level": "thcs", "school_years": ["2025-2026"],
        })
    }

    async fn ask(&self, agency: i32, question: &Value) -> Result<Answer, QueryError> {
        let body = question.to_string();
        let question = request::parse(body.as_bytes(), self.answerer.limits())?;
        let asker = self.answerer.officer_of(agency, question.officer).await?;
        self.answerer.answer(asker, question).await
    }

    async fn verdict(&self, subject: Value) -> Verdict {
        let question = self.question("1.001088", &subject);
        self.ask(self.agency, &question).await.unwrap().verdict
    }

    async fn leaves(&self) -> i64 {
        let client = self.owner.get().await.unwrap();
        let sql = "SELECT count(*) FROM hocba.audit_leaf WHERE actor = $1";
        let actor = format!("person:{}", self.officer);
        client.query_one(sql, &[&actor]).await.unwrap().get(0)
    }

    async fn as_owner(&self, sql: &str) {
        self.owner.get().await.unwrap().batch_execute(sql).await.unwrap();
    }
}

fn by_code(transcript: &Transcript) -> Value {
    json!({
        "transcript_code": transcript.value(Field::Code).unwrap(),
        "name": transcript.value(Field::StudentName).unwrap(),
    })
}

fn by_number(transcript: &Transcript) -> Value {
    let born = transcript.value(Field::BirthDate).unwrap();
    json!({
        "personal_number": transcript.value(Field::PersonalNumber).unwrap(),
        "birth_date": born,
        "name": transcript.value(Field::StudentName).unwrap(),
    })
}

fn with<'a>(
    status: &'a str,
    tamper: Option<(&'a str, &'a str)>,
    damage: bool,
    form: Form,
) -> Planting<'a> {
    Planting { form, status, tamper, damage }
}

#[tokio::test]
async fn every_kind_of_evidence_gives_its_verdict() {
    let world = world(shared_base()).await;
    let pupil = |position| world.generator.transcript(position);
    for (position, planting, expected) in [
        (0, GOOD, Verdict::Valid),
        (1, with("EFFECTIVE", None, false, Form::Json), Verdict::Valid),
        (2, with("RECALLED", None, false, Form::Xml), Verdict::Recalled),
        (3, with("SUPERSEDED", None, false, Form::Json), Verdict::Superseded),
        (4, with("EFFECTIVE", None, true, Form::Xml), Verdict::SourceUnavailable),
    ] {
        let transcript = pupil(position);
        world.plant(&transcript, &planting).await;
        assert_eq!(world.verdict(by_code(&transcript)).await, expected, "{position}");
        assert_eq!(world.verdict(by_number(&transcript)).await, expected, "{position}");
    }
    for (position, form) in [(5, Form::Xml), (6, Form::Json)] {
        let transcript = pupil(position);
        let school = transcript.value(Field::SchoolName).unwrap().to_owned();
        let forged = with("EFFECTIVE", Some((&school, "Trường Giả")), false, form);
        world.plant(&transcript, &forged).await;
        assert_eq!(world.verdict(by_code(&transcript)).await, Verdict::SignatureInvalid);
        // A forged document proves no date of birth, so the number alone learns nothing.
        assert_eq!(world.verdict(by_number(&transcript)).await, Verdict::NotFound);
    }
    let mut lacking = pupil(7);
    lacking.general.set(Field::StudyYear, "");
    world.plant(&lacking, &GOOD).await;
    let question = world.question("1.001088", &by_code(&lacking));
    let answer = world.ask(world.agency, &question).await.unwrap();
    assert_eq!(answer.verdict, Verdict::Incomplete);
    assert_eq!(answer.years[0].missing, ["study_year"]);
    assert!(answer.years[0].transcript.is_none());

    let known = pupil(0);
    let mut wrong = by_code(&known);
    wrong["name"] = json!("Người Khác");
    assert_eq!(world.verdict(wrong).await, Verdict::IdentityMismatch);
    let mut wrong = by_number(&known);
    wrong["name"] = json!("Người Khác");
    assert_eq!(world.verdict(wrong).await, Verdict::IdentityMismatch);
}

#[tokio::test]
async fn what_is_not_found_looks_the_same_whether_it_exists_or_not() {
    let world = world(shared_base()).await;
    let known = world.generator.transcript(0);
    world.plant(&known, &GOOD).await;
    let mut recalled = world.generator.transcript(1);
    recalled.general.set(Field::BirthDate, "2013-02-03");
    let planting = Planting { status: "RECALLED", ..GOOD };
    world.plant(&recalled, &planting).await;
    let mut wrong_day = by_number(&known);
    wrong_day["birth_date"] = json!("2001-01-01");
    let mut wrong_day_recalled = by_number(&recalled);
    wrong_day_recalled["birth_date"] = json!("2001-01-01");
    let nobody = json!({
        "personal_number": "020313999999", "birth_date": "2001-01-01", "name": "Người Không Có"
    });
    let no_code = json!({"transcript_code": Uuid::new_v4().to_string(), "name": "Người Không Có"});
    let mut bodies = Vec::new();
    for subject in [wrong_day, wrong_day_recalled, nobody, no_code] {
        let question = world.question("1.001088", &subject);
        let answer = world.ask(world.agency, &question).await.unwrap();
        assert_eq!(answer.verdict, Verdict::NotFound);
        let mut body = serde_json::to_value(&answer).unwrap();
        for member in ["answer_id", "answered_at", "request_sha256", "leaf_hash", "signature"] {
            assert!(body.as_object_mut().unwrap().remove(member).is_some());
        }
        bodies.push(body.to_string());
    }
    assert!(bodies.iter().all(|body| *body == bodies[0]), "{bodies:#?}");
}

#[tokio::test]
async fn nothing_is_disclosed_without_its_audit_leaf() {
    let world = world(Arc::new(new_base())).await;
    let known = world.generator.transcript(0);
    world.plant(&known, &GOOD).await;
    let question = world.question("1.001088", &by_code(&known));
    let leaves = world.leaves().await;
    let answer = world.ask(world.agency, &question).await.unwrap();
    assert_eq!(world.leaves().await, leaves + 1);

    let client = world.owner.get().await.unwrap();
    let sql = "SELECT encode(leaf_hash, 'hex'), actor, details::text FROM hocba.audit_leaf
               ORDER BY leaf_id DESC LIMIT 1";
    let row = client.query_one(sql, &[]).await.unwrap();
    assert_eq!(row.get::<_, String>(0), answer.leaf_hash);
    assert_eq!(row.get::<_, String>(1), format!("person:{}", world.officer));
    let details: String = row.get(2);
    for secret in [
        known.value(Field::StudentName).unwrap(),
        known.value(Field::PersonalNumber).unwrap(),
        known.value(Field::Code).unwrap(),
        "H01.23.45-261123-0001",
    ] {
        assert!(!details.contains(secret), "{secret} in {details}");
    }
    assert!(details.contains("study_year"));

    world.as_owner("REVOKE INSERT ON hocba.audit_leaf FROM hocba_query").await;
    let refused = world.ask(world.agency, &question).await;
    assert!(matches!(refused, Err(QueryError::Unavailable(_))));
    world.as_owner("GRANT INSERT ON hocba.audit_leaf TO hocba_query").await;
    world.as_owner("REVOKE INSERT ON hocba.answer FROM hocba_query").await;
    let refused = world.ask(world.agency, &question).await;
    assert!(matches!(refused, Err(QueryError::Unavailable(_))));
    assert_eq!(world.leaves().await, leaves + 1, "row and leaf go together");
    world.as_owner("GRANT INSERT ON hocba.answer TO hocba_query").await;

    world.as_owner("REVOKE SELECT ON hocba.directory FROM hocba_query").await;
    let dark = world.ask(world.agency, &question).await.unwrap();
    assert_eq!(dark.verdict, Verdict::SourceUnavailable);
    assert!(dark.years.iter().all(|year| year.transcript.is_none()));
    assert_eq!(world.leaves().await, leaves + 2);
}

#[tokio::test]
async fn an_answer_is_signed_and_bound_to_question_officer_and_time() {
    let world = world(shared_base()).await;
    let known = world.generator.transcript(0);
    world.plant(&known, &GOOD).await;
    let question = world.question("1.001088", &by_code(&known));
    let answer = world.ask(world.agency, &question).await.unwrap();
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, question.to_string().as_bytes());
    assert_eq!(answer.request_sha256, shape::hex(digest.as_ref()));
    assert_eq!((answer.agency, answer.officer), (world.agency, world.officer));
    assert_eq!(answer.answer_id.get_version_num(), 7);

    let mut body = serde_json::to_value(&answer).unwrap();
    let token = body.as_object_mut().unwrap().remove("signature").unwrap();
    let token = token.as_str().unwrap();
    let payload = jws::canonical_json(&body).unwrap();
    assert!(world.verifier.verify_detached(token, &payload).is_ok());
    let forgeries: [(&str, Value); 3] = [
        ("verdict", json!("not-found")),
        ("request_sha256", json!("00")),
        ("officer", json!(world.other_officer)),
    ];
    for (member, value) in forgeries {
        let mut forged = body.clone();
        forged[member] = value;
        let payload = jws::canonical_json(&forged).unwrap();
        assert!(world.verifier.verify_detached(token, &payload).is_err(), "{member}");
    }
}

#[tokio::test]
async fn who_may_not_ask_is_refused_before_any_look() {
    let world = world(shared_base()).await;
    let known = world.generator.transcript(0);
    world.plant(&known, &GOOD).await;
    let leaves = world.leaves().await;
    let good = world.question("1.001088", &by_code(&known));
    let mut foreign = good.clone();
    foreign["officer"] = json!(world.other_officer);
    assert!(matches!(world.ask(world.agency, &foreign).await, Err(QueryError::OfficerUnknown)));
    assert!(matches!(world.ask(world.other_agency, &good).await, Err(QueryError::OfficerUnknown)));
    let by_number_in_a_transfer = world.question("2.002481", &by_number(&known));
    assert!(matches!(
        world.ask(world.agency, &by_number_in_a_transfer).await,
        Err(QueryError::WayNotPermitted)
    ));
    assert!(matches!(
        world.ask(world.agency, &world.question("9.999999", &by_code(&known))).await,
        Err(QueryError::ProcedureUnknown)
    ));
    let mut level = good.clone();
    level["level"] = json!("tieu_hoc");
    assert!(matches!(world.ask(world.agency, &level).await, Err(QueryError::LevelNotPermitted)));
    assert_eq!(world.leaves().await, leaves);
    let mut refused = 0;
    for _ in 0..70 {
        match world.ask(world.agency, &good).await {
            Err(QueryError::TooFast(limit)) => {
                assert!(limit.retry_after_s >= 1);
                refused += 1;
            }
            other => assert_eq!(other.unwrap().verdict, Verdict::Valid),
        }
    }
    assert!(refused > 0, "the officer's budget is finite");
}

//! Starts a database with a registry for the tests below it.

mod over_tls;
mod registry;
mod two_persons;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;

use actix_web::web;
use deadpool_postgres::Pool;

use super::*;
use crate::platform::clock::{Clock, ManualClock, SystemClock};
use crate::platform::database::{self, Database};
use crate::platform::listener::test_pki::{TestCertificate, TestPki};
use crate::platform::private_postgres::PrivatePostgres;

const ACTOR: &str = "process:test";

struct World {
    pki: TestPki,
    clock: Arc<ManualClock>,
    pool: Pool,
    access: web::Data<Access>,
    _server: PrivatePostgres,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let server = PrivatePostgres::start(&folder.path().join("pg"), 16).unwrap();
        let settings = database::Settings {
            url: String::new(),
            passwords_dir: PathBuf::new(),
            private_dir: PathBuf::new(),
            connections_max: 4,
            wait_timeout_ms: 5_000,
            statement_timeout_ms: 10_000,
            private_shared_buffers_mib: 16,
        };
        let database = Database::new(&server.url(), &settings).unwrap();
        database.migrate().await.unwrap();
        let pool = database.pool(database::Role::Query).unwrap();
        let clock = Arc::new(ManualClock::new(SystemClock.now()));
        let access = Access::new(pool.clone(), clock.clone(), &access_settings());
        Self {
            pki: TestPki::new(),
            clock,
            pool,
            access: web::Data::new(access),
            _server: server,
            _folder: folder,
        }
    }

    async fn operator(&self, name: &str) -> (Person, TestCertificate) {
        let certificate = self.pki.client(name);
        let id = self
            .access
            .register_person(ACTOR, Role::Operator, None, &certificate.der)
            .await
            .unwrap();
        let person = self.access.person(&digest(&certificate)).await.unwrap();
        let person = person.unwrap();
        assert_eq!(person.person_id, id);
        (person, certificate)
    }

    async fn participant(
        &self,
        kind: ParticipantKind,
        code: &str,
        certificate: &TestCertificate,
    ) -> i32 {
        let id = self.access.register_participant(ACTOR, kind, code).await;
        let id = id.unwrap();
        self.access
            .register_client_certificate(ACTOR, id, certificate.pem.as_bytes())
            .await
            .unwrap();
        id
    }

    async fn leaves(&self) -> Vec<String> {
        let client = self.pool.get().await.unwrap();
        let sql = "SELECT action FROM hocba.audit_leaf ORDER BY leaf_id";
        let rows = client.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    }
}

fn access_settings() -> Settings {
    Settings {
        cache_ms: 2_000,
        cache_entries_max: 100,
        proposal_expires_s: 3_600,
        open_proposals_max: 3,
    }
}

fn digest(certificate: &TestCertificate) -> [u8; 32] {
    Fingerprint::of(&certificate.der).0
}

fn impossible<T: std::fmt::Debug>(result: Result<T, AccessError>) -> Reason {
    match result {
        Err(AccessError::Impossible(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

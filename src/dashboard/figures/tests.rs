//! Counts over a real database with the watching role.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::json;

use super::*;
use crate::outbox::store::{NewEntry, enqueue};
use crate::platform::clock::ManualClock;
use crate::platform::config::Tables;
use crate::platform::database::{Database, Role, Settings as DatabaseSettings, begin_for};
use crate::platform::private_postgres::PrivatePostgres;

struct World {
    board: FigureBoard,
    query: Pool,
    intake: Pool,
    work: Pool,
    now: Timestamp,
    _server: PrivatePostgres,
    _folder: tempfile::TempDir,
}

async fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let server = PrivatePostgres::start(&folder.path().join("pg"), 32).unwrap();
    let settings = DatabaseSettings {
        url: String::new(),
        passwords_dir: PathBuf::new(),
        private_dir: PathBuf::new(),
        connections_max: 4,
        wait_timeout_ms: 5_000,
        statement_timeout_ms: 10_000,
        private_shared_buffers_mib: 32,
    };
    let database = Database::new(&server.url(), &settings).unwrap();
    database.migrate().await.unwrap();
    let now: Timestamp = "2026-06-01T05:46:32Z".parse().unwrap();
    let codes = Arc::new(Codes::load(&Tables::default()).unwrap());
    let dashboard = Settings {
        figures_cache_ms: 3_000,
        refresh_ms: 5_000,
        error_days: 7,
        lines_max: 20,
        form_bytes_max: 16_384,
    };
    let clock = Arc::new(ManualClock::new(now));
    World {
        board: FigureBoard::new(database.pool(Role::Watch).unwrap(), codes, clock, dashboard),
        query: database.pool(Role::Query).unwrap(),
        intake: database.pool(Role::Intake).unwrap(),
        work: database.pool(Role::Work).unwrap(),
        now,
        _server: server,
        _folder: folder,
    }
}

impl World {
    async fn province(&self, code: &str) -> i32 {
        let client = self.query.get().await.unwrap();
        let sql = "INSERT INTO hocba.participant (kind, code, registered_at)
                   VALUES ('province', $1, $2) RETURNING participant_id";
        let row = client.query_one(sql, &[&code, &self.now]).await.unwrap();
        row.get(0)
    }

    // A batch of four new records and a repeated one: one rejected, one held, two accepted.
    async fn batch(&self, province: i32, rule: &str) -> Uuid {
        let batch = Uuid::new_v4();
        let mut client = self.intake.get().await.unwrap();
        let transaction = begin_for(&mut client, province).await.unwrap();
        let sql = "INSERT INTO hocba.batch (participant_id, school_year, batch_id, received_at, format, encoding,
                       body_bytes, body_sha256, announced, receipt, state, received, duplicates, rejected, held,
                       accepted, finished_at)
                   VALUES ($1, 2025, $2, $3, 'xml', 'gzip', 4096, sha256(''), 5, '', 'DONE', 4, 1, 1, 1, 2, $3)";
        let values: [&(dyn tokio_postgres::types::ToSql + Sync); 3] =
            [&province, &batch, &self.now];
        transaction.execute(sql, &values).await.unwrap();
        transaction.commit().await.unwrap();
        let mut client = self.work.get().await.unwrap();
        let transaction = begin_for(&mut client, province).await.unwrap();
        for (position, state, severity) in
            [(0_i32, "REJECTED", "error"), (1, "HELD", "hold"), (2, "SEALED", "warning")]
        {
            let violations = json!([{
                "rule": format!("{rule}.{severity}"), "pointer": "", "severity": severity,
                "message": {"vi": "Sai", "en": "Wrong"}, "source": "TT 27"
            }]);
            let sql = "INSERT INTO hocba.record (participant_id, school_year, record_id, batch_id, position,
                           source_sha256, state, violations, received_at)
                       VALUES ($1, 2025, $2, $3, $4, sha256(''), $5, $6, $7)";
            let id = Uuid::new_v4();
            let values: [&(dyn tokio_postgres::types::ToSql + Sync); 7] =
                [&province, &id, &batch, &position, &state, &violations, &self.now];
            transaction.execute(sql, &values).await.unwrap();
        }
        let entries: Vec<NewEntry> = (0..2).map(|_| entry(province)).collect();
        enqueue(&transaction, &entries).await.unwrap();
        transaction.commit().await.unwrap();
        batch
    }
}

fn entry(province: i32) -> NewEntry {
    NewEntry {
        participant_id: province,
        school_year: 2025,
        record_id: Uuid::new_v4(),
        destination: "national".to_owned(),
        version: 1,
        digest: [7; 32],
        priority: 0,
    }
}

#[tokio::test]
async fn figures_of_provinces_rules_and_batches_come_from_the_database_and_balance() {
    let world = world().await;
    let lang_son = world.province("20").await;
    let ha_noi = world.province("01").await;
    let batch = world.batch(lang_son, "TT22").await;
    world.batch(ha_noi, "TT27").await;
    world.batch(ha_noi, "TT27").await;

    let figures = world.board.figures().await.unwrap();
    let [national] = figures.destinations.as_slice() else {
        panic!("one destination is in use");
    };
    assert_eq!((national.name.as_str(), national.balanced), ("national", Some(true)));
    assert_eq!((national.total.received, national.total.accounted()), (12, 12));
    assert_eq!((national.total.in_flight, national.total.sealed), (6, 6));
    assert_eq!((national.total.duplicates, national.total.held), (3, 3));
    let names: Vec<&str> = national.rows.iter().map(|row| row.name.as_str()).collect();
    assert_eq!(names, ["Hà Nội", "Lạng Sơn"]);
    assert_eq!((figures.hours.len(), figures.days.len()), (24, 14));
    assert_eq!(figures.hours[23].received, 12);
    assert_eq!(figures.days[13].stopped, 6);
    let rules: Vec<(&str, u64)> =
        figures.rules.iter().map(|rule| (rule.rule.as_str(), rule.records)).collect();
    assert_eq!(rules, [("TT27.error", 2), ("TT27.hold", 2), ("TT22.error", 1), ("TT22.hold", 1)]);
    assert_eq!(figures.batches.len(), 3);
    let (line, broken, name) = world.board.batch(lang_son, batch).await.unwrap().unwrap();
    assert_eq!((line.state.as_str(), line.received, name.as_str()), ("DONE", 4, "Lạng Sơn"));
    assert_eq!(broken.len(), 3);
    assert!(world.board.batch(ha_noi, batch).await.unwrap().is_none());

    // Kept for all viewers, so a second look costs the database nothing.
    world.batch(lang_son, "TT22").await;
    let again = world.board.figures().await.unwrap();
    assert!(Arc::ptr_eq(&figures, &again));
}

#[tokio::test]
async fn a_record_nobody_accounts_for_breaks_the_balance() {
    let world = world().await;
    let province = world.province("20").await;
    let empty = world.board.count().await.unwrap();
    assert_eq!(empty.destinations[0].balanced, Some(true));
    world.batch(province, "TT22").await;
    let client = world.work.get().await.unwrap();
    client.execute("UPDATE hocba.batch SET received = received + 1", &[]).await.unwrap();
    let figures = world.board.count().await.unwrap();
    assert_eq!(figures.destinations[0].balanced, Some(false));
}

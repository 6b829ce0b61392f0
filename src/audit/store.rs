//! Inserts leaves into the audit table.

use tokio_postgres::Transaction;

use super::{Leaf, leaf_hash, to_microseconds};
use crate::platform::database::DatabaseError;

/// Append `leaf` in the caller's transaction, so that a change and its leaf are kept or lost together.
///
/// A `deadpool_postgres::Transaction` is passed as `&transaction`. Returns the leaf hash.
pub async fn append(transaction: &Transaction<'_>, leaf: &Leaf) -> Result<[u8; 32], DatabaseError> {
    let at = to_microseconds(leaf.at);
    let hash = leaf_hash(at, &leaf.actor, leaf.action, &leaf.object, &leaf.details);
    transaction
        .execute(
            "INSERT INTO hocba.audit_leaf (at, actor, action, object, details, leaf_hash)
             VALUES ($1, $2, $3, $4, $5, $6)",
            &[&at, &leaf.actor, &leaf.action, &leaf.object, &leaf.details, &hash.as_slice()],
        )
        .await?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    use jiff::Timestamp;
    use serde_json::{Value, json};

    use super::*;
    use crate::platform::database::{Database, Role, Settings};
    use crate::platform::private_postgres::PrivatePostgres;

    fn settings() -> Settings {
        Settings {
            url: String::new(),
            passwords_dir: PathBuf::new(),
            private_dir: PathBuf::new(),
            connections_max: 4,
            wait_timeout_ms: 5_000,
            statement_timeout_ms: 10_000,
            private_shared_buffers_mib: 16,
        }
    }

    #[tokio::test]
    async fn a_leaf_is_kept_with_its_change_and_can_never_be_altered() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let server = PrivatePostgres::start(&folder.path().join("pg"), 16).unwrap();
        let database = Database::new(&server.url(), &settings()).unwrap();
        database.migrate().await.unwrap();
        let pool = database.pool(Role::Work).unwrap();
        let mut client = pool.get().await.unwrap();
        let leaf = Leaf {
            at: "2026-11-23T05:46:32.123456789Z".parse().unwrap(),
            actor: "process:work".to_owned(),
            action: "sealed",
            object: "batch:1".to_owned(),
            details: json!({"records": 500, "digest": "ab"}),
        };
        let undone = client.transaction().await.unwrap();
        append(&undone, &leaf).await.unwrap();
        undone.rollback().await.unwrap();
        let kept = client.transaction().await.unwrap();
        let hash = append(&kept, &leaf).await.unwrap();
        kept.commit().await.unwrap();

        let watch = database.pool(Role::Watch).unwrap();
        let reader = watch.get().await.unwrap();
        let sql = "SELECT at, actor, action, object, details, leaf_hash FROM hocba.audit_leaf";
        let rows = reader.query(sql, &[]).await.unwrap();
        assert_eq!(rows.len(), 1, "the leaf of an undone change is undone");
        let row = &rows[0];
        let again = leaf_hash(
            row.get::<_, Timestamp>(0),
            row.get(1),
            row.get(2),
            row.get(3),
            &row.get::<_, Value>(4),
        );
        assert_eq!(again, hash, "the hash follows from the row alone");
        assert_eq!(row.get::<_, Vec<u8>>(5), hash);
        for sql in ["UPDATE hocba.audit_leaf SET actor = 'x'", "DELETE FROM hocba.audit_leaf"] {
            assert!(client.execute(sql, &[]).await.is_err(), "{sql}");
        }
    }
}

//! Starts a private PostgreSQL on a unix socket as an unprivileged user, in a folder of its own.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Say why no private PostgreSQL could be started.
#[derive(Debug, thiserror::Error)]
pub enum PrivatePostgresError {
    /// No `initdb`/`postgres` of version 15 or newer.
    #[error(
        "no PostgreSQL 15 or newer found on PATH or under /usr/lib/postgresql; run scripts/setup or set database.url"
    )]
    NotInstalled,
    /// A file or process operation failed.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// A program of PostgreSQL failed.
    #[error("{program} failed: {output}")]
    Failed {
        /// Which program.
        program: &'static str,
        /// The end of what it printed.
        output: String,
    },
    /// Root has no unprivileged user to run the server as.
    #[error("PostgreSQL does not run as root, and neither the user postgres nor nobody exists")]
    NoUnprivilegedUser,
    /// The server did not answer in time.
    #[error("PostgreSQL did not answer within {seconds} s; see {log}")]
    NoAnswer {
        /// Limit in seconds.
        seconds: u64,
        /// Its log file.
        log: String,
    },
}

/// A private server; stopped when dropped if this process started it.
pub struct PrivatePostgres {
    directory: PathBuf,
    child: Option<Child>,
}

const START_TIMEOUT_S: u64 = 60;

impl PrivatePostgres {
    /// Start the server of `directory`, making it first if needed, or use the one that already runs there.
    pub fn start(directory: &Path, shared_buffers_mib: u32) -> Result<Self, PrivatePostgresError> {
        let programs = find_programs().ok_or(PrivatePostgresError::NotInstalled)?;
        let owner = unprivileged_owner()?;
        fs::create_dir_all(directory)
            .map_err(|source| failed("create the database folder", source))?;
        let directory = fs::canonicalize(directory)
            .map_err(|source| failed("open the database folder", source))?;
        give(&directory, owner)?;
        let data = directory.join("data");
        if !data.join("PG_VERSION").exists() {
            initialise(&programs, &data, owner, shared_buffers_mib, &directory)?;
        }
        if answers(&programs, &directory) {
            return Ok(Self { directory, child: None });
        }
        let log_path = directory.join("postgres.log");
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log_path)
            .map_err(|source| failed("open the database log", source))?;
        let mut command = Command::new(programs.join("postgres"));
        command.arg("-D").arg(&data).current_dir(&directory).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        run_as(&mut command, owner);
        let child = command.spawn().map_err(|source| failed("start postgres", source))?;
        let mut server = Self { directory, child: Some(child) };
        server.wait_until_ready(&programs, &log_path)?;
        Ok(server)
    }

    fn wait_until_ready(
        &mut self,
        programs: &Path,
        log: &Path,
    ) -> Result<(), PrivatePostgresError> {
        for _ in 0..START_TIMEOUT_S * 20 {
            if answers(programs, &self.directory) {
                return Ok(());
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() {
                // Another process of ours may have won the race to start it.
                if answers(programs, &self.directory) {
                    self.child = None;
                    return Ok(());
                }
                return Err(PrivatePostgresError::Failed {
                    program: "postgres",
                    output: tail(log),
                });
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        Err(PrivatePostgresError::NoAnswer {
            seconds: START_TIMEOUT_S,
            log: log.display().to_string(),
        })
    }

    /// Return the connection string of the server, without a user.
    pub fn url(&self) -> String {
        format!("host={} dbname=hocba", self.directory.display())
    }

    /// Return the process id of the postmaster this process started.
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Stop the server in PostgreSQL's fast mode, if this process started it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // SIGINT is PostgreSQL's fast shutdown: sessions end, a checkpoint is written.
            let _ = Command::new("kill").arg("-INT").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.stop();
    }
}

type Owner = Option<(u32, u32)>;

fn failed(what: &str, source: std::io::Error) -> PrivatePostgresError {
    PrivatePostgresError::System { what: what.to_owned(), source }
}

fn find_programs() -> Option<PathBuf> {
    let mut candidates: Vec<PathBuf> = std::env::var_os("PATH")
        .map(|path| std::env::split_paths(&path).collect())
        .unwrap_or_default();
    if let Ok(entries) = fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<PathBuf> =
            entries.flatten().map(|entry| entry.path().join("bin")).collect();
        versions.sort();
        versions.reverse();
        candidates.extend(versions);
    }
    candidates
        .into_iter()
        .filter_map(|folder| {
            fs::canonicalize(folder.join("postgres"))
                .ok()
                .and_then(|p| p.parent().map(Path::to_path_buf))
        })
        .find(|folder| {
            folder.join("initdb").is_file() && major_version(folder).is_some_and(|v| v >= 15)
        })
}

fn major_version(folder: &Path) -> Option<u32> {
    let output = Command::new(folder.join("postgres")).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.split_whitespace().nth(2)?.split('.').next()?.parse().ok()
}

// PostgreSQL refuses to run as root, so root lends it another uid.
fn unprivileged_owner() -> Result<Owner, PrivatePostgresError> {
    let uid = fs::metadata("/proc/self")
        .map(|m| m.uid())
        .map_err(|source| failed("read own uid", source))?;
    if uid != 0 {
        return Ok(None);
    }
    let passwd =
        fs::read_to_string("/etc/passwd").map_err(|source| failed("read /etc/passwd", source))?;
    ["postgres", "nobody"]
        .iter()
        .find_map(|name| {
            let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
            let mut parts = line.split(':').skip(2);
            Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
        })
        .map(Some)
        .ok_or(PrivatePostgresError::NoUnprivilegedUser)
}

fn give(path: &Path, owner: Owner) -> Result<(), PrivatePostgresError> {
    if let Some((uid, gid)) = owner {
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .map_err(|source| failed("hand the database folder to an unprivileged user", source))?;
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
        .map_err(|source| failed("close the database folder to others", source))
}

fn run_as(command: &mut Command, owner: Owner) {
    if let Some((uid, gid)) = owner {
        command.uid(uid).gid(gid);
    }
    command.env("LC_ALL", "C.UTF-8");
}

fn initialise(
    programs: &Path,
    data: &Path,
    owner: Owner,
    shared_buffers_mib: u32,
    directory: &Path,
) -> Result<(), PrivatePostgresError> {
    let mut initdb = Command::new(programs.join("initdb"));
    initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8"]);
    initdb.args(["--data-checksums", "--no-instructions", "-D"]).arg(data).current_dir(directory);
    run_as(&mut initdb, owner);
    run("initdb", &mut initdb)?;
    let configuration = format!(
        "\n# Written by hocba for its private server.\nlisten_addresses = ''\nunix_socket_directories = '{}'\n\
         shared_buffers = {shared_buffers_mib}MB\nmax_connections = 200\nmax_wal_size = 2GB\n\
         fsync = on\nfull_page_writes = on\nsynchronous_commit = on\nlog_min_messages = warning\n\
         log_min_error_statement = panic\nlog_parameter_max_length = 0\nlog_parameter_max_length_on_error = 0\n\
         jit = off\n",
        directory.display()
    );
    let path = data.join("postgresql.conf");
    let mut text =
        fs::read_to_string(&path).map_err(|source| failed("read postgresql.conf", source))?;
    text.push_str(&configuration);
    fs::write(&path, text).map_err(|source| failed("write postgresql.conf", source))?;
    let mut single = Command::new(programs.join("postgres"));
    single.arg("--single").arg("-D").arg(data).arg("postgres").current_dir(directory);
    single.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    run_as(&mut single, owner);
    let mut child = single.spawn().map_err(|source| failed("start postgres", source))?;
    if let Some(mut stdin) = child.stdin.take() {
        use std::io::Write;
        stdin
            .write_all(include_bytes!("../../schemas/postgres/roles.sql"))
            .map_err(|source| failed("create the database roles", source))?;
    }
    let output =
        child.wait_with_output().map_err(|source| failed("create the database roles", source))?;
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    if !output.status.success() || errors.contains("ERROR:") {
        let _ = fs::remove_dir_all(data);
        return Err(PrivatePostgresError::Failed { program: "postgres --single", output: errors });
    }
    Ok(())
}

fn run(program: &'static str, command: &mut Command) -> Result<(), PrivatePostgresError> {
    let output = command.output().map_err(|source| failed(program, source))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(PrivatePostgresError::Failed { program, output: text })
}

fn answers(programs: &Path, directory: &Path) -> bool {
    if !directory.join(".s.PGSQL.5432").exists() {
        return false;
    }
    Command::new(programs.join("pg_isready"))
        .arg("-q")
        .arg("-h")
        .arg(directory)
        .status()
        .is_ok_and(|status| status.success())
}

fn tail(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

#[cfg(test)]
mod tests {
    use super::super::database::{self, Database, Role, Settings};
    use super::*;

    fn settings() -> Settings {
        Settings {
            url: String::new(),
            passwords_dir: PathBuf::new(),
            private_dir: PathBuf::new(),
            connections_max: 4,
            wait_timeout_ms: 5_000,
            statement_timeout_ms: 10_000,
            private_shared_buffers_mib: 64,
        }
    }

    #[tokio::test]
    async fn a_private_server_starts_migrates_and_shows_rows_of_one_participant_only() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let server = PrivatePostgres::start(&folder.path().join("pg"), 64).unwrap();
        let database = Database::new(&server.url(), &settings()).unwrap();
        assert!(!database.migrate().await.unwrap().is_empty());
        assert!(database.migrate().await.unwrap().is_empty());
        let pool = database.pool(Role::Intake).unwrap();
        database::check_durability(&pool).await.unwrap();
        let mut client = pool.get().await.unwrap();
        let unset = client.query("SELECT 1 FROM hocba.record_body", &[]).await;
        assert!(unset.is_err(), "without a participant nothing is readable");
        let own = database::begin_for(&mut client, 1).await.unwrap();
        assert!(own.query("SELECT record_id FROM hocba.record", &[]).await.unwrap().is_empty());
        assert!(own.execute("UPDATE hocba.record SET version = 2", &[]).await.is_err());
    }
}

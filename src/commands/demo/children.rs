//! Starts the roles of the gateway as processes of their own, waits for them and ends them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};

/// Time a role may take to answer after its start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Time a role may take to end after SIGTERM, before it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

/// One running role; ended when dropped.
pub struct Role {
    name: &'static str,
    child: Option<Child>,
    log: PathBuf,
}

impl Role {
    /// Start `program name arguments… --config config`, its log in `log_dir/name.log`.
    pub fn start(
        program: &Path,
        name: &'static str,
        arguments: &[&str],
        variables: &[(&str, String)],
        config: &Path,
        log_dir: &Path,
    ) -> anyhow::Result<Self> {
        let log = log_dir.join(format!("{name}.log"));
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| log.display().to_string())?;
        let child = Command::new(program)
            .arg(name)
            .args(arguments)
            .arg("--config")
            .arg(config)
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("{} {name}", program.display()))?;
        Ok(Self { name, child: Some(child), log })
    }

    /// Wait until `ready` says so; fails when the process ends or takes too long.
    pub async fn wait_until<F, R>(&mut self, ready: F) -> anyhow::Result<()>
    where
        F: Fn() -> R,
        R: Future<Output = bool>,
    {
        let rounds = START_TIMEOUT.as_millis() / PAUSE.as_millis();
        for _ in 0..rounds {
            if ready().await {
                return Ok(());
            }
            if let Some(ended) = self.has_ended() {
                bail!(ended);
            }
            tokio::time::sleep(PAUSE).await;
        }
        bail!(
            "hocba {} gave no answer within {} s: {}",
            self.name,
            START_TIMEOUT.as_secs(),
            self.log_tail()
        )
    }

    /// Return the name and last words of the role, if its process ended by itself.
    pub fn has_ended(&mut self) -> Option<String> {
        let status = self.child.as_mut()?.try_wait().ok().flatten()?;
        Some(format!("hocba {} ended ({status}): {}", self.name, self.log_tail()))
    }

    /// Forget a process that has ended; returns the name of its role.
    pub fn let_go(&mut self) -> &'static str {
        self.child = None;
        self.name
    }

    /// Return the last lines of the role's log.
    pub fn log_tail(&self) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(8).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Return the process id while the process is ours to end.
    pub fn process_id(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// End the process at once, as a crash would (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Ask the process to end (SIGTERM) and wait for it; true when it ended by itself.
    pub fn stop(&mut self) -> bool {
        let Some(mut child) = self.child.take() else {
            return true;
        };
        let _ = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status();
        let rounds = STOP_TIMEOUT.as_millis() / PAUSE.as_millis();
        for _ in 0..rounds {
            match child.try_wait() {
                Ok(Some(status)) => return status.success(),
                Ok(None) => std::thread::sleep(PAUSE),
                Err(_) => break,
            }
        }
        let _ = child.kill();
        let _ = child.wait();
        false
    }
}

impl Drop for Role {
    fn drop(&mut self) {
        self.stop();
    }
}

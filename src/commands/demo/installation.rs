//! Prepares a whole installation in one folder: certificates, keys, configuration, database, registrations.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use uuid::Uuid;

use super::children;
use crate::access::{self, Access, ParticipantKind};
use crate::platform::clock::{SharedClock, SystemClock};
use crate::platform::database::{Database, Role as DatabaseRole};
use crate::platform::private_postgres::PrivatePostgres;
use crate::synthetic::pki::{Entry, Layout, Pki, Role};
use crate::vault::Vault;

/// Ports tried first.
const PORTS: [u16; 5] = [8443, 8444, 8445, 9090, 8543];
const WORK_INSIDE_PORT: u16 = 9091;

/// A prepared installation; its database ends with it.
pub struct Installation {
    /// The folder of everything.
    pub dir: PathBuf,
    /// The certificates.
    pub pki: Layout,
    /// The configuration file of all roles.
    pub config: PathBuf,
    /// Listener of provinces and agencies.
    pub machines: String,
    /// Listener of operators and officers.
    pub persons: String,
    /// Listener of everybody.
    pub public: String,
    /// Health and metrics of `serve`.
    pub inside: String,
    /// The stand-in of the national system.
    pub sandbox: String,
    /// The ledger of the stand-in.
    pub ledger: PathBuf,
    /// The registered officer of the agency.
    pub officer: Uuid,
    /// Where each role listens.
    pub addresses: Addresses,
    /// How to reach the database.
    pub database: Database,
    postgres: PrivatePostgres,
}

/// Which ports to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ports {
    /// Any free ones, for installations side by side.
    Any,
    /// The usual ones where they are free, so that addresses stay the same from run to run.
    Usual,
}

/// Where each role listens.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// Provinces and agencies.
    pub machines: SocketAddr,
    /// Operators and officers.
    pub persons: SocketAddr,
    /// Everybody.
    pub public: SocketAddr,
    /// Health and metrics of `serve`.
    pub inside: SocketAddr,
    /// The stand-in of the national system.
    pub sandbox: SocketAddr,
    /// Health and metrics of `work`.
    pub work_inside: SocketAddr,
}

impl Installation {
    /// Prepare `dir` for `provinces`: nothing is running afterwards but the database.
    pub async fn prepare(dir: &Path, provinces: &[String], ports: Ports) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        // The database runs as another user, who must be able to reach its folder; files are closed one by one.
        std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o711))?;
        let dir = std::fs::canonicalize(dir)?;
        let clock: SharedClock = Arc::new(SystemClock);
        let pki = Pki::create(&dir.join("pki"), provinces, clock.as_ref())?;
        Vault::create_development_keys(&dir.join("vault-keys.toml"))?;
        let postgres = PrivatePostgres::start(&dir.join("pg"), 256)?;
        let addresses = Addresses::free(ports)?;
        let ledger = dir.join("ledger.ndjson");
        let config = dir.join("hocba.toml");
        std::fs::write(&config, configuration(&dir, &pki, &postgres.url(), &addresses, &ledger)?)?;
        let settings = crate::app::Settings::load(Some(&config))?;
        let database = Database::new(&postgres.url(), &settings.database)?;
        database.migrate().await?;
        let access = Access::new(database.pool(DatabaseRole::Query)?, clock, &settings.access);
        let officer = register(&access, &pki).await?;
        let url = |address: SocketAddr| format!("https://localhost:{}", address.port());
        Ok(Self {
            machines: url(addresses.machines),
            persons: url(addresses.persons),
            public: url(addresses.public),
            inside: format!("http://127.0.0.1:{}", addresses.inside.port()),
            sandbox: url(addresses.sandbox),
            dir,
            pki,
            config,
            ledger,
            officer,
            addresses,
            database,
            postgres,
        })
    }

    /// Return certificate and key files of an entry.
    pub fn files(&self, entry: &Entry) -> (PathBuf, PathBuf) {
        (self.pki.certificate_path(entry), self.pki.key_path(entry))
    }

    /// Return the root that the gateway's listeners lead to.
    pub fn ca(&self) -> anyhow::Result<PathBuf> {
        Ok(self.pki.certificate_path(self.pki.only(Role::TlsCa)?))
    }

    /// Start a role with `program`; logs stand beside the configuration.
    pub fn start(
        &self,
        program: &Path,
        role: &'static str,
        arguments: &[&str],
    ) -> anyhow::Result<children::Role> {
        // Both serve and work have an inside listener; on one machine they need two ports.
        let variables = match role {
            "work" => {
                vec![("HOCBA__LISTENER__INSIDE__BIND", self.addresses.work_inside.to_string())]
            }
            _ => Vec::new(),
        };
        children::Role::start(program, role, arguments, &variables, &self.config, &self.dir)
    }

    /// Return the process id of the database server.
    pub fn postgres_process_id(&self) -> Option<u32> {
        self.postgres.process_id()
    }
}

impl Addresses {
    fn free(ports: Ports) -> anyhow::Result<Self> {
        let mut held = Vec::new();
        let mut take = |usual: u16| -> anyhow::Result<SocketAddr> {
            let preferred = if ports == Ports::Usual { usual } else { 0 };
            let loopback = Ipv4Addr::LOCALHOST;
            let listener = TcpListener::bind((loopback, preferred))
                .or_else(|_| TcpListener::bind((loopback, 0)))?;
            let address = listener.local_addr()?;
            held.push(listener);
            Ok(address)
        };
        let [machines, persons, public, inside, sandbox] = PORTS;
        Ok(Self {
            machines: take(machines)?,
            persons: take(persons)?,
            public: take(public)?,
            inside: take(inside)?,
            sandbox: take(sandbox)?,
            work_inside: take(WORK_INSIDE_PORT)?,
        })
    }
}

async fn register(access: &Access, pki: &Layout) -> anyhow::Result<Uuid> {
    let read = |entry: &Entry| -> anyhow::Result<Vec<u8>> {
        let chain = pki.read_certificates(entry)?;
        chain.into_iter().next().context("an entry without certificate")
    };
    for entry in pki.of_role(Role::Participant) {
        let code = entry.province.as_deref().context("a participant without province")?;
        let id = access.register_participant(BOOTSTRAP, ParticipantKind::Province, code).await?;
        access.register_client_certificate(BOOTSTRAP, id, &read(entry)?).await?;
    }
    let agency =
        access.register_participant(BOOTSTRAP, ParticipantKind::Agency, AGENCY_CODE).await?;
    access
        .register_client_certificate(BOOTSTRAP, agency, &read(pki.only(Role::AgencyClient)?)?)
        .await?;
    for entry in pki.of_role(Role::Operator) {
        access.register_person(BOOTSTRAP, access::Role::Operator, None, &read(entry)?).await?;
    }
    let officer = read(pki.only(Role::Officer)?)?;
    Ok(access.register_person(BOOTSTRAP, access::Role::Officer, Some(agency), &officer).await?)
}

/// Who the audit log names for the first registrations.
const BOOTSTRAP: &str = "process:bootstrap";
/// Electronic code of the made-up agency.
const AGENCY_CODE: &str = "G22.01.01";

fn configuration(
    dir: &Path,
    pki: &Layout,
    database_url: &str,
    addresses: &Addresses,
    ledger: &Path,
) -> anyhow::Result<String> {
    let certificate =
        |role| -> anyhow::Result<String> { Ok(quoted(&pki.certificate_path(pki.only(role)?))) };
    let key = |role| -> anyhow::Result<String> { Ok(quoted(&pki.key_path(pki.only(role)?))) };
    let server = format!(
        "certificate_file = {}\nkey_file = {}",
        certificate(Role::Server)?,
        key(Role::Server)?
    );
    let client_ca = format!("client_ca_file = {}", certificate(Role::TlsCa)?);
    Ok(format!(
        r#"# Written by hocba demo; development certificates and keys only.
[database]
url = {database}

[listener.machines]
bind = "{machines}"
{server}
{client_ca}

[listener.persons]
bind = "{persons}"
{server}
{client_ca}

[listener.public]
bind = "{public}"
{server}

[listener.inside]
bind = "{inside}"

[vault]
keys_file = {vault}

[seal]
key_file = {seal_key}
certificate_file = {seal_certificate}

[answer_seal]
key_file = {answer_key}
certificate_file = {answer_certificate}

[trust.official_duty]
anchors = [{official_root}]
intermediates = [{official_ca}]

[trust.public_ca]
anchors = [{public_root}]
intermediates = [{public_ca}]

[destination.national]
url = "https://localhost:{sandbox_port}"
server_ca_file = {sandbox_ca}
certificate_file = {client_certificate}
key_file = {client_key}
receipt_certificate_files = [{receipt_certificate}]

[sandbox]
ledger_file = {ledger}
client_certificate_files = [{client_certificate}]
gateway_certificate_files = [{seal_certificate}]

[sandbox.listener]
bind = "{sandbox}"
certificate_file = {sandbox_certificate}
key_file = {sandbox_key}
client_ca_file = {sandbox_client_ca}

[sandbox_seal]
key_file = {receipt_key}
certificate_file = {receipt_certificate}
"#,
        database = toml_string(database_url),
        machines = addresses.machines,
        persons = addresses.persons,
        public = addresses.public,
        inside = addresses.inside,
        vault = quoted(&dir.join("vault-keys.toml")),
        seal_key = key(Role::Seal)?,
        seal_certificate = certificate(Role::Seal)?,
        answer_key = key(Role::Answer)?,
        answer_certificate = certificate(Role::Answer)?,
        official_root = certificate(Role::OfficialDutyRoot)?,
        official_ca = certificate(Role::OfficialDutyIssuing)?,
        public_root = certificate(Role::PublicRoot)?,
        public_ca = certificate(Role::PublicIssuing)?,
        sandbox_port = addresses.sandbox.port(),
        sandbox_ca = certificate(Role::SandboxCa)?,
        client_certificate = certificate(Role::GatewayClient)?,
        client_key = key(Role::GatewayClient)?,
        receipt_certificate = certificate(Role::SandboxReceipt)?,
        receipt_key = key(Role::SandboxReceipt)?,
        sandbox = addresses.sandbox,
        sandbox_certificate = certificate(Role::SandboxServer)?,
        sandbox_key = key(Role::SandboxServer)?,
        sandbox_client_ca = certificate(Role::SandboxClientCa)?,
        ledger = quoted(ledger),
    ))
}

fn quoted(path: &Path) -> String {
    toml_string(&path.display().to_string())
}

fn toml_string(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

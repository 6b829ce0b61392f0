//! Runs the four HTTP servers: machines and persons over mutual TLS, the public over TLS, the inside plain.

mod body;
mod door;
mod path;
mod refusals;
#[cfg(test)]
pub(crate) mod test_pki;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_tls::accept::rustls_0_23::TlsStream;
use actix_web::body::MessageBody;
use actix_web::dev::{Extensions, Server, ServiceFactory, ServiceRequest, ServiceResponse};
use actix_web::http::KeepAlive;
use actix_web::rt::net::TcpStream;
use actix_web::{App, Error, HttpServer};
use aws_lc_rs::digest::{SHA256, digest};
use serde::Deserialize;

use super::clock::SharedClock;
use super::shutdown::Shutdown;
use super::telemetry::Metrics;
use super::tls::{self, Credential, TlsError, Versions};

pub use door::{Door, RequestId};
pub use refusals::{AllowedMethods, payload_problem};

/// Settings of the section `[listener]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// TLS handshakes under way at once, per worker, over all listeners of the process.
    pub tls_handshakes_max: usize,
    /// Provinces and agencies, mutual TLS.
    pub machines: ListenerSettings,
    /// Operators and officers, mutual TLS.
    pub persons: ListenerSettings,
    /// Everybody, TLS.
    pub public: ListenerSettings,
    /// Health and figures, plain HTTP on loopback or the pod network.
    pub inside: ListenerSettings,
}

impl Settings {
    /// Return the settings of one listener.
    pub fn of(&self, kind: Kind) -> &ListenerSettings {
        match kind {
            Kind::Machines => &self.machines,
            Kind::Persons => &self.persons,
            Kind::Public => &self.public,
            Kind::Inside => &self.inside,
        }
    }
}

/// Limits and files of one listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerSettings {
    /// Address and port; port 0 takes a free one.
    pub bind: SocketAddr,
    /// PEM file with the server's certificate chain; empty for plain HTTP (inside only).
    pub certificate_file: PathBuf,
    /// PEM file with its key.
    pub key_file: PathBuf,
    /// PEM file with the roots of client certificates; empty where none is asked for.
    pub client_ca_file: PathBuf,
    /// Serve TLS 1.2 too.
    pub tls12_permitted: bool,
    /// Threads; 0 means one per processor.
    pub workers: usize,
    /// Connections open at once.
    pub connections_max: usize,
    /// Bytes of a request body, as sent.
    pub body_bytes_max: u64,
    /// Bytes of a JSON body that is read whole.
    pub json_bytes_max: usize,
    /// Bytes of the request target (path and query).
    pub target_bytes_max: usize,
    /// Time for the TLS handshake, in milliseconds.
    pub tls_handshake_timeout_ms: u64,
    /// Time for the whole request head, in milliseconds.
    pub client_header_timeout_ms: u64,
    /// Time a client may be waited for before the body rate counts, in milliseconds.
    pub body_grace_ms: u64,
    /// Mean rate of a body below which the client is cut off, in bytes per second.
    pub body_bytes_per_s_min: u64,
    /// Time from the request head to the answer, in milliseconds.
    pub request_timeout_ms: u64,
    /// Time an idle connection is kept, in seconds.
    pub keep_alive_s: u64,
    /// Age at which a connection is closed after its next answer, in seconds.
    pub connection_age_max_s: u64,
    /// Time for running requests when the process stops, in seconds.
    pub shutdown_timeout_s: u64,
}

/// Which of the four listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Provinces and agencies.
    Machines,
    /// Operators and officers.
    Persons,
    /// Everybody.
    Public,
    /// Health and figures.
    Inside,
}

impl Kind {
    /// Return the name used in settings, logs and figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Machines => "machines",
            Self::Persons => "persons",
            Self::Public => "public",
            Self::Inside => "inside",
        }
    }
}

/// Say why a listener could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ListenerError {
    /// Certificates or keys cannot be used.
    #[error("listener.{listener}: {source}")]
    Tls {
        /// Which listener.
        listener: &'static str,
        /// What is wrong.
        source: TlsError,
    },
    /// The address cannot be bound.
    #[error("listener.{listener}.bind {address}: {source}")]
    Bind {
        /// Which listener.
        listener: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is named where none may be, or missing where one must be.
    #[error("listener.{listener}.{key}: {reason}")]
    Setting {
        /// Which listener.
        listener: &'static str,
        /// Which key.
        key: &'static str,
        /// What is wrong and what is permitted.
        reason: &'static str,
    },
}

/// The client's certificate of this connection, checked against the listener's roots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerCertificate {
    /// DER of the leaf.
    pub der: Vec<u8>,
    /// SHA-256 of the DER.
    pub fingerprint: [u8; 32],
}

/// When the connection was made, on the monotonic clock.
#[derive(Debug, Clone, Copy)]
pub(in crate::platform) struct ConnectedAt(pub(in crate::platform) Duration);

/// A bound server: await `server` (or spawn it) to run it.
pub struct Listener {
    /// The server; ends after the token asked it to and running requests are done.
    pub server: Server,
    /// Addresses with the ports that were taken.
    pub addresses: Vec<SocketAddr>,
}

/// What a listener needs besides its routes; cheap to clone into each worker's factory.
#[derive(Clone)]
pub struct Entry {
    kind: Kind,
    settings: Arc<ListenerSettings>,
    clock: SharedClock,
    metrics: Metrics,
}

/// Limit the TLS handshakes under way at once per worker; call once, before the first listener.
pub fn limit_handshakes(settings: &Settings) {
    actix_tls::accept::max_concurrent_tls_connect(settings.tls_handshakes_max);
}

impl Entry {
    /// Prepare the listener `kind`.
    pub fn new(
        kind: Kind,
        settings: &ListenerSettings,
        clock: SharedClock,
        metrics: Metrics,
    ) -> Self {
        Self { kind, settings: Arc::new(settings.clone()), clock, metrics }
    }

    /// Return the outermost middleware; `App::wrap` it last.
    pub fn door(&self) -> Door {
        Door::new(self.clone())
    }

    /// Set the limits of extractors and the answers to what no route takes.
    pub fn defaults(&self, cfg: &mut utoipa_actix_web::service_config::ServiceConfig<'_>) {
        refusals::configure(&self.settings, cfg);
    }

    /// Bind the listener and prepare its server; `factory` makes the routes, wrapped in [`Entry::door`].
    pub fn serve<F, T, B>(&self, shutdown: &Shutdown, factory: F) -> Result<Listener, ListenerError>
    where
        F: Fn() -> App<T> + Send + Clone + 'static,
        T: ServiceFactory<
                ServiceRequest,
                Config = (),
                Response = ServiceResponse<B>,
                Error = Error,
                InitError = (),
            > + 'static,
        B: MessageBody + 'static,
    {
        let settings = &self.settings;
        let tls = self.tls()?;
        let stop = shutdown.clone();
        let workers = match settings.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            some => some,
        };
        let server = HttpServer::new(factory)
            .workers(workers)
            .max_connections((settings.connections_max / workers).max(1))
            .tcp_nodelay(true)
            .keep_alive(KeepAlive::Timeout(Duration::from_secs(settings.keep_alive_s)))
            .client_request_timeout(Duration::from_millis(settings.client_header_timeout_ms))
            .client_disconnect_timeout(Duration::from_millis(settings.client_header_timeout_ms))
            .tls_handshake_timeout(Duration::from_millis(settings.tls_handshake_timeout_ms))
            .shutdown_timeout(settings.shutdown_timeout_s)
            .shutdown_signal(async move { stop.requested().await })
            // Captured when the address is bound, so it stands before `bind`.
            .on_connect(self.connection_data());
        let bound = match tls {
            Some(config) => server.bind_rustls_0_23(settings.bind, config),
            None => server.bind(settings.bind),
        };
        let server = bound.map_err(|source| ListenerError::Bind {
            listener: self.kind.name(),
            address: settings.bind,
            source,
        })?;
        let addresses = server.addrs();
        tracing::info!(listener = self.kind.name(), ?addresses, "listening");
        Ok(Listener { server: server.run(), addresses })
    }

    fn connection_data(&self) -> impl Fn(&dyn Any, &mut Extensions) + Send + Sync + 'static {
        let clock = self.clock.clone();
        let connections = self.metrics.http().connections.with_label_values(&[self.kind.name()]);
        move |connection, data| {
            connections.inc();
            data.insert(ConnectedAt(clock.monotonic()));
            let leaf = connection
                .downcast_ref::<TlsStream<TcpStream>>()
                .and_then(|stream| stream.get_ref().1.peer_certificates())
                .and_then(|chain| chain.first());
            if let Some(leaf) = leaf {
                let mut fingerprint = [0; 32];
                fingerprint.copy_from_slice(digest(&SHA256, leaf).as_ref());
                data.insert(PeerCertificate { der: leaf.to_vec(), fingerprint });
            }
        }
    }

    fn tls(&self) -> Result<Option<rustls::ServerConfig>, ListenerError> {
        let settings = &self.settings;
        let plain = settings.certificate_file.as_os_str().is_empty();
        let no_roots = settings.client_ca_file.as_os_str().is_empty();
        let fault =
            |key, reason| ListenerError::Setting { listener: self.kind.name(), key, reason };
        match self.kind {
            Kind::Inside if plain => return Ok(None),
            _ if plain => return Err(fault("certificate_file", "must name a PEM file")),
            Kind::Machines | Kind::Persons if no_roots => {
                return Err(fault("client_ca_file", "must name a PEM file"));
            }
            Kind::Public if !no_roots => {
                return Err(fault(
                    "client_ca_file",
                    "must be empty: the public has no certificates",
                ));
            }
            _ => {}
        }
        let own = Credential {
            certificate_file: &settings.certificate_file,
            key_file: &settings.key_file,
        };
        let roots = (!no_roots).then_some(settings.client_ca_file.as_path());
        let versions = Versions::permitting_tls12(settings.tls12_permitted);
        tls::server_config(own, roots, versions)
            .map(Some)
            .map_err(|source| ListenerError::Tls { listener: self.kind.name(), source })
    }
}

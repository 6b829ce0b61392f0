//! Exports spans over OTLP/HTTP from a thread of its own, never from the async runtime.

use std::thread;
use std::time::Duration;

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};

use super::{Settings, TelemetryError};
use crate::platform::tls;

const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Build the provider of `settings`; `None` if no collector is set.
pub(super) fn provider(settings: &Settings) -> Result<Option<SdkTracerProvider>, TelemetryError> {
    if settings.otlp_endpoint.is_empty() {
        return Ok(None);
    }
    if !(0.0..=1.0).contains(&settings.otlp_sample_ratio) {
        return Err(TelemetryError::SampleRatio(settings.otlp_sample_ratio));
    }
    let exporter = exporter(settings)?;
    Ok(Some(
        SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                settings.otlp_sample_ratio,
            ))))
            .with_resource(Resource::builder().with_service_name("hocba").build())
            .build(),
    ))
}

/// The blocking client starts a runtime of its own, which panics on a thread that has one.
fn exporter(settings: &Settings) -> Result<SpanExporter, TelemetryError> {
    let settings = settings.clone();
    let built = thread::Builder::new()
        .name("otlp-setup".to_owned())
        .spawn(move || {
            let timeout = Duration::from_millis(settings.otlp_timeout_ms);
            let client = client(&settings, timeout)?;
            SpanExporter::builder()
                .with_http()
                .with_http_client(client)
                .with_protocol(Protocol::HttpBinary)
                .with_endpoint(&settings.otlp_endpoint)
                .with_timeout(timeout)
                .build()
                .map_err(|error| TelemetryError::Exporter(error.to_string()))
        })
        .map_err(|error| TelemetryError::Exporter(error.to_string()))?;
    built
        .join()
        .map_err(|_| TelemetryError::Exporter("the exporter could not be built".to_owned()))?
}

fn client(
    settings: &Settings,
    timeout: Duration,
) -> Result<reqwest::blocking::Client, TelemetryError> {
    let mut builder = reqwest::blocking::Client::builder()
        .timeout(timeout)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy();
    if settings.otlp_endpoint.starts_with("https://") {
        let tls = tls::client_config(&settings.otlp_ca_file, None, tls::Versions::Tls13)?;
        builder = builder.tls_backend_preconfigured(tls);
    } else {
        // Without a TLS backend of ours the client would look for a process-wide one and panic.
        builder = builder.tls_backend_preconfigured(tls::client_config_without_roots());
    }
    builder.build().map_err(|error| TelemetryError::Exporter(error.to_string()))
}

/// Send what is left and end the provider, off the async runtime, which must not be blocked or dropped in.
pub(super) fn end(provider: SdkTracerProvider) {
    let ended = thread::Builder::new().name("otlp-end".to_owned()).spawn(move || {
        if let Err(error) = provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT) {
            tracing::warn!(%error, "the last traces were not sent");
        }
    });
    if let Ok(thread) = ended {
        let _ = thread.join();
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::path::PathBuf;

    use opentelemetry::trace::{Tracer, TracerProvider};

    use super::*;
    use crate::platform::telemetry::{Format, Level};

    fn settings(otlp_endpoint: String) -> Settings {
        Settings {
            format: Format::Json,
            level: Level::Info,
            otlp_endpoint,
            otlp_ca_file: PathBuf::new(),
            otlp_timeout_ms: 5_000,
            otlp_sample_ratio: 1.0,
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_span_reaches_the_collector_from_inside_the_runtime() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let collector = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut seen = Vec::new();
            let mut buffer = [0; 4096];
            while !seen.windows(10).any(|part| part == b"span-of-us") {
                let read = stream.read(&mut buffer).unwrap();
                assert!(read > 0, "the connection ended early");
                seen.extend_from_slice(&buffer[..read]);
            }
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
            stream.write_all(answer).unwrap();
            String::from_utf8_lossy(&seen).into_owned()
        });
        let endpoint = format!("http://{address}/v1/traces");
        let provider = provider(&settings(endpoint)).unwrap().unwrap();
        provider.tracer("test").in_span("span-of-us", |_| {});
        end(provider);
        let seen = collector.join().unwrap();
        assert!(seen.starts_with("POST /v1/traces"), "{seen}");
    }

    #[test]
    fn a_wrong_sample_ratio_is_refused() {
        let mut wrong = settings("http://127.0.0.1:1/v1/traces".to_owned());
        wrong.otlp_sample_ratio = 1.5;
        assert!(matches!(provider(&wrong), Err(TelemetryError::SampleRatio(_))));
    }

    #[test]
    fn without_an_endpoint_nothing_is_exported() {
        assert!(provider(&settings(String::new())).unwrap().is_none());
    }
}

//! Gives the settings of tests: everything as in production, durations scaled down.

use std::path::PathBuf;

use crate::outbox::{self, Policy};
use crate::platform::database;
use crate::platform::http::ClientSettings;
use crate::platform::listener::ListenerSettings;
use crate::platform::listener::test_pki::{TestCertificate, TestPki};
use crate::sandbox;
use crate::signature::{self, XmlLimits};
use crate::submit::{ConnectorKind, EvidenceKind, Settings};

pub(super) fn database_settings() -> database::Settings {
    database::Settings {
        url: String::new(),
        passwords_dir: PathBuf::new(),
        private_dir: PathBuf::new(),
        connections_max: 8,
        wait_timeout_ms: 20_000,
        statement_timeout_ms: 20_000,
        private_shared_buffers_mib: 32,
    }
}

pub(super) fn signature_settings() -> signature::Settings {
    signature::Settings {
        xml: XmlLimits {
            depth_max: 32,
            attributes_max: 16,
            namespaces_max: 16,
            start_tag_bytes_max: 4_096,
            text_bytes_max: 65_536,
            nodes_max: 10_000,
            record_bytes_max: 1_048_576,
        },
        key_cache_entries: 16,
        jws_bytes_max: 65_536,
        sealed_bytes_max: 16_777_216,
        sealed_nodes_max: 4_000_000,
    }
}

pub(super) fn fast_policy() -> Policy {
    Policy {
        backoff_base_ms: 10,
        backoff_cap_ms: 100,
        retry_after_cap_ms: 50,
        park_after_attempts: 30,
        park_after_ms: 60_000,
        visibility_ms: 0,
        not_found_spacing_ms: 30,
        receipt_wait_ms: 5_000,
        receipt_poll_ms: 20,
        breaker_failures: 3,
        breaker_open_ms: 60_000,
    }
}

pub(super) fn outbox_settings() -> outbox::Settings {
    outbox::Settings {
        poll_interval_ms: 20,
        linger_ms: 0,
        attempts_in_flight_max: 3,
        builders_max: 2,
        forming_lease_ms: 10_000,
        expired_leases_max: 10,
    }
}

pub(super) fn settings(
    pki: &TestPki,
    client: &TestCertificate,
    receipts: &TestCertificate,
) -> Settings {
    Settings {
        connector: ConnectorKind::National,
        url: "https://localhost:1".to_owned(),
        submit_path: "/v1/batches".to_owned(),
        status_path: "/v1/batches/{messageId}".to_owned(),
        message_id_header: "Message-Id".to_owned(),
        possible_duplicate_header: "Possible-Duplicate".to_owned(),
        rate_per_s: 500,
        burst: 100,
        rate_wait_max_ms: 1_000,
        batch_records_max: 10,
        batch_bytes_max: 4_194_304,
        record_bytes_max: 1_048_576,
        answer_bytes_max: 262_144,
        evidence: EvidenceKind::SignedReceipt,
        receipt_certificate_files: vec![receipts.certificate_file.clone()],
        server_ca_file: pki.ca_file(),
        certificate_file: client.certificate_file.clone(),
        key_file: client.key_file.clone(),
        http: ClientSettings {
            connect_timeout_ms: 2_000,
            request_timeout_ms: 5_000,
            idle_connections_max: 4,
            idle_timeout_ms: 5_000,
        },
        schedule: fast_policy(),
    }
}

pub(super) fn sandbox_settings(
    pki: &TestPki,
    server: &TestCertificate,
    gateway: &TestCertificate,
) -> sandbox::Settings {
    sandbox::Settings {
        listener: ListenerSettings {
            bind: "127.0.0.1:0".parse().unwrap(),
            certificate_file: server.certificate_file.clone(),
            key_file: server.key_file.clone(),
            client_ca_file: pki.ca_file(),
            tls12_permitted: false,
            workers: 1,
            connections_max: 50,
            body_bytes_max: 8_388_608,
            json_bytes_max: 1_000,
            target_bytes_max: 500,
            tls_handshake_timeout_ms: 5_000,
            client_header_timeout_ms: 5_000,
            body_grace_ms: 5_000,
            body_bytes_per_s_min: 1_000,
            request_timeout_ms: 10_000,
            keep_alive_s: 5,
            connection_age_max_s: 60,
            shutdown_timeout_s: 1,
        },
        client_certificate_files: Vec::new(),
        gateway_certificate_files: vec![gateway.certificate_file.clone()],
        ledger_file: pki.folder().join("ledger.ndjson"),
        rate_per_s: 500,
        burst: 200,
        batch_records_max: 1_000,
        batch_bytes_max: 8_388_608,
        faults_file: PathBuf::new(),
    }
}

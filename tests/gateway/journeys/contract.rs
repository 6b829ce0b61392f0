//! Holds the committed description of the API to the routes.

use hocba::app::{Settings, serve};

/// Where the committed description stands.
const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/api/openapi.json");

#[test]
fn the_committed_description_is_that_of_the_routes() {
    let settings = Settings::load(None).unwrap();
    let mut generated = serve::openapi(&settings).to_pretty_json().unwrap();
    generated.push('\n');
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(FILE, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(FILE).unwrap();
    assert!(
        committed == generated,
        "run UPDATE_GOLDEN=1 cargo test --test gateway contract and review the diff"
    );
    for path in ["/v1/batches", "/v1/batches/{id}", "/v1/verifications", "/v1/proposals"] {
        assert!(generated.contains(&format!("\"{path}\"")), "{path} is not described");
    }
}

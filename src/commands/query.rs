//! Asks a gateway about one pupil, with the request in a file so that no number stands on the command line.

use anyhow::Context;
use reqwest::Method;
use serde_json::Value;

use super::args::QueryArgs;
use super::gateway::Gateway;
use crate::platform::texts::Lang;

/// Longest time to wait for an answer, in seconds.
const TIMEOUT_S: u64 = 30;

/// Ask; true when the over-all verdict is *valid*.
pub async fn run(args: &QueryArgs, lang: Lang) -> anyhow::Result<bool> {
    let request: Value = serde_json::from_slice(
        &std::fs::read(&args.request).with_context(|| args.request.display().to_string())?,
    )
    .with_context(|| format!("{}: JSON", args.request.display()))?;
    let gateway = Gateway::new(&args.connection, TIMEOUT_S)?;
    let sent = gateway
        .request(Method::POST, "/v1/verifications")?
        .header("content-type", "application/json")
        .body(request.to_string());
    let answer = gateway.send(sent).await?.expect_success(lang)?;
    if args.json {
        put!("{answer}");
    } else {
        put!("{}", serde_json::to_string_pretty(&answer)?);
    }
    Ok(answer["verdict"] == "valid")
}

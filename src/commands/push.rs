//! Pushes a file of transcripts to a gateway, shows progress and prints the outcome of every record.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use aws_lc_rs::digest::{Context as Digest, SHA256};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::Value;

use super::WrongUse;
use super::args::{FormatArg, PushArgs};
use super::gateway::{Answer, Gateway, say};
use crate::intake::Format;
use crate::platform::texts::{Lang, text};

/// Time between looks at the progress of a batch.
const POLL: Duration = Duration::from_millis(250);
/// Violations printed for people; `--json` has all.
const SHOWN_MAX: usize = 20;

/// Push the file; true when the batch was processed and no record was rejected.
pub async fn run(args: &PushArgs, lang: Lang) -> anyhow::Result<bool> {
    let format = format_of(args, lang)?;
    let gateway = Gateway::new(&args.connection, args.timeout_s)?;
    let key = match &args.idempotency_key {
        Some(key) => key.clone(),
        None => file_sha256(&args.file)?,
    };
    let answer = upload(&gateway, args, format, &key).await?;
    let acknowledged = if answer.replayed { "push.replayed" } else { "push.acknowledged" };
    let receipt = answer.expect_success(lang)?;
    let batch_id = receipt["batch_id"].as_str().context("the receipt names no batch")?.to_owned();
    let records = receipt["records"].to_string();
    say(lang, acknowledged, &[("batch", &batch_id), ("records", &records)]);
    if args.no_wait {
        if args.json {
            put!("{receipt}");
        }
        return Ok(true);
    }
    let status = wait(&gateway, &batch_id, args.timeout_s, lang).await?;
    let results = all_results(&gateway, &batch_id, lang).await?;
    report(args, lang, &receipt, status, results)
}

fn format_of(args: &PushArgs, lang: Lang) -> anyhow::Result<Format> {
    if let Some(format) = args.format {
        return Ok(match format {
            FormatArg::Xml => Format::Xml,
            FormatArg::Content => Format::Content,
            FormatArg::Ndjson => Format::Ndjson,
        });
    }
    match args.file.extension().and_then(|extension| extension.to_str()) {
        Some("xml") => Ok(Format::Xml),
        Some("ndjson" | "jsonl") => Ok(Format::Ndjson),
        Some("content" | "b64" | "txt") => Ok(Format::Content),
        _ => Err(WrongUse(text(lang, "push.unknown-format", &[])).into()),
    }
}

fn file_sha256(path: &Path) -> anyhow::Result<String> {
    let mut file = std::fs::File::open(path).with_context(|| path.display().to_string())?;
    let mut digest = Digest::new(&SHA256);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let count = std::io::Read::read(&mut file, &mut buffer)?;
        if count == 0 {
            break;
        }
        digest.update(&buffer[..count]);
    }
    Ok(digest.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

async fn upload(
    gateway: &Gateway,
    args: &PushArgs,
    format: Format,
    key: &str,
) -> anyhow::Result<Answer> {
    let file =
        tokio::fs::File::open(&args.file).await.with_context(|| args.file.display().to_string())?;
    let bytes = file.metadata().await?.len();
    let bar = progress(bytes, "{bar:40} {bytes}/{total_bytes} {bytes_per_sec}");
    let counted = bar.clone();
    let stream = futures_util::stream::try_unfold(file, move |mut file| {
        let counted = counted.clone();
        async move {
            let mut buffer = vec![0; 128 * 1024];
            let count = tokio::io::AsyncReadExt::read(&mut file, &mut buffer).await?;
            if count == 0 {
                return Ok::<_, std::io::Error>(None);
            }
            buffer.truncate(count);
            counted.inc(count as u64);
            Ok(Some((buffer, file)))
        }
    });
    let request = gateway
        .request(Method::POST, "/v1/batches")?
        .header("content-type", format.media_type())
        .header("idempotency-key", key)
        .body(reqwest::Body::wrap_stream(stream));
    let answer = gateway.send(request).await;
    bar.finish_and_clear();
    answer
}

fn progress(length: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style =
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(length).with_style(style)
}

async fn wait(
    gateway: &Gateway,
    batch_id: &str,
    timeout_s: u64,
    lang: Lang,
) -> anyhow::Result<Value> {
    let mut bar: Option<ProgressBar> = None;
    let rounds = u128::from(timeout_s) * 1_000 / POLL.as_millis();
    for _ in 0..rounds.max(1) {
        let path = format!("/v1/batches/{batch_id}?limit=1");
        let status = gateway.read(&path).await?.expect_success(lang)?;
        let number = |name: &str| status[name].as_u64().unwrap_or(0);
        let bar = bar.get_or_insert_with(|| progress(number("announced"), "{bar:40} {pos}/{len}"));
        bar.set_position(number("received") + number("duplicates"));
        if matches!(status["state"].as_str(), Some("done" | "refused")) {
            bar.finish_and_clear();
            return Ok(status);
        }
        tokio::time::sleep(POLL).await;
    }
    bail!(text(lang, "push.timed-out", &[("seconds", &timeout_s.to_string()), ("batch", batch_id)]))
}

async fn all_results(gateway: &Gateway, batch_id: &str, lang: Lang) -> anyhow::Result<Vec<Value>> {
    let (mut all, mut from) = (Vec::new(), 0);
    loop {
        let path = format!("/v1/batches/{batch_id}?from={from}");
        let mut page = gateway.read(&path).await?.expect_success(lang)?;
        if let Value::Array(results) = page["results"].take() {
            all.extend(results);
        }
        match page["next_from"].as_u64() {
            Some(next) => from = next,
            None => return Ok(all),
        }
    }
}

fn report(
    args: &PushArgs,
    lang: Lang,
    receipt: &Value,
    mut status: Value,
    results: Vec<Value>,
) -> anyhow::Result<bool> {
    let refused = status["state"] == "refused";
    // A record that was rejected when it came first is no success when it comes again.
    let bad = results.iter().any(|result| "rejected" == outcome_of(result));
    if let Some(status) = status.as_object_mut() {
        status.remove("next_from");
    }
    if args.json {
        status["results"] = Value::Array(results);
        status["receipt"] = receipt["receipt"].clone();
        put!("{status}");
        return Ok(!refused && !bad);
    }
    if refused {
        let detail = if lang == Lang::Vi { "detail" } else { "detail_en" };
        let reason = status["refusal"][detail].as_str().unwrap_or_default();
        bail!(text(lang, "push.refused", &[("reason", reason)]));
    }
    let number = |name: &str| status[name].to_string();
    let figures = ["received", "duplicates", "rejected", "held", "accepted"].map(number);
    let [received, duplicates, rejected_text, held, accepted] = &figures;
    let figures = [
        ("received", received.as_str()),
        ("duplicates", duplicates),
        ("rejected", rejected_text),
        ("held", held),
        ("accepted", accepted),
    ];
    put!("{}", text(lang, "push.summary", &figures));
    show_violations(lang, &results);
    Ok(!bad)
}

fn outcome_of(result: &Value) -> &str {
    result["first_outcome"].as_str().or(result["outcome"].as_str()).unwrap_or_default()
}

fn show_violations(lang: Lang, results: &[Value]) {
    let language = if lang == Lang::Vi { "vi" } else { "en" };
    let mut shown = 0;
    let failed = |result: &&Value| matches!(outcome_of(result), "rejected" | "held");
    for result in results.iter().filter(failed) {
        for violation in result["violations"].as_array().into_iter().flatten() {
            if violation["severity"] == "warning" {
                continue;
            }
            if shown == SHOWN_MAX {
                put!("{}", text(lang, "push.more", &[]));
                return;
            }
            shown += 1;
            let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let number = (result["position"].as_u64().unwrap_or(0) + 1).to_string();
            let outcome = text(lang, &format!("push.outcome-{}", outcome_of(result)), &[]);
            let place = part(&violation["pointer"]);
            let (rule, message) = (part(&violation["rule"]), part(&violation["message"][language]));
            let args = [
                ("number", number.as_str()),
                ("outcome", &outcome),
                ("rule", &rule),
                ("place", &place),
                ("message", &message),
            ];
            put!("{}", text(lang, "push.violation", &args));
        }
    }
}

//! Pushes made-up transcripts of three provinces, waits for their delivery and asks about one pupil.

use std::collections::HashSet;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::{Value, json};

use super::installation::Installation;
use super::{Figures, PROVINCES};
use crate::codes::Codes;
use crate::commands::args::{ConnectionArgs, DemoArgs};
use crate::commands::gateway::Gateway;
use crate::outbox;
use crate::platform::clock::SystemClock;
use crate::platform::config::Tables;
use crate::platform::database::Role as DatabaseRole;
use crate::platform::texts::{Lang, text};
use crate::synthetic::pki::{Entry, Role};
use crate::synthetic::{Format, Generator, Options};
use crate::transcript::{Field, Level, SchoolYear};

/// Records of one pushed batch: well below the Ministry's 10 MB in every format.
const BATCH_RECORDS: u64 = 250;
/// Longest wait for processing and delivery, in looks of [`POLL`].
const LOOKS_MAX: u32 = 24_000;
const POLL: Duration = Duration::from_millis(100);
const TIMEOUT_S: u64 = 120;
/// First calendar year of the school year that is pushed.
const SCHOOL_YEAR: i16 = 2025;

/// What one province sends, and how.
struct Part {
    province: &'static str,
    level: Level,
    format: Format,
    media_type: &'static str,
    encoding: &'static str,
    records: u64,
}

struct Pushed {
    gateway: Gateway,
    batch_id: String,
    from: u64,
}

/// Push, wait, ask; `seconds` is left to the caller.
pub async fn run(
    args: &DemoArgs,
    installation: &Installation,
    lang: Lang,
) -> anyhow::Result<Figures> {
    let tables = Tables::default();
    let codes = Codes::load(&tables)?;
    let bar = progress(u64::from(args.records));
    let mut pushed = Vec::new();
    let mut question = None;
    for part in parts(u64::from(args.records)) {
        let options = Options {
            level: part.level,
            province: part.province.to_owned(),
            school_year: SchoolYear::starting(SCHOOL_YEAR).context("school year")?,
            records: part.records,
            seed: args.seed,
            fault_rate: args.fault_rate,
            fault_kinds: Vec::new(),
        };
        let generator = Arc::new(Generator::new(
            options,
            &codes,
            &tables,
            &installation.pki,
            Arc::new(SystemClock),
        )?);
        let mut from = 0;
        while from < part.records {
            let to = (from + BATCH_RECORDS).min(part.records);
            let (writer, format) = (Arc::clone(&generator), part.format);
            let body = tokio::task::spawn_blocking(move || {
                let mut body = Vec::new();
                writer.write_batch(&mut body, from..to, format).map(|_| body)
            })
            .await??;
            let batch_id = push(installation, &part, body, lang).await?;
            bar.inc(to - from);
            pushed.push(Pushed { gateway: gateway(installation, part.province)?, batch_id, from });
            from = to;
        }
        question = question.or(Some(generator));
    }
    bar.finish_and_clear();
    let mut figures = wait_for_processing(&pushed, u64::from(args.records), lang).await?;
    wait_for_delivery(installation, &mut figures, lang).await?;
    let first = pushed.first().context("nothing was pushed")?;
    let generator = question.context("nothing was generated")?;
    figures.verification = ask(installation, first, &generator, lang).await?;
    Ok(figures)
}

fn parts(records: u64) -> [Part; 3] {
    let [hanoi, saigon, lang_son] = PROVINCES;
    let third = records / 3;
    let part = |province, level, format, media_type, encoding, records| Part {
        province,
        level,
        format,
        media_type,
        encoding,
        records,
    };
    [
        part(hanoi, Level::Primary, Format::Xml, "application/xml", "gzip", records - 2 * third),
        part(
            saigon,
            Level::LowerSecondary,
            Format::Content,
            "application/vnd.hocba.content",
            "identity",
            third,
        ),
        part(
            lang_son,
            Level::UpperSecondary,
            Format::Ndjson,
            "application/x-ndjson",
            "zstd",
            third,
        ),
    ]
}

fn progress(records: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(records).with_style(style)
}

/// Connect as the machine of `province`.
pub fn gateway(installation: &Installation, province: &str) -> anyhow::Result<Gateway> {
    let entry = installation.pki.participant(province).context("no such participant")?;
    connect(installation, entry)
}

/// Connect with the certificate of `entry`.
pub fn connect(installation: &Installation, entry: &Entry) -> anyhow::Result<Gateway> {
    let (cert, key) = installation.files(entry);
    let connection =
        ConnectionArgs { url: installation.machines.clone(), cert, key, ca: installation.ca()? };
    Gateway::new(&connection, TIMEOUT_S)
}

fn compress(body: Vec<u8>, encoding: &str) -> anyhow::Result<Vec<u8>> {
    Ok(match encoding {
        "gzip" => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(&body)?;
            encoder.finish()?
        }
        "zstd" => zstd::encode_all(&body[..], 3)?,
        _ => body,
    })
}

async fn push(
    installation: &Installation,
    part: &Part,
    body: Vec<u8>,
    lang: Lang,
) -> anyhow::Result<String> {
    let gateway = gateway(installation, part.province)?;
    let request = gateway
        .request(Method::POST, "/v1/batches")?
        .header("content-type", part.media_type)
        .header("content-encoding", part.encoding)
        .body(compress(body, part.encoding)?);
    let receipt = gateway.send(request).await?.expect_success(lang)?;
    Ok(receipt["batch_id"].as_str().context("the receipt names no batch")?.to_owned())
}

async fn wait_for_processing(
    pushed: &[Pushed],
    records: u64,
    lang: Lang,
) -> anyhow::Result<Figures> {
    let bar = progress(records);
    let mut figures = Figures::default();
    for batch in pushed {
        let path = format!("/v1/batches/{}?limit=1", batch.batch_id);
        let mut looks = 0;
        let status = loop {
            let status = batch.gateway.read(&path).await?.expect_success(lang)?;
            match status["state"].as_str() {
                Some("done") => break status,
                Some("refused") => bail!("{}", status["refusal"]),
                _ if looks == LOOKS_MAX => bail!(text(lang, "demo.too-slow", &[])),
                _ => tokio::time::sleep(POLL).await,
            }
            looks += 1;
        };
        let number = |name: &str| status[name].as_u64().unwrap_or(0);
        figures.received += number("received");
        figures.duplicates += number("duplicates");
        figures.rejected += number("rejected");
        figures.held += number("held");
        figures.accepted += number("accepted");
        figures.sealed += number("accepted");
        figures.superseded += number("superseded");
        bar.set_position(figures.received + figures.duplicates);
    }
    bar.finish_and_clear();
    Ok(figures)
}

async fn wait_for_delivery(
    installation: &Installation,
    figures: &mut Figures,
    lang: Lang,
) -> anyhow::Result<()> {
    let pool = installation.database.pool(DatabaseRole::Watch)?;
    let bar = progress(figures.sealed);
    let superseded = figures.superseded;
    for _ in 0..LOOKS_MAX {
        let all = outbox::store::counts(&pool).await?;
        let total =
            all.values().fold(outbox::store::Counts::default(), |sum, counts| sum.plus(counts));
        bar.set_position(total.acknowledged + total.refused);
        figures.submitted = total.submitted;
        figures.acknowledged = total.acknowledged;
        figures.refused = total.refused;
        figures.in_flight = total.in_flight;
        figures.parked = total.parked;
        figures.superseded = superseded + total.superseded;
        if total.in_flight == 0 {
            bar.finish_and_clear();
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    bail!(text(lang, "demo.too-slow", &[]))
}

/// Ask about the first accepted pupil of the first batch, as an agency that transfers a pupil would.
async fn ask(
    installation: &Installation,
    first: &Pushed,
    generator: &Generator,
    lang: Lang,
) -> anyhow::Result<String> {
    let path = format!("/v1/batches/{}?from=0", first.batch_id);
    let status = first.gateway.read(&path).await?.expect_success(lang)?;
    let codes: HashSet<&str> = status["results"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|result| result["outcome"] == "accepted")
        .filter_map(|result| result["transcript_code"].as_str())
        .collect();
    let pupil = (first.from..first.from + BATCH_RECORDS)
        .map(|position| generator.transcript(position))
        .find(|transcript| transcript.value(Field::Code).is_some_and(|code| codes.contains(code)))
        .context("no record was accepted")?;
    let request = json!({
        "procedure": PROCEDURE,
        "case": "H26.01.12-261123-0001",
        "officer": installation.officer,
        "subject": { "transcript_code": pupil.value(Field::Code), "name": pupil.value(Field::StudentName) },
        "level": "tieu_hoc",
        "school_years": [pupil.value(Field::SchoolYear)],
    });
    let agency = connect(installation, installation.pki.only(Role::AgencyClient)?)?;
    let sent = agency
        .request(Method::POST, "/v1/verifications")?
        .header("content-type", "application/json")
        .body(request.to_string());
    let answer: Value = agency.send(sent).await?.expect_success(lang)?;
    Ok(answer["verdict"].as_str().unwrap_or("-").to_owned())
}

/// Transfer of a primary pupil.
const PROCEDURE: &str = "1.005099";

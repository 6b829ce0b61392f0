//! Measures the release binary from intake to durable and to acknowledged, beside the work nobody can avoid.

mod cpu;
mod limit;
mod report;
mod steps;
mod world;

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use hocba::platform::clock::{Clock, SystemClock};

use report::{ACKNOWLEDGED, DURABLE, DURABLE_LOADED, Report, Sample};
use steps::Bench;
use world::{PARTS, Part, Run, Used, World};

/// How much is measured.
struct Plan {
    records: u64,
    rounds: u32,
    output: PathBuf,
    program: PathBuf,
}

fn plan() -> anyhow::Result<Plan> {
    let target = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/bench");
    let mut plan = Plan {
        records: 10_000,
        rounds: 3,
        output: target.join("full.json"),
        program: world::PROGRAM.into(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().context("a value is missing");
        match argument.as_str() {
            "--quick" => {
                plan.records = 3_000;
                plan.rounds = 2;
                plan.output = target.join("quick.json");
            }
            "--records" => plan.records = value()?.parse()?,
            "--rounds" => plan.rounds = value()?.parse()?,
            "--output" => plan.output = value()?.into(),
            // Another build, to be measured in the same way.
            "--program" => plan.program = value()?.into(),
            // What cargo bench says to every benchmark.
            "--bench" => {}
            other => {
                bail!(
                    "{other} is not known; use --quick, --records N, --rounds N, --output FILE, --program FILE"
                )
            }
        }
    }
    Ok(plan)
}

fn main() -> anyhow::Result<()> {
    let plan = plan()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let report = runtime.block_on(measure(&plan))?;
    report.write_json(&plan.output)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}\n{}", report.table(), plan.output.display())?;
    Ok(())
}

async fn measure(plan: &Plan) -> anyhow::Result<Report> {
    let begun = SystemClock.monotonic();
    let folder = tempfile::Builder::new().prefix("hocba-bench-").tempdir()?;
    // Delivery shares processes with intake, so intake alone needs an installation whose delivery is halted.
    let mut alone = World::start(&plan.program, &folder.path().join("alone"), false).await?;
    let mut whole = World::start(&plan.program, &folder.path().join("whole"), true).await?;
    limit::prepare(&alone).await?;
    let bench = Bench::open(&alone)?;
    let mut report = Report { records: plan.records, rounds: plan.rounds, ..Report::default() };
    for part in &PARTS {
        // Connections, prepared statements and caches are made once, not once per record.
        for (world, delivers) in [(&alone, false), (&whole, true)] {
            let bodies = world.bodies(part, 99, world::BODY_RECORDS)?;
            world.run(part, bodies, world::BODY_RECORDS, delivers).await?;
        }
    }
    for round in 0..plan.rounds {
        for part in &PARTS {
            note(&format!("round {} of {}: {}", round + 1, plan.rounds, part.name))?;
            let seed = 1_000 + u64::from(round);
            let bodies = alone.bodies(part, seed, plan.records)?;
            let first = bodies.first().context("no records")?.clone();
            let run = alone.run(part, bodies, plan.records, false).await?;
            report.add(part, &run, plan.records);
            let (times, shape) = bench.measure(part, &first)?;
            report.steps.push((part.name, times));
            report.shapes.insert(part.name, shape);
            let limit = limit::measure(&alone, part, &shape, &run.batches, plan.records).await?;
            report.limits.push((part.name, limit));
            let bodies = whole.bodies(part, seed, plan.records)?;
            let run = whole.run(part, bodies, plan.records, true).await?;
            report.add(part, &run, plan.records);
        }
    }
    report.seconds = (SystemClock.monotonic() - begun).as_secs_f64();
    alone.stop();
    whole.stop();
    Ok(report)
}

impl Report {
    fn add(&mut self, part: &Part, run: &Run, records: u64) {
        let records = records as f64;
        let sample = |path, seconds: f64, used: &Used| Sample {
            part: part.name,
            path,
            rate: records / seconds,
            used: used.per(records),
        };
        match &run.acknowledged {
            None => self.samples.push(sample(DURABLE, run.durable_s, &run.durable)),
            Some((seconds, used)) => {
                let loaded = sample(DURABLE_LOADED, run.durable_s, &run.durable);
                self.samples.push(loaded);
                self.samples.push(sample(ACKNOWLEDGED, *seconds, used));
            }
        }
    }
}

fn note(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stderr(), "{text}")?)
}

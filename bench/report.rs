//! Sums the rounds up to medians with their spread, prints the table and writes it as JSON.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::limit::Limit;
use super::steps::{STEPS, Shape};
use super::world::{PARTS, Used};

/// Least share of the limit row (performance.md, goal 5).
const OF_LIMIT_MIN: f64 = 0.45;
/// Least share of the rate of intake alone that the full loop keeps (goal 7).
const FULL_LOOP_MIN: f64 = 0.60;

/// One measurement of the pipeline, per record.
pub struct Sample {
    /// Format.
    pub part: &'static str,
    /// What was measured.
    pub path: &'static str,
    /// Records per second of wall time.
    pub rate: f64,
    /// Processor time per record.
    pub used: Used,
}

/// Intake to durable, delivery halted.
pub const DURABLE: &str = "durable";
/// Intake to durable while the same process delivers.
pub const DURABLE_LOADED: &str = "durable, delivering";
/// Intake to acknowledged.
pub const ACKNOWLEDGED: &str = "acknowledged";

/// Everything that was measured.
#[derive(Default)]
pub struct Report {
    /// Records per format and round.
    pub records: u64,
    /// Rounds.
    pub rounds: u32,
    /// Wall time of everything, in seconds.
    pub seconds: f64,
    /// The pipeline.
    pub samples: Vec<Sample>,
    /// The limit.
    pub limits: Vec<(&'static str, Limit)>,
    /// The steps.
    pub steps: Vec<(&'static str, BTreeMap<&'static str, f64>)>,
    /// Size of a record.
    pub shapes: BTreeMap<&'static str, Shape>,
}

/// Median, lowest and highest of the rounds.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
struct Spread {
    median: f64,
    low: f64,
    high: f64,
}

impl Spread {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.collect();
        values.sort_by(f64::total_cmp);
        let (Some(low), Some(high)) = (values.first(), values.last()) else {
            return Self::default();
        };
        let middle = values.len() / 2;
        let median = if values.len() % 2 == 1 {
            values[middle]
        } else {
            f64::midpoint(values[middle - 1], values[middle])
        };
        Self { median, low: *low, high: *high }
    }

    fn text(self) -> String {
        format!("{:.0} ({:.0}–{:.0})", self.median, self.low, self.high)
    }
}

impl Report {
    fn of(&self, part: &str, path: &str, value: impl Fn(&Sample) -> f64) -> Spread {
        let chosen = self.samples.iter();
        let chosen = chosen.filter(|sample| sample.part == part && sample.path == path);
        Spread::of(chosen.map(value))
    }

    fn limit(&self, part: &str, value: impl Fn(&Limit) -> f64) -> Spread {
        let chosen = self.limits.iter().filter(|(name, _)| *name == part);
        Spread::of(chosen.map(|(_, limit)| value(limit)))
    }

    /// Share of the limit, by processor time.
    fn of_limit(&self, part: &str, path: &str) -> f64 {
        let ours = self.of(part, path, |sample| sample.used.ours());
        self.limit(part, Limit::total_us).median / ours.median
    }

    /// Rate of the full loop against that of intake alone.
    fn loop_share(&self, part: &str) -> f64 {
        let rate = |path| self.of(part, path, |sample| sample.rate).median;
        rate(ACKNOWLEDGED) / rate(DURABLE)
    }

    /// Return the table for people.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let _ = writeln!(
            out,
            "{} records per format and round, {} rounds interleaved, {:.0} s; median (lowest–highest)\n",
            self.records, self.rounds, self.seconds
        );
        let _ = writeln!(
            out,
            "{:<9}{:<22}{:>20}{:>18} = {:>6}{:>7}{:>10}{:>10}{:>10}",
            "format",
            "intake to",
            "records/s",
            "CPU-µs/record",
            "serve",
            "work",
            "postgres",
            "+sandbox",
            "of limit"
        );
        for part in PARTS {
            for path in [DURABLE, DURABLE_LOADED, ACKNOWLEDGED] {
                self.row(&mut out, part.name, path);
            }
            self.limit_row(&mut out, part.name);
        }
        self.step_rows(&mut out);
        let _ = writeln!(out);
        for part in PARTS {
            let (limit, full) = (self.of_limit(part.name, DURABLE), self.loop_share(part.name));
            let _ = writeln!(
                out,
                "{:<9}of the limit {limit:.2} (goal {OF_LIMIT_MIN:.2}: {}); full loop {full:.2} of intake alone (goal {FULL_LOOP_MIN:.2}: {})",
                part.name,
                verdict(limit >= OF_LIMIT_MIN),
                verdict(full >= FULL_LOOP_MIN)
            );
        }
        out
    }

    fn row(&self, out: &mut String, part: &str, path: &str) {
        let median = |value: fn(&Sample) -> f64| self.of(part, path, value).median;
        let _ = writeln!(
            out,
            "{part:<9}{path:<22}{:>20}{:>18} = {:>6.0}{:>7.0}{:>10.0}{:>10.0}{:>10.2}",
            self.of(part, path, |s| s.rate).text(),
            self.of(part, path, |s| s.used.ours()).text(),
            median(|s| s.used.serve),
            median(|s| s.used.work),
            median(|s| s.used.postgres),
            median(|s| s.used.sandbox),
            self.of_limit(part, path)
        );
    }

    fn limit_row(&self, out: &mut String, part: &str) {
        let median = |value: fn(&Limit) -> f64| self.limit(part, value).median;
        let _ = writeln!(
            out,
            "{part:<9}{:<42}{:>18} = verify {:.0}, digest {:.0}, seal {:.0}, encrypt {:.0}, COPY {:.0} + postgres {:.0}",
            "limit",
            self.limit(part, Limit::total_us).text(),
            median(|l| l.verify_us),
            median(|l| l.digest_us),
            median(|l| l.seal_us),
            median(|l| l.encrypt_us),
            median(|l| l.copy_client_us),
            median(|l| l.copy_postgres_us)
        );
    }

    fn step_rows(&self, out: &mut String) {
        let _ = write!(out, "\n{:<16}", "CPU-µs/record");
        for part in PARTS {
            let _ = write!(out, "{:>22}", part.name);
        }
        let _ = writeln!(out);
        for step in STEPS {
            let _ = write!(out, "{step:<16}");
            for part in PARTS {
                let spread = self.step(part.name, step);
                let text = format!("{:.1} ({:.1}–{:.1})", spread.median, spread.low, spread.high);
                let _ = write!(out, "{text:>22}");
            }
            let _ = writeln!(out);
        }
    }

    fn step(&self, part: &str, step: &str) -> Spread {
        let chosen = self.steps.iter().filter(|(name, _)| *name == part);
        Spread::of(chosen.filter_map(|(_, times)| times.get(step).copied()))
    }

    /// Write everything to `path`.
    pub fn write_json(&self, path: &Path) -> anyhow::Result<()> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let formats: BTreeMap<&str, Value> =
            PARTS.iter().map(|part| (part.name, self.json_of(part.name))).collect();
        let whole = json!({
            "records_per_format_and_round": self.records,
            "rounds": self.rounds,
            "seconds": self.seconds,
            "processors": std::thread::available_parallelism()?.get(),
            "goals": { "of_limit_min": OF_LIMIT_MIN, "full_loop_min": FULL_LOOP_MIN },
            "formats": formats,
        });
        std::fs::write(path, serde_json::to_vec_pretty(&whole)?)?;
        Ok(())
    }

    fn json_of(&self, part: &str) -> Value {
        let mut paths = serde_json::Map::new();
        for path in [DURABLE, DURABLE_LOADED, ACKNOWLEDGED] {
            let row = json!({
                "records_per_s": self.of(part, path, |s| s.rate),
                "cpu_us_per_record": self.of(part, path, |s| s.used.ours()),
                "serve_us": self.of(part, path, |s| s.used.serve),
                "work_us": self.of(part, path, |s| s.used.work),
                "postgres_us": self.of(part, path, |s| s.used.postgres),
                "sandbox_us": self.of(part, path, |s| s.used.sandbox),
                "of_limit": self.of_limit(part, path),
            });
            paths.insert(path.to_owned(), row);
        }
        let steps: BTreeMap<&str, Spread> =
            STEPS.iter().map(|step| (*step, self.step(part, step))).collect();
        let limits: Vec<&Limit> =
            self.limits.iter().filter(|(name, _)| *name == part).map(|(_, limit)| limit).collect();
        json!({
            "paths": paths,
            "limit_us_per_record": self.limit(part, Limit::total_us),
            "limit_rounds": limits,
            "full_loop_of_intake": self.loop_share(part),
            "steps_us_per_record": steps,
            "record": self.shapes.get(part),
        })
    }
}

fn verdict(met: bool) -> &'static str {
    if met { "met" } else { "not met" }
}

//! Writes made-up signed transcripts to a file or to standard output.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

use anyhow::Context;

use super::args::{FormatArg, GenerateArgs, LevelArg};
use crate::app::Settings;
use crate::codes::Codes;
use crate::platform::clock::SystemClock;
use crate::platform::texts::{Lang, text};
use crate::synthetic::pki::Layout;
use crate::synthetic::{Format, Generator, Options};
use crate::transcript::Level;

impl From<LevelArg> for Level {
    fn from(arg: LevelArg) -> Self {
        match arg {
            LevelArg::TieuHoc => Self::Primary,
            LevelArg::Thcs => Self::LowerSecondary,
            LevelArg::Thpt => Self::UpperSecondary,
        }
    }
}

impl From<FormatArg> for Format {
    fn from(arg: FormatArg) -> Self {
        match arg {
            FormatArg::Xml => Self::Xml,
            FormatArg::Content => Self::Content,
            FormatArg::Ndjson => Self::Ndjson,
        }
    }
}

/// Generate; standard error tells how many records and planted mistakes there are.
pub fn run(args: &GenerateArgs, settings: &Settings, lang: Lang) -> anyhow::Result<()> {
    let tables = settings.tables();
    let codes = Codes::load(&tables)?;
    let layout = Layout::open(&args.pki).with_context(|| args.pki.display().to_string())?;
    let options = Options {
        level: args.level.into(),
        province: args.province.clone(),
        school_year: args.school_year.parse().context("--school-year")?,
        records: u64::from(args.records),
        seed: args.seed,
        fault_rate: args.faults,
        fault_kinds: Vec::new(),
    };
    let generator = Generator::new(options, &codes, &tables, &layout, Arc::new(SystemClock))?;
    let range = 0..u64::from(args.records);
    let written = match &args.output {
        Some(path) => {
            let mut out =
                BufWriter::new(File::create(path).with_context(|| path.display().to_string())?);
            let written = generator.write_batch(&mut out, range, args.format.into())?;
            out.flush()?;
            written
        }
        None => generator.write_batch(&mut io::stdout().lock(), range, args.format.into())?,
    };
    let (records, faults) = (written.records.to_string(), written.faults.len().to_string());
    eprintln!("{}", text(lang, "generate.done", &[("records", &records), ("faults", &faults)]));
    Ok(())
}

//! Runs each command of the command line and turns its result into an exit code.

/// Print a line of data on standard output; a reader that has gone away (`| head`) ends the program in peace.
macro_rules! put {
    ($($part:tt)*) => {{
        use std::io::Write as _;
        if writeln!(std::io::stdout(), $($part)*).is_err() {
            std::process::exit(0);
        }
    }};
}

pub mod args;
pub mod check_config;
pub mod demo;
pub mod gateway;
pub mod generate;
pub mod migrate;
pub mod pki;
pub mod push;
pub mod query;
pub mod verify;

use std::process::ExitCode;

use anyhow::Context;

use self::args::{Command, CommandLine};
use crate::app::{Settings, parts};
use crate::platform::clock::{Clock, SystemClock};
use crate::platform::texts::{Lang, text};
use crate::trust::{Anchors, Decision, SystemSettings};

/// The work could not be done.
const EXIT_FAILED: u8 = 1;
/// The command was used in a wrong way.
const EXIT_WRONG_USE: u8 = 2;
/// `verify` cannot decide.
const EXIT_UNDECIDED: u8 = 3;

/// A command was used in a wrong way that its arguments alone do not show; the text is for people.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct WrongUse(pub String);

/// Run the program with `args` (the first is its name) and return its exit code.
pub fn main(args: &[String], lang_variable: Option<&str>) -> ExitCode {
    let lang = args::language(args, lang_variable);
    let line = match args::parse(args, lang) {
        Ok(line) => line,
        Err(error) if error.use_stderr() => {
            eprintln!("{}\n{}", args::explain(&error, lang), text(lang, "cli.wrong-use", &[]));
            return ExitCode::from(EXIT_WRONG_USE);
        }
        Err(help) => {
            let _ = help.print();
            return ExitCode::SUCCESS;
        }
    };
    match run(line, lang) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("hocba: {error:#}");
            ExitCode::from(if error.is::<WrongUse>() { EXIT_WRONG_USE } else { EXIT_FAILED })
        }
    }
}

fn run(line: CommandLine, lang: Lang) -> anyhow::Result<ExitCode> {
    let config = line.config.as_deref();
    let runtime =
        || tokio::runtime::Builder::new_multi_thread().enable_all().build().context("tokio");
    let done = |good: bool| {
        if good { ExitCode::SUCCESS } else { ExitCode::from(EXIT_FAILED) }
    };
    match line.command {
        Command::Serve => {
            let settings = Settings::load(config)?;
            runtime()?.block_on(crate::app::serve::run(settings))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Work(args) => {
            let settings = Settings::load(config)?;
            runtime()?.block_on(crate::app::work::run(settings, args.until_idle))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Sandbox(args) => {
            let settings = Settings::load(config)?;
            runtime()?.block_on(crate::app::stand_in::run(settings, args.faults, args.ledger))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Demo(args) => Ok(done(runtime()?.block_on(demo::run(&args, lang))?)),
        Command::Migrate(args) => {
            runtime()?.block_on(migrate::run(
                Settings::load(config)?,
                args.bootstrap.as_deref(),
                lang,
            ))?;
            Ok(ExitCode::SUCCESS)
        }
        Command::CheckConfig(args) => {
            check_config::run(config, args.show, lang)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Generate(args) => {
            generate::run(&args, &Settings::load(config)?, lang)?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Push(args) => Ok(done(runtime()?.block_on(push::run(&args, lang))?)),
        Command::Verify(args) => verify_files(&args, config, lang),
        Command::Query(args) => Ok(done(runtime()?.block_on(query::run(&args, lang))?)),
        Command::Pki(args) => {
            pki::run(&args, lang)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn verify_files(
    args: &args::VerifyArgs,
    config: Option<&std::path::Path>,
    lang: Lang,
) -> anyhow::Result<ExitCode> {
    let settings = Settings::load(config)?;
    let tables = settings.tables();
    let mut trust = settings.trust.clone();
    if let Some(directory) = &args.trust {
        // A folder given by hand holds the anchors of both systems; the chain alone tells which is which.
        let anchors =
            SystemSettings { anchors: vec![directory.clone()], intermediates: Vec::new() };
        trust.public_ca = anchors.clone();
        trust.official_duty = anchors;
    }
    let at = match &args.at {
        Some(text) => text.parse().context("--at")?,
        None => SystemClock.now(),
    };
    let tools = verify::Tools {
        verifier: parts::verifier(&tables, &settings.signature)?,
        anchors: Anchors::load(trust)?,
        ministry: crate::intake::ministry::Profile::load(&tables)?,
        lines: settings.intake.line.clone(),
        at,
    };
    Ok(match verify::run(args, &tools, lang)? {
        Decision::Confirmed => ExitCode::SUCCESS,
        Decision::Refuted => ExitCode::from(EXIT_FAILED),
        Decision::CannotDecide => ExitCode::from(EXIT_UNDECIDED),
    })
}

//! Declares the command line; every sentence of its help stands in the catalogue of texts.

use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::platform::texts::{Lang, has, text};

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "hocba", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct CommandLine {
    #[arg(long, global = true, value_enum)]
    pub lang: Option<LangArg>,
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(subcommand)]
    pub command: Command,
}

/// Language chosen on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LangArg {
    Vi,
    En,
}

impl From<LangArg> for Lang {
    fn from(arg: LangArg) -> Self {
        match arg {
            LangArg::Vi => Self::Vi,
            LangArg::En => Self::En,
        }
    }
}

/// What `hocba` can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    Serve,
    Work(WorkArgs),
    Sandbox(SandboxArgs),
    Demo(DemoArgs),
    Migrate(MigrateArgs),
    CheckConfig(CheckConfigArgs),
    Generate(GenerateArgs),
    Push(PushArgs),
    Verify(VerifyArgs),
    Query(QueryArgs),
    Pki(PkiArgs),
}

#[derive(Debug, Args)]
pub struct WorkArgs {
    #[arg(long)]
    pub until_idle: bool,
}

#[derive(Debug, Args)]
pub struct SandboxArgs {
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
}

#[derive(Debug, Args, Clone)]
pub struct DemoArgs {
    #[arg(long)]
    pub once: bool,
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(3..=1_000_000))]
    pub records: u32,
    #[arg(long)]
    pub json: bool,
    #[arg(long, default_value_t = 0.02, value_parser = parse_rate)]
    pub fault_rate: f64,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct MigrateArgs {
    #[arg(long, value_name = "FILE")]
    pub bootstrap: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct CheckConfigArgs {
    #[arg(long)]
    pub show: bool,
}

#[derive(Debug, Args)]
pub struct GenerateArgs {
    #[arg(long, value_enum)]
    pub level: LevelArg,
    #[arg(long, value_name = "CODE")]
    pub province: String,
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub records: u32,
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    #[arg(long, default_value_t = 0.0, value_parser = parse_rate)]
    pub faults: f64,
    #[arg(long, value_enum, default_value = "xml")]
    pub format: FormatArg,
    #[arg(long, value_name = "YYYY-YYYY", default_value = "2025-2026")]
    pub school_year: String,
    #[arg(long, value_name = "DIR")]
    pub pki: PathBuf,
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// Level on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LevelArg {
    TieuHoc,
    Thcs,
    Thpt,
}

/// Format on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    Xml,
    Content,
    Ndjson,
}

/// Who asks, and where; every command that talks to a gateway has these.
#[derive(Debug, Args, Clone)]
pub struct ConnectionArgs {
    #[arg(long, value_name = "URL", default_value = "https://localhost:8443")]
    pub url: String,
    #[arg(long, value_name = "FILE")]
    pub cert: PathBuf,
    #[arg(long, value_name = "FILE")]
    pub key: PathBuf,
    #[arg(long, value_name = "FILE")]
    pub ca: PathBuf,
}

#[derive(Debug, Args)]
pub struct PushArgs {
    pub file: PathBuf,
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
    #[arg(long, value_name = "KEY")]
    pub idempotency_key: Option<String>,
    #[arg(long)]
    pub no_wait: bool,
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub timeout_s: u64,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    #[arg(long, value_name = "DIR")]
    pub trust: Option<PathBuf>,
    #[arg(long, value_name = "TIME")]
    pub at: Option<String>,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct QueryArgs {
    #[command(flatten)]
    pub connection: ConnectionArgs,
    #[arg(long, value_name = "FILE")]
    pub request: PathBuf,
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct PkiArgs {
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    #[arg(long, value_name = "CODE", value_delimiter = ',', default_value = "01,79,20")]
    pub provinces: Vec<String>,
}

fn parse_rate(value: &str) -> Result<f64, String> {
    match value.parse::<f64>() {
        Ok(rate) if (0.0..=1.0).contains(&rate) => Ok(rate),
        _ => Err("0.0 … 1.0".to_owned()),
    }
}

/// Find the language before the command line is parsed, so that errors speak it too.
pub fn language(args: &[String], environment: Option<&str>) -> Lang {
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let value = arg
            .strip_prefix("--lang=")
            .or_else(|| (arg == "--lang").then(|| args.next().map_or("", |v| v)));
        match value {
            Some("vi") => return Lang::Vi,
            Some("en") => return Lang::En,
            _ => {}
        }
    }
    Lang::from_environment(environment)
}

/// Build the command line with its help in `lang`.
pub fn command(lang: Lang) -> clap::Command {
    localise(CommandLine::command(), lang, "cli")
}

/// Parse arguments; the error is ready to be printed in `lang`.
pub fn parse(args: &[String], lang: Lang) -> Result<CommandLine, clap::Error> {
    let matches = command(lang).try_get_matches_from(args)?;
    CommandLine::from_arg_matches(&matches)
}

fn localise(command: clap::Command, lang: Lang, path: &str) -> clap::Command {
    let say = |key: &str| text(lang, key, &[]);
    let template = format!(
        "{{about-with-newline}}\n{}: {{usage}}\n\n{{all-args}}{{after-help}}",
        say("cli.heading-usage")
    );
    let mut command = command
        .about(say(&format!("{path}.about")))
        .help_template(template)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .next_help_heading(None::<&str>)
        .subcommand_help_heading(say("cli.heading-commands"))
        .arg(
            clap::Arg::new("help")
                .short('h')
                .long("help")
                .action(clap::ArgAction::Help)
                .help(say("cli.arg.help")),
        );
    if path == "cli" {
        command = command.after_help(say("cli.exit-codes")).arg(
            clap::Arg::new("version")
                .short('V')
                .long("version")
                .action(clap::ArgAction::Version)
                .help(say("cli.arg.version")),
        );
    }
    let after = format!("{path}.after");
    if has(&after) {
        command = command.after_help(say(&after));
    }
    command = command.mut_args(|arg| {
        let id = arg.get_id().to_string();
        let own = format!("{path}.{id}");
        let key = if has(&own) { own } else { format!("cli.arg.{id}") };
        let heading =
            if arg.is_positional() { "cli.heading-arguments" } else { "cli.heading-options" };
        let takes_value = arg.get_action().takes_values();
        let arg = arg.help(say(&key)).help_heading(say(heading));
        if takes_value { arg.hide_possible_values(true) } else { arg }
    });
    let usage = command.render_usage().to_string();
    let usage = usage
        .trim_start_matches("Usage: ")
        .replace("[OPTIONS]", &format!("[{}]", say("cli.usage-options")))
        .replace("<COMMAND>", &format!("<{}>", say("cli.usage-command")));
    command = command.override_usage(usage);
    command.mut_subcommands(|sub| {
        let path = format!("{path}.{}", sub.get_name());
        let name = format!("hocba {}", sub.get_name());
        localise(sub.bin_name(name), lang, &path)
    })
}

/// Say in `lang` what is wrong with a command line; the parser itself speaks English only.
pub fn explain(error: &clap::Error, lang: Lang) -> String {
    use clap::error::{ContextKind, ErrorKind};
    let context = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let key = match error.kind() {
        ErrorKind::InvalidSubcommand => "cli.wrong-command",
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => "cli.wrong-value",
        ErrorKind::MissingRequiredArgument => "cli.missing-argument",
        ErrorKind::UnknownArgument => "cli.unknown-argument",
        _ => return error.to_string(),
    };
    let args = [
        ("argument", context(ContextKind::InvalidArg)),
        ("value", context(ContextKind::InvalidValue)),
        ("command", context(ContextKind::InvalidSubcommand)),
        ("permitted", context(ContextKind::ValidValue)),
    ];
    let args: Vec<(&str, &str)> =
        args.iter().map(|(name, value)| (*name, value.as_str())).collect();
    text(lang, key, &args)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_key(command: &clap::Command, path: &str, missing: &mut Vec<String>) {
        if !has(&format!("{path}.about")) {
            missing.push(format!("{path}.about"));
        }
        for arg in command.get_arguments() {
            let id = arg.get_id().to_string();
            if !has(&format!("{path}.{id}")) && !has(&format!("cli.arg.{id}")) {
                missing.push(format!("{path}.{id}"));
            }
        }
        for sub in command.get_subcommands() {
            every_key(sub, &format!("{path}.{}", sub.get_name()), missing);
        }
    }

    #[test]
    fn every_command_and_argument_has_help_in_both_languages() {
        let mut missing = Vec::new();
        every_key(&command(Lang::Vi), "cli", &mut missing);
        assert!(missing.is_empty(), "{missing:?}");
        let help = command(Lang::En).render_help().to_string();
        assert!(help.contains("Usage: hocba"), "{help}");
        assert!(command(Lang::Vi).render_help().to_string().contains("Cách dùng: hocba"));
    }

    #[test]
    fn the_language_is_found_before_parsing() {
        let args = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        assert_eq!(language(&args(&["hocba", "--lang", "en"]), None), Lang::En);
        assert_eq!(language(&args(&["hocba", "--lang=vi"]), Some("en_US.UTF-8")), Lang::Vi);
        assert_eq!(language(&args(&["hocba"]), Some("en_US.UTF-8")), Lang::En);
        assert_eq!(language(&args(&["hocba"]), Some("C")), Lang::Vi);
    }

    #[test]
    fn the_command_line_is_consistent() {
        command(Lang::Vi).debug_assert();
    }
}

//! Checks signatures of files offline: Ministry batches and records, lines of JSON, receipts and answers.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;

use super::WrongUse;
use super::args::VerifyArgs;
use crate::intake::canonical::{self, Lines};
use crate::intake::ministry;
use crate::platform::texts::{Lang, both, text};
use crate::signature::{Inherited, SignerBlock, Verifier};
use crate::transcript::Transcript;
use crate::trust::{Anchors, CertificateVerdict, Decision, SignerPurpose, roles};

/// Bytes looked at to tell what a file is.
const PEEK_BYTES: usize = 4 * 1024;
/// Largest JSON statement (receipt, answer) read at once, in bytes.
const STATEMENT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// What the checks need; no network, no database.
pub struct Tools {
    /// Verifies signatures.
    pub verifier: Verifier,
    /// Believed signers of schools and departments.
    pub anchors: Anchors,
    /// The Ministry's tags.
    pub ministry: ministry::Profile,
    /// Limits of lines of JSON.
    pub lines: canonical::Settings,
    /// Time of the check; a certificate is judged at the signing time, no later than this.
    pub at: Timestamp,
}

/// One check and how it came out.
#[derive(Debug, Serialize)]
pub struct Check {
    /// What was checked.
    pub check: &'static str,
    /// Where: list, record number, signer.
    pub place: String,
    /// How it came out.
    pub verdict: Decision,
    /// Stable reason code, when not confirmed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A file and its checks.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The file as named on the command line.
    pub file: PathBuf,
    /// Over all: refuted by any refuted check, else undecided by any undecided one.
    pub verdict: Decision,
    /// Every check.
    pub checks: Vec<Check>,
}

/// Check all files and print; returns the worst decision.
pub fn run(args: &VerifyArgs, tools: &Tools, lang: Lang) -> anyhow::Result<Decision> {
    let mut reports = Vec::new();
    for file in &args.files {
        let mut checks = Vec::new();
        check_file(file, tools, lang, &mut checks)?;
        reports.push(Report {
            file: file.clone(),
            verdict: worst(checks.iter().map(|c| c.verdict)),
            checks,
        });
    }
    let overall = worst(reports.iter().map(|report| report.verdict));
    if args.json {
        put!("{}", serde_json::json!({ "verdict": overall, "files": reports }));
    } else {
        for report in &reports {
            print_report(report, lang);
        }
    }
    Ok(overall)
}

fn unknown_kind(lang: Lang, path: &Path) -> anyhow::Error {
    WrongUse(format!("{}: {}", path.display(), text(lang, "verify.unknown-kind", &[]))).into()
}

// Places keep one form for programs; people read them in their language.
fn place_in(lang: Lang, place: &str) -> String {
    ["list", "record", "line", "column", "statement"].iter().fold(place.to_owned(), |said, word| {
        said.replace(word, &text(lang, &format!("verify.place-{word}"), &[]))
    })
}

fn worst(decisions: impl Iterator<Item = Decision>) -> Decision {
    let mut found = None;
    for decision in decisions {
        match decision {
            Decision::Refuted => return Decision::Refuted,
            Decision::CannotDecide => found = Some(Decision::CannotDecide),
            Decision::Confirmed => found = found.or(Some(Decision::Confirmed)),
        }
    }
    // A file without any signature proves nothing.
    found.unwrap_or(Decision::CannotDecide)
}

fn check_file(
    path: &Path,
    tools: &Tools,
    lang: Lang,
    checks: &mut Vec<Check>,
) -> anyhow::Result<()> {
    let open = || File::open(path).map(|file| BufReader::with_capacity(64 * 1024, file));
    let mut head = Vec::new();
    open()
        .and_then(|file| file.take(PEEK_BYTES as u64).read_to_end(&mut head))
        .with_context(|| path.display().to_string())?;
    let start =
        String::from_utf8_lossy(&head).trim_start_matches('\u{feff}').trim_start().to_owned();
    let profile = tools.verifier.profile();
    if start.starts_with('<') {
        if start.contains(&format!("<{}", profile.list_root)) {
            return check_list(open, tools, checks);
        }
        if start.contains(&format!("<{}", profile.record_root)) {
            let mut bytes = Vec::new();
            let limit = tools.verifier.limits().record_bytes_max as u64;
            open()?.take(limit + 1).read_to_end(&mut bytes)?;
            let bytes = without_declaration(&bytes);
            check_record(bytes, &Inherited::default(), 1, tools, checks);
            return Ok(());
        }
        return Err(unknown_kind(lang, path));
    }
    if start.starts_with('{') && !start.starts_with("{\"record\"") {
        let mut bytes = Vec::new();
        open()?.take(STATEMENT_BYTES_MAX).read_to_end(&mut bytes)?;
        if let Ok(statement) = serde_json::from_slice::<serde_json::Value>(&bytes) {
            return check_statement(path, &statement, tools, lang, checks);
        }
    }
    if start.starts_with('{') {
        return check_lines(open()?, tools, checks);
    }
    Err(unknown_kind(lang, path))
}

fn without_declaration(bytes: &[u8]) -> &[u8] {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let bytes = bytes.trim_ascii();
    match bytes.strip_prefix(b"<?xml") {
        Some(rest) => match rest.windows(2).position(|pair| pair == b"?>") {
            Some(end) => rest[end + 2..].trim_ascii(),
            None => bytes,
        },
        None => bytes,
    }
}

fn check_list<R: BufRead>(
    open: impl Fn() -> std::io::Result<R>,
    tools: &Tools,
    checks: &mut Vec<Check>,
) -> anyhow::Result<()> {
    match tools.verifier.verify_list(&open) {
        Ok(list) => {
            checks.push(confirmed("list-signature", "list".to_owned()));
            let verdict = tools.anchors.check(
                &list.certificate,
                &list.chain,
                list.signing_time,
                tools.at,
                SignerPurpose::Organisation,
            );
            push_certificate(&verdict, "list".to_owned(), checks);
        }
        Err(fault) => {
            checks.push(refuted("list-signature", "list".to_owned(), fault.code().to_owned()))
        }
    }
    for slice in tools.verifier.records(open()?) {
        match slice {
            Ok(slice) => {
                check_record(&slice.bytes, &slice.inherited, slice.index + 1, tools, checks)
            }
            Err(fault) => {
                let place = format!("line {}, column {}", fault.line, fault.column);
                checks.push(refuted("well-formed", place, fault.kind.code().to_owned()));
                break;
            }
        }
    }
    Ok(())
}

fn check_record(
    bytes: &[u8],
    inherited: &Inherited,
    number: u64,
    tools: &Tools,
    checks: &mut Vec<Check>,
) {
    match tools.verifier.verify_record(bytes, inherited) {
        Ok(verified) => {
            let transcript = match ministry::decode(&verified.data, &tools.ministry) {
                Ok(decoded) => decoded.transcript,
                Err(violations) => {
                    let place = format!("record {number}");
                    checks.extend(
                        violations.into_iter().map(|v| refuted("line", place.clone(), v.rule)),
                    );
                    Transcript::default()
                }
            };
            check_signers(
                &verified.signers,
                &transcript,
                &format!("record {number}"),
                tools,
                checks,
            );
        }
        Err(faults) => {
            for fault in faults {
                let role = fault.role.as_deref().unwrap_or("-");
                checks.push(refuted(
                    "signature",
                    format!("record {number}, {role}"),
                    fault.code().to_owned(),
                ));
            }
        }
    }
}

fn check_lines(reader: impl BufRead, tools: &Tools, checks: &mut Vec<Check>) -> anyhow::Result<()> {
    let mut lines = Lines::new(reader, tools.lines.line_bytes_max);
    while let Some(line) = lines.next_line()? {
        let number = line.number;
        match line.octets {
            None => checks.push(refuted("line", format!("line {number}"), "too-long".to_owned())),
            Some(octets) => check_line(octets, number, tools, checks),
        }
    }
    Ok(())
}

fn check_line(octets: &[u8], number: u64, tools: &Tools, checks: &mut Vec<Check>) {
    let line = match canonical::decode(octets, &tools.lines, &tools.verifier.profile().signers) {
        Ok(line) => line,
        Err(fault) => {
            checks.push(refuted("line", format!("line {number}"), fault.violation().rule));
            return;
        }
    };
    let mut signers = Vec::with_capacity(line.signatures.len());
    for (role, token) in &line.signatures {
        match tools.verifier.verify_detached(token, &line.record_octets) {
            Ok(jws) => signers.push(jws.into_block(role)),
            Err(fault) => {
                let place = format!("line {number}, {role}");
                checks.push(refuted("signature", place, fault.code().to_owned()));
            }
        }
    }
    check_signers(&signers, &line.transcript, &format!("line {number}"), tools, checks);
}

fn check_signers(
    signers: &[SignerBlock],
    transcript: &Transcript,
    place: &str,
    tools: &Tools,
    checks: &mut Vec<Check>,
) {
    let profile = tools.verifier.profile();
    let verdicts = roles::judge(&tools.anchors, profile, signers, tools.at);
    for (signer, verdict) in signers.iter().zip(&verdicts) {
        let place = format!("{place}, {}", signer.role);
        checks.push(confirmed("signature", place.clone()));
        push_certificate(verdict, place, checks);
    }
    for fault in roles::check(profile, signers, &verdicts, transcript) {
        checks.push(refuted(
            "role",
            format!("{place}, {}", fault.role),
            format!("trust.{}", fault.code),
        ));
    }
}

/// A receipt carries a compact JWS over its members, an answer a detached one over the rest of itself.
fn check_statement(
    path: &Path,
    statement: &serde_json::Value,
    tools: &Tools,
    lang: Lang,
    checks: &mut Vec<Check>,
) -> anyhow::Result<()> {
    let place = "statement".to_owned();
    let mut rest = statement.clone();
    let verified = if let Some(token) = statement["receipt"].as_str() {
        if let Some(members) = rest.as_object_mut() {
            members.remove("receipt");
        }
        let expected = crate::signature::jws::canonical_json(&rest)?;
        match tools.verifier.verify_compact(token) {
            Ok((payload, jws)) if payload == expected => Ok(jws),
            Ok(_) => Err("other-content".to_owned()),
            Err(fault) => Err(fault.code().to_owned()),
        }
    } else if let Some(token) = statement["signature"].as_str() {
        if let Some(members) = rest.as_object_mut() {
            members.remove("signature");
        }
        let payload = crate::signature::jws::canonical_json(&rest)?;
        tools.verifier.verify_detached(token, &payload).map_err(|fault| fault.code().to_owned())
    } else {
        return Err(unknown_kind(lang, path));
    };
    match verified {
        Err(reason) => checks.push(refuted("signature", place, reason)),
        Ok(jws) => {
            checks.push(confirmed("signature", place.clone()));
            let verdict = tools.anchors.check(
                &jws.certificate,
                &jws.chain,
                jws.signing_time,
                tools.at,
                SignerPurpose::Organisation,
            );
            push_certificate(&verdict, place, checks);
        }
    }
    Ok(())
}

fn push_certificate(verdict: &CertificateVerdict, place: String, checks: &mut Vec<Check>) {
    let reason = verdict.reasons.first().map(|reason| reason.code().to_owned());
    checks.push(Check { check: "certificate", place, verdict: verdict.decision, reason });
}

fn confirmed(check: &'static str, place: String) -> Check {
    Check { check, place, verdict: Decision::Confirmed, reason: None }
}

fn refuted(check: &'static str, place: String, reason: String) -> Check {
    Check { check, place, verdict: Decision::Refuted, reason: Some(reason) }
}

fn print_report(report: &Report, lang: Lang) {
    let word = |decision| match decision {
        Decision::Confirmed => text(lang, "verify.confirmed", &[]),
        Decision::Refuted => text(lang, "verify.refuted", &[]),
        Decision::CannotDecide => text(lang, "verify.undecided", &[]),
    };
    put!("{}: {}", report.file.display(), word(report.verdict));
    for check in &report.checks {
        let name = text(lang, &format!("verify.check-{}", check.check), &[]);
        match &check.reason {
            None => {
                put!("  {} · {} · {}", word(check.verdict), place_in(lang, &check.place), name)
            }
            Some(reason) => {
                put!(
                    "  {} · {} · {} · {}",
                    word(check.verdict),
                    place_in(lang, &check.place),
                    name,
                    explain(reason, lang)
                );
            }
        }
    }
}

fn explain(reason: &str, lang: Lang) -> String {
    ["signature.fault", "trust.reason", "rule"]
        .iter()
        .map(|table| format!("{table}.{reason}"))
        .find(|key| crate::platform::texts::has(key))
        .map_or_else(|| reason.to_owned(), |key| both(&key, &[]).in_lang(lang).to_owned())
}

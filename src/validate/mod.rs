//! Names every rule of the circular in force that a transcript breaks.

pub mod averages;
mod day;
mod formats;
mod identity;
mod legacy;
mod lists;
mod mark;
mod person;
mod primary;
mod record;
mod required;
mod rule;
mod rules;
mod secondary;
mod subjects;
mod table;
#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod mutations;
#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use day::Day;
pub use identity::parse_identity;
pub use mark::Mark;
pub use rule::Rule;
pub use rules::{Rules, Scope, Settings};

use jiff::civil::Date;

use crate::codes::Codes;
use crate::transcript::{
    Circular, Identity, Level, Severity, Transcript, ValidTranscript, Violation,
};

use record::Record;

/// What the rules need to know besides the record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Today's two-digit code of the province the sender belongs to.
    pub participant_province: String,
    /// Day of reception in Vietnam.
    pub received_on: Date,
}

/// What became of a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It breaks no rule of severity *hold* or *error*.
    Valid(ValidTranscript),
    /// It waits for a person or for missing data.
    Held {
        /// The values as signed.
        transcript: Transcript,
        /// The identity, where it is complete.
        identity: Option<Identity>,
        /// Every rule it breaks.
        violations: Vec<Violation>,
    },
    /// It breaks at least one rule of severity *error*.
    Rejected {
        /// The values as signed.
        transcript: Transcript,
        /// Every rule it breaks.
        violations: Vec<Violation>,
    },
}

impl Checked {
    /// Return every violation, warnings included.
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::Valid(valid) => &valid.warnings,
            Self::Held { violations, .. } | Self::Rejected { violations, .. } => violations,
        }
    }
}

/// Check `transcript` by every rule that holds for it; signed values are compared, never changed.
///
/// A record without a complete identity is never valid, whatever severities are configured.
pub fn check(rules: &Rules, codes: &Codes, transcript: Transcript, context: &Context) -> Checked {
    let (identity, violations) = violations(rules, codes, &transcript, context);
    let worst =
        violations.iter().map(|violation| violation.severity).max().unwrap_or(Severity::Off);
    match (worst, identity) {
        (Severity::Error, _) => Checked::Rejected { transcript, violations },
        (Severity::Off | Severity::Warning, Some(identity)) => {
            Checked::Valid(ValidTranscript { identity, transcript, warnings: violations })
        }
        (_, identity) => Checked::Held { transcript, identity, violations },
    }
}

fn violations(
    rules: &Rules,
    codes: &Codes,
    transcript: &Transcript,
    context: &Context,
) -> (Option<Identity>, Vec<Violation>) {
    let mut record = Record::new(rules, codes, transcript, context.received_on);
    identity::check(&mut record);
    required::check(&mut record);
    formats::check(&mut record, context);
    lists::check(&mut record, context);
    person::check(&mut record);
    let found = subjects::check(&mut record);
    match (record.scope.circular, record.scope.level) {
        (Some(Circular::Tt27), Some(Level::Primary)) => primary::check(&mut record, &found),
        (
            Some(circular @ (Circular::Tt22 | Circular::Tt43)),
            Some(Level::LowerSecondary | Level::UpperSecondary),
        ) => secondary::check(&mut record, &found, circular),
        (Some(Circular::Tt22Of2016), Some(Level::Primary)) => legacy::check_primary(&mut record),
        (Some(Circular::Tt58), Some(Level::LowerSecondary | Level::UpperSecondary)) => {
            legacy::check_secondary(&mut record);
        }
        // Another pairing is named by CV2088.circular-in-force.
        _ => {}
    }
    (record.parts.identity(), record.violations)
}

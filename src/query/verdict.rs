//! Decides the verdicts of an answer from what was found and re-verified; pure.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::catalogue::{Catalogue, Procedure, Scope};
use super::request::{Question, Subject};
use super::years::{asked_years, needed_years};
use crate::codes::plain;
use crate::transcript::{Field, Level, SchoolYear, Transcript};

/// What an answer says about one school year, or over all.
///
/// The order is that of gravity: the verdict over all is the gravest of the needed years.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Genuine, in force, complete, and of the person named.
    Valid,
    /// Genuine, but without a field the procedure needs.
    Incomplete,
    /// No transcript is known for what was given.
    NotFound,
    /// The evidence cannot be read now; ask again later.
    SourceUnavailable,
    /// Replaced by a newer transcript.
    Superseded,
    /// Taken back by the school.
    Recalled,
    /// The stored document is not what the school signed, or its signer cannot be believed.
    SignatureInvalid,
    /// The code is right (or number and date of birth both are), but not the rest.
    IdentityMismatch,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Verdict; 8] = [
        Self::Valid,
        Self::Incomplete,
        Self::NotFound,
        Self::SourceUnavailable,
        Self::Superseded,
        Self::Recalled,
        Self::SignatureInvalid,
        Self::IdentityMismatch,
    ];

    /// Return the name used in answers, texts and the database.
    pub fn name(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Incomplete => "incomplete",
            Self::NotFound => "not-found",
            Self::SourceUnavailable => "source-unavailable",
            Self::Superseded => "superseded",
            Self::Recalled => "recalled",
            Self::SignatureInvalid => "signature-invalid",
            Self::IdentityMismatch => "identity-mismatch",
        }
    }
}

/// State of a record in the register.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Taken back.
    Recalled,
    /// Replaced.
    Superseded,
    /// In force.
    Effective,
}

/// What re-verifying the stored document gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// It is what the school signed, by signers who are believed.
    Genuine(Box<Transcript>),
    /// It is not.
    Forged,
    /// It could not be read, so nothing can be said.
    Unreadable,
}

/// One transcript of the register that a question may speak of.
#[derive(Debug, Clone)]
pub struct Dossier {
    /// Its code.
    pub code: Uuid,
    /// Its school year.
    pub school_year: SchoolYear,
    /// Its level.
    pub level: Level,
    /// Its state in the register.
    pub status: Status,
    /// When the gateway received it.
    pub received_at: Option<Timestamp>,
    /// What re-verifying it gave.
    pub evidence: Evidence,
}

/// Verdict on one school year.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct YearVerdict {
    /// The school year.
    pub school_year: SchoolYear,
    /// The verdict.
    pub verdict: Verdict,
    /// Needed fields that are absent.
    pub missing: Vec<Field>,
    /// When the gateway received the transcript; only where the person is the one named.
    pub received_at: Option<Timestamp>,
    /// What the procedure may see; only for *valid*.
    pub transcript: Option<Transcript>,
}

/// Verdicts on every needed year and over all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Level the answer speaks of; absent where neither the question nor a right code says it.
    pub level: Option<Level>,
    /// Verdict over all: valid only if every needed year is.
    pub overall: Verdict,
    /// One verdict per year, in order.
    pub years: Vec<YearVerdict>,
}

/// A question with the policy it falls under.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The question.
    pub question: &'a Question,
    /// The procedure it names.
    pub procedure: &'a Procedure,
    /// The catalogue, for its calendar.
    pub catalogue: &'a Catalogue,
    /// The day of the answer.
    pub today: Date,
}

impl Asked<'_> {
    /// Return the level the question fixes: the one it names, or the only one of the procedure.
    pub fn level(&self) -> Option<Level> {
        self.question.level.or(self.procedure.only_level())
    }
}

/// Decide every verdict from the `dossiers` of the pupil asked about (of any level and year).
pub fn decide(asked: Asked<'_>, dossiers: &[Dossier]) -> Decision {
    let own = own_dossier(asked, dossiers);
    let level = asked.level().or(own.map(|found| found.level));
    let scope = level.and_then(|level| asked.procedure.levels.get(&level));
    let (Some(level), Some(scope)) = (level, scope) else {
        return uniform(asked.level(), asked_years(asked), Verdict::NotFound);
    };
    let dossiers: Vec<&Dossier> = dossiers.iter().filter(|d| d.level == level).collect();
    // What is not established must not be told: the years of the answer follow from the question alone.
    match standing(asked, own, &dossiers) {
        Standing::Unknown => uniform(asked.level(), asked_years(asked), Verdict::NotFound),
        Standing::Undecided => {
            uniform(asked.level(), asked_years(asked), Verdict::SourceUnavailable)
        }
        Standing::Mismatch => {
            let mut years = asked_years(asked);
            years.extend(own.map(|found| found.school_year));
            uniform(Some(level), years, Verdict::IdentityMismatch)
        }
        Standing::Established => {
            let needed = needed_years(asked, level, own, &dossiers);
            let mut all = needed.clone();
            all.extend(own.map(|found| found.school_year));
            let years = all
                .into_iter()
                .map(|year| {
                    let chosen = choose(year, own, &dossiers);
                    let mut judged = judge(asked, scope, year, chosen);
                    if !needed.contains(&year) {
                        judged.transcript = None;
                    }
                    judged
                })
                .collect();
            summed(Some(level), years)
        }
    }
}

/// Decide that nothing can be said, because the register itself cannot be read.
pub fn undecided(asked: Asked<'_>) -> Decision {
    uniform(asked.level(), asked_years(asked), Verdict::SourceUnavailable)
}

/// How well the person asked about is established.
enum Standing {
    /// Neither a right code nor a right number with its date of birth.
    Unknown,
    /// The evidence that would establish it cannot be read.
    Undecided,
    /// The code is right, the name is not.
    Mismatch,
    /// Verdicts may be told.
    Established,
}

fn standing(asked: Asked<'_>, own: Option<&Dossier>, dossiers: &[&Dossier]) -> Standing {
    match &asked.question.subject {
        Subject::Code { .. } => match own.map(|found| &found.evidence) {
            None => Standing::Unknown,
            Some(Evidence::Genuine(transcript)) if !names_match(asked, transcript) => {
                Standing::Mismatch
            }
            Some(_) => Standing::Established,
        },
        Subject::Number { .. } => {
            let born_so = |found: &&Dossier| match &found.evidence {
                Evidence::Genuine(transcript) => birth_matches(asked, transcript),
                _ => false,
            };
            if dossiers.iter().copied().any(|found| born_so(&found)) {
                Standing::Established
            } else if dossiers.iter().any(|d| d.evidence == Evidence::Unreadable) {
                Standing::Undecided
            } else {
                Standing::Unknown
            }
        }
    }
}

// The dossier whose code was given, if the procedure may ask about its level.
fn own_dossier<'d>(asked: Asked<'_>, dossiers: &'d [Dossier]) -> Option<&'d Dossier> {
    let Subject::Code { code, .. } = &asked.question.subject else {
        return None;
    };
    dossiers.iter().find(|found| {
        found.code == code.uuid()
            && asked.procedure.levels.contains_key(&found.level)
            && asked.level().is_none_or(|level| level == found.level)
    })
}

fn names_match(asked: Asked<'_>, transcript: &Transcript) -> bool {
    transcript
        .value(Field::StudentName)
        .is_some_and(|name| plain(name) == plain(asked.question.subject.name()))
}

fn birth_matches(asked: Asked<'_>, transcript: &Transcript) -> bool {
    match &asked.question.subject {
        Subject::Code { .. } => true,
        Subject::Number { birth_date, .. } => transcript
            .value(Field::BirthDate)
            .and_then(super::birth::BirthDate::parse)
            .is_some_and(|born| born == *birth_date),
    }
}

/// Choose the dossier that speaks for `year`: the code given for its own, else what is in force, else the newest.
pub(super) fn choose<'d>(
    year: SchoolYear,
    own: Option<&'d Dossier>,
    dossiers: &[&'d Dossier],
) -> Option<&'d Dossier> {
    own.filter(|found| found.school_year == year).or_else(|| {
        dossiers
            .iter()
            .copied()
            .filter(|found| found.school_year == year)
            .max_by_key(|found| (found.status, found.received_at, found.code))
    })
}

fn judge(
    asked: Asked<'_>,
    scope: &Scope,
    year: SchoolYear,
    found: Option<&Dossier>,
) -> YearVerdict {
    let mut judged = YearVerdict {
        school_year: year,
        verdict: Verdict::NotFound,
        missing: Vec::new(),
        received_at: None,
        transcript: None,
    };
    let Some(found) = found else {
        return judged;
    };
    let transcript = match &found.evidence {
        Evidence::Genuine(transcript) => transcript,
        Evidence::Forged => {
            judged.verdict = Verdict::SignatureInvalid;
            return judged;
        }
        Evidence::Unreadable => {
            judged.verdict = Verdict::SourceUnavailable;
            return judged;
        }
    };
    if !names_match(asked, transcript) || !birth_matches(asked, transcript) {
        judged.verdict = Verdict::IdentityMismatch;
        return judged;
    }
    judged.received_at = found.received_at;
    match found.status {
        Status::Recalled => judged.verdict = Verdict::Recalled,
        Status::Superseded => judged.verdict = Verdict::Superseded,
        Status::Effective => {
            judged.missing = scope.missing(transcript);
            if judged.missing.is_empty() {
                judged.verdict = Verdict::Valid;
                judged.transcript = Some(scope.select(transcript));
            } else {
                judged.verdict = Verdict::Incomplete;
            }
        }
    }
    judged
}

fn uniform(level: Option<Level>, years: BTreeSet<SchoolYear>, verdict: Verdict) -> Decision {
    Decision {
        level,
        overall: verdict,
        years: years
            .into_iter()
            .map(|school_year| YearVerdict {
                school_year,
                verdict,
                missing: Vec::new(),
                received_at: None,
                transcript: None,
            })
            .collect(),
    }
}

fn summed(level: Option<Level>, mut years: Vec<YearVerdict>) -> Decision {
    let overall = years.iter().map(|year| year.verdict).max().unwrap_or(Verdict::NotFound);
    // Who is perhaps another person learns nothing of this one.
    if overall == Verdict::IdentityMismatch {
        for year in &mut years {
            year.transcript = None;
            year.received_at = None;
            year.missing.clear();
        }
    }
    Decision { level, overall, years }
}

#[cfg(test)]
mod tests;

//! Reads a question strictly: every member known, every value in its form, nothing echoed in refusals.

use aws_lc_rs::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::birth::BirthDate;
use super::catalogue::Way;
use crate::transcript::{Level, PersonalNumber, SchoolYear, TranscriptCode};

const NAME_CHARS_MAX: usize = 150;
const NONCE_CHARS_MAX: usize = 64;
const PROCEDURE_CHARS_MAX: usize = 20;

/// The question as an agency sends it.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerificationRequest {
    /// Code of the administrative procedure (mã TTHC).
    #[schema(example = "1.001088", max_length = 20)]
    pub procedure: String,
    /// Number of the file (mã hồ sơ): letters, digits, `.`, `-`, `_`, `/`.
    #[schema(example = "H01.23.45-260601-0001", max_length = 64)]
    pub case: String,
    /// The officer who asks: his person id, or the SHA-256 fingerprint of his registered certificate in hex.
    #[schema(example = "018f3c5e-7d2a-7c11-9b1e-5a6f1f0e2d3c", max_length = 64)]
    pub officer: String,
    /// The pupil, by transcript code and name, or by personal number, date of birth and name.
    pub subject: SubjectRequest,
    /// `tieu_hoc`, `thcs` or `thpt`; absent: the only level of the procedure, or that of the transcript code.
    #[schema(example = "thcs")]
    pub level: Option<String>,
    /// School years `YYYY-YYYY`; absent: the procedure's own.
    pub school_years: Option<Vec<String>>,
    /// Any text of 8 to 64 letters, digits, `-`, `_`: it makes the digest of the request, and so the answer, unique.
    pub nonce: Option<String>,
}

/// How the pupil is named; exactly one of the two ways.
#[derive(Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubjectRequest {
    /// UUID v4 of the transcript (mã tra cứu học bạ).
    pub transcript_code: Option<String>,
    /// 12 digits; only where the procedure permits it.
    pub personal_number: Option<String>,
    /// `YYYY-MM-DD`, or as much of it as is known.
    pub birth_date: Option<String>,
    /// Full name as on the birth certificate.
    #[schema(max_length = 150)]
    pub name: String,
}

/// A question whose form is right.
#[derive(Debug)]
pub struct Question {
    /// Code of the procedure.
    pub procedure: String,
    /// Number of the file.
    pub case: String,
    /// The officer who asks.
    pub officer: OfficerName,
    /// The pupil.
    pub subject: Subject,
    /// Level asked for.
    pub level: Option<Level>,
    /// Years asked for, sorted, each once; empty: the procedure's own.
    pub school_years: Vec<SchoolYear>,
    /// SHA-256 of the bytes received; the answer repeats it.
    pub digest: [u8; 32],
}

/// How the officer is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OfficerName {
    /// By person id.
    Person(Uuid),
    /// By the SHA-256 fingerprint of the registered certificate.
    Fingerprint([u8; 32]),
}

/// The pupil asked about; never shown by `Debug`.
pub enum Subject {
    /// By transcript code and name.
    Code {
        /// UUID v4 of the transcript.
        code: TranscriptCode,
        /// Full name.
        name: String,
    },
    /// By personal number, date of birth and name.
    Number {
        /// 12 digits.
        number: PersonalNumber,
        /// Whole or partial.
        birth_date: BirthDate,
        /// Full name.
        name: String,
    },
}

impl Subject {
    /// Return the way by which the pupil is named.
    pub fn way(&self) -> Way {
        match self {
            Self::Code { .. } => Way::Code,
            Self::Number { .. } => Way::Number,
        }
    }

    /// Return the name given.
    pub fn name(&self) -> &str {
        match self {
            Self::Code { name, .. } | Self::Number { name, .. } => name,
        }
    }
}

impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subject(by {}, …)", self.way().name())
    }
}

/// Where a question has not the form it should have, and what is permitted; holds nothing of the question.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the question is malformed at {pointer}: permitted is {permitted}")]
pub struct Malformed {
    /// JSON pointer, or `line:column` where it is not JSON of the right shape.
    pub pointer: String,
    /// The permitted form, as a key below `query.permitted-` of the catalogue of texts.
    pub permitted: &'static str,
    /// The limit that was passed, where there is one; else 0.
    pub limit: usize,
}

fn malformed(pointer: &str, permitted: &'static str) -> Malformed {
    Malformed { pointer: pointer.to_owned(), permitted, limit: 0 }
}

/// Limits of a question.
#[derive(Debug, Clone, Copy)]
pub struct QuestionLimits {
    /// School years in one question.
    pub school_years_max: usize,
    /// Characters of a file number.
    pub case_chars_max: usize,
}

/// Read the question in `body`.
pub fn parse(body: &[u8], limits: QuestionLimits) -> Result<Question, Malformed> {
    // The parser's own message may quote the value, so only its place is kept.
    let request: VerificationRequest = serde_json::from_slice(body).map_err(|error| Malformed {
        pointer: format!("{}:{}", error.line(), error.column()),
        permitted: "shape",
        limit: 0,
    })?;
    check(request, body, limits)
}

/// Check a question that came in another form; `bytes` is its JSON form, of which the answer names the digest.
pub fn check(
    request: VerificationRequest,
    bytes: &[u8],
    limits: QuestionLimits,
) -> Result<Question, Malformed> {
    let mut request_digest = [0; 32];
    request_digest.copy_from_slice(digest(&SHA256, bytes).as_ref());
    if !is_token(&request.procedure, 3, PROCEDURE_CHARS_MAX, ".") {
        return Err(malformed("/procedure", "procedure"));
    }
    if !is_token(&request.case, 3, limits.case_chars_max, ".-_/") {
        return Err(malformed("/case", "case"));
    }
    if let Some(nonce) = &request.nonce
        && !is_token(nonce, 8, NONCE_CHARS_MAX, "-_")
    {
        return Err(malformed("/nonce", "nonce"));
    }
    let level = match &request.level {
        None => None,
        Some(slug) => Some(Level::from_slug(slug).ok_or_else(|| malformed("/level", "level"))?),
    };
    Ok(Question {
        officer: officer_of(&request.officer)?,
        subject: subject_of(request.subject)?,
        level,
        school_years: years_of(request.school_years, limits.school_years_max)?,
        procedure: request.procedure,
        case: request.case,
        digest: request_digest,
    })
}

fn is_token(text: &str, chars_min: usize, chars_max: usize, marks: &str) -> bool {
    (chars_min..=chars_max).contains(&text.len())
        && text.chars().all(|letter| letter.is_ascii_alphanumeric() || marks.contains(letter))
}

fn officer_of(text: &str) -> Result<OfficerName, Malformed> {
    let wrong = || malformed("/officer", "officer");
    match text.len() {
        36 => Uuid::try_parse(text).map(OfficerName::Person).map_err(|_| wrong()),
        64 => {
            let mut fingerprint = [0; 32];
            for (byte, pair) in fingerprint.iter_mut().zip(text.as_bytes().chunks(2)) {
                let pair = std::str::from_utf8(pair).map_err(|_| wrong())?;
                if !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                    return Err(wrong());
                }
                *byte = u8::from_str_radix(pair, 16).map_err(|_| wrong())?;
            }
            Ok(OfficerName::Fingerprint(fingerprint))
        }
        _ => Err(wrong()),
    }
}

fn subject_of(request: SubjectRequest) -> Result<Subject, Malformed> {
    let name = request.name.trim().to_owned();
    let count = name.chars().count();
    if count == 0 || count > NAME_CHARS_MAX || name.chars().any(char::is_control) {
        return Err(malformed("/subject/name", "name"));
    }
    match (request.transcript_code, request.personal_number, request.birth_date) {
        (Some(code), None, None) => Ok(Subject::Code {
            code: code
                .parse()
                .map_err(|_| malformed("/subject/transcript_code", "transcript-code"))?,
            name,
        }),
        (None, Some(number), Some(birth_date)) => Ok(Subject::Number {
            number: number
                .parse()
                .map_err(|_| malformed("/subject/personal_number", "personal-number"))?,
            birth_date: BirthDate::parse(&birth_date)
                .ok_or_else(|| malformed("/subject/birth_date", "birth-date"))?,
            name,
        }),
        _ => Err(malformed("/subject", "subject")),
    }
}

fn years_of(asked: Option<Vec<String>>, years_max: usize) -> Result<Vec<SchoolYear>, Malformed> {
    let Some(asked) = asked else {
        return Ok(Vec::new());
    };
    if asked.is_empty() || asked.len() > years_max {
        return Err(Malformed { limit: years_max, ..malformed("/school_years", "school-years") });
    }
    let mut years = Vec::with_capacity(asked.len());
    for (index, text) in asked.iter().enumerate() {
        let pointer = format!("/school_years/{index}");
        years.push(text.parse::<SchoolYear>().map_err(|_| malformed(&pointer, "school-year"))?);
    }
    years.sort_unstable();
    years.dedup();
    Ok(years)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const LIMITS: QuestionLimits = QuestionLimits { school_years_max: 12, case_chars_max: 64 };

    fn question() -> Value {
        json!({
            "procedure": "1.001088",
            "case": "H01.23.45-260601-0001",
            "officer": "018f3c5e-7d2a-7c11-9b1e-5a6f1f0e2d3c",
            "subject": {
                "transcript_code": "123e4567-e89b-42d3-a456-556642440000",
                "name": "Nguyễn Thị Thử"
            },
        })
    }

    fn refused(change: impl FnOnce(&mut Value)) -> Malformed {
        let mut body = question();
        change(&mut body);
        parse(body.to_string().as_bytes(), LIMITS).unwrap_err()
    }

    #[test]
    fn a_question_by_code_and_one_by_number_are_read() {
        let asked = parse(question().to_string().as_bytes(), LIMITS).unwrap();
        assert_eq!(asked.subject.way(), Way::Code);
        let mut body = question();
        body["subject"] = json!({
            "personal_number": "001317000001", "birth_date": "2017-05-09", "name": "Nguyễn Thị Thử"
        });
        body["school_years"] = json!(["2025-2026", "2024-2025", "2025-2026"]);
        body["level"] = json!("thcs");
        let asked = parse(body.to_string().as_bytes(), LIMITS).unwrap();
        assert_eq!(asked.subject.way(), Way::Number);
        assert_eq!(asked.school_years.len(), 2);
        let shown = format!("{asked:?}");
        assert!(!shown.contains("Thử") && !shown.contains("001317"), "{shown}");
    }

    #[test]
    fn every_member_that_is_unknown_mixed_or_out_of_form_is_refused() {
        assert_eq!(refused(|b| b["more"] = json!(1)).permitted, "shape");
        assert_eq!(refused(|b| b["subject"]["x"] = json!("")).permitted, "shape");
        assert_eq!(refused(|b| b["case"] = json!("a b c")).pointer, "/case");
        assert_eq!(refused(|b| b["officer"] = json!("me")).pointer, "/officer");
        assert_eq!(refused(|b| b["level"] = json!("x")).pointer, "/level");
        assert_eq!(refused(|b| b["subject"]["birth_date"] = json!("2017")).pointer, "/subject");
        assert_eq!(
            refused(|b| b["subject"]["name"] = json!("x".repeat(151))).pointer,
            "/subject/name"
        );
        assert_eq!(refused(|b| b["school_years"] = json!([])).pointer, "/school_years");
        assert_eq!(
            refused(|b| b["school_years"] = json!(["2024-2025", "24-25"])).pointer,
            "/school_years/1"
        );
        assert_eq!(
            refused(|b| b["school_years"] = json!(vec!["2024-2025"; 13])).pointer,
            "/school_years"
        );
        assert_eq!(refused(|b| b["nonce"] = json!("short")).pointer, "/nonce");
    }

    #[test]
    fn a_refusal_repeats_nothing_of_the_question() {
        let refusal = refused(|b| b["subject"]["name"] = json!({"secret": "001317000001"}));
        let shown = format!("{refusal} {refusal:?}");
        assert!(!shown.contains("001317") && !shown.contains("secret"), "{shown}");
    }
}

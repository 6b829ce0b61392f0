//! Plants the mistakes that real files have, each with the rule that must find it.

use serde::Serialize;
use unicode_normalization::UnicodeNormalization;

use super::Setting;
use super::batch::Format;
use super::chance::{Chance, Purpose};
use crate::transcript::{Field, Fields, Level, Transcript};

/// What becomes of a record with a planted mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Fate {
    /// It passes, at most with a warning.
    Accepted,
    /// It waits for missing data.
    Held,
    /// It is rejected.
    Rejected,
    /// It is known already.
    Duplicate,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident $slug:literal $weight:literal;)*) => {
        /// A mistake of a made-up record.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum FaultKind { $($(#[$doc])* $variant,)* }

        impl FaultKind {
            /// Every kind.
            pub const ALL: &'static [FaultKind] = &[$(FaultKind::$variant,)*];

            /// Return the name used in reports.
            pub fn slug(self) -> &'static str {
                match self { $(FaultKind::$variant => $slug,)* }
            }

            fn weight(self) -> u32 {
                match self { $(FaultKind::$variant => $weight,)* }
            }
        }
    };
}

kinds! {
    /// The pupil has no personal number yet.
    PersonalNumberMissing "personal-number-missing" 20;
    /// The year result is not the one the circular gives.
    YearResultWrong "year-result-wrong" 10;
    /// A mark is 11.
    MarkOverTen "mark-over-ten" 6;
    /// A mark is 8.75.
    MarkTwoDecimals "mark-two-decimals" 6;
    /// A mark was changed after the record was signed.
    GradeForged "grade-forged" 6;
    /// The head did not sign.
    PrincipalSignatureMissing "principal-signature-missing" 6;
    /// The head's certificate is of an authority nobody has configured.
    AnchorUnknown "anchor-unknown" 4;
    /// The ethnic group is not in the list.
    EthnicGroupUnknown "ethnic-group-unknown" 6;
    /// The school's province does not exist.
    ProvinceUnknown "province-unknown" 5;
    /// The department is of another province than the sender.
    DepartmentOfOther "department-of-other" 3;
    /// The record before it, once more.
    RecordRepeated "record-repeated" 8;
    /// A year average differs by 0.1 from what the terms give (secondary).
    AverageOffByTenth "average-off-by-tenth" 8;
    /// The transcript code is a UUID of version 1.
    CodeNotVersion4 "code-not-version-4" 3;
    /// The pupil was born on 31 February.
    BirthDateImpossible "birth-date-impossible" 5;
    /// The grade is 13.
    GradeOutsideLevel "grade-outside-level" 3;
    /// The pupil's name is in decomposed Unicode (NFD).
    NameDecomposed "name-decomposed" 6;
    /// The homeroom teacher's comment is missing.
    CommentMissing "comment-missing" 6;
    /// There is a tag (or member) that the format does not know.
    TagUnknown "tag-unknown" 4;
    /// The head's certificate had expired when it signed.
    CertificateExpired "certificate-expired" 4;
    /// The personal number in the homeroom teacher's block is not the certificate's.
    SignerNumberDiffers "signer-number-differs" 4;
}

/// Return the mistake planned for `position` of the run.
pub(super) fn plan(setting: &Setting, position: u64) -> Option<FaultKind> {
    let options = &setting.options;
    if options.fault_rate <= 0.0 {
        return None;
    }
    let mut chance = Chance::of(options.seed, setting.scope, Purpose::Fault, position, 0);
    if !chance.share(options.fault_rate) {
        return None;
    }
    let wanted: Vec<(FaultKind, u32)> = FaultKind::ALL
        .iter()
        .filter(|kind| options.fault_kinds.is_empty() || options.fault_kinds.contains(kind))
        .map(|kind| (*kind, kind.weight()))
        .collect();
    let kind = chance.weighted(&wanted).copied()?;
    match (kind, options.level) {
        // Primary transcripts have no averages.
        (FaultKind::AverageOffByTenth, Level::Primary) => Some(FaultKind::YearResultWrong),
        (kind, _) => Some(kind),
    }
}

/// Change a transcript, before it is signed, by a mistake of `kind`; mistakes of signing change nothing here.
pub(super) fn spoil(kind: FaultKind, setting: &Setting, transcript: &mut Transcript) {
    let general = &mut transcript.general;
    match kind {
        FaultKind::PersonalNumberMissing => general.set(Field::PersonalNumber, ""),
        FaultKind::YearResultWrong => spoil_result(setting.options.level, general),
        FaultKind::MarkOverTen => spoil_mark(transcript, "11"),
        FaultKind::MarkTwoDecimals => spoil_mark(transcript, "8.75"),
        FaultKind::EthnicGroupUnknown => general.set(Field::Ethnicity, "Kin"),
        FaultKind::ProvinceUnknown => general.set(Field::SchoolProvince, "Tỉnh Hà Nam Ninh"),
        FaultKind::DepartmentOfOther => {
            let other = if setting.place.code == "01" { "79" } else { "01" };
            general.set(Field::DepartmentCode, other);
        }
        FaultKind::AverageOffByTenth => spoil_average(transcript),
        FaultKind::CodeNotVersion4 => {
            let code = general.value(Field::Code).unwrap_or_default();
            // The version stands after the second hyphen.
            let wrong = match (code.get(..14), code.get(15..)) {
                (Some(head), Some(tail)) => format!("{head}1{tail}"),
                _ => String::new(),
            };
            general.set(Field::Code, wrong);
        }
        FaultKind::BirthDateImpossible => {
            let year = setting.options.school_year.start() - 8;
            general.set(Field::BirthDate, format!("31/02/{year}"));
        }
        FaultKind::GradeOutsideLevel => general.set(Field::Grade, "13"),
        FaultKind::NameDecomposed => {
            let name = general.value(Field::StudentName).unwrap_or_default();
            let decomposed: String = name.nfd().collect();
            general.set(Field::StudentName, decomposed);
        }
        FaultKind::CommentMissing => general.set(Field::HomeroomComment, ""),
        FaultKind::GradeForged
        | FaultKind::PrincipalSignatureMissing
        | FaultKind::AnchorUnknown
        | FaultKind::RecordRepeated
        | FaultKind::TagUnknown
        | FaultKind::CertificateExpired
        | FaultKind::SignerNumberDiffers => {}
    }
}

// The award is taken away with the result it rests on, so that one rule is broken and not two.
fn spoil_result(level: Level, general: &mut Fields) {
    let (field, other) = match level {
        Level::Primary => {
            let other = match general.value(Field::YearResult) {
                Some("Hoàn thành xuất sắc") => "Hoàn thành tốt",
                Some("Hoàn thành tốt") => "Hoàn thành xuất sắc",
                Some("Hoàn thành") => "Hoàn thành tốt",
                _ => "Hoàn thành",
            };
            (Field::YearResult, other)
        }
        _ => {
            let other = match general.value(Field::StudyYear) {
                Some("T") => "K",
                Some("K") => "T",
                Some("Đ") => "K",
                _ => "Đ",
            };
            (Field::StudyYear, other)
        }
    };
    general.set(field, other);
    general.set(Field::Award, "");
}

fn spoil_mark(transcript: &mut Transcript, mark: &str) {
    for field in [Field::SubjectTest, Field::SubjectTerm2] {
        let row = transcript.subjects.iter_mut().find(|row| {
            row.value(field).is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()))
        });
        if let Some(row) = row {
            row.set(field, mark);
            return;
        }
    }
}

// Chooses a mark whose change moves no threshold, so that only the average is wrong.
fn spoil_average(transcript: &mut Transcript) {
    for row in &mut transcript.subjects {
        let Some((whole, decimal)) =
            row.value(Field::SubjectYear).and_then(|text| text.split_once('.'))
        else {
            continue;
        };
        let (Ok(whole), Ok(decimal)) = (whole.parse::<i32>(), decimal.parse::<i32>()) else {
            continue;
        };
        let tenths = whole * 10 + decimal;
        let changed = tenths + 1;
        let harmless =
            [35, 50, 65, 80, 90].iter().all(|bound| (tenths >= *bound) == (changed >= *bound));
        if harmless && changed <= 100 {
            row.set(Field::SubjectYear, format!("{}.{}", changed / 10, changed % 10));
            return;
        }
    }
}

/// Return the transcript with a better mark in the first subject that has one.
pub(super) fn forged(transcript: &Transcript) -> Transcript {
    let mut forged = transcript.clone();
    for field in [Field::SubjectTest, Field::SubjectTerm2] {
        let row = forged.subjects.iter_mut().find(|row| {
            row.value(field).is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit()))
        });
        if let Some(row) = row {
            let better = match row.value(field) {
                Some("10" | "10.0") => "9",
                _ => "10",
            };
            row.set(field, better);
            break;
        }
    }
    forged
}

/// Insert an element that no table knows as the last of the data region.
pub(super) fn insert_tag(data: &mut Vec<u8>) {
    let end = data.windows(2).rposition(|pair| pair == b"</");
    if let Some(end) = end {
        let element = "<GHI_CHU_NOI_BO>Đã rà soát</GHI_CHU_NOI_BO>";
        data.splice(end..end, element.bytes());
    }
}

/// Insert a member that the schema does not know as the first of the record, where it sorts.
pub(super) fn insert_member(record: &mut Vec<u8>) {
    let member = "\"_ghi_chu_noi_bo\":\"Đã rà soát\",";
    record.splice(1..1, member.bytes());
}

impl FaultKind {
    /// Return what becomes of the record in a gateway with default settings.
    pub fn fate(self, format: Format) -> Fate {
        match self {
            Self::PersonalNumberMissing => Fate::Held,
            // The gateway's own form is strict where the Ministry's is read liberally.
            Self::NameDecomposed | Self::TagUnknown if format == Format::Ndjson => Fate::Rejected,
            Self::NameDecomposed | Self::TagUnknown => Fate::Accepted,
            Self::RecordRepeated => Fate::Duplicate,
            _ => Fate::Rejected,
        }
    }

    /// Return the rule that must name it, for a record of `level`; `None` where nothing is named.
    ///
    /// Faults of signatures stand as `signature.` or `trust.` and the reason code of that module.
    pub fn rule(self, level: Level, format: Format) -> Option<&'static str> {
        let primary = level == Level::Primary;
        let json = format == Format::Ndjson;
        let rule = match self {
            Self::PersonalNumberMissing => "CV2088.personal-number-missing",
            Self::YearResultWrong if primary => "TT27.year-result",
            Self::YearResultWrong => "TT22.study-result",
            Self::MarkOverTen | Self::MarkTwoDecimals if primary => "TT27.test-mark",
            Self::MarkOverTen | Self::MarkTwoDecimals => "TT22.mark",
            Self::EthnicGroupUnknown => "QD121.ethnic-group",
            Self::ProvinceUnknown => "QD19.province",
            Self::DepartmentOfOther => "CV2088.department-province",
            Self::AverageOffByTenth => "TT22.year-average",
            Self::CodeNotVersion4 => "CV2088.code",
            Self::BirthDateImpossible => "CV2088.date",
            Self::GradeOutsideLevel => "CV2088.grade",
            Self::CommentMissing if primary => "CV2088.required",
            Self::CommentMissing => "TTDLQG.required",
            Self::TagUnknown if json => "line.unknown-member",
            Self::NameDecomposed if json => "line.not-normal",
            Self::PrincipalSignatureMissing if json => "line.missing-signature",
            Self::TagUnknown => "CV2088.unknown-tag",
            Self::GradeForged if json => "signature.signature-invalid",
            Self::GradeForged => "signature.data-digest",
            Self::PrincipalSignatureMissing => "signature.signer-missing",
            Self::AnchorUnknown => "trust.unknown-issuer",
            Self::CertificateExpired => "trust.expired",
            Self::SignerNumberDiffers => "trust.signer-number-differs",
            Self::RecordRepeated | Self::NameDecomposed => return None,
        };
        Some(rule)
    }
}

//! Parses what identifies a transcript: code, school year, level, circular, personal number.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

/// Why a text is not the identifier it should be; holds no value, so it may be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid {what}; permitted: {permitted}")]
pub struct NotValid {
    /// What was expected.
    pub what: &'static str,
    /// The permitted form.
    pub permitted: &'static str,
}

/// The UUID v4 of one pupil's transcript of one school year (CV 2088 PL1 II.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TranscriptCode(Uuid);

impl TranscriptCode {
    /// Return the UUID.
    pub fn uuid(self) -> Uuid {
        self.0
    }
}

impl FromStr for TranscriptCode {
    type Err = NotValid;

    fn from_str(text: &str) -> Result<Self, NotValid> {
        let error = NotValid {
            what: "transcript code",
            permitted: "UUID v4, 32 hex digits with 4 hyphens",
        };
        if text.len() != 36 {
            return Err(error);
        }
        let uuid = Uuid::try_parse(text).map_err(|_| error)?;
        if uuid.get_version_num() == 4 { Ok(Self(uuid)) } else { Err(error) }
    }
}

impl fmt::Display for TranscriptCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// Id the gateway gives to a record version (UUID v7); also the national `idbanghi`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordId(pub Uuid);

impl fmt::Display for RecordId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// A school year by its first calendar year: 2025 is 2025-2026.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SchoolYear(i16);

impl SchoolYear {
    /// First year accepted; older books are paper.
    pub const FIRST: i16 = 2000;
    /// Last year accepted.
    pub const LAST: i16 = 2099;

    /// Make the school year that begins in `start`, if it is between [`Self::FIRST`] and [`Self::LAST`].
    pub fn starting(start: i16) -> Option<Self> {
        (Self::FIRST..=Self::LAST).contains(&start).then_some(Self(start))
    }

    /// Return the calendar year in which it begins.
    pub fn start(self) -> i16 {
        self.0
    }
}

impl FromStr for SchoolYear {
    type Err = NotValid;

    fn from_str(text: &str) -> Result<Self, NotValid> {
        let error =
            NotValid { what: "school year", permitted: "YYYY-YYYY, the second year one greater" };
        let (first, second) = text.split_once('-').ok_or(error)?;
        let (first, second) = (first.trim(), second.trim());
        if first.len() != 4 || second.len() != 4 {
            return Err(error);
        }
        let start: i16 = first.parse().map_err(|_| error)?;
        let end: i16 = second.parse().map_err(|_| error)?;
        if end != start + 1 {
            return Err(error);
        }
        Self::starting(start).ok_or(error)
    }
}

impl fmt::Display for SchoolYear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:04}", self.0, self.0 + 1)
    }
}

/// Level of schooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Tiểu học, grades 1–5.
    Primary,
    /// Trung học cơ sở, grades 6–9.
    LowerSecondary,
    /// Trung học phổ thông, grades 10–12.
    UpperSecondary,
}

impl Level {
    /// Return the code of the national list `manhomcaphoc` (02, 03, 04).
    pub fn code(self) -> &'static str {
        match self {
            Self::Primary => "02",
            Self::LowerSecondary => "03",
            Self::UpperSecondary => "04",
        }
    }

    /// Return the slug used in tables and on the command line.
    pub fn slug(self) -> &'static str {
        match self {
            Self::Primary => "tieu_hoc",
            Self::LowerSecondary => "thcs",
            Self::UpperSecondary => "thpt",
        }
    }

    /// Find a level by its slug; `-` and `_` are the same.
    pub fn from_slug(slug: &str) -> Option<Self> {
        match slug.replace('-', "_").as_str() {
            "tieu_hoc" => Some(Self::Primary),
            "thcs" => Some(Self::LowerSecondary),
            "thpt" => Some(Self::UpperSecondary),
            _ => None,
        }
    }

    /// Return the grades of the level.
    pub fn grades(self) -> std::ops::RangeInclusive<u8> {
        match self {
            Self::Primary => 1..=5,
            Self::LowerSecondary => 6..=9,
            Self::UpperSecondary => 10..=12,
        }
    }

    /// Return the small number stored in the database (2, 3, 4 as in the national list).
    pub fn number(self) -> i16 {
        match self {
            Self::Primary => 2,
            Self::LowerSecondary => 3,
            Self::UpperSecondary => 4,
        }
    }

    /// Find a level by the number stored in the database.
    pub fn from_number(number: i16) -> Option<Self> {
        match number {
            2 => Some(Self::Primary),
            3 => Some(Self::LowerSecondary),
            4 => Some(Self::UpperSecondary),
            _ => None,
        }
    }
}

/// Circular that governs the assessment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Circular {
    /// TT 22/2016/TT-BGDĐT, primary before TT 27.
    Tt22Of2016,
    /// TT 22/2021/TT-BGDĐT, secondary.
    Tt22,
    /// TT 27/2020/TT-BGDĐT, primary.
    Tt27,
    /// TT 43/2021/TT-BGDĐT, continuing education.
    Tt43,
    /// TT 58/2011/TT-BGDĐT, secondary before TT 22.
    Tt58,
}

impl Circular {
    /// Return the short name used in tables and rule ids.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tt22Of2016 => "TT22-2016",
            Self::Tt22 => "TT22",
            Self::Tt27 => "TT27",
            Self::Tt43 => "TT43",
            Self::Tt58 => "TT58",
        }
    }

    /// Find a circular by its short name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Tt22Of2016, Self::Tt22, Self::Tt27, Self::Tt43, Self::Tt58]
            .into_iter()
            .find(|circular| circular.name() == name)
    }
}

/// A 12-digit personal number (số định danh cá nhân); never printed by `Debug` or `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct PersonalNumber(Box<str>);

impl PersonalNumber {
    /// Return the digits; the caller keeps them out of logs, URLs and error texts.
    pub fn digits(&self) -> &str {
        &self.0
    }
}

impl FromStr for PersonalNumber {
    type Err = NotValid;

    fn from_str(text: &str) -> Result<Self, NotValid> {
        if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(text.into()))
        } else {
            Err(NotValid { what: "personal number", permitted: "12 digits" })
        }
    }
}

impl fmt::Debug for PersonalNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PersonalNumber(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_a_uuid_of_version_4_only() {
        assert!("123e4567-e89b-42d3-a456-556642440000".parse::<TranscriptCode>().is_ok());
        assert!("123e4567-e89b-12d3-a456-556642440000".parse::<TranscriptCode>().is_err());
        assert!("123e4567e89b42d3a456556642440000".parse::<TranscriptCode>().is_err());
    }

    #[test]
    fn a_school_year_ends_one_year_after_it_begins() {
        assert_eq!("2025-2026".parse::<SchoolYear>().unwrap().start(), 2025);
        for wrong in ["2025", "2025-2027", "25-26", "9999-10000", "1999-2000"] {
            assert!(wrong.parse::<SchoolYear>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_personal_number_does_not_show_in_debug_output() {
        let number: PersonalNumber = "001317000001".parse().unwrap();
        assert!(!format!("{number:?}").contains("001317"));
    }
}

//! Judges values by the type, length, form and value list of a column.

use serde::Deserialize;

/// Type of a column in the dictionary.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// Text of at most `length` characters.
    Varchar,
    /// `YYYY-MM-DD`.
    Date,
    /// `0` or `1`.
    Boolean,
    /// Whole number.
    Int,
    /// Number with a decimal point.
    Double,
    /// `YYYY-MM-DDTHH:mm:ss`, without a zone.
    Timestamp,
}

/// Form a text column has beyond its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Form {
    /// `YYYY-MM-DD` in a text column.
    Date,
    /// `YYYY-MM`.
    Month,
    /// `YYYY`.
    Year,
    /// `YYYY-YYYY`.
    SchoolYear,
    /// UUID in 36 characters.
    Uuid,
    /// 12 digits.
    PersonalNumber,
    /// Exactly `length` digits.
    Digits,
    /// 0 to 10 with at most one decimal, `Đ`, `CĐ` or `M` (TT 22/2021).
    Mark,
    /// 0 to 10 without decimals, or `M` (TT 27/2020).
    Test,
}

/// One column as the dictionary states it.
#[derive(Debug, Clone)]
pub struct Column {
    /// Name, also the tag in the national record.
    pub name: String,
    /// Type.
    pub kind: ColumnType,
    /// Characters at most, of a text.
    pub length: Option<usize>,
    /// Whether a value must be present.
    pub required: bool,
    /// Permitted values; empty means any.
    pub values: Vec<String>,
    /// Form of the text.
    pub form: Option<Form>,
    /// Exactly one column of a group of this name has a value.
    pub group: Option<String>,
    /// Index of the boolean column that, being `1`, makes this one optional.
    pub unless: Option<usize>,
    /// Smallest number permitted.
    pub min: Option<u32>,
    /// Greatest number permitted.
    pub max: Option<u32>,
}

/// What is wrong with a value or record, by the dictionary; holds no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// Not well-formed, not UTF-8, or not of the record's structure.
    Malformed,
    /// The table or column is not in the dictionary.
    Unknown,
    /// The column occurs twice.
    Repeated,
    /// The column stands after one that follows it in the dictionary.
    OutOfOrder,
    /// A required value is absent or empty.
    Missing,
    /// More than one column of a group of which exactly one is filled.
    MoreThanOne,
    /// Longer than the column.
    TooLong {
        /// Characters permitted.
        limit: usize,
    },
    /// Not in the list of permitted values.
    NotInList {
        /// The permitted values, separated by commas.
        permitted: String,
    },
    /// Not of the column's type or form.
    NotOfForm {
        /// The form.
        permitted: &'static str,
    },
    /// Smaller or greater than permitted.
    OutOfRange {
        /// The range.
        permitted: String,
    },
}

/// A fault and its place: column names separated by `/`, rows counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Where, such as `dsbangdiem/dong[2]/mamonhoc`; empty for the record as a whole.
    pub column: String,
    /// What is wrong.
    pub kind: FaultKind,
}

impl Column {
    /// Judge a present value.
    pub fn fault(&self, value: &str) -> Option<FaultKind> {
        if value.is_empty() {
            return Some(FaultKind::Missing);
        }
        if let Some(limit) = self.length
            && value.len() > limit
            && value.chars().count() > limit
        {
            return Some(FaultKind::TooLong { limit });
        }
        if !self.values.is_empty() && !self.values.iter().any(|one| one == value) {
            return Some(FaultKind::NotInList { permitted: self.values.join(", ") });
        }
        let permitted = match self.form {
            Some(form) => form.mismatch(value, self.length.unwrap_or(usize::MAX)),
            None => self.kind.mismatch(value),
        };
        if let Some(permitted) = permitted {
            return Some(FaultKind::NotOfForm { permitted });
        }
        self.range_fault(value)
    }

    fn range_fault(&self, value: &str) -> Option<FaultKind> {
        if self.min.is_none() && self.max.is_none() {
            return None;
        }
        let (min, max) = (self.min.unwrap_or(0), self.max.unwrap_or(u32::MAX));
        let (whole, fraction) = value.split_once('.').unwrap_or((value, ""));
        let inside = whole.parse::<u32>().is_ok_and(|whole| {
            let has_rest = fraction.bytes().any(|digit| digit != b'0');
            whole >= min && (whole < max || whole == max && !has_rest)
        });
        (!inside).then(|| FaultKind::OutOfRange {
            permitted: match self.max {
                Some(max) => format!("{min}–{max}"),
                None => format!("≥ {min}"),
            },
        })
    }
}

impl ColumnType {
    fn mismatch(self, value: &str) -> Option<&'static str> {
        let (fits, permitted) = match self {
            Self::Varchar => (true, ""),
            Self::Date => (is_date(value), "YYYY-MM-DD"),
            Self::Boolean => (matches!(value, "0" | "1"), "0, 1"),
            Self::Int => (value.parse::<i32>().is_ok(), "whole number"),
            Self::Double => (is_number(value), "number with a decimal point"),
            Self::Timestamp => (is_timestamp(value), "YYYY-MM-DDTHH:mm:ss"),
        };
        (!fits).then_some(permitted)
    }
}

impl Form {
    fn mismatch(self, value: &str, length: usize) -> Option<&'static str> {
        let (fits, permitted) = match self {
            Self::Date => (is_date(value), "YYYY-MM-DD"),
            Self::Month => (is_month(value), "YYYY-MM"),
            Self::Year => (digits(value, 4), "YYYY"),
            Self::SchoolYear => (
                value
                    .parse::<crate::transcript::SchoolYear>()
                    .is_ok_and(|year| year.to_string() == value),
                "YYYY-YYYY",
            ),
            Self::Uuid => (value.len() == 36 && uuid::Uuid::try_parse(value).is_ok(), "UUID"),
            Self::PersonalNumber => (digits(value, 12), "12 digits"),
            Self::Digits => (digits(value, length), "digits of the full length"),
            Self::Mark => (is_mark(value), "0–10 with at most one decimal, Đ, CĐ, M"),
            Self::Test => (is_test(value), "0–10, M"),
        };
        (!fits).then_some(permitted)
    }
}

fn digits(value: &str, length: usize) -> bool {
    value.len() == length && value.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_date(value: &str) -> bool {
    value.len() == 10 && value.parse::<jiff::civil::Date>().is_ok()
}

fn is_month(value: &str) -> bool {
    value.len() == 7 && is_date(&format!("{value}-01"))
}

fn is_timestamp(value: &str) -> bool {
    value.len() == 19
        && value.as_bytes().get(10) == Some(&b'T')
        && value.parse::<jiff::civil::DateTime>().is_ok()
}

fn is_number(value: &str) -> bool {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    let all_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    all_digits(whole) && all_digits(fraction) && whole.len() <= 9 && fraction.len() <= 4
}

fn is_mark(value: &str) -> bool {
    if matches!(value, "Đ" | "CĐ" | "M") {
        return true;
    }
    match value.split_once('.') {
        None => is_to_ten(value),
        Some(("10", fraction)) => fraction == "0",
        Some((whole, fraction)) => digits(whole, 1) && digits(fraction, 1),
    }
}

fn is_test(value: &str) -> bool {
    value == "M" || is_to_ten(value)
}

fn is_to_ten(value: &str) -> bool {
    value == "10" || digits(value, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(form: Option<Form>, kind: ColumnType, length: Option<usize>) -> Column {
        Column {
            name: "x".to_owned(),
            kind,
            length,
            required: false,
            values: Vec::new(),
            form,
            group: None,
            unless: None,
            min: None,
            max: None,
        }
    }

    #[test]
    fn a_length_counts_characters_not_bytes() {
        let column = column(None, ColumnType::Varchar, Some(3));
        assert_eq!(column.fault("ĐĐĐ"), None);
        assert_eq!(column.fault("ĐĐĐĐ"), Some(FaultKind::TooLong { limit: 3 }));
    }

    #[test]
    fn a_mark_is_ten_at_most_with_one_decimal() {
        let mark = column(Some(Form::Mark), ColumnType::Varchar, Some(4));
        for right in ["0", "9.5", "10", "10.0", "Đ", "CĐ", "M"] {
            assert_eq!(mark.fault(right), None, "{right}");
        }
        for wrong in ["10.5", "11", "9,5", "9.55", "-1", "D", "T"] {
            assert!(mark.fault(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn a_date_that_is_not_in_the_calendar_is_refused() {
        let date = column(None, ColumnType::Date, None);
        assert_eq!(date.fault("2024-02-29"), None);
        for wrong in ["2025-02-29", "29/02/2024", "2024-2-29", "20240229"] {
            assert!(date.fault(wrong).is_some(), "{wrong}");
        }
    }

    #[test]
    fn sessions_of_absence_run_from_1_to_300() {
        let mut number = column(None, ColumnType::Double, None);
        (number.min, number.max) = (Some(1), Some(300));
        assert_eq!(number.fault("300.0"), None);
        assert_eq!(number.fault("1.5"), None);
        for wrong in ["0", "0.5", "300.5", "301", "x"] {
            assert!(number.fault(wrong).is_some(), "{wrong}");
        }
    }
}

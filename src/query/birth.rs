//! Compares dates of birth, whole or partial, in the forms that documents use.

/// A date of birth as far as it is known: year, month and day, month and year, or the year alone.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct BirthDate {
    year: i16,
    month: Option<i8>,
    day: Option<i8>,
}

impl BirthDate {
    /// Read `YYYY-MM-DD`, `YYYY-MM`, `YYYY`, `dd/MM/yyyy`, `MM/yyyy` (rules of documents, CV 2088 PL1).
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (mark, year_first) = if text.contains('/') { ('/', false) } else { ('-', true) };
        let mut parts: Vec<&str> = text.split(mark).collect();
        if !year_first {
            parts.reverse();
        }
        let (year, rest) = parts.split_first()?;
        if year.len() != 4 || rest.len() > 2 {
            return None;
        }
        let year = number(year)?;
        let month = match rest.first() {
            Some(part) => Some(small(part)?),
            None => None,
        };
        let day = match rest.get(1) {
            Some(part) => Some(small(part)?),
            None => None,
        };
        jiff::civil::Date::new(year, month.unwrap_or(1), day.unwrap_or(1)).ok()?;
        Some(Self { year, month, day })
    }

    /// Tell whether day, month and year are all known.
    pub fn is_whole(&self) -> bool {
        self.day.is_some()
    }
}

// A date of birth is personal data, so not even debug output shows it.
impl std::fmt::Debug for BirthDate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BirthDate(…)")
    }
}

fn number(text: &str) -> Option<i16> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn small(text: &str) -> Option<i8> {
    if text.is_empty() || text.len() > 2 {
        return None;
    }
    number(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_of_writing_a_day_are_the_same_day() {
        assert_eq!(BirthDate::parse("2017-05-09"), BirthDate::parse("09/05/2017"));
        assert_eq!(BirthDate::parse("2017-05-09"), BirthDate::parse("9/5/2017"));
        assert_eq!(BirthDate::parse("2017-05"), BirthDate::parse("05/2017"));
        assert_ne!(BirthDate::parse("2017-05"), BirthDate::parse("2017-05-01"));
        assert_ne!(BirthDate::parse("2017"), BirthDate::parse("2017-01"));
    }

    #[test]
    fn what_is_not_a_date_is_refused() {
        for wrong in ["", "2017-13-01", "31/02/2017", "17-05-09", "2017-05-09-01", "x", "2017-"] {
            assert!(BirthDate::parse(wrong).is_none(), "{wrong}");
        }
        let shown = format!("{:?}", BirthDate::parse("2017-05-09"));
        assert!(!shown.contains("2017"), "{shown}");
    }
}

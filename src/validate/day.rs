//! Reads days as schools write them: ISO or dd/MM/yyyy, whole or partial.

use jiff::civil::Date;

/// A day of which the month or only the year may be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Day {
    /// A whole date.
    Full(Date),
    /// Year and month.
    Month(i16, i8),
    /// Year only.
    Year(i16),
}

impl Day {
    /// Read `YYYY-MM-DD` (with or without a time), `dd/MM/yyyy`, `YYYY-MM`, `MM/yyyy` or `yyyy`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.contains('/') {
            return parse_slashes(text);
        }
        // CV 2088 PL1 II.1 gives date-times; the day is the one written, in its own zone.
        let (day, time) = match text.split_once('T') {
            Some((day, time)) => (day, Some(time)),
            None => (text, None),
        };
        let mut parts = day.split('-');
        let year = number(parts.next()?, 4)?;
        let read = match (parts.next(), parts.next(), parts.next()) {
            (None, None, None) => year_only(year),
            (Some(month), None, None) => month_of(year, number(month, 2)?),
            (Some(month), Some(date), None) => full(year, number(month, 2)?, number(date, 2)?),
            _ => None,
        }?;
        match (time, read) {
            (None, _) => Some(read),
            (Some(time), Self::Full(_)) if is_time(time) => Some(read),
            _ => None,
        }
    }

    /// Return the date, if it is whole.
    pub fn full(self) -> Option<Date> {
        match self {
            Self::Full(date) => Some(date),
            Self::Month(..) | Self::Year(_) => None,
        }
    }

    /// Return the year.
    pub fn year(self) -> i16 {
        match self {
            Self::Full(date) => date.year(),
            Self::Month(year, _) | Self::Year(year) => year,
        }
    }

    /// Return the first date it can mean.
    pub fn earliest(self) -> Option<Date> {
        match self {
            Self::Full(date) => Some(date),
            Self::Month(year, month) => Date::new(year, month, 1).ok(),
            Self::Year(year) => Date::new(year, 1, 1).ok(),
        }
    }
}

fn parse_slashes(text: &str) -> Option<Day> {
    let mut parts = text.split('/');
    match (parts.next()?, parts.next()?, parts.next(), parts.next()) {
        (month, year, None, None) => month_of(number(year, 4)?, short(month)?),
        (date, month, Some(year), None) => full(number(year, 4)?, short(month)?, short(date)?),
        _ => None,
    }
}

fn number(text: &str, digits: usize) -> Option<i16> {
    let valid = text.len() == digits && text.bytes().all(|byte| byte.is_ascii_digit());
    valid.then(|| text.parse().ok()).flatten()
}

fn short(text: &str) -> Option<i16> {
    number(text, 2).or_else(|| number(text, 1))
}

fn is_time(text: &str) -> bool {
    let format = |text: &str| text.parse::<jiff::civil::Time>().is_ok() && text.len() >= 5;
    let local = text
        .strip_suffix('Z')
        .or_else(|| text.find(['+', '-']).map(|zone| &text[..zone]))
        .unwrap_or(text);
    format(local)
}

const YEARS: std::ops::RangeInclusive<i16> = 1900..=2199;

fn year_only(year: i16) -> Option<Day> {
    YEARS.contains(&year).then_some(Day::Year(year))
}

fn month_of(year: i16, month: i16) -> Option<Day> {
    let month = i8::try_from(month).ok()?;
    (YEARS.contains(&year) && (1..=12).contains(&month)).then_some(Day::Month(year, month))
}

fn full(year: i16, month: i16, date: i16) -> Option<Day> {
    let month = i8::try_from(month).ok()?;
    let date = i8::try_from(date).ok()?;
    if !YEARS.contains(&year) {
        return None;
    }
    Date::new(year, month, date).ok().map(Day::Full)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn a_day_is_read_in_every_form_the_samples_show() {
        for (text, day) in [
            ("2017-05-17", Day::Full(date(2017, 5, 17))),
            ("17/05/2017", Day::Full(date(2017, 5, 17))),
            ("7/5/2017", Day::Full(date(2017, 5, 7))),
            ("2025-05-28T09:12:31+07:00", Day::Full(date(2025, 5, 28))),
            ("2025-05-28T23:59:59Z", Day::Full(date(2025, 5, 28))),
            ("05/2017", Day::Month(2017, 5)),
            ("2017-05", Day::Month(2017, 5)),
            ("2017", Day::Year(2017)),
        ] {
            assert_eq!(Day::parse(text), Some(day), "{text}");
        }
    }

    #[test]
    fn what_is_not_a_day_is_refused() {
        for text in [
            "",
            "17-05-2017",
            "30/02/2017",
            "2017-13-01",
            "2017-5-1",
            "13/2017",
            "0017",
            "abc",
            "1/1/1/1",
            "2017-05-17T",
            "2017-05-17Tnoon",
            "2017T09:00:00Z",
            "//",
            "é/é/é",
        ] {
            assert_eq!(Day::parse(text), None, "{text}");
        }
    }
}

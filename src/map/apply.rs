//! Computes the value of one column from a transcript, by its rule.

use std::borrow::Cow;

use jiff::civil::Date;

use super::decimal;
use super::record::Stamp;
use super::rule::{ColumnRule, Condition, Op, Part, ShortForms, Words};
use crate::codes::{Codes, NEW_TERRITORY_FROM, ResultList, plain};
use crate::transcript::{Field, Fields, Identity, Transcript};
use crate::validate::Day;

/// What the rules of one record read.
pub(super) struct Source<'a> {
    pub(super) transcript: &'a Transcript,
    pub(super) identity: &'a Identity,
    pub(super) stamp: &'a Stamp,
    pub(super) codes: &'a Codes,
    pub(super) forms: &'a ShortForms,
    /// Day on which names of places are looked up.
    pub(super) on: Option<Date>,
}

/// Why a value cannot become the value of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It has no code in the column's list.
    NoCode,
    /// It is not of the form named.
    Form(&'static str),
}

type Value<'a> = Result<Option<Cow<'a, str>>, Misfit>;

impl<'a> Source<'a> {
    /// Return what `rule` gives for `fields`; `sole` tells that the group has no other entry.
    pub(super) fn value(&self, rule: &ColumnRule, fields: &'a Fields, sole: bool) -> Value<'a> {
        let text = rule
            .from
            .and_then(|field| fields.value(field))
            .or_else(|| self.otherwise(rule, fields, sole));
        let value = match (&rule.op, text) {
            (Op::Event(words), _) => word(words, self.stamp.event.name()),
            (Op::Identity(part, words), _) => self.identity_part(*part, words.as_ref()),
            (Op::Total { parts, omit_zero }, text) => total(text, parts, fields, *omit_zero),
            (Op::SubjectCode, text) => self.subject_code(text, rule, fields),
            (Op::Copy { join }, text) => Ok(joined(text, join, fields)),
            (Op::Absent, _) | (_, None) => Ok(None),
            (op, Some(text)) => self.of_text(op, text, fields),
        }?;
        Ok(value.or_else(|| {
            let default = rule.default.as_deref()?;
            Some(Cow::Owned(default.to_owned()))
        }))
    }

    fn otherwise(&self, rule: &ColumnRule, fields: &'a Fields, sole: bool) -> Option<&'a str> {
        let (field, condition) = rule.otherwise?;
        match condition {
            None => fields.value(field),
            Some(Condition::SoleEntry) => self.transcript.value(field).filter(|_| sole),
            Some(Condition::SameSchool) => {
                let there = fields.value(Field::HistorySchool)?;
                let here = self.transcript.value(Field::SchoolName)?;
                let same = here == there || plain(here) == plain(there);
                self.transcript.value(field).filter(|_| same)
            }
        }
    }

    fn of_text(&self, op: &Op, text: &'a str, fields: &'a Fields) -> Value<'a> {
        let codes = self.codes;
        let coded = |code: Option<&'a str>| match code {
            Some(code) => Ok(Some(Cow::Borrowed(code))),
            None => Err(Misfit::NoCode),
        };
        match op {
            Op::Result(list) => coded(codes.result(*list, text)),
            Op::Gender => coded(codes.gender(text)),
            Op::EthnicGroup => coded(codes.ethnic_group(text)),
            Op::Nationality => coded(codes.nationality(text)),
            Op::Province => coded(self.province(text)),
            Op::PlaceProvince => Ok(self.place_province(text).map(Cow::Borrowed)),
            Op::Commune { within } => {
                let found = fields
                    .value(*within)
                    .zip(self.on)
                    .and_then(|(province, on)| self.commune(text, province, on));
                Ok(found.map(Cow::Borrowed))
            }
            Op::PlaceCommune => Ok(self.place_commune(text).map(Cow::Borrowed)),
            Op::Birth(part) => birth(text, *part),
            Op::Date => match Day::parse(text).and_then(Day::full) {
                Some(date) => Ok(Some(Cow::Owned(date.to_string()))),
                None => Err(Misfit::Form("YYYY-MM-DD, dd/MM/yyyy")),
            },
            Op::Mark { whole } => Ok(Some(self.mark(text, *whole))),
            Op::Copy { .. }
            | Op::Absent
            | Op::Event(_)
            | Op::Identity(..)
            | Op::Total { .. }
            | Op::SubjectCode => Ok(Some(Cow::Borrowed(text))),
        }
    }

    fn identity_part(&self, part: Part, words: Option<&Words>) -> Value<'a> {
        let identity = self.identity;
        let value = match part {
            Part::Code => identity.code.to_string(),
            Part::SchoolYear => identity.school_year.to_string(),
            Part::Grade => identity.grade.to_string(),
            Part::Level => identity.level.slug().to_owned(),
            Part::PersonalNumber => identity.personal_number.digits().to_owned(),
            Part::Date | Part::Month | Part::Year => return Ok(None),
        };
        match words {
            None => Ok(Some(Cow::Owned(value))),
            Some(words) => word(words, &value),
        }
    }

    // A code the school gives is believed when it is one of ours; else the name decides.
    fn subject_code(
        &self,
        text: Option<&'a str>,
        rule: &ColumnRule,
        fields: &'a Fields,
    ) -> Value<'a> {
        let name = rule.otherwise.and_then(|(field, _)| fields.value(field));
        if text.is_none() && name.is_none() {
            return Ok(None);
        }
        let level = self.identity.level;
        let subject =
            [text, name].into_iter().flatten().find_map(|text| self.codes.subject(level, text));
        let by_name = subject
            .and_then(|subject| self.forms.subject_codes.get(&(level, subject.slug.clone())));
        let code = by_name.or_else(|| {
            let mut known = self.forms.subject_codes.iter();
            let own = known.find(|((at, _), code)| *at == level && Some(&***code) == text)?;
            Some(own.1)
        });
        match code {
            Some(code) => Ok(Some(Cow::Owned(code.to_string()))),
            None => Err(Misfit::NoCode),
        }
    }

    fn mark(&self, text: &'a str, whole: bool) -> Cow<'a, str> {
        if let Some(code) = self.codes.result(ResultList::SecondaryComment, text) {
            return Cow::Owned(code.to_owned());
        }
        let text: Cow<'a, str> = if text.contains(',') {
            Cow::Owned(text.replace(',', "."))
        } else {
            Cow::Borrowed(text)
        };
        match text.split_once('.') {
            Some((number, fraction))
                if whole && !fraction.is_empty() && fraction.bytes().all(|digit| digit == b'0') =>
            {
                Cow::Owned(number.to_owned())
            }
            _ => text,
        }
    }

    // The code of QĐ 19/2025 the province of this name has today.
    fn province(&self, name: &str) -> Option<&'a str> {
        let on = self.on?;
        let found = self
            .codes
            .province_by_name(name, on)
            .or_else(|| self.codes.province_by_name(name, last_old_day()))?;
        Some(&found.today)
    }

    fn place_province(&self, text: &str) -> Option<&'a str> {
        self.province(text.rsplit(',').next()?.trim())
    }

    fn commune(&self, name: &str, province: &str, on: Date) -> Option<&'a str> {
        let codes = self.codes;
        let province = codes.province_by_name(province, on)?;
        let commune = codes.commune_by_name(name, &province.code, on)?;
        match commune.became.as_slice() {
            [] => Some(&commune.code),
            [only] => Some(only),
            // Split among several: which one is not known.
            _ => None,
        }
    }

    // `…, commune, province` since 2025-07-01, `…, commune, district, province` before.
    fn place_commune(&self, text: &str) -> Option<&'a str> {
        let on = self.on?;
        let mut pieces = text.rsplit(',').map(str::trim);
        let province = pieces.next()?;
        let second = pieces.next()?;
        if on >= NEW_TERRITORY_FROM && is_commune(second) {
            return self.commune(second, province, on);
        }
        let third = pieces.next().filter(|third| is_commune(third))?;
        self.commune(third, province, on.min(last_old_day()))
    }
}

// Folding a name costs more than looking it up; most words stand as the table writes them.
fn word<'a>(words: &Words, name: &str) -> Value<'a> {
    match words.get(name).or_else(|| words.get(&plain(name))) {
        Some(word) => Ok(Some(Cow::Owned(word.to_string()))),
        None => Err(Misfit::NoCode),
    }
}

fn last_old_day() -> Date {
    NEW_TERRITORY_FROM.yesterday().unwrap_or(NEW_TERRITORY_FROM)
}

// "Huyện Sóc Sơn" is no commune, though a commune has that name.
fn is_commune(name: &str) -> bool {
    let name = plain(name);
    ["xã ", "phường ", "thị trấn ", "đặc khu "].iter().any(|kind| name.starts_with(kind))
}

fn joined<'a>(text: Option<&'a str>, join: &[Field], fields: &'a Fields) -> Option<Cow<'a, str>> {
    let mut value = text.map(Cow::Borrowed);
    for more in join.iter().filter_map(|field| fields.value(*field)) {
        value = Some(match value {
            None => Cow::Borrowed(more),
            Some(first) => Cow::Owned(format!("{first}; {more}")),
        });
    }
    value
}

fn birth<'a>(text: &str, part: Part) -> Value<'a> {
    let day =
        Day::parse(text).ok_or(Misfit::Form("YYYY-MM-DD, dd/MM/yyyy, YYYY-MM, MM/yyyy, yyyy"))?;
    Ok(match (part, day) {
        (Part::Date, Day::Full(date)) => Some(Cow::Owned(date.to_string())),
        (Part::Month, Day::Month(year, month)) => Some(Cow::Owned(format!("{year:04}-{month:02}"))),
        (Part::Year, Day::Year(year)) => Some(Cow::Owned(format!("{year:04}"))),
        _ => None,
    })
}

fn total<'a>(text: Option<&str>, parts: &[Field], fields: &Fields, omit_zero: bool) -> Value<'a> {
    const FORM: Misfit = Misfit::Form("number with a decimal point");
    let values = match text {
        Some(text) => vec![text],
        None => parts.iter().filter_map(|field| fields.value(*field)).collect(),
    };
    if values.is_empty() {
        return Ok(None);
    }
    let mut sum = 0_u64;
    for value in values {
        let parsed = decimal::parse(value).ok_or(FORM)?;
        sum = sum.checked_add(parsed).ok_or(FORM)?;
    }
    if sum == 0 && omit_zero {
        return Ok(None);
    }
    Ok(Some(Cow::Owned(decimal::write(sum))))
}

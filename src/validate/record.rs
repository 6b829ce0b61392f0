//! Holds a record while it is checked: its parsed parts and the violations found so far.

use jiff::civil::Date;

use super::day::Day;
use super::identity::Parts;
use super::rule::Rule;
use super::rules::{Rules, Scope};
use crate::codes::{Codes, ResultList};
use crate::transcript::{Field, Fields, Group, Place, Transcript, Violation};

/// One record under check.
pub(super) struct Record<'a> {
    pub(super) rules: &'a Rules,
    pub(super) codes: &'a Codes,
    pub(super) transcript: &'a Transcript,
    pub(super) parts: Parts,
    pub(super) scope: Scope,
    /// Day of issue, else the last day of the school year, else the day of reception.
    pub(super) day: Date,
    /// False for a pupil with a disability whose grades are optional.
    pub(super) assessed: bool,
    /// True if the nationality is known and is not Vietnamese.
    pub(super) foreign: bool,
    pub(super) violations: Vec<Violation>,
}

impl<'a> Record<'a> {
    pub(super) fn new(
        rules: &'a Rules,
        codes: &'a Codes,
        transcript: &'a Transcript,
        received_on: Date,
    ) -> Self {
        let parts = Parts::read(rules, transcript);
        let issued = transcript.value(Field::IssuedOn).and_then(Day::parse).and_then(Day::full);
        let day = issued.or_else(|| parts.school_year.as_ref().and_then(|year| last_day(*year)));
        let flag = |field| {
            let text = transcript.value(field)?;
            codes.result(ResultList::Flag, text)
        };
        let nationality = transcript.value(Field::Nationality);
        Self {
            rules,
            codes,
            transcript,
            scope: Scope { level: parts.level, circular: parts.circular, grade: parts.grade, day },
            parts,
            day: day.unwrap_or(received_on),
            assessed: flag(Field::NotAssessed) != Some("1"),
            foreign: nationality
                .and_then(|text| codes.nationality(text))
                .is_some_and(|code| code != "VN"),
            violations: Vec::new(),
        }
    }

    /// Return the value of a field of the general group.
    pub(super) fn value(&self, field: Field) -> Option<&'a str> {
        self.transcript.value(field)
    }

    /// Return `true` or `false` for a field that holds a flag.
    pub(super) fn flag(&self, field: Field) -> Option<bool> {
        let code = self.codes.result(ResultList::Flag, self.value(field)?)?;
        Some(code == "1")
    }

    /// Return the entries of a repeated group.
    pub(super) fn entries(&self, group: Group) -> &'a [Fields] {
        match group {
            Group::General => std::slice::from_ref(&self.transcript.general),
            Group::Subject => &self.transcript.subjects,
            Group::History => &self.transcript.history,
            Group::Certificate => &self.transcript.certificates,
        }
    }

    /// Note that `rule` is broken at `place`.
    pub(super) fn broken(&mut self, rule: Rule, place: Place, args: &[(&str, &str)]) {
        let violation = self.rules.violation(rule.name(), &self.scope, place, args);
        self.violations.extend(violation);
    }

    /// Note that `rule` is broken at a field of the general group.
    pub(super) fn broken_at(&mut self, rule: Rule, field: Field, args: &[(&str, &str)]) {
        self.broken(rule, Place::General(field), args);
    }

    /// Note that `rule` is broken at a field of the `index`-th subject.
    pub(super) fn broken_in(
        &mut self,
        rule: Rule,
        index: usize,
        field: Field,
        args: &[(&str, &str)],
    ) {
        self.broken(rule, Place::Entry(Group::Subject, index, field), args);
    }

    /// Return the code the value of `field` has in `list`; a value not in the list breaks `rule`.
    pub(super) fn result(&mut self, field: Field, list: ResultList, rule: Rule) -> Option<&'a str> {
        let text = self.value(field)?;
        let code = self.codes.result(list, text);
        if code.is_none() {
            let permitted = self.codes.permitted(list);
            self.broken_at(rule, field, &[("permitted", &permitted)]);
        }
        code
    }
}

fn last_day(year: crate::transcript::SchoolYear) -> Option<Date> {
    Date::new(year.start() + 1, 5, 31).ok()
}

//! Checks the values of transcripts under TT 22/2016 and TT 58/2011; nothing is recomputed or translated.

use super::mark::Mark;
use super::primary::COMPETENCIES;
use super::record::Record;
use super::rule::Rule;
use crate::codes::ResultList;
use crate::transcript::{Field, Group};

/// Check a primary transcript of TT 22/2016: levels of subjects and whole test marks.
pub(super) fn check_primary(record: &mut Record<'_>) {
    let codes = record.codes;
    let list = ResultList::LegacyPrimarySubject;
    for (index, entry) in record.entries(Group::Subject).iter().enumerate() {
        let level = entry.value(Field::SubjectLevel);
        if level.is_some_and(|text| codes.result(list, text).is_none()) {
            let permitted = codes.permitted(list);
            let args = [("permitted", permitted.as_str())];
            record.broken_in(Rule::Tt222016Value, index, Field::SubjectLevel, &args);
        }
        let test = entry.value(Field::SubjectTest);
        let whole = |text: &str| matches!(text.parse::<u8>(), Ok(mark) if mark <= 10);
        if test.is_some_and(|text| !whole(text) && codes.result(list, text) != Some("M")) {
            let args = [("permitted", "0-10, M")];
            record.broken_in(Rule::Tt222016Value, index, Field::SubjectTest, &args);
        }
    }
    for field in COMPETENCIES {
        record.result(field, ResultList::PrimaryCompetency, Rule::Tt222016Value);
    }
}

/// Check a secondary transcript of TT 58: marks, học lực and hạnh kiểm from their own lists.
pub(super) fn check_secondary(record: &mut Record<'_>) {
    const MARKS: [Field; 4] =
        [Field::SubjectTerm1, Field::SubjectTerm2, Field::SubjectYear, Field::SubjectRetest];
    let codes = record.codes;
    for (index, entry) in record.entries(Group::Subject).iter().enumerate() {
        for field in MARKS {
            let text = entry.value(field);
            if text.is_some_and(|text| Mark::parse(codes, text).is_none()) {
                let args = [("permitted", "0-10, Đ, CĐ, M")];
                record.broken_in(Rule::Tt58Value, index, field, &args);
            }
        }
    }
    for field in [Field::StudyTerm1, Field::StudyTerm2, Field::StudyYear, Field::StudyRetested] {
        record.result(field, ResultList::LegacyStudy, Rule::Tt58Value);
    }
    for field in
        [Field::ConductTerm1, Field::ConductTerm2, Field::ConductYear, Field::ConductRetrained]
    {
        record.result(field, ResultList::LegacyConduct, Rule::Tt58Value);
    }
}

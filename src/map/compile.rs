//! Compiles a national table into one rule per column, naming the place of every wrong entry.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use toml::Spanned;

use super::dictionary::{Column, Dictionary, Table};
use super::rule::{
    ColumnRule, Op, OpName, Part, RecordRules, RecordText, RowRules, RuleText, SHORT_FORMS_FILE,
    ShortForms, Words,
};
use crate::codes::ResultList;
use crate::platform::config::{ConfigError, Tables};
use crate::transcript::{Field, Group, Level};

/// Compile the national table at `file`, a path below `config/`.
pub(super) fn load(
    tables: &Tables,
    file: &str,
    dictionary: &Dictionary,
    forms: &ShortForms,
) -> Result<RecordRules, ConfigError> {
    let text: RecordText = tables.parse(file)?;
    let source = tables.read(file)?;
    let compiler = Compiler { file, source: &source, forms };
    let wrong = |key: &str, message: String| compiler.wrong(key, None, message);
    let table = dictionary
        .table(&text.table)
        .ok_or_else(|| wrong("table", format!("`{}` is not in the dictionary", text.table)))?;
    let mut levels = Vec::with_capacity(text.levels.len());
    for slug in &text.levels {
        let level = Level::from_slug(slug)
            .ok_or_else(|| wrong("levels", "permitted: tieu_hoc, thcs, thpt".to_owned()))?;
        levels.push(level);
    }
    let mut rows = Vec::with_capacity(table.children.len());
    for child in &table.children {
        let key = format!("rows.{}", child.tag);
        let text = text.rows.get(&child.tag).ok_or_else(|| wrong(&key, "is missing".to_owned()))?;
        let group = [Group::Subject, Group::History, Group::Certificate]
            .into_iter()
            .find(|group| group.name() == text.entries)
            .ok_or_else(|| wrong(&key, "entries: subjects, history or certificates".to_owned()))?;
        rows.push(RowRules {
            group,
            columns: compiler.columns(
                &format!("{key}.columns"),
                &text.columns,
                &child.table,
                group,
            )?,
        });
    }
    if let Some(unknown) =
        text.rows.keys().find(|tag| !table.children.iter().any(|child| child.tag == **tag))
    {
        return Err(wrong(&format!("rows.{unknown}"), "is not in the dictionary".to_owned()));
    }
    Ok(RecordRules {
        levels,
        codes_at: compiler.field("codes_at", None, &text.codes_at, Group::General)?,
        utc_offset: jiff::tz::Offset::from_hours(text.utc_offset_hours)
            .map_err(|error| wrong("utc_offset_hours", error.to_string()))?,
        columns: compiler.columns("columns", &text.columns, table, Group::General)?,
        rows,
        table: Arc::clone(table),
    })
}

struct Compiler<'a> {
    file: &'a str,
    source: &'a str,
    forms: &'a ShortForms,
}

impl Compiler<'_> {
    fn wrong(&self, key: &str, offset: Option<usize>, message: String) -> ConfigError {
        let place = match offset.and_then(|offset| self.source.get(..offset)) {
            Some(before) => format!("{}:{}", self.file, before.matches('\n').count() + 1),
            None => self.file.to_owned(),
        };
        ConfigError::Value { place, key: key.to_owned(), message }
    }

    fn field(
        &self,
        key: &str,
        offset: Option<usize>,
        name: &str,
        group: Group,
    ) -> Result<Field, ConfigError> {
        let field = Field::from_name(name)
            .ok_or_else(|| self.wrong(key, offset, format!("there is no field `{name}`")))?;
        if field.group() == group {
            Ok(field)
        } else {
            let message = format!("field `{name}` is not of group `{}`", group.name());
            Err(self.wrong(key, offset, message))
        }
    }

    fn columns(
        &self,
        above: &str,
        texts: &BTreeMap<String, Spanned<RuleText>>,
        table: &Table,
        group: Group,
    ) -> Result<Vec<ColumnRule>, ConfigError> {
        if let Some((name, text)) =
            texts.iter().find(|(name, _)| !table.columns.iter().any(|column| column.name == **name))
        {
            let key = format!("{above}.{name}");
            let message = format!("is not a column of `{}`", table.name);
            return Err(self.wrong(&key, Some(text.span().start), message));
        }
        table
            .columns
            .iter()
            .map(|column| {
                let key = format!("{above}.{}", column.name);
                let text = texts.get(&column.name).ok_or_else(|| {
                    let kind = if column.required { "required column" } else { "column" };
                    self.wrong(&key, None, format!("the {kind} has no rule"))
                })?;
                self.rule(&key, text, column, group)
            })
            .collect()
    }

    fn rule(
        &self,
        key: &str,
        text: &Spanned<RuleText>,
        column: &Column,
        group: Group,
    ) -> Result<ColumnRule, ConfigError> {
        let offset = Some(text.span().start);
        let text = text.get_ref();
        let field = |name: &String| self.field(key, offset, name, group);
        let from = text.from.as_ref().map(field).transpose()?;
        let needs_source = !matches!(text.op, OpName::Absent | OpName::Event | OpName::Identity);
        if needs_source != from.is_some() {
            let message = if needs_source { "needs `from`" } else { "has no `from`" };
            return Err(self.wrong(key, offset, message.to_owned()));
        }
        if column.required && text.op == OpName::Absent {
            return Err(self.wrong(key, offset, "the column is required".to_owned()));
        }
        let otherwise = match &text.otherwise {
            None => None,
            // With a condition, the value comes from the record as a whole.
            Some(name) if text.only_if.is_some() => {
                Some((self.field(key, offset, name, Group::General)?, text.only_if))
            }
            Some(name) => Some((field(name)?, None)),
        };
        let short = self.named(key, offset, &text.short, &self.forms.short)?;
        let too_long = |form: &&str| {
            let limit = column.length.unwrap_or(usize::MAX);
            form.chars().count() > limit
        };
        if let Some(form) =
            short.iter().flat_map(|short| short.values()).map(|form| &**form).find(too_long)
        {
            return Err(self.wrong(key, offset, format!("the short form `{form}` is too long")));
        }
        if let Some(default) = &text.default
            && column.fault(default).is_some()
        {
            return Err(self.wrong(key, offset, "the default does not fit the column".to_owned()));
        }
        Ok(ColumnRule {
            op: self.op(key, offset, text, column, &field)?,
            from,
            otherwise,
            short,
            default: text.default.as_deref().map(Box::from),
        })
    }

    fn named(
        &self,
        key: &str,
        offset: Option<usize>,
        name: &Option<String>,
        tables: &HashMap<String, Words>,
    ) -> Result<Option<Words>, ConfigError> {
        let Some(name) = name else { return Ok(None) };
        match tables.get(name) {
            Some(words) => Ok(Some(Arc::clone(words))),
            None => {
                let message = format!("{SHORT_FORMS_FILE} has no table `{name}`");
                Err(self.wrong(key, offset, message))
            }
        }
    }

    fn op(
        &self,
        key: &str,
        offset: Option<usize>,
        text: &RuleText,
        column: &Column,
        field: &dyn Fn(&String) -> Result<Field, ConfigError>,
    ) -> Result<Op, ConfigError> {
        let wrong = |message: &str| self.wrong(key, offset, message.to_owned());
        let words = self.named(key, offset, &text.words, &self.forms.words)?;
        if let Some(words) = &words
            && words.values().any(|value| column.fault(value).is_some())
        {
            return Err(wrong("a value of `words` does not fit the column"));
        }
        Ok(match text.op {
            OpName::Copy => {
                Op::Copy { join: text.join.iter().map(field).collect::<Result<_, _>>()? }
            }
            OpName::Absent => Op::Absent,
            OpName::Event => Op::Event(words.ok_or_else(|| wrong("needs `words`"))?),
            OpName::Identity => match text.part {
                Some(Part::Date | Part::Month | Part::Year) | None => {
                    let permitted = "code, school-year, grade, level, personal-number";
                    return Err(self.wrong(key, offset, format!("part: {permitted}")));
                }
                Some(part) => Op::Identity(part, words),
            },
            OpName::Result => {
                let name = text.list.as_deref().unwrap_or_default();
                let list = LISTS.into_iter().find(|list| list.name() == name);
                Op::Result(list.ok_or_else(|| wrong("`list` is no list of results"))?)
            }
            OpName::Gender => Op::Gender,
            OpName::EthnicGroup => Op::EthnicGroup,
            OpName::Nationality => Op::Nationality,
            OpName::Birth => match text.part {
                Some(part @ (Part::Date | Part::Month | Part::Year)) => Op::Birth(part),
                _ => return Err(wrong("part: date, month, year")),
            },
            OpName::Date => Op::Date,
            OpName::Total => Op::Total {
                parts: text.parts.iter().map(field).collect::<Result<_, _>>()?,
                omit_zero: text.omit_zero,
            },
            OpName::Mark => Op::Mark { whole: text.whole },
            OpName::Province => Op::Province,
            OpName::Commune => Op::Commune {
                within: field(text.within.as_ref().ok_or_else(|| wrong("needs `within`"))?)?,
            },
            OpName::PlaceProvince => Op::PlaceProvince,
            OpName::PlaceCommune => Op::PlaceCommune,
            OpName::SubjectCode => {
                let limit = column.length.unwrap_or(usize::MAX);
                let mut codes = self.forms.subject_codes.values();
                if codes.any(|code| code.chars().count() > limit) {
                    return Err(wrong("a subject code is too long for the column"));
                }
                Op::SubjectCode
            }
        })
    }
}

const LISTS: [ResultList; 6] = [
    ResultList::PrimarySubject,
    ResultList::PrimaryCompetency,
    ResultList::PrimaryYear,
    ResultList::Secondary,
    ResultList::SecondaryComment,
    ResultList::Flag,
];

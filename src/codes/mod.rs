//! Holds the code lists of the national dictionary with their effective dates.

mod list;
mod plain;
mod subjects;
mod territory;
#[cfg(test)]
mod tests;

pub use plain::plain;
pub use subjects::{Assessment, Subject};
pub use territory::{Commune, NEW_TERRITORY_FROM, Province};

use std::collections::HashMap;

use jiff::civil::Date;
use serde::Deserialize;

use crate::platform::config::{ConfigError, Tables};
use crate::transcript::Level;

use list::{CodeList, rows, wrong_row};
use subjects::Subjects;
use territory::Territory;

/// A list of result values in `config/code-lists/results.csv`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResultList {
    /// T, H, C, M of a primary subject (TT 27 Đ6).
    PrimarySubject,
    /// T, Đ, C of a quality or competency (TT 27 Đ6).
    PrimaryCompetency,
    /// HTXS, HTT, HT, CHT: the four texts of the year (TT 27 Đ9.2).
    PrimaryYear,
    /// T, K, Đ, CĐ of study and conduct (TT 22 Đ8, Đ9).
    Secondary,
    /// Đ, CĐ, M of a subject assessed by comments.
    SecondaryComment,
    /// Học lực of TT 58.
    LegacyStudy,
    /// Hạnh kiểm of TT 58.
    LegacyConduct,
    /// HTT, HT, CHT of TT 22/2016.
    LegacyPrimarySubject,
    /// XS, TB, G: titles at the end of the year.
    Award,
    /// 1, 0: yes and no.
    Flag,
}

impl ResultList {
    const ALL: [Self; 10] = [
        Self::PrimarySubject,
        Self::PrimaryCompetency,
        Self::PrimaryYear,
        Self::Secondary,
        Self::SecondaryComment,
        Self::LegacyStudy,
        Self::LegacyConduct,
        Self::LegacyPrimarySubject,
        Self::Award,
        Self::Flag,
    ];

    /// Return the name of the list in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::PrimarySubject => "primary-subject",
            Self::PrimaryCompetency => "primary-competency",
            Self::PrimaryYear => "primary-year",
            Self::Secondary => "secondary",
            Self::SecondaryComment => "secondary-comment",
            Self::LegacyStudy => "legacy-study",
            Self::LegacyConduct => "legacy-conduct",
            Self::LegacyPrimarySubject => "legacy-primary-subject",
            Self::Award => "award",
            Self::Flag => "flag",
        }
    }
}

/// Meaning of the fourth digit of a personal number (NĐ 70/2024/NĐ-CP).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Century {
    /// `1` male, `2` female, as in the list of genders.
    pub gender: u8,
    /// First year of birth of the century.
    pub year_from: i16,
    /// Last year of birth of the century.
    pub year_to: i16,
}

/// An administrative procedure that needs transcripts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Procedure {
    /// National code such as `1.001088`.
    pub code: Box<str>,
    /// Name of the procedure.
    pub name: Box<str>,
    /// Regulation it rests on.
    pub legal_basis: Box<str>,
    /// Whether the code was read in an official list (else known from practice).
    pub verified: bool,
}

/// Every code list, read once at start.
#[derive(Debug)]
pub struct Codes {
    territory: Territory,
    subjects: Subjects,
    departments: HashMap<Box<str>, Box<str>>,
    prefixes: HashMap<Box<str>, Box<str>>,
    centuries: HashMap<u8, Century>,
    ethnic_groups: CodeList,
    genders: CodeList,
    nationalities: CodeList,
    results: HashMap<ResultList, CodeList>,
    procedures: Vec<Procedure>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ListRow {
    code: String,
    name: String,
    aliases: String,
    #[serde(default = "enabled")]
    enabled: u8,
}

fn enabled() -> u8 {
    1
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResultRow {
    list: String,
    code: String,
    name: String,
    aliases: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DepartmentRow {
    code: Box<str>,
    province: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PrefixRow {
    prefix: Box<str>,
    name: Box<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CenturyRow {
    digit: u8,
    gender: u8,
    year_from: i16,
    year_to: i16,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProcedureRow {
    code: Box<str>,
    name: Box<str>,
    legal_basis: Box<str>,
    verified: u8,
}

fn simple_list(tables: &Tables, name: &str) -> Result<CodeList, ConfigError> {
    let mut list = CodeList::default();
    for row in rows::<ListRow>(tables, name)? {
        if row.enabled == 1 {
            list.add(&row.code, &row.name, &row.aliases);
        }
    }
    Ok(list)
}

fn result_lists(tables: &Tables) -> Result<HashMap<ResultList, CodeList>, ConfigError> {
    let name = "code-lists/results.csv";
    let mut lists: HashMap<ResultList, CodeList> = HashMap::new();
    for row in rows::<ResultRow>(tables, name)? {
        let list = ResultList::ALL
            .into_iter()
            .find(|list| list.name() == row.list)
            .ok_or_else(|| wrong_row(name, &row.list, "there is no such list of results"))?;
        lists.entry(list).or_default().add(&row.code, &row.name, &row.aliases);
    }
    Ok(lists)
}

impl Codes {
    /// Read every list below `code-lists/`; a list that cannot be read names its file and line.
    pub fn load(tables: &Tables) -> Result<Self, ConfigError> {
        let departments = rows::<DepartmentRow>(tables, "code-lists/departments.csv")?;
        let prefixes = rows::<PrefixRow>(tables, "code-lists/personal-number-prefixes.csv")?;
        let centuries = rows::<CenturyRow>(tables, "code-lists/personal-number-centuries.csv")?;
        let procedures = rows::<ProcedureRow>(tables, "code-lists/admin-procedures.csv")?;
        Ok(Self {
            territory: Territory::load(tables)?,
            subjects: Subjects::load(tables)?,
            departments: departments.into_iter().map(|row| (row.code, row.province)).collect(),
            prefixes: prefixes.into_iter().map(|row| (row.prefix, row.name)).collect(),
            centuries: centuries
                .into_iter()
                .map(|row| {
                    let century = Century {
                        gender: row.gender,
                        year_from: row.year_from,
                        year_to: row.year_to,
                    };
                    (row.digit, century)
                })
                .collect(),
            ethnic_groups: simple_list(tables, "code-lists/ethnic-groups.csv")?,
            genders: simple_list(tables, "code-lists/genders.csv")?,
            nationalities: simple_list(tables, "code-lists/nationalities.csv")?,
            results: result_lists(tables)?,
            procedures: procedures
                .into_iter()
                .map(|row| Procedure {
                    code: row.code,
                    name: row.name,
                    legal_basis: row.legal_basis,
                    verified: row.verified == 1,
                })
                .collect(),
        })
    }

    /// Find the province that has the two-digit `code` on the day `on`.
    pub fn province_by_code(&self, code: &str, on: Date) -> Option<&Province> {
        self.territory.province_by_code(code, on)
    }

    /// Find the province called `name` on the day `on`, with or without "Tỉnh", "Thành phố", "TP.".
    pub fn province_by_name(&self, name: &str, on: Date) -> Option<&Province> {
        self.territory.province_by_name(name, on)
    }

    /// Walk over the provinces there are on the day `on`.
    pub fn provinces_on(&self, on: Date) -> impl Iterator<Item = &Province> {
        self.territory.provinces_on(on)
    }

    /// Find the commune that has the five-digit `code` on the day `on`.
    pub fn commune_by_code(&self, code: &str, on: Date) -> Option<&Commune> {
        self.territory.commune_by_code(code, on)
    }

    /// Find the commune called `name` in the province on the day `on`; `None` also when two have the name.
    pub fn commune_by_name(&self, name: &str, province: &str, on: Date) -> Option<&Commune> {
        match self.territory.communes_named(name, province, on).as_slice() {
            [only] => Some(*only),
            _ => None,
        }
    }

    /// Return every commune called `name` in the province on the day `on`.
    pub fn communes_named(&self, name: &str, province: &str, on: Date) -> Vec<&Commune> {
        self.territory.communes_named(name, province, on)
    }

    /// Walk over the communes of the province on the day `on`.
    pub fn communes_of(&self, province: &str, on: Date) -> impl Iterator<Item = &Commune> {
        self.territory.communes_of(province, on)
    }

    /// Return today's province code of the education department with `code`.
    pub fn department_province(&self, code: &str) -> Option<&str> {
        self.departments.get(code).map(AsRef::as_ref)
    }

    /// Return the two-digit code of the ethnic group given by name, alias or code.
    pub fn ethnic_group(&self, text: &str) -> Option<&str> {
        self.ethnic_groups.code(text)
    }

    /// Return the name of the ethnic group with `code`.
    pub fn ethnic_group_name(&self, code: &str) -> Option<&str> {
        self.ethnic_groups.name(code)
    }

    /// Return `0` unknown, `1` male or `2` female for a name or code (QCVN 109:2017/BTTTT).
    pub fn gender(&self, text: &str) -> Option<&str> {
        self.genders.code(text)
    }

    /// Return the ISO 3166-1 alpha-2 code of a nationality given by name or code.
    pub fn nationality(&self, text: &str) -> Option<&str> {
        self.nationalities.code(text)
    }

    /// Find a subject of `level` by our slug, its name or a name teachers use.
    pub fn subject(&self, level: Level, text: &str) -> Option<&Subject> {
        self.subjects.find(level, text)
    }

    /// Walk over the subjects of `level` in the order of the printed form.
    pub fn subjects_of(&self, level: Level) -> impl Iterator<Item = &Subject> {
        self.subjects.of(level)
    }

    /// Return the code `text` has in `list`, given by code or by its words.
    pub fn result(&self, list: ResultList, text: &str) -> Option<&str> {
        self.results.get(&list)?.code(text)
    }

    /// Return the words of `code` in `list`.
    pub fn result_name(&self, list: ResultList, code: &str) -> Option<&str> {
        self.results.get(&list)?.name(code)
    }

    /// Return the codes permitted in `list`, for messages.
    pub fn permitted(&self, list: ResultList) -> String {
        self.results.get(&list).map(CodeList::permitted).unwrap_or_default()
    }

    /// Return the province of birth registration of a personal number's first three digits.
    pub fn personal_number_prefix(&self, prefix: &str) -> Option<&str> {
        self.prefixes.get(prefix).map(AsRef::as_ref)
    }

    /// Return the meaning of a personal number's fourth digit.
    pub fn personal_number_century(&self, digit: u8) -> Option<Century> {
        self.centuries.get(&digit).copied()
    }

    /// Find the administrative procedure with `code`.
    pub fn procedure(&self, code: &str) -> Option<&Procedure> {
        self.procedures.iter().find(|procedure| &*procedure.code == code)
    }
}

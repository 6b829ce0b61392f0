//! Describes a broken rule: which, where, how grave, by which law; never the value itself.

use serde::{Deserialize, Serialize};

use super::{Field, Group};
use crate::platform::texts::{self, Bilingual};

/// What a broken rule means for the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The rule is not applied.
    Off,
    /// The record passes; the violation is kept with it.
    Warning,
    /// The record waits for a person or for missing data.
    Hold,
    /// The record is rejected.
    Error,
}

/// Where in a record a rule was broken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Place {
    /// The record as a whole.
    #[default]
    Record,
    /// A field of the general group.
    General(Field),
    /// A field of the `index`-th entry (from 0) of a repeated group.
    Entry(Group, usize, Field),
    /// A signer's block, by its name such as `CBQL`.
    Signer(String),
    /// A place of the document, as a path of the format it came in.
    Path(String),
}

impl Place {
    /// Return the JSON pointer (RFC 6901) into the canonical form.
    pub fn pointer(&self) -> String {
        match self {
            Self::Record => String::new(),
            Self::General(field) => format!("/general/{}", field.name()),
            Self::Entry(group, index, field) => {
                format!("/{}/{index}/{}", group.name(), field.name())
            }
            Self::Signer(name) => format!("/signatures/{name}"),
            Self::Path(path) => path.clone(),
        }
    }
}

/// One broken rule.
///
/// `rule` is stable (`<source>.<short-name>`, such as `TT27.year-result`); its text is the key
/// `rule.<rule>` of the catalogue, filled with `args`, which say what is permitted and never
/// hold a name, number or mark of the pupil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Stable id of the rule.
    pub rule: String,
    /// Where it was broken.
    pub place: Place,
    /// What it means for the record.
    pub severity: Severity,
    /// Values for the message: permitted values, limits.
    pub args: Vec<(String, String)>,
    /// Law and article, or RFC and section.
    pub source: String,
}

impl Violation {
    /// Return the message in both languages.
    pub fn message(&self) -> Bilingual {
        let args: Vec<(&str, &str)> =
            self.args.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        texts::both(&self.text_key(), &args)
    }

    // Faults of signatures and certificates have their texts where those modules tell them.
    fn text_key(&self) -> String {
        let own = format!("rule.{}", self.rule);
        let (module, code) = self.rule.split_once('.').unwrap_or(("", &self.rule));
        ["fault", "xml", "reason"]
            .iter()
            .map(|part| format!("{module}.{part}.{code}"))
            .find(|key| !texts::has(&own) && texts::has(key))
            .unwrap_or(own)
    }

    /// Return the wire and storage form, with `pointer` in the sender's own format.
    pub fn report(&self, pointer: String) -> ViolationReport {
        ViolationReport {
            rule: self.rule.clone(),
            pointer,
            severity: self.severity,
            message: self.message(),
            source: self.source.clone(),
        }
    }
}

/// A violation as it is stored and answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ViolationReport {
    /// Stable id of the rule.
    pub rule: String,
    /// Where, as an XPath or JSON pointer of the sender's document.
    pub pointer: String,
    /// `warning`, `hold` or `error`.
    #[schema(value_type = String)]
    pub severity: Severity,
    /// What is wrong and what is permitted.
    pub message: Bilingual,
    /// Law and article.
    pub source: String,
}

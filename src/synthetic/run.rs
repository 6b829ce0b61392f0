//! Finds the school, class and pupil of every position of a run; memory is bounded by the schools.

use std::sync::OnceLock;

use super::Setting;
use super::batch::Format;
use super::fault::{self, FaultKind};
use super::record::{self, Made};
use super::school::{Class, School};

/// Pupils of one class.
pub(super) const CLASS_SIZE: u64 = 36;

/// Schools of a province and level at most; a bigger run has bigger schools.
const SCHOOLS_MAX: u64 = 400;

/// A run of made-up transcripts.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) setting: Setting,
    schools: Vec<OnceLock<School>>,
}

impl Run {
    /// Lay out the schools of `setting`.
    pub(super) fn new(setting: Setting) -> Self {
        let classes = setting.options.records.div_ceil(CLASS_SIZE);
        let count = (classes / 6).clamp(1, SCHOOLS_MAX);
        Self { setting, schools: (0..count).map(|_| OnceLock::new()).collect() }
    }

    fn school(&self, index: u64) -> &School {
        // The list is never empty and the index is taken modulo its length.
        let at = usize::try_from(index).unwrap_or(0) % self.schools.len().max(1);
        self.schools[at].get_or_init(|| School::draw(&self.setting, index))
    }

    /// Return school and class of `position`; the class is drawn anew each time.
    pub(super) fn class(&self, position: u64) -> (&School, Class) {
        let index = position / CLASS_SIZE;
        let schools = u64::try_from(self.schools.len()).unwrap_or(1).max(1);
        let class = Class::draw(&self.setting, index, index / schools);
        (self.school(index % schools), class)
    }

    /// Return the transcript at `position` without any mistake.
    pub(super) fn make(&self, school: &School, class: &Class, position: u64) -> Made {
        record::make(&self.setting, school, class, position)
    }

    /// Return the mistake planned for `position`, if any.
    pub(super) fn fault(&self, position: u64, format: Format) -> Option<FaultKind> {
        let planned = fault::plan(&self.setting, position)?;
        // A repeated record needs a good one of the same class before it.
        let first = position.is_multiple_of(CLASS_SIZE);
        let repeats = planned == FaultKind::RecordRepeated;
        if repeats && (first || fault::plan(&self.setting, position - 1).is_some()) {
            return Some(FaultKind::PersonalNumberMissing);
        }
        // A line of JSON has no block that could name another number than the certificate.
        if planned == FaultKind::SignerNumberDiffers && format == Format::Ndjson {
            return Some(FaultKind::PrincipalSignatureMissing);
        }
        Some(planned)
    }
}

#[cfg(test)]
mod tests;

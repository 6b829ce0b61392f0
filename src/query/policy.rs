//! Refuses questions the procedure does not permit; looks at the question only, never at the register.

use super::QueryError;
use super::catalogue::{Procedure, Way, Years};
use super::request::Question;

impl Procedure {
    /// Check that this procedure permits `question`.
    pub(super) fn permit(&self, question: &Question) -> Result<(), QueryError> {
        let way = question.subject.way();
        if !self.ways.contains(&way) {
            return Err(QueryError::WayNotPermitted);
        }
        match question.level {
            Some(level) if !self.levels.contains_key(&level) => {
                return Err(QueryError::LevelNotPermitted);
            }
            None if self.only_level().is_none() && way == Way::Number => {
                return Err(QueryError::LevelNeeded);
            }
            _ => {}
        }
        let names_years = !question.school_years.is_empty();
        if !names_years && self.years == Years::Named && way == Way::Number {
            return Err(QueryError::YearsNeeded);
        }
        Ok(())
    }
}

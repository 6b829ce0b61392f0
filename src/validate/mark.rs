//! Reads marks exactly, in tenths, never as floating point numbers.

use super::averages::Tenths;
use crate::codes::{Codes, ResultList};

/// What stands in a place for a mark of a secondary subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// A mark out of ten.
    Scored(Tenths),
    /// Đạt.
    Passed,
    /// Chưa đạt.
    Failed,
    /// Miễn.
    Exempt,
}

impl Mark {
    /// Read a mark with at most one decimal, `Đ`, `CĐ` or `M`.
    pub fn parse(codes: &Codes, text: &str) -> Option<Self> {
        if let Some(tenths) = Tenths::parse(text) {
            return Some(Self::Scored(tenths));
        }
        match codes.result(ResultList::SecondaryComment, text)? {
            "Đ" => Some(Self::Passed),
            "CĐ" => Some(Self::Failed),
            "M" => Some(Self::Exempt),
            _ => None,
        }
    }

    /// Return the mark out of ten, if it is one.
    pub fn tenths(self) -> Option<Tenths> {
        match self {
            Self::Scored(tenths) => Some(tenths),
            Self::Passed | Self::Failed | Self::Exempt => None,
        }
    }
}

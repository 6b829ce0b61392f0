//! Computes averages, study results and conduct of the year as TT 22 does; pure, exact, in tenths.

/// A mark in tenths, 0 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tenths(u8);

impl Tenths {
    /// The best mark, 10.
    pub const BEST: Self = Self(100);

    /// Make a mark of `tenths`, if it is at most 100.
    pub fn new(tenths: u8) -> Option<Self> {
        (tenths <= 100).then_some(Self(tenths))
    }

    /// Read `7`, `7.5` or `10.0`; more than one decimal is refused.
    pub fn parse(text: &str) -> Option<Self> {
        let (whole, decimal) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str, most: usize| {
            (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 2) || !digits(decimal, 1) {
            return None;
        }
        let tenths = whole.parse::<u16>().ok()? * 10 + decimal.parse::<u16>().ok()?;
        u8::try_from(tenths).ok().and_then(Self::new)
    }

    /// Return the tenths.
    pub fn value(self) -> u8 {
        self.0
    }
}

impl std::fmt::Display for Tenths {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

// Rounds half up; the sums of marks stay far below the limits of u64.
fn rounded(sum: u64, count: u64) -> Tenths {
    let tenths = (2 * sum + count) / (2 * count);
    Tenths(u8::try_from(tenths).unwrap_or(100).min(100))
}

/// Return ĐTBmhk: (Σ regular + 2·mid + 3·end) / (n + 5), half up to one decimal (TT 22 Đ9.1).
pub fn term_average(regular: &[Tenths], mid: Tenths, end: Tenths) -> Tenths {
    let regular_sum: u64 = regular.iter().map(|mark| u64::from(mark.0)).sum();
    let sum = regular_sum + 2 * u64::from(mid.0) + 3 * u64::from(end.0);
    rounded(sum, regular.len() as u64 + 5)
}

/// Return ĐTBmcn: (term I + 2·term II) / 3 of the rounded term averages, half up (TT 22 Đ9.1).
pub fn year_average(term1: Tenths, term2: Tenths) -> Tenths {
    rounded(u64::from(term1.0) + 2 * u64::from(term2.0), 3)
}

/// One of the four results of study and conduct, from the lowest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// Chưa đạt.
    Failed,
    /// Đạt.
    Passed,
    /// Khá.
    Fair,
    /// Tốt.
    Good,
}

impl Standing {
    /// Return `CĐ`, `Đ`, `K` or `T`.
    pub fn code(self) -> &'static str {
        match self {
            Self::Failed => "CĐ",
            Self::Passed => "Đ",
            Self::Fair => "K",
            Self::Good => "T",
        }
    }

    /// Find a standing by its code.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::Failed, Self::Passed, Self::Fair, Self::Good]
            .into_iter()
            .find(|standing| standing.code() == code)
    }

    fn next(self) -> Self {
        match self {
            Self::Failed => Self::Passed,
            Self::Passed => Self::Fair,
            Self::Fair | Self::Good => Self::Good,
        }
    }
}

/// Results of the subjects of one term or year.
#[derive(Debug, Clone, Default)]
pub struct Results {
    /// Averages of the subjects with marks.
    pub marks: Vec<Tenths>,
    /// Subjects assessed by comments: how many are Chưa đạt.
    pub failed_comments: usize,
    /// How many subjects must reach the higher mark (6 under TT 22).
    pub scored_min: usize,
}

/// A study result; the one-subject adjustment can be read in two ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StudyResult {
    /// The other subjects alone earn the higher result.
    pub strict: Standing,
    /// All subjects earn it once the one subject is as good as can be.
    pub generous: Standing,
}

// Counts are enough for the table of TT 22 Đ9.2, and cheap to change by one subject.
#[derive(Debug, Clone, Copy)]
struct Counts {
    all: usize,
    over: [usize; 4],
    failed_comments: usize,
    needed: usize,
}

const BOUNDS: [u8; 4] = [80, 65, 50, 35];

impl Counts {
    fn of(results: &Results) -> Self {
        let over = BOUNDS.map(|bound| results.marks.iter().filter(|mark| mark.0 >= bound).count());
        Self {
            all: results.marks.len(),
            over,
            failed_comments: results.failed_comments,
            needed: results.scored_min,
        }
    }

    fn without(mut self, mark: Tenths) -> Self {
        self.all -= 1;
        for (count, bound) in self.over.iter_mut().zip(BOUNDS) {
            *count -= usize::from(mark.0 >= bound);
        }
        self
    }

    fn with_best(mut self) -> Self {
        self.all += 1;
        self.over = self.over.map(|count| count + 1);
        self
    }

    fn standing(self) -> Standing {
        let [over_80, over_65, over_50, over_35] = self.over;
        let reaches = |all: usize, many: usize| all == self.all && many >= self.needed;
        if self.failed_comments == 0 && reaches(over_65, over_80) {
            Standing::Good
        } else if self.failed_comments == 0 && reaches(over_50, over_65) {
            Standing::Fair
        } else if self.failed_comments <= 1 && reaches(over_35, over_50) {
            Standing::Passed
        } else {
            Standing::Failed
        }
    }
}

/// Return the study result of a term or year with the one-subject adjustment (TT 22 Đ9.2, Đ9.3).
pub fn study_result(results: &Results) -> StudyResult {
    let counts = Counts::of(results);
    let plain = counts.standing();
    let mut best = [plain; 2];
    for mark in &results.marks {
        let rest = counts.without(*mark);
        best[0] = best[0].max(rest.standing());
        best[1] = best[1].max(rest.with_best().standing());
    }
    if let Some(failed_comments) = counts.failed_comments.checked_sub(1) {
        let passed = Counts { failed_comments, ..counts };
        best = best.map(|standing| standing.max(passed.standing()));
    }
    let adjusted = best.map(|other| {
        let pulled_by_two = other >= Standing::Fair && other > plain.next();
        if pulled_by_two { plain.next() } else { plain }
    });
    StudyResult { strict: adjusted[0], generous: adjusted[1] }
}

/// Return the conduct of the year from its two terms (TT 22 Đ8.2).
pub fn conduct_of_year(term1: Standing, term2: Standing) -> Standing {
    use Standing::{Failed, Fair, Good, Passed};
    match (term2, term1) {
        (Good, Fair | Good) => Good,
        (Good, Passed | Failed) => Fair,
        (Fair, Passed | Fair | Good) => Fair,
        (Fair, Failed) => Passed,
        (Passed, Good) => Fair,
        (Passed, Fair | Passed | Failed) => Passed,
        (Failed, _) => Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenths(text: &str) -> Tenths {
        Tenths::parse(text).unwrap()
    }

    fn all(texts: &str) -> Vec<Tenths> {
        texts.split(' ').map(tenths).collect()
    }

    #[test]
    fn term_averages_round_half_up_from_exact_tenths() {
        for (regular, mid, end, expected) in [
            ("8 7 9 6", "7.5", "8.0", "7.7"),
            ("6 7 6", "6.4", "6.6", "6.5"),
            ("5.8 8.8 9.2", "6.1", "6.8", "7.1"),
            ("6.3 9.9 8.6", "8.0", "8.4", "8.3"),
            ("9 10", "9.5", "9.0", "9.3"),
            ("10 10", "10", "10", "10.0"),
        ] {
            let average = term_average(&all(regular), tenths(mid), tenths(end));
            assert_eq!(average.to_string(), expected, "{regular} {mid} {end}");
        }
    }

    #[test]
    fn year_averages_come_from_rounded_term_averages() {
        for (term1, term2, expected) in
            [("7.0", "7.1", "7.1"), ("6.4", "6.5", "6.5"), ("5.2", "4.8", "4.9")]
        {
            let average = year_average(tenths(term1), tenths(term2));
            assert_eq!(average.to_string(), expected);
        }
    }

    #[test]
    fn a_mark_has_at_most_one_decimal() {
        assert_eq!(Tenths::parse("10").map(Tenths::value), Some(100));
        for wrong in ["7.95", "10.1", "11", "-1", "8,5", "", ".", "8.", "100", "٨"] {
            assert_eq!(Tenths::parse(wrong), None, "{wrong}");
        }
    }

    fn study(marks: &str, failed_comments: usize) -> StudyResult {
        study_result(&Results { marks: all(marks), failed_comments, scored_min: 6 })
    }

    #[test]
    fn study_results_follow_the_table() {
        for (marks, failed, expected) in [
            ("8 8 8 8 8 8 6.5 6.5", 0, Standing::Good),
            ("8 8 8 8 8 7.9 6.5 6.5", 0, Standing::Fair),
            ("6.5 6.5 6.5 6.5 6.5 6.5 5 5", 0, Standing::Fair),
            ("5 5 5 5 5 5 3.5 3.5", 0, Standing::Passed),
            ("5 5 5 5 5 5 3.5 3.5", 1, Standing::Passed),
            ("5 5 5 5 5 5 3.5 3.5", 2, Standing::Failed),
            ("5 5 5 5 5 4.9 3.5 3.5", 0, Standing::Failed),
            ("5 5 5 5 5 5 3.4 3.4", 0, Standing::Failed),
        ] {
            let result = study(marks, failed);
            assert_eq!((result.strict, result.generous), (expected, expected), "{marks}");
        }
    }

    #[test]
    fn one_subject_that_pulls_down_by_two_levels_raises_the_result_by_one() {
        for (marks, failed, expected) in [
            // Tốt pulled to Đạt by one mark, by one comment.
            ("8 8 8 8 8 8 8 4.9", 0, Standing::Fair),
            ("8 8 8 8 8 8 8 8", 1, Standing::Fair),
            // Tốt and Khá pulled to Chưa đạt.
            ("8 8 8 8 8 8 8 2", 0, Standing::Passed),
            ("6.5 6.5 6.5 6.5 6.5 6.5 6.5 3", 0, Standing::Passed),
            // Tốt pulled to Khá is one level only.
            ("8 8 8 8 8 8 8 6.4", 0, Standing::Fair),
            // Two subjects pull.
            ("8 8 8 8 8 8 4.9 4.9", 0, Standing::Passed),
        ] {
            assert_eq!(study(marks, failed).strict, expected, "{marks} {failed}");
        }
    }

    #[test]
    fn the_two_readings_of_the_adjustment_differ_only_where_the_subject_is_counted() {
        let result = study("8 8 8 8 8 7 7 4", 0);
        assert_eq!(result.strict, Standing::Passed);
        assert_eq!(result.generous, Standing::Fair);
    }

    #[test]
    fn conduct_of_the_year_covers_all_sixteen_pairs() {
        use Standing::{Failed, Fair, Good, Passed};
        let rows = [
            (Good, [Fair, Fair, Good, Good]),
            (Fair, [Passed, Fair, Fair, Fair]),
            (Passed, [Passed, Passed, Passed, Fair]),
            (Failed, [Failed, Failed, Failed, Failed]),
        ];
        for (term2, expected) in rows {
            for (term1, year) in [Failed, Passed, Fair, Good].into_iter().zip(expected) {
                assert_eq!(conduct_of_year(term1, term2), year, "{term1:?} {term2:?}");
            }
        }
    }
}

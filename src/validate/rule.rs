//! Names every rule this module checks, as the table `config/rules.toml` spells it.

macro_rules! rules {
    ($($(#[$doc:meta])* $variant:ident $name:literal;)*) => {
        /// A rule checked here; severity, source and scope stand in `config/rules.toml`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Rule { $($(#[$doc])* $variant,)* }

        impl Rule {
            /// Every rule, ordered by name.
            pub const ALL: &'static [Rule] = &[$(Rule::$variant,)*];

            /// Return the stable id, such as `TT27.year-result`.
            pub fn name(self) -> &'static str {
                match self { $(Rule::$variant => $name,)* }
            }
        }
    };
}

rules! {
    /// The circular is not known.
    Cv2088Circular "CV2088.circular";
    /// The circular is not in force for this grade in this school year.
    Cv2088CircularInForce "CV2088.circular-in-force";
    /// The class name does not begin with the number of the grade.
    Cv2088Class "CV2088.class";
    /// The look-up code must be a UUID of version 4, 32 hex digits and 4 hyphens.
    Cv2088Code "CV2088.code";
    /// Not a valid date.
    Cv2088Date "CV2088.date";
    /// The day must not be before the day it follows.
    Cv2088DateOrder "CV2088.date-order";
    /// There is no department of education with this code.
    Cv2088DepartmentCode "CV2088.department-code";
    /// The department of the record does not belong to the province of the sender.
    Cv2088DepartmentProvince "CV2088.department-province";
    /// The district is absent.
    Cv2088District "CV2088.district";
    /// Only 1 (yes) or 0 (no) is permitted.
    Cv2088Flag "CV2088.flag";
    /// The grade is not one of the level.
    Cv2088Grade "CV2088.grade";
    /// There is no entry of the school history.
    Cv2088History "CV2088.history";
    /// This school year occurs already in the school history.
    Cv2088HistoryDuplicate "CV2088.history-duplicate";
    /// A year of the history has the form YYYY-YYYY and is not after the year of the transcript.
    Cv2088HistoryYear "CV2088.history-year";
    /// The day of issue is after the day of reception.
    Cv2088IssueFuture "CV2088.issue-future";
    /// The level of schooling is not known.
    Cv2088Level "CV2088.level";
    /// Should be a positive number with a point as decimal mark.
    Cv2088Measure "CV2088.measure";
    /// The name of the mother is absent.
    Cv2088Mother "CV2088.mother";
    /// Must be a number of at least 0 with at most 4 decimals and a point as decimal mark.
    Cv2088Number "CV2088.number";
    /// A personal number has exactly 12 digits.
    Cv2088PersonalNumber "CV2088.personal-number";
    /// The personal number of the pupil is missing.
    Cv2088PersonalNumberMissing "CV2088.personal-number-missing";
    /// The required value is missing.
    Cv2088Required "CV2088.required";
    /// A school year has the form YYYY-YYYY, the second year one greater.
    Cv2088SchoolYear "CV2088.school-year";
    /// The personal number of a signer or teacher has exactly 12 digits.
    Cv2088SignerNumber "CV2088.signer-number";
    /// The level has no such subject.
    Cv2088Subject "CV2088.subject";
    /// Code and name mean two different subjects.
    Cv2088SubjectConflict "CV2088.subject-conflict";
    /// This subject occurs already in the table of results.
    Cv2088SubjectDuplicate "CV2088.subject-duplicate";
    /// There is no subject in the table of results.
    Cv2088Subjects "CV2088.subjects";
    /// The day of transfer is absent.
    Cv2088TransferDate "CV2088.transfer-date";
    /// The place of birth registration in the first three digits is not known.
    Nd70NumberPrefix "ND70.number-prefix";
    /// The fourth digit does not agree with the gender.
    Nd70NumberSex "ND70.number-sex";
    /// Digits four to six do not agree with the year of birth.
    Nd70NumberYear "ND70.number-year";
    /// Gender is Nam (1, male), Nữ (2, female) or not known (0).
    Qcvn109Gender "QCVN109.gender";
    /// The ethnic group is not in the list.
    Qd121EthnicGroup "QD121.ethnic-group";
    /// There is no such commune in the province on the day of issue.
    Qd19Commune "QD19.commune";
    /// There is no such province on the day of issue or in the school year.
    Qd19Province "QD19.province";
    /// The nationality is not in the list.
    Tcvn7217Nationality "TCVN7217.nationality";
    /// Only the listed values are permitted.
    Tt222016Value "TT22-2016.value";
    /// A pupil absent from more than the permitted sessions is not promoted.
    Tt22Absences "TT22.absences";
    /// The title does not agree with the study and conduct results of the year.
    Tt22Award "TT22.award";
    /// The results meet the conditions of a title, but none is given.
    Tt22AwardAbsent "TT22.award-absent";
    /// A subject assessed by comments takes only Đ, CĐ or M.
    Tt22CommentMark "TT22.comment-mark";
    /// The year of a subject assessed by comments is its second term.
    Tt22CommentYear "TT22.comment-year";
    /// The conduct of the year does not follow from the two terms.
    Tt22ConductYear "TT22.conduct-year";
    /// An upper secondary pupil has a set number of chosen subjects.
    Tt22ElectiveCount "TT22.elective-count";
    /// A mark is 0 to 10, whole or with one decimal, or M.
    Tt22Mark "TT22.mark";
    /// The result of a term or of the year is missing, so it cannot be checked.
    Tt22MarkMissing "TT22.mark-missing";
    /// Promoted, but study or conduct of the year is below Đ.
    Tt22Promotion "TT22.promotion";
    /// Not promoted although the conditions are met.
    Tt22PromotionDenied "TT22.promotion-denied";
    /// Only the listed values are permitted.
    Tt22ResultValue "TT22.result-value";
    /// Only a subject below 5.0 or not passed is tested again.
    Tt22Retest "TT22.retest";
    /// Summer training follows only a conduct of the year of CĐ.
    Tt22Retraining "TT22.retraining";
    /// The study result does not follow from the results of the subjects.
    Tt22StudyResult "TT22.study-result";
    /// A compulsory subject of the grade is missing.
    Tt22SubjectMissing "TT22.subject-missing";
    /// The average of the year is (term I + 2 × term II) / 3, rounded half up to one decimal.
    Tt22YearAverage "TT22.year-average";
    /// The title does not agree with the result of the year.
    Tt27Award "TT27.award";
    /// An excellent year earns the title Học sinh Xuất sắc, but it is not given.
    Tt27AwardAbsent "TT27.award-absent";
    /// A quality or competency is only the listed values.
    Tt27Competency "TT27.competency";
    /// The competency is missing.
    Tt27CompetencyMissing "TT27.competency-missing";
    /// The completion of the programme does not agree with the result of the year or the grade.
    Tt27Completion "TT27.completion";
    /// The promotion does not agree with the result of the year.
    Tt27Promotion "TT27.promotion";
    /// This subject is not taught in the grade.
    Tt27SubjectGrade "TT27.subject-grade";
    /// The level reached is only the listed values.
    Tt27SubjectLevel "TT27.subject-level";
    /// A compulsory subject of the grade is missing.
    Tt27SubjectMissing "TT27.subject-missing";
    /// The mark of a periodic test is a whole number from 0 to 10, or M.
    Tt27TestMark "TT27.test-mark";
    /// The year-end test of a subject that has one is missing.
    Tt27TestMissing "TT27.test-missing";
    /// This subject has no periodic test.
    Tt27TestSubject "TT27.test-subject";
    /// The result of the year does not follow from subjects, qualities, competencies and tests.
    Tt27YearResult "TT27.year-result";
    /// Only one of four results is permitted: the listed values.
    Tt27YearResultValue "TT27.year-result-value";
    /// Only the listed values are permitted.
    Tt58Value "TT58.value";
    /// A foreign pupil has no ethnic group of the list.
    TtdlqgForeignEthnicGroup "TTDLQG.foreign-ethnic-group";
    /// A foreign pupil without a personal number cannot be sent to the national store.
    TtdlqgForeignNumber "TTDLQG.foreign-number";
    /// A homeroom value the national store requires is missing.
    TtdlqgHomeroom "TTDLQG.homeroom";
    /// The value A homeroom value the national store requires is missing.
    TtdlqgRequired "TTDLQG.required";
}

impl Rule {
    /// Find a rule by its id.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|rule| rule.name() == name)
    }
}

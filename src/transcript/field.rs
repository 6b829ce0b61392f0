//! Names every field a transcript can have, in the order they are stored and shown.

/// Part of a transcript a field belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Occurs once.
    General,
    /// Occurs once per subject.
    Subject,
    /// Occurs once per school year of the history.
    History,
    /// Occurs once per certificate.
    Certificate,
}

impl Group {
    /// Return the member name in the canonical JSON form.
    pub fn name(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Subject => "subjects",
            Self::History => "history",
            Self::Certificate => "certificates",
        }
    }
}

macro_rules! fields {
    ($($(#[$doc:meta])* $group:ident $variant:ident $name:literal;)*) => {
        /// A field of a transcript; Ministry tags and national columns map to it by tables in `config/mappings/`.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Field { $($(#[$doc])* $variant,)* }

        impl Field {
            /// Every field, in order.
            pub const ALL: &'static [Field] = &[$(Field::$variant,)*];

            /// Return the name in the canonical JSON form and in mapping tables.
            pub fn name(self) -> &'static str {
                match self { $(Field::$variant => $name,)* }
            }

            /// Find a field by its name.
            pub fn from_name(name: &str) -> Option<Field> {
                match name { $($name => Some(Field::$variant),)* _ => None }
            }

            /// Return the group the field belongs to.
            pub fn group(self) -> Group {
                match self { $(Field::$variant => Group::$group,)* }
            }
        }
    };
}

fields! {
    /// Version of the Ministry's data format (PHIEN_BAN).
    General FormatVersion "format_version";
    /// Circular the pupil was assessed under (THONG_TU).
    General Circular "circular";
    /// UUID v4 of the transcript (MA_TRA_CUU_UUID).
    General Code "code";
    /// School year `YYYY-YYYY` (NAM_HOC or TEN_NAM_HOC).
    General SchoolYear "school_year";
    /// Code of the provincial department (MA_SO_GIAO_DUC).
    General DepartmentCode "department_code";
    /// Name of the provincial department.
    General DepartmentName "department_name";
    /// Code of the school (MA_TRUONG).
    General SchoolCode "school_code";
    /// Name of the school.
    General SchoolName "school_name";
    /// District of the school; absent from 2025-07-01.
    General SchoolDistrict "school_district";
    /// Commune of the school.
    General SchoolCommune "school_commune";
    /// Province of the school.
    General SchoolProvince "school_province";
    /// Level of schooling (MA_CAP_HOC).
    General Level "level";
    /// Number in the school's register (SO_SO_DANG_BO).
    General RegisterNumber "register_number";
    /// Pupil's name as on the birth certificate.
    General StudentName "student_name";
    /// Pupil's 12-digit personal number.
    General PersonalNumber "personal_number";
    /// Pupil's code in the Ministry's data base.
    General StudentCode "student_code";
    /// Gender.
    General Gender "gender";
    /// Date of birth, ISO or dd/MM/yyyy; may be partial (MM/yyyy, yyyy).
    General BirthDate "birth_date";
    /// Weight in kilograms.
    General Weight "weight";
    /// Height in centimetres.
    General Height "height";
    /// Absences with leave, in sessions.
    General AbsencesExcused "absences_excused";
    /// Absences without leave, in sessions.
    General AbsencesUnexcused "absences_unexcused";
    /// All absences of the year, in sessions (secondary).
    General AbsencesTotal "absences_total";
    /// Place of birth.
    General BirthPlace "birth_place";
    /// Place of origin (quê quán).
    General Origin "origin";
    /// Present residence.
    General Residence "residence";
    /// Ethnic group, name or code.
    General Ethnicity "ethnicity";
    /// Nationality.
    General Nationality "nationality";
    /// Policy group of the pupil.
    General PolicyGroup "policy_group";
    /// Pupil with a disability who is not assessed (`1`/`0`).
    General NotAssessed "not_assessed";
    /// Digitised from a paper book (`1`/`0`).
    General FromPaper "from_paper";
    /// Father's name.
    General FatherName "father_name";
    /// Mother's name.
    General MotherName "mother_name";
    /// Guardian's name.
    General GuardianName "guardian_name";
    /// Father's occupation (secondary).
    General FatherOccupation "father_occupation";
    /// Mother's occupation (secondary).
    General MotherOccupation "mother_occupation";
    /// Guardian's occupation (secondary).
    General GuardianOccupation "guardian_occupation";
    /// Name of the head who signs.
    General PrincipalName "principal_name";
    /// Personal number of the head who signs.
    General PrincipalNumber "principal_number";
    /// Office of the head who signs.
    General PrincipalTitle "principal_title";
    /// Place named on the transcript.
    General IssuePlace "issue_place";
    /// Day the transcript was made.
    General CreatedOn "created_on";
    /// Day the transcript was issued.
    General IssuedOn "issued_on";
    /// Homeroom teacher's name.
    General HomeroomName "homeroom_name";
    /// Homeroom teacher's personal number.
    General HomeroomNumber "homeroom_number";
    /// Grade (MA_KHOI), 1 to 12.
    General Grade "grade";
    /// Class name.
    General ClassName "class_name";
    /// Year result in words (KET_QUA_XEP_LOAI, primary).
    General YearResult "year_result";
    /// Promoted to the next grade (`1`/`0`).
    General Promoted "promoted";
    /// Text of the promotion decision (secondary).
    General PromotionNote "promotion_note";
    /// Text of the completion of the grade's programme.
    General CompletionNote "completion_note";
    /// Programme of the grade completed (`1`/`0`).
    General GradeCompleted "grade_completed";
    /// Programme of the primary level completed (`1`/`0`).
    General PrimaryCompleted "primary_completed";
    /// Award of the year.
    General Award "award";
    /// Award on occasion.
    General OccasionalAward "occasional_award";
    /// Homeroom teacher's comment.
    General HomeroomComment "homeroom_comment";
    /// Results of competitions (secondary).
    General Competitions "competitions";
    /// Text on conduct training in summer (secondary).
    General SummerTrainingNote "summer_training_note";
    /// Study result of term 1 (T, K, Đ, CĐ).
    General StudyTerm1 "study_term1";
    /// Study result of term 2.
    General StudyTerm2 "study_term2";
    /// Study result of the year.
    General StudyYear "study_year";
    /// Study result after re-tests.
    General StudyRetested "study_retested";
    /// Conduct of term 1 (T, K, Đ, CĐ).
    General ConductTerm1 "conduct_term1";
    /// Conduct of term 2.
    General ConductTerm2 "conduct_term2";
    /// Conduct of the year.
    General ConductYear "conduct_year";
    /// Conduct after training in summer.
    General ConductRetrained "conduct_retrained";
    /// Self-control and self-study (T, Đ, C).
    General CompetencySelfStudy "competency_self_study";
    /// Communication and co-operation.
    General CompetencyCommunication "competency_communication";
    /// Problem solving and creativity.
    General CompetencyProblemSolving "competency_problem_solving";
    /// Language.
    General CompetencyLanguage "competency_language";
    /// Calculation.
    General CompetencyCalculation "competency_calculation";
    /// Science.
    General CompetencyScience "competency_science";
    /// Technology.
    General CompetencyTechnology "competency_technology";
    /// Informatics.
    General CompetencyInformatics "competency_informatics";
    /// Aesthetics.
    General CompetencyAesthetics "competency_aesthetics";
    /// Physical.
    General CompetencyPhysical "competency_physical";
    /// Love of country.
    General QualityPatriotism "quality_patriotism";
    /// Kindness.
    General QualityKindness "quality_kindness";
    /// Diligence.
    General QualityDiligence "quality_diligence";
    /// Honesty.
    General QualityHonesty "quality_honesty";
    /// Responsibility.
    General QualityResponsibility "quality_responsibility";
    /// Comment on qualities.
    General QualityComment "quality_comment";
    /// Comment on general competencies.
    General CompetencyComment "competency_comment";
    /// Comment on specific competencies.
    General SpecificCompetencyComment "specific_competency_comment";

    /// Code of the subject (MA_MON_HOC); our slug or a code of a configured table.
    Subject SubjectCode "subject_code";
    /// Name of the subject.
    Subject SubjectName "subject_name";
    /// Level reached (T, H, C, M; primary).
    Subject SubjectLevel "subject_level";
    /// Mark of the periodic test at year end (primary).
    Subject SubjectTest "subject_test";
    /// Average or mark of term 1 (secondary).
    Subject SubjectTerm1 "subject_term1";
    /// Average or mark of term 2.
    Subject SubjectTerm2 "subject_term2";
    /// Average or mark of the year.
    Subject SubjectYear "subject_year";
    /// Mark after a re-test.
    Subject SubjectRetest "subject_retest";
    /// Comment on the subject.
    Subject SubjectComment "subject_comment";
    /// Name of the subject teacher.
    Subject TeacherName "teacher_name";
    /// Personal number of the subject teacher.
    Subject TeacherNumber "teacher_number";

    /// School year of the entry.
    History HistoryYear "history_year";
    /// Class of the entry.
    History HistoryClass "history_class";
    /// School of the entry.
    History HistorySchool "history_school";
    /// Province of the entry.
    History HistoryProvince "history_province";
    /// Day of transfer to this school.
    History TransferredOn "transferred_on";

    /// Name of the certificate.
    Certificate CertificateName "certificate_name";
    /// Kind of the certificate.
    Certificate CertificateKind "certificate_kind";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_found_by_its_name() {
        for field in Field::ALL {
            assert_eq!(Field::from_name(field.name()), Some(*field));
        }
    }
}

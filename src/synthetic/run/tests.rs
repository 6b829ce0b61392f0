//! Proves that content is realistic, right by the circulars, and wrong only where planned.

use std::collections::{BTreeMap, HashSet};

use jiff::civil::date;

use super::*;
use crate::codes::Codes;
use crate::platform::config::Tables;
use crate::synthetic::Options;
use crate::transcript::{Field, Level, SchoolYear, Severity, Transcript};
use crate::validate::{self, Checked, Context, Rules};

fn codes() -> &'static Codes {
    static CODES: OnceLock<Codes> = OnceLock::new();
    CODES.get_or_init(|| Codes::load(&Tables::default()).unwrap())
}

fn rules() -> &'static Rules {
    static RULES: OnceLock<Rules> = OnceLock::new();
    RULES.get_or_init(|| Rules::load(&Tables::default(), &validate::Settings::default()).unwrap())
}

fn run(level: Level, province: &str, fault_kinds: &[FaultKind]) -> Run {
    let options = Options {
        level,
        province: province.to_owned(),
        school_year: SchoolYear::starting(2025).unwrap(),
        records: 5_000,
        seed: 42,
        fault_rate: if fault_kinds.is_empty() { 0.0 } else { 1.0 },
        fault_kinds: fault_kinds.to_vec(),
    };
    Run::new(Setting::new(options, codes(), &Tables::default()).unwrap())
}

fn transcripts(run: &Run, count: u64) -> Vec<Transcript> {
    (0..count)
        .map(|position| {
            let (school, class) = run.class(position);
            run.make(school, &class, position).transcript
        })
        .collect()
}

fn check(transcript: Transcript, province: &str) -> Checked {
    let context =
        Context { participant_province: province.to_owned(), received_on: date(2026, 8, 20) };
    validate::check(rules(), codes(), transcript, &context)
}

const LEVELS: [Level; 3] = [Level::Primary, Level::LowerSecondary, Level::UpperSecondary];

#[test]
fn clean_records_of_every_level_and_province_pass_every_rule() {
    let mut seen = BTreeMap::new();
    for (province, count) in [("20", 1000), ("01", 300), ("79", 300), ("66", 150), ("04", 150)] {
        for level in LEVELS {
            let run = run(level, province, &[]);
            for transcript in transcripts(&run, count) {
                let checked = check(transcript, province);
                for violation in checked.violations() {
                    let key = (violation.severity, violation.rule.clone());
                    *seen.entry(key).or_insert(0) += 1;
                }
                assert!(
                    matches!(checked, Checked::Valid(_)),
                    "{province} {level:?}: {:?}",
                    checked.violations()
                );
            }
        }
    }
    // The district is gone since 2025; nothing else is odd often.
    for ((_, rule), count) in seen {
        assert!(rule == "CV2088.district" || count < 600, "{rule}: {count}");
    }
}

#[test]
fn each_planted_mistake_of_content_breaks_exactly_its_rule() {
    for level in LEVELS {
        for kind in FaultKind::ALL {
            let run = run(level, "20", &[*kind]);
            for position in 0..60 {
                let Some(planted) = run.fault(position, Format::Xml) else {
                    continue;
                };
                let (school, class) = run.class(position);
                let clean = run.make(school, &class, position).transcript;
                let mut spoilt = clean.clone();
                fault::spoil(planted, &run.setting, &mut spoilt);
                if spoilt == clean || planted == FaultKind::NameDecomposed {
                    continue;
                }
                let checked = check(spoilt, "20");
                let mut grave: Vec<_> = checked
                    .violations()
                    .iter()
                    .filter(|violation| violation.severity > Severity::Warning)
                    .map(|violation| violation.rule.as_str())
                    .collect();
                grave.dedup();
                let expected = planted.rule(level, Format::Xml).unwrap();
                assert_eq!(grave, [expected], "{level:?} {planted:?}");
                let held = matches!(checked, Checked::Held { .. });
                assert_eq!(held, planted.fate(Format::Xml) == fault::Fate::Held);
            }
        }
    }
}

#[test]
fn the_same_seed_makes_the_same_people_and_another_seed_others() {
    let first = transcripts(&run(Level::UpperSecondary, "79", &[]), 80);
    let again = transcripts(&run(Level::UpperSecondary, "79", &[]), 80);
    assert_eq!(first, again);
    let mut other = run(Level::UpperSecondary, "79", &[]);
    other.setting.options.seed = 43;
    assert_ne!(first, transcripts(&other, 80));
}

#[test]
fn personal_numbers_and_codes_match_their_pupils_and_do_not_repeat() {
    let mut numbers = HashSet::new();
    let mut codes_seen = HashSet::new();
    let mut pupils = HashSet::new();
    for transcript in transcripts(&run(Level::Primary, "79", &[]), 3000) {
        let value = |field| transcript.value(field).unwrap().to_owned();
        let number = value(Field::PersonalNumber);
        assert!(codes().personal_number_prefix(&number[..3]).is_some());
        let female = value(Field::Gender) == "Nữ";
        assert_eq!(&number[3..4], if female { "3" } else { "2" });
        let birth = validate::Day::parse(&value(Field::BirthDate)).unwrap();
        assert_eq!(number[4..6], format!("{:02}", birth.year() % 100));
        let age = 2025 - birth.year() - value(Field::Grade).parse::<i16>().unwrap();
        assert!((5..=6).contains(&age), "{age}");
        assert!(numbers.insert(number));
        assert!(codes_seen.insert(value(Field::Code)));
        let code = value(Field::StudentCode);
        assert!(code.len() == 10 && pupils.insert(code));
    }
}

fn shares(province: &str) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for transcript in transcripts(&run(Level::Primary, province, &[]), 2000) {
        let group = transcript.value(Field::Ethnicity).unwrap().to_owned();
        *counts.entry(group).or_insert(0) += 1;
    }
    counts
}

#[test]
fn ethnic_groups_come_in_the_shares_of_the_province() {
    let lang_son = shares("20");
    assert!((750..970).contains(&lang_son["Nùng"]), "{lang_son:?}");
    assert!((610..830).contains(&lang_son["Tày"]), "{lang_son:?}");
    assert!((250..420).contains(&lang_son["Kinh"]), "{lang_son:?}");
    let hcm = shares("79");
    assert!(hcm["Kinh"] > 1800, "{hcm:?}");
    assert!((35..120).contains(&hcm["Hoa"]), "{hcm:?}");
    assert!(shares("01")["Kinh"] > 1920);
}

#[test]
fn results_are_spread_as_in_real_schools() {
    let of = |level, field| {
        let mut counts = BTreeMap::new();
        for transcript in transcripts(&run(level, "01", &[]), 1500) {
            let value = transcript.value(field).unwrap_or("-").to_owned();
            *counts.entry(value).or_insert(0) += 1;
        }
        counts
    };
    let primary = of(Level::Primary, Field::YearResult);
    assert_eq!(primary.len(), 4, "{primary:?}");
    assert!(primary["Chưa hoàn thành"] < 60, "{primary:?}");
    for level in [Level::LowerSecondary, Level::UpperSecondary] {
        let study = of(level, Field::StudyYear);
        assert_eq!(study.len(), 4, "{study:?}");
        assert!(study["T"] > 150 && study["K"] > 300 && study["CĐ"] < 120, "{study:?}");
        let awards = of(level, Field::Award);
        assert_eq!(awards.len(), 3, "{awards:?}");
    }
}

#[test]
fn comments_have_up_to_six_hundred_characters_and_sometimes_markup_signs() {
    let all = transcripts(&run(Level::Primary, "01", &[]), 600);
    let comments: Vec<&str> =
        all.iter().filter_map(|transcript| transcript.value(Field::HomeroomComment)).collect();
    let longest = comments.iter().map(|text| text.chars().count()).max();
    assert!((400..=640).contains(&longest.unwrap()), "{longest:?}");
    for sign in ['&', '<', '>', '"'] {
        assert!(comments.iter().any(|text| text.contains(sign)), "{sign}");
    }
    let distinct: HashSet<_> = comments.iter().collect();
    assert!(distinct.len() > 500, "{}", distinct.len());
}

#[test]
fn an_upper_secondary_pupil_has_eight_compulsory_and_four_chosen_subjects() {
    for transcript in transcripts(&run(Level::UpperSecondary, "01", &[]), 200) {
        let optional = |code: &str| code == "tieng_dan_toc";
        let count = transcript
            .subjects
            .iter()
            .filter_map(|row| row.value(Field::SubjectCode))
            .filter(|code| !optional(code))
            .count();
        assert_eq!(count, 12);
    }
}

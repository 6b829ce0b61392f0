//! Proves that made-up records are what the gateway takes, and that planted mistakes are found.

mod gateway;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use super::*;
use crate::transcript::Field;
use gateway::{Said, gateway};

fn generator(level: Level, kinds: &[FaultKind]) -> Generator {
    let options = Options {
        level,
        province: "20".to_owned(),
        school_year: SchoolYear::starting(2025).unwrap(),
        records: 1_000,
        seed: 7,
        fault_rate: if kinds.is_empty() { 0.0 } else { 1.0 },
        fault_kinds: kinds.to_vec(),
    };
    let gateway = gateway();
    let (tables, clock) = (Tables::default(), Arc::clone(&gateway.clock));
    Generator::new(options, &gateway.codes, &tables, &gateway.layout, clock).unwrap()
}

const LEVELS: [Level; 3] = [Level::Primary, Level::LowerSecondary, Level::UpperSecondary];
const FORMATS: [Format; 3] = [Format::Xml, Format::Content, Format::Ndjson];

#[test]
fn three_hundred_clean_records_of_each_level_and_format_reach_the_national_form() {
    let mut warnings: BTreeMap<String, u32> = BTreeMap::new();
    for level in LEVELS {
        let generator = generator(level, &[]);
        for format in FORMATS {
            let mut bytes = Vec::new();
            let written = generator.write_batch(&mut bytes, 0..300, format).unwrap();
            assert_eq!((written.records, written.faults.len()), (300, 0));
            let said = gateway().batch(&bytes, format);
            assert_eq!(said.len(), 300);
            let mut systems: HashSet<&str> = HashSet::new();
            for (position, one) in said.iter().enumerate() {
                assert!(one.grave.is_empty(), "{level:?} {format:?} {position}: {one:?}");
                let expected = generator.transcript(u64::try_from(position).unwrap());
                assert_eq!(one.code.as_deref(), expected.value(Field::Code));
                assert_eq!(one.national.as_deref(), expected.value(Field::StudentName));
                systems.extend(one.systems.iter().copied());
                for rule in &one.warnings {
                    *warnings.entry(rule.clone()).or_default() += 1;
                }
            }
            assert_eq!(systems.len(), 2, "signers of both trust systems");
        }
    }
    warnings.retain(|_, count| *count > 300);
    let often: Vec<&str> = warnings.keys().map(String::as_str).collect();
    assert_eq!(often, ["CV2088.district"], "districts ended in 2025");
}

#[test]
fn each_planted_mistake_is_named_by_its_rule_and_nothing_else() {
    for level in LEVELS {
        for kind in FaultKind::ALL {
            let generator = generator(level, &[*kind]);
            for format in FORMATS {
                let mut bytes = Vec::new();
                let written = generator.write_batch(&mut bytes, 0..12, format).unwrap();
                let said = gateway().batch(&bytes, format);
                assert_eq!((said.len(), written.faults.len()), (12, 12));
                for fault in &written.faults {
                    let one = &said[usize::try_from(fault.position).unwrap()];
                    check_fault(one, fault, &format!("{level:?} {format:?} {fault:?}"));
                }
            }
        }
    }
}

fn check_fault(said: &Said, fault: &PlantedFault, place: &str) {
    let rule = fault.rule_expected.map(str::to_owned);
    match fault.fate {
        Fate::Held | Fate::Rejected => {
            let expected: BTreeSet<String> = rule.into_iter().collect();
            assert_eq!(said.grave, expected, "{place}");
        }
        Fate::Accepted => {
            assert!(said.grave.is_empty() && said.national.is_some(), "{place}: {said:?}");
            assert!(rule.is_none_or(|rule| said.warnings.contains(&rule)), "{place}");
        }
        Fate::Duplicate => assert!(said.grave.is_empty(), "{place}"),
    }
}

#[test]
fn a_repeated_record_is_the_one_before_it_byte_for_byte() {
    let mut options = generator(Level::Primary, &[FaultKind::RecordRepeated]);
    options.run.setting.options.fault_rate = 0.3;
    let mut bytes = Vec::new();
    let written = options.write_batch(&mut bytes, 0..72, Format::Ndjson).unwrap();
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let repeated: Vec<_> =
        written.faults.iter().filter(|fault| fault.fate == Fate::Duplicate).collect();
    assert!(repeated.len() > 3);
    for fault in repeated {
        let at = usize::try_from(fault.position).unwrap();
        assert_eq!(lines[at], lines[at - 1]);
    }
}

#[test]
fn the_content_does_not_depend_on_threads_or_on_how_the_run_is_cut() {
    let contents = |bytes: &[u8]| -> Vec<String> {
        let text = std::str::from_utf8(bytes).unwrap();
        text.lines().map(|line| line.split(",\"signatures\"").next().unwrap().to_owned()).collect()
    };
    let kinds = [FaultKind::MarkOverTen, FaultKind::CommentMissing];
    let make = |threads, cuts: &[(u64, u64)]| {
        let generator = generator(Level::LowerSecondary, &kinds).with_threads(threads);
        let mut bytes = Vec::new();
        let mut faults = Vec::new();
        for (start, end) in cuts {
            let written = generator.write_batch(&mut bytes, *start..*end, Format::Ndjson).unwrap();
            faults.extend(written.faults.into_iter().map(|fault| fault.kind));
        }
        (contents(&bytes), faults)
    };
    let whole = make(1, &[(0, 150)]);
    assert_eq!(whole, make(3, &[(0, 150)]));
    assert_eq!(whole, make(2, &[(0, 50), (50, 51), (51, 150)]));
    assert_eq!(whole.0.len(), 150);
}

#[test]
fn a_planned_rate_of_mistakes_is_kept_and_every_kind_occurs() {
    let mut generator = generator(Level::UpperSecondary, &[FaultKind::TagUnknown]);
    generator.run.setting.options.fault_rate = 0.1;
    generator.run.setting.options.fault_kinds.clear();
    let planned: Vec<FaultKind> =
        (0..20_000).filter_map(|position| generator.run.fault(position, Format::Xml)).collect();
    assert!((1_700..2_300).contains(&planned.len()), "{}", planned.len());
    let kinds: HashSet<_> = planned.iter().collect();
    assert_eq!(kinds.len(), FaultKind::ALL.len());
}

#[test]
fn an_empty_range_is_a_signed_empty_list() {
    let mut bytes = Vec::new();
    let written =
        generator(Level::Primary, &[]).write_batch(&mut bytes, 5..5, Format::Xml).unwrap();
    assert_eq!(written, Written::default());
    assert!(gateway().batch(&bytes, Format::Xml).is_empty());
}

#[test]
fn an_unknown_province_is_refused() {
    let mut options = generator(Level::Primary, &[]).run.setting.options;
    options.province = "02".to_owned();
    let found = Setting::new(options, &gateway().codes, &Tables::default());
    assert!(matches!(found, Err(SyntheticError::UnknownProvince { .. })));
}

#[test]
fn every_kind_of_mistake_has_a_name_for_people() {
    for kind in FaultKind::ALL {
        let key = format!("synthetic.fault.{}", kind.slug());
        assert!(crate::platform::texts::has(&key), "{key}");
    }
}

//! Checks transcripts of arbitrary values: nothing panics, nothing is changed.

use proptest::prelude::*;

use super::Checked;
use super::sample::{lower_secondary, primary, upper_secondary};
use super::tests::run;
use crate::transcript::{Field, Fields, Transcript};

fn field_values() -> impl Strategy<Value = Fields> {
    let value = prop_oneof![
        "\\PC{0,14}",
        "[0-9]{1,12}",
        "[0-9]{1,4}[-/.T:][0-9]{1,4}([-/.][0-9]{1,4})?",
        proptest::sample::select(vec![
            "T",
            "H",
            "C",
            "M",
            "Đ",
            "CĐ",
            "1",
            "0",
            "02",
            "03",
            "04",
            "4",
            "8",
            "TT27",
            "TT22",
            "TT58",
            "TT43",
            "TT22-2016",
            "2025-2026",
            "toan",
            "Toán",
            "8.5",
            "Hà Nội",
            "Nữ",
            "Hàn Quốc",
            "Học sinh Xuất sắc",
            "Hoàn thành",
            "(",
            "Lớp ",
            "001316000001",
        ])
        .prop_map(str::to_owned),
    ];
    let field = proptest::sample::select(Field::ALL.to_vec());
    proptest::collection::vec((field, value), 0..40).prop_map(|pairs| {
        let mut fields = Fields::default();
        for (field, value) in pairs {
            fields.set(field, value);
        }
        fields
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn checking_never_panics_and_never_changes_a_value(
        base in 0_usize..4,
        general in field_values(),
        rows in proptest::collection::vec(field_values(), 0..4),
    ) {
        let mut transcript = match base {
            0 => primary(),
            1 => lower_secondary(),
            2 => upper_secondary(),
            _ => Transcript::default(),
        };
        for (field, value) in general.iter() {
            transcript.general.set(field, value);
        }
        for (index, row) in rows.iter().enumerate() {
            if let Some(entry) = transcript.subjects.get_mut(index) {
                for (field, value) in row.iter() {
                    entry.set(field, value);
                }
            }
        }
        transcript.history.extend(rows.clone());
        transcript.subjects.extend(rows);
        let before = transcript.clone();
        let after = match run(transcript) {
            Checked::Valid(valid) => valid.transcript,
            Checked::Held { transcript, .. } | Checked::Rejected { transcript, .. } => transcript,
        };
        prop_assert_eq!(before, after);
    }
}

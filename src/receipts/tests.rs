//! Puts true, forged, foreign and twisted receipts before the judge.

use std::sync::{Arc, LazyLock};

use jiff::Timestamp;
use rcgen::{CertificateParams, KeyPair};
use uuid::Uuid;

use super::status_answer::AnswerShape;
use super::*;
use crate::platform::config::Tables;
use crate::seal::FileSigner;
use crate::signature::{Profile, Settings, Signer, Verifier, XmlLimits};

struct Made {
    signer: FileSigner,
    der: Vec<u8>,
}

fn made(days: i64) -> Made {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(vec!["national.test".to_owned()]).unwrap();
    let now = time::OffsetDateTime::from_unix_timestamp(NOW.as_second()).unwrap();
    params.not_before = now - time::Duration::days(100);
    params.not_after = now + time::Duration::days(days);
    let der = params.self_signed(&key).unwrap().der().to_vec();
    let signer = FileSigner::from_der(&key.serialize_der(), der.clone(), Vec::new()).unwrap();
    Made { signer, der }
}

static NOW: LazyLock<Timestamp> = LazyLock::new(|| "2026-06-30T01:00:00Z".parse().unwrap());
const MESSAGE: Uuid = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_00aa);
const BODY: [u8; 32] = [7; 32];

fn judge_of(pinned: &Made) -> SignedReceipts {
    let profile: Profile = Tables::default().parse("destinations/national-profile.toml").unwrap();
    let settings = Settings {
        xml: XmlLimits {
            depth_max: 8,
            attributes_max: 8,
            namespaces_max: 8,
            start_tag_bytes_max: 1_000,
            text_bytes_max: 1_000,
            nodes_max: 100,
            record_bytes_max: 10_000,
        },
        key_cache_entries: 4,
        jws_bytes_max: 100_000,
        sealed_bytes_max: 16_777_216,
        sealed_nodes_max: 4_000_000,
    };
    SignedReceipts::new(Arc::new(Verifier::new(profile, settings)), &[&pinned.der])
}

fn members() -> Vec<Member> {
    (0..3)
        .map(|position| Member {
            record_id: Uuid::from_u128(u128::try_from(position).unwrap() + 1),
            position,
            version: 1,
            digest: vec![u8::try_from(position).unwrap(); 32],
        })
        .collect()
}

fn receipt() -> Receipt {
    let items = members().into_iter().map(|member| ReceiptItem {
        id_ban_ghi: member.record_id.to_string(),
        phien_ban: member.version,
        digest: hex(&member.digest),
        verdict: "accepted".to_owned(),
        reason: None,
    });
    Receipt {
        message_id: MESSAGE,
        body_sha256: hex(&BODY),
        received_at: *NOW,
        items: items.collect(),
    }
}

fn token(receipt: &Receipt, signer: &dyn Signer) -> String {
    sign(receipt, RECEIPT_TYPE, signer, *NOW).unwrap()
}

fn judged(judge: &SignedReceipts, body: &str) -> Judgement {
    let members = members();
    let expected =
        Expected { message_id: MESSAGE, body_sha256: &BODY, members: &members, now: *NOW };
    judge.judge(body.as_bytes(), &expected)
}

#[test]
fn a_true_receipt_names_every_record() {
    let national = made(100);
    let judgement = judged(&judge_of(&national), &token(&receipt(), &national.signer));
    let Judgement::Lines { lines, complete } = judgement else {
        panic!("{judgement:?}");
    };
    assert!(complete && lines.len() == 3);
    assert!(lines.iter().all(|line| line.closing().acknowledged));
}

#[test]
fn each_twisted_receipt_is_seen_for_what_it_is() {
    let (national, other, expired) = (made(100), made(100), made(-1));
    let judge = judge_of(&national);
    let twist = |change: &dyn Fn(&mut Receipt)| {
        let mut receipt = receipt();
        change(&mut receipt);
        judged(&judge, &token(&receipt, &national.signer))
    };
    assert_eq!(twist(&|r| r.message_id = Uuid::nil()), Judgement::Foreign);
    assert_eq!(twist(&|r| r.body_sha256 = hex(&[8; 32])), Judgement::Conflict("other-bytes"));
    assert_eq!(twist(&|r| r.items[1].digest = hex(&[9; 32])), Judgement::Conflict("other-record"));
    assert_eq!(twist(&|r| r.items[1].phien_ban = 2), Judgement::Conflict("other-record"));
    let foreign = Uuid::max().to_string();
    assert_eq!(
        twist(&|r| r.items[1].id_ban_ghi = foreign.clone()),
        Judgement::Conflict("not-a-member")
    );
    assert_eq!(twist(&|r| r.items[1] = r.items[0].clone()), Judgement::Invalid("repeated-record"));
    assert_eq!(
        twist(&|r| r.items[0].verdict = "perhaps".to_owned()),
        Judgement::Invalid("unknown-verdict")
    );
    let Judgement::Lines { lines, complete } = twist(&|r| drop(r.items.pop())) else {
        panic!("a receipt may leave records out");
    };
    assert!(!complete && lines.len() == 2);
    let foreign_key = judged(&judge, &token(&receipt(), &other.signer));
    assert_eq!(foreign_key, Judgement::Invalid("signer-not-pinned"));
    let late = judged(&judge_of(&expired), &token(&receipt(), &expired.signer));
    assert_eq!(late, Judgement::Invalid("signer-expired"));
    assert_eq!(judged(&judge, "no receipt at all").proof(), Proof::Nothing);
    assert_eq!(judged(&judge, "").proof(), Proof::Nothing);
}

#[test]
fn a_receipt_with_any_bit_changed_proves_nothing() {
    let national = made(100);
    let judge = judge_of(&national);
    let token = token(&receipt(), &national.signer);
    for place in (0..token.len()).step_by(7) {
        let mut bytes = token.clone().into_bytes();
        bytes[place] = if bytes[place] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(bytes).unwrap();
        let proof = judged(&judge, &changed).proof();
        assert_eq!(proof, Proof::Nothing, "byte {place}");
    }
}

#[test]
fn a_refusal_of_one_record_is_evidence_for_it_and_of_many_for_none() {
    let national = made(100);
    let judge = judge_of(&national);
    let refusal = Refusal {
        message_id: MESSAGE,
        body_sha256: hex(&BODY),
        received_at: *NOW,
        reason: "schema".to_owned(),
    };
    let token = sign(&refusal, REFUSAL_TYPE, &national.signer, *NOW).unwrap();
    assert_eq!(judged(&judge, &token), Judgement::Refused("schema".to_owned()));
    let one = &members()[..1];
    let expected = Expected { message_id: MESSAGE, body_sha256: &BODY, members: one, now: *NOW };
    let judgement = judge.judge(token.as_bytes(), &expected);
    assert!(matches!(&judgement, Judgement::Lines { lines, complete: true }
        if lines[0].verdict == Verdict::Refused));
    // A refusal is no receipt, whatever type it claims.
    let disguised = sign(&refusal, RECEIPT_TYPE, &national.signer, *NOW).unwrap();
    assert_eq!(judged(&judge, &disguised), Judgement::Invalid("payload-shape"));
}

#[test]
fn a_free_text_reason_is_not_carried_on() {
    let national = made(100);
    let mut receipt = receipt();
    receipt.items[0].verdict = "refused".to_owned();
    receipt.items[0].reason = Some("Nguyễn Thị Mẫu, 001316000001".to_owned());
    let judgement = judged(&judge_of(&national), &token(&receipt, &national.signer));
    let Judgement::Lines { lines, .. } = judgement else {
        panic!("{judgement:?}");
    };
    assert_eq!(lines[0].reason.as_deref(), Some("unnamed"));
}

fn line(record: u128, verdict: Verdict) -> Line {
    Line { record_id: Uuid::from_u128(record), digest: vec![1; 32], verdict, reason: None }
}

#[test]
fn the_first_evidence_stays_in_force() {
    let first = [line(1, Verdict::Accepted), line(2, Verdict::Refused)];
    assert_eq!(compare(&first, &[]), Comparison::New(first.to_vec()));
    assert_eq!(compare(&first, &first), Comparison::Duplicate);
    let again = [line(1, Verdict::AlreadyApplied)];
    assert_eq!(compare(&again, &first), Comparison::Duplicate);
    let against = [line(1, Verdict::Refused)];
    assert_eq!(compare(&against, &first), Comparison::Contradicts);
    let more = [line(1, Verdict::Accepted), line(3, Verdict::Accepted)];
    assert_eq!(compare(&more, &first), Comparison::New(vec![line(3, Verdict::Accepted)]));
}

fn status(answer: &str) -> Judgement {
    let members = members();
    let expected =
        Expected { message_id: MESSAGE, body_sha256: &BODY, members: &members, now: *NOW };
    let codes = members
        .iter()
        .map(|member| (Uuid::from_u128(member.record_id.as_u128() + 100), member.record_id))
        .collect();
    StatusAnswers::new(AnswerShape::default()).judge_by_code(answer.as_bytes(), &expected, &codes)
}

fn row(code: u128, state: &str, error: &str) -> String {
    format!(
        r#"{{"ma_hoc_sinh":"1","ten_hoc_sinh":"Nguyễn Thị Mẫu","so_cccd":"001316000001",
            "ma_tra_cuu_uuid":"{}","trang_thai":{state},"error":"{error}","error_field_title":"","error_description":""}}"#,
        Uuid::from_u128(code)
    )
}

fn answer(rows: &[String]) -> String {
    format!(r#"{{"messageid":"{MESSAGE}","danh_sach":[{}]}}"#, rows.join(","))
}

#[test]
fn a_status_answer_closes_the_records_it_decides() {
    let all = answer(&[row(101, "1", ""), row(102, "0", "E-07"), row(103, "\"1\"", "")]);
    let Judgement::Lines { lines, complete } = status(&all) else {
        panic!("the answer decides all three");
    };
    assert!(complete);
    let verdicts: Vec<Verdict> = lines.iter().map(|line| line.verdict).collect();
    assert_eq!(verdicts, [Verdict::Accepted, Verdict::Refused, Verdict::Accepted]);
    assert_eq!(lines[1].reason.as_deref(), Some("E-07"));
    let some = answer(&[row(101, "1", ""), row(102, "2", "")]);
    assert!(
        matches!(status(&some), Judgement::Lines { complete: false, lines } if lines.len() == 1)
    );
    assert_eq!(status(&answer(&[row(101, "2", "")])), Judgement::Pending);
    assert_eq!(status(&answer(&[])), Judgement::Pending);
}

#[test]
fn a_status_answer_of_other_records_closes_nothing() {
    assert_eq!(status(&answer(&[row(999, "1", "")])), Judgement::Conflict("not-a-member"));
    let twice = answer(&[row(101, "1", ""), row(101, "0", "E-07")]);
    assert_eq!(status(&twice), Judgement::Invalid("repeated-record"));
    let foreign =
        answer(&[row(101, "1", "")]).replace(&MESSAGE.to_string(), &Uuid::nil().to_string());
    assert_eq!(status(&foreign), Judgement::Foreign);
    assert_eq!(status("[]"), Judgement::Invalid("no-message-id"));
    assert_eq!(status("<html>"), Judgement::Invalid("not-json"));
}

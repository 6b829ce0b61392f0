use std::fs;
use std::path::Path;

use askama::Template;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use uuid::Uuid;

use super::figures::{DestinationFigures, Figures, Row};
use super::http::operator;
use super::page::{AnswerPage, BatchPage, OfficerPage, PublicPage, View, pretty, shape_of};
use super::store::{BatchLine, RuleCount, Span, Waiting};
use super::*;
use crate::outbox::store::BatchCount;
use crate::platform::config::Tables;
use crate::platform::problem::Problem;
use crate::platform::texts::{Bilingual, Lang};
use crate::query::answer::vietnam_day;
use crate::query::{Answer, Catalogue, Verdict, YearAnswer};
use crate::transcript::{Field, Fields, Transcript};

const SETTINGS: Settings = Settings {
    figures_cache_ms: 0,
    refresh_ms: 5_000,
    error_days: 7,
    lines_max: 20,
    form_bytes_max: 16_384,
};

fn at() -> Timestamp {
    "2026-06-01T05:46:32Z".parse().unwrap()
}

fn view(lang: Lang) -> View {
    View { lang, explicit: lang == Lang::En }
}

fn row(id: i32, code: &str, name: &str, received: u64) -> Row {
    let rejected = received / 60;
    let held = received / 200;
    let in_flight = received / 20;
    let refused = received / 900;
    let accepted = received - rejected - held;
    Row {
        participant_id: Some(id),
        code: code.to_owned(),
        name: name.to_owned(),
        received,
        duplicates: received / 500,
        rejected,
        held,
        accepted,
        sealed: accepted,
        submitted: accepted - in_flight / 2,
        acknowledged: accepted - in_flight - refused,
        refused,
        in_flight,
        parked: 0,
        superseded: 0,
    }
}

fn spans(count: i64, hours: i64) -> Vec<Span> {
    (0..count)
        .map(|index| {
            let wave = u64::try_from((index * 37) % 23).unwrap() * 4_210;
            Span {
                from: at() - SignedDuration::from_hours((count - index) * hours),
                received: wave,
                accepted: wave - wave / 50,
                stopped: wave / 50,
                closed: wave * 9 / 10,
            }
        })
        .collect()
}

fn batch(id: u128) -> BatchLine {
    BatchLine {
        participant_id: 2,
        batch_id: Uuid::from_u128(0x019a_0000_7000_8000_0000_0000_0000_0000 + id),
        received_at: at(),
        finished_at: Some(at()),
        format: "content".to_owned(),
        body_bytes: 7_340_032,
        state: "DONE".to_owned(),
        announced: 500,
        received: 498,
        duplicates: 2,
        rejected: 9,
        held: 3,
        accepted: 486,
    }
}

fn rule(rule: &str, severity: &str, vi: &str, en: &str) -> RuleCount {
    RuleCount {
        rule: rule.to_owned(),
        severity: severity.to_owned(),
        records: 1_204,
        last_at: at(),
        message: json!({"vi": vi, "en": en}),
    }
}

fn figures() -> Figures {
    let rows = vec![
        row(1, "01", "Hà Nội", 1_284_310),
        row(2, "79", "Thành phố Hồ Chí Minh", 1_902_557),
        row(3, "20", "Lạng Sơn", 142_006),
        row(4, "46", "Thừa Thiên Huế", 0),
    ];
    let mut total = Row::default();
    for line in &rows {
        total.received += line.received;
        total.duplicates += line.duplicates;
        total.rejected += line.rejected;
        total.held += line.held;
        total.accepted += line.accepted;
        total.sealed += line.sealed;
        total.submitted += line.submitted;
        total.acknowledged += line.acknowledged;
        total.refused += line.refused;
        total.in_flight += line.in_flight;
    }
    Figures {
        counted_at: at().to_string(),
        destinations: vec![DestinationFigures {
            name: "national".to_owned(),
            balanced: Some(total.received == total.accounted()),
            total,
            rows,
            oldest_ready_s: Some(4_140),
            halted: false,
            halted_reason: None,
            batches: vec![
                BatchCount {
                    destination: "national".to_owned(),
                    state: "RETRY_WAIT".to_owned(),
                    reason: Some("refused-load".to_owned()),
                    batches: 41,
                    next_at: Some(at()),
                },
                BatchCount {
                    destination: "national".to_owned(),
                    state: "IN_DOUBT".to_owned(),
                    reason: None,
                    batches: 2,
                    next_at: None,
                },
            ],
        }],
        hours: spans(24, 1),
        days: spans(14, 24),
        waiting: Waiting {
            batches_to_process: 17,
            oldest_to_process_s: Some(38),
            attempts_max: 6,
            oldest_to_deliver_s: Some(7_500),
        },
        rules: vec![
            rule(
                "TT27.year-result",
                "error",
                "Kết quả năm học không đúng với mức đạt được của các môn học.",
                "The year result does not follow from the subjects' levels.",
            ),
            rule(
                "person.number-missing",
                "hold",
                "Chưa có số định danh cá nhân của học sinh.",
                "The pupil's personal number is missing.",
            ),
        ],
        batches: vec![batch(1), batch(2)],
    }
}

// Rendered pages are kept below the build folder, so that a browser can look at them.
fn keep(name: &str, html: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/pages");
    fs::create_dir_all(folder.join("assets")).unwrap();
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/dashboard/pages/assets");
    for file in fs::read_dir(pages).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), folder.join("assets").join(file.file_name())).unwrap();
    }
    let local = html.replace("\"/assets/", "\"assets/");
    fs::write(folder.join(name), local).unwrap();
}

#[test]
fn the_operators_page_shows_every_figure_in_both_languages() {
    let figures = figures();
    for (lang, file, number) in
        [(Lang::Vi, "operator.html", "1.284.310"), (Lang::En, "operator.en.html", "1,284,310")]
    {
        let html = operator(&figures, &SETTINGS, view(lang)).render().unwrap();
        keep(file, &html);
        assert!(html.contains(number), "{file}");
        assert!(html.contains("Hà Nội") && html.contains("TT27.year-result"));
        assert!(html.contains(r#"class="balance yes""#));
        assert!(!html.contains("dashboard."), "a text is missing: {file}");
        assert!(!html.contains("style="), "inline style breaks the policy");
    }
}

#[test]
fn a_broken_balance_is_shown_as_one() {
    let mut figures = figures();
    figures.destinations[0].balanced = Some(false);
    let html = operator(&figures, &SETTINGS, view(Lang::Vi)).render().unwrap();
    assert!(html.contains(r#"class="balance no""#));
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let mut figures = figures();
    let evil = "<script>alert(1)</script>\"'";
    figures.rules[0].rule = evil.to_owned();
    figures.rules[0].message = json!({"vi": evil, "en": evil});
    figures.destinations[0].rows[0].name = evil.to_owned();
    figures.destinations[0].name = evil.to_owned();
    let html = operator(&figures, &SETTINGS, view(Lang::Vi)).render().unwrap();
    assert!(!html.contains("<script>alert") && html.contains("&#60;script&#62;alert"));
    assert!(shape_of(&figures).contains(evil));
    let attribute = html.split("data-shape=\"").nth(1).unwrap();
    assert!(attribute.split('"').next().unwrap().contains("&#60;script"));
}

#[test]
fn a_batch_has_its_page() {
    let rules = figures().rules;
    let page = BatchPage {
        view: view(Lang::Vi),
        batch: &batch(1),
        province: "Thành phố Hồ Chí Minh",
        rules: &rules,
    };
    let html = page.render().unwrap();
    keep("batch.html", &html);
    assert!(html.contains("Đã xử lý") && html.contains("7.340.032"));
    assert!(!html.contains("dashboard."));
}

fn answer() -> Answer {
    let mut general = Fields::default();
    general.set(Field::SchoolName, "Trường THCS Thử <b>Nghiệm</b>");
    general.set(Field::Grade, "9");
    general.set(Field::StudyYear, "T");
    let mut mark = Fields::default();
    mark.set(Field::SubjectName, "Toán");
    mark.set(Field::SubjectYear, "8.5");
    let text = Bilingual {
        vi: "Hợp lệ: đúng chữ ký, còn hiệu lực, đủ thông tin, đúng người.".to_owned(),
        en: "Valid.".to_owned(),
    };
    let year = |name: &str, verdict, transcript| YearAnswer {
        school_year: name.to_owned(),
        verdict,
        text: text.clone(),
        missing: Vec::new(),
        received_at: Some(at()),
        transcript,
    };
    Answer {
        kind: "hocba-answer-1",
        answer_id: Uuid::nil(),
        answered_at: at(),
        request_sha256: "00".repeat(32),
        agency: 7,
        officer: Uuid::nil(),
        procedure: "3.000181".to_owned(),
        case: "H01.23.45-260601-0001".to_owned(),
        level: Some("thcs"),
        verdict: Verdict::NotFound,
        text: Bilingual {
            vi: "Không tìm thấy học bạ số cho ít nhất một năm học.".to_owned(),
            en: "Not found.".to_owned(),
        },
        supplement: Some(text.clone()),
        years: vec![
            year("2024-2025", Verdict::NotFound, None),
            year(
                "2025-2026",
                Verdict::Valid,
                Some(Transcript { general, subjects: vec![mark], ..Transcript::default() }),
            ),
        ],
        leaf_hash: "00".repeat(32),
        signature: Some("header..signature".to_owned()),
    }
}

#[test]
fn an_answer_is_shown_with_its_words_and_escaped() {
    let answer = answer();
    let json = pretty(&answer);
    let page = AnswerPage { view: view(Lang::Vi), answer: &answer, json: &json };
    let html = page.render().unwrap();
    keep("answer.html", &html);
    assert!(html.contains("Không tìm thấy") && html.contains("Toán") && html.contains("8.5"));
    assert!(!html.contains("<b>Nghiệm") && !html.contains("dashboard."));
}

#[test]
fn the_officers_form_lists_the_procedures_and_the_reason_of_a_refusal() {
    let catalogue = Catalogue::load(&Tables::default()).unwrap();
    let refusal = Problem::new(403, "way-not-permitted", &[]);
    let page = OfficerPage {
        view: view(Lang::Vi),
        procedures: catalogue.procedures_on(vietnam_day(at())).collect(),
        levels: ["tieu_hoc", "thcs", "thpt"],
        refusal: Some(&refusal),
    };
    let html = page.render().unwrap();
    keep("officer.html", &html);
    assert_eq!(html.matches("<option value=\"").count(), 10 + 1 + 3);
    assert!(html.contains("Tuyển sinh trung học phổ thông") && html.contains("role=\"alert\""));
    assert!(!html.contains("dashboard."));
}

#[test]
fn the_public_page_speaks_both_languages_and_asks_for_nothing() {
    let html = PublicPage::new().render().unwrap();
    keep("public.html", &html);
    assert!(html.contains("lang=\"vi\"") && html.contains("lang=\"en\""));
    assert!(!html.contains("<input") && !html.contains("page."));
}

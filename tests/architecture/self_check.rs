//! Proves on small made-up sources that the checks see what they must see and nothing else.

use super::*;

/// A root with the given files.
fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    read_all(folder.path(), &["src"])
}

fn used(path: &str, text: &str) -> Vec<String> {
    let sources = sources(&[(path, text)]);
    let mut names: Vec<_> = used_modules(&sources[0]).into_iter().map(|(_, name)| name).collect();
    names.sort();
    names
}

#[test]
fn modules_are_found_in_paths_groups_and_supers() {
    let text = "use crate::{a::{x, y}, b};\nfn f() { crate::c::g(); hocba::d::g() }\n";
    assert_eq!(used("src/m/mod.rs", text), ["a", "b", "c", "d"]);
    assert_eq!(used("src/m/mod.rs", "use super::e::f;"), ["e"]);
    assert_eq!(used("src/m/n.rs", "use super::e::f;\nuse super::super::g;"), ["g"]);
}

#[test]
fn comments_strings_and_tests_do_not_count() {
    let text = "// crate::a\n/* crate::b /* */ crate::c */\nconst X: &str = \"crate::d\";\n\
                const Y: &str = r#\"\"crate::e\"#;\nconst Q: char = '\"';\n\
                fn f<'a>(x: &'a str) -> &'a str { crate::g::h(x) }\n\
                #[cfg(test)]\nmod tests {\n use crate::i;\n fn f() { { } }\n}\nuse crate::j;\n";
    assert_eq!(used("src/m/mod.rs", text), ["g", "j"]);
}

#[test]
fn files_brought_in_for_tests_only_are_tests() {
    let files = [
        ("src/m/mod.rs", "#[cfg(test)]\nmod tests;\nmod n;\n"),
        ("src/m/n.rs", "use crate::a;\n#[cfg(test)]\nmod made_up;\n"),
        ("src/m/n/made_up.rs", "use crate::b;\n"),
        ("src/m/tests.rs", "use crate::c;\n"),
    ];
    let all: Vec<_> = sources(&files).iter().flat_map(used_modules).collect();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].1, "a");
}

#[test]
fn functions_are_measured_from_name_to_closing_bracket() {
    let text = "trait T {\n fn a(&self) -> [u8; 4];\n fn b() {\n let x = '}';\n }\n}\n\
                fn c(\n x: fn(u8) -> u8,\n) -> u8\nwhere\n u8: Copy,\n{\n x(1)\n}\n";
    let sources = sources(&[("src/m.rs", text)]);
    let found = sources[0].functions();
    let found: Vec<_> = found
        .iter()
        .map(|function| (function.name.as_str(), function.line, function.lines))
        .collect();
    assert_eq!(found, [("b", 3, 3), ("c", 7, 8)]);
}

#[test]
fn statements_are_told_from_sentences() {
    assert!(is_sql("SELECT id FROM t"));
    assert!(is_sql("\n  WITH x AS (SELECT 1) INSERT INTO t TABLE x"));
    assert!(is_sql("UPDATE t SET a = 1"));
    assert!(!is_sql("Select a province"));
    assert!(!is_sql("UPDATE the record"));
}

#[test]
fn the_key_of_a_text_is_read_wherever_it_stands() {
    let text =
        "fn f() { texts::text(lang(1, \"no\"), \"a.b\", &[(\"x\", \"y\")]); both(key, &[]) }";
    let sources = sources(&[("src/m.rs", text)]);
    let argument = |call: &str, position| {
        let open = sources[0].words(call).next().unwrap() + call.len() - 1;
        literal_argument(&sources[0], open, position).map(str::to_owned)
    };
    assert_eq!(argument("text(", 1).as_deref(), Some("a.b"));
    assert_eq!(argument("both(", 0), None);
}

#[test]
fn an_opening_is_one_sentence() {
    assert!(is_one_sentence("Reads files (RFC 9457)."));
    assert!(!is_one_sentence("reads files."));
    assert!(!is_one_sentence("Reads files"));
    assert!(!is_one_sentence("Reads files. Writes them."));
    assert!(!is_one_sentence(""));
}

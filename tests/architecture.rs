//! Holds the laws of the architecture and the rules of the house over the sources themselves.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

#[path = "architecture/source.rs"]
mod source;

use source::{Source, closing, files, identifier, read_all, relative};

/// Modules that come last and may use all others.
const LAST: [&str; 3] = ["pipeline", "commands", "app"];

/// Names that say nothing.
const EMPTY_NAMES: [&str; 11] = [
    "util", "utils", "common", "helper", "helpers", "misc", "shared", "manager", "handler",
    "handlers", "core",
];

const FILE_BYTES_MAX: usize = 24 * 1024;
const FUNCTION_LINES_MAX: usize = 70;
/// A test may tell a longer story, and a table of cases is read line by line.
const TEST_LINES_MAX: usize = 100;

/// Functions that may be longer, as `path:name`, with the reason.
const LONG_FUNCTIONS: [(&str, &str); 1] = [(
    "src/signature/tests/mutants.rs:the_inside_of_a_signature_is_held_to_its_shape",
    "a table of mutated signatures",
)];

fn root() -> PathBuf {
    // Set by cargo when it runs tests.
    std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from)
}

fn product() -> Vec<Source> {
    let sources = read_all(&root(), &["src"]);
    assert!(!sources.is_empty(), "no sources below {}", root().display());
    sources
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[track_caller]
fn hold(law: &str, broken: Vec<String>) {
    assert!(broken.is_empty(), "{law}\n  {}\n{} places", broken.join("\n  "), broken.len());
}

/// The modules of `lib.rs` in their order.
fn order(sources: &[Source]) -> Vec<String> {
    let library = sources.iter().find(|source| source.path == "src/lib.rs");
    let library = library.expect("there is a src/lib.rs");
    let modules = library.product_words("mod");
    modules.map(|at| identifier(&library.code[at + 3..]).to_owned()).collect()
}

/// The modules of the crate that `source` names outside tests, with their places.
fn used_modules(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for at in source.product_words("crate::").chain(source.product_words("hocba::")) {
        found.extend(heads(&source.code, at + "crate::".len()));
    }
    for at in source.product_words("super::") {
        let before = source.code[..at].trim_end();
        if before.ends_with("super::") {
            continue;
        }
        let mut after = at;
        let mut levels = 0;
        while source.code[after..].starts_with("super::") {
            after += "super::".len();
            levels += 1;
        }
        if levels >= source.depth() {
            found.extend(heads(&source.code, after));
        }
    }
    found
}

/// The first names of the path, or of every path of the group, that begins at `at`.
fn heads(code: &str, at: usize) -> Vec<(usize, String)> {
    let start = at + code[at..].len() - code[at..].trim_start().len();
    if !code[start..].starts_with('{') {
        return vec![(at, identifier(&code[at..]).to_owned())];
    }
    let end = closing(code, start) - 1;
    let mut found = Vec::new();
    let mut depth = 0;
    let mut begins = true;
    for (offset, byte) in code.bytes().enumerate().take(end).skip(start + 1) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            b',' if depth == 0 => begins = true,
            byte if begins && source::is_word(byte) => {
                found.push((offset, identifier(&code[offset..]).to_owned()));
                begins = false;
            }
            _ => {}
        }
    }
    found
}

#[test]
fn a_module_uses_only_modules_listed_above_it() {
    let sources = product();
    let order = order(&sources);
    let rank = |name: &str| order.iter().position(|listed| listed == name);
    let mut broken = Vec::new();
    for source in &sources {
        let Some(own) = source.module() else { continue };
        if LAST.contains(&own) {
            continue;
        }
        let Some(own_rank) = rank(own) else {
            broken.push(format!("{}: {own} is not listed in src/lib.rs", source.path));
            continue;
        };
        for (at, used) in used_modules(source) {
            if rank(&used).is_some_and(|used_rank| used_rank > own_rank) {
                let place = source.place(at);
                broken.push(format!("{place}: {own} uses {used}, listed below it"));
            }
        }
    }
    hold("Law 1: a module uses only the modules src/lib.rs lists above it.", broken);
}

#[test]
fn what_puts_the_parts_together_comes_last() {
    let order = order(&product());
    let first_last = order.iter().position(|name| LAST.contains(&name.as_str()));
    let broken = order
        .iter()
        .skip(first_last.unwrap_or(order.len()))
        .filter(|name| !LAST.contains(&name.as_str()))
        .map(|name| format!("src/lib.rs: {name} stands below one of {LAST:?}"))
        .collect();
    hold("Law 1: pipeline, the command line and app come last.", broken);
    let unsorted = read(".rustfmt.toml").contains("reorder_modules = false");
    assert!(
        unsorted,
        ".rustfmt.toml: reorder_modules = false is needed, or rustfmt sorts the list"
    );
}

/// Whether the file is, or lies below, `folder/stem` of some module: `*/store.rs` or `*/store/…`.
fn is_door(path: &str, stem: &str) -> bool {
    path.ends_with(&format!("/{stem}.rs")) || path.contains(&format!("/{stem}/"))
}

fn below(path: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| path.starts_with(prefix))
}

/// The places outside tests where one of `words` stands in files that `permitted` does not take.
fn outside(words: &[&str], permitted: impl Fn(&str) -> bool) -> Vec<String> {
    let mut broken = Vec::new();
    for source in product().iter().filter(|source| !permitted(&source.path)) {
        for word in words {
            for at in source.product_words(word) {
                if source.code[..at].ends_with("self") {
                    continue; // a method of ours that is called as one of the library
                }
                broken.push(format!("{}: {word}", source.place(at)));
            }
        }
    }
    broken
}

#[test]
fn the_web_library_stays_behind_its_door() {
    let words = ["actix_web", "actix_http", "actix_tls", "utoipa_actix_web"];
    let broken = outside(&words, |path| {
        is_door(path, "http") || below(path, &["src/platform/", "src/app", "src/main.rs"])
    });
    hold("Law 2: actix_web only in */http.rs, platform/ and app.", broken);
}

#[test]
fn the_http_client_stays_behind_its_door() {
    let broken = outside(&["reqwest"], |path| {
        below(path, &["src/submit/", "src/platform/", "src/commands/"])
    });
    hold("Law 2: reqwest only in submit/, platform/ and commands/.", broken);
}

#[test]
fn private_keys_stay_behind_their_doors() {
    let words = [
        "PrivateKeyDer",
        "PrivatePkcs8KeyDer",
        "EcdsaKeyPair",
        "Ed25519KeyPair",
        "RsaKeyPair",
        "KeyPair",
        "Pkcs12",
        "PKey::private",
        "private_key_from_pem",
        "private_key_from_der",
        "private_key_from_pkcs8",
        "from_pkcs8",
    ];
    let doors =
        ["src/seal/", "src/vault/", "src/platform/tls", "src/synthetic/", "src/commands/pki"];
    let broken = outside(&words, |path| below(path, &doors));
    hold(
        "Law 2: private keys only in seal/, vault/, platform/tls, synthetic/ and commands/pki.",
        broken,
    );
}

/// Whether a string is a statement for the database, not a sentence for people.
fn is_sql(text: &str) -> bool {
    let text = text.trim_start();
    let starts = |word: &str| text.starts_with(word);
    let has = |word: &str| text.contains(word);
    starts("SELECT ")
        || starts("INSERT INTO ")
        || starts("DELETE FROM ")
        || starts("COPY ")
        || starts("TRUNCATE ")
        || (starts("UPDATE ") && has("SET "))
        || (starts("WITH ") && has("SELECT "))
}

#[test]
fn sql_stays_behind_its_door() {
    let calls = [
        ".query(&",
        ".query_one(",
        ".query_opt(",
        ".query_raw(",
        ".query_typed(",
        ".simple_query(",
        ".batch_execute(",
        ".execute(",
        ".copy_in(",
        ".copy_out(",
        ".prepare_cached(",
    ];
    let permitted = |path: &str| is_door(path, "store") || below(path, &["src/platform/"]);
    let mut broken = outside(&calls, permitted);
    for source in product().iter().filter(|source| !permitted(&source.path)) {
        let statements = source.literals.iter().filter(|literal| is_sql(&literal.text));
        for literal in statements.filter(|literal| !source.in_tests(literal.offset)) {
            let start: String = literal.text.trim_start().chars().take(40).collect();
            broken.push(format!("{}: \"{start}…\"", source.place(literal.offset)));
        }
    }
    hold("Law 2: SQL only in */store.rs and platform/.", broken);
}

#[test]
fn no_name_is_empty() {
    let root = root();
    let mut broken = BTreeSet::new();
    let folders = ["src", "tests", "config", "schemas", "scripts", "helm", "bench"];
    for path in folders.iter().flat_map(|folder| files(&root.join(folder))) {
        let path = relative(&root, &path);
        let stems =
            path.split('/').filter_map(|part| part.trim_start_matches('_').split('.').next());
        for stem in stems {
            if stem.split(['_', '-']).any(|word| EMPTY_NAMES.contains(&word)) {
                broken.insert(format!("{path}: the name {stem}"));
            }
        }
    }
    for source in read_all(&root, &["src", "tests"]) {
        for at in source.words("mod") {
            let name = identifier(&source.code[at + 3..]);
            if EMPTY_NAMES.contains(&name) {
                broken.insert(format!("{}: the module {name}", source.place(at)));
            }
        }
        for function in source.functions() {
            let says_nothing =
                ["get_", "do_", "process_"].iter().any(|empty| function.name.starts_with(empty));
            if says_nothing && !source.in_tests(function.offset) && function.name != "process_id" {
                broken.insert(format!(
                    "{}:{}: the function {}",
                    source.path, function.line, function.name
                ));
            }
        }
    }
    hold("Law 3: names say what a thing is.", broken.into_iter().collect());
}

/// The sentence of the `//!` lines a file opens with.
fn opening(text: &str) -> String {
    text.lines()
        .map_while(|line| line.strip_prefix("//!"))
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" ")
}

fn is_one_sentence(text: &str) -> bool {
    let capital = text.chars().next().is_some_and(char::is_uppercase);
    let mut rest = text.match_indices(". ");
    let second = rest.any(|(at, _)| text[at + 2..].chars().next().is_some_and(char::is_uppercase));
    capital && text.ends_with('.') && !second
}

#[test]
fn each_file_opens_with_one_sentence_and_is_short() {
    let mut broken = Vec::new();
    for source in read_all(&root(), &["src", "tests", "bench"]) {
        if !is_one_sentence(&opening(&source.text)) {
            broken.push(format!("{}:1: opens without one `//!` sentence", source.path));
        }
        if source.text.len() > FILE_BYTES_MAX {
            let bytes = source.text.len();
            broken.push(format!("{}:1: {bytes} bytes, {FILE_BYTES_MAX} permitted", source.path));
        }
    }
    hold("House: one opening sentence, at most 24 KB.", broken);
}

#[test]
fn functions_fit_on_a_screen() {
    let mut broken = Vec::new();
    let mut excused = BTreeSet::new();
    for source in read_all(&root(), &["src", "tests", "bench"]) {
        for function in source.functions() {
            let lines_max = match source.in_tests(function.offset) {
                true => TEST_LINES_MAX,
                false => FUNCTION_LINES_MAX,
            };
            if function.lines <= lines_max {
                continue;
            }
            let key = format!("{}:{}", source.path, function.name);
            if LONG_FUNCTIONS.iter().any(|(listed, _)| *listed == key) {
                excused.insert(key);
                continue;
            }
            let (line, name, lines) = (function.line, function.name, function.lines);
            broken.push(format!(
                "{}:{line}: {name} has {lines} lines, {lines_max} permitted",
                source.path
            ));
        }
    }
    for (listed, _) in LONG_FUNCTIONS {
        let exists = listed.split(':').next().is_some_and(|path| root().join(path).exists());
        if exists && !excused.contains(listed) {
            broken.push(format!("{listed} needs no exception any more"));
        }
    }
    hold("House: a function fits on a screen.", broken);
}

#[test]
fn nothing_is_left_unfinished() {
    let words = ["todo!", "unimplemented!", "dbg!", "#[ignore"];
    let mut broken = Vec::new();
    for source in read_all(&root(), &["src", "tests", "bench"]) {
        for word in words {
            broken.extend(source.words(word).map(|at| format!("{}: {word}", source.place(at))));
        }
    }
    let prints = ["println!", "print!", "eprintln!", "eprint!"];
    broken.extend(outside(&prints, |path| below(path, &["src/commands/", "src/main.rs"])));
    hold("House: nothing unfinished, and only the command line prints.", broken);
}

/// The keys of `config/texts`, as `<file>.<key>`.
fn text_keys() -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for path in files(&root().join("config/texts")) {
        let file = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_to_string(&path).unwrap();
        let table: BTreeMap<String, toml::Value> =
            toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        keys.extend(table.keys().map(|key| format!("{file}.{key}")));
    }
    keys
}

/// The literal that is argument `position` of the call whose bracket opens at `open`.
fn literal_argument(source: &Source, open: usize, position: usize) -> Option<&str> {
    let end = closing(&source.code, open);
    let mut depth = 0;
    let mut commas = 0;
    for (at, byte) in source.code.bytes().enumerate().take(end).skip(open + 1) {
        match byte {
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            b',' if depth == 0 => commas += 1,
            b'"' if depth == 0 && commas == position => {
                let literal = source.literals.iter().find(|literal| literal.offset == at + 1);
                return literal.map(|literal| literal.text.as_str());
            }
            byte if byte.is_ascii_whitespace() => {}
            _ if commas == position && depth == 0 => return None,
            _ => {}
        }
    }
    None
}

#[test]
fn every_text_of_the_source_stands_in_the_catalogue() {
    let keys = text_keys();
    // The call, which argument is the key, and what is put around it.
    type Call = (&'static str, usize, &'static [(&'static str, &'static str)]);
    let calls: [Call; 4] = [
        ("both(", 0, &[("", "")]),
        ("text(", 1, &[("", "")]),
        ("has(", 0, &[("", "")]),
        ("Problem::new(", 1, &[("problem.", ".title"), ("problem.", ".detail")]),
    ];
    let mut broken = Vec::new();
    for source in product() {
        for (call, position, forms) in calls {
            for at in source.product_words(call) {
                let open = at + call.len() - 1;
                let Some(key) = literal_argument(&source, open, position) else {
                    continue;
                };
                if call != "Problem::new(" && !key.contains('.') {
                    continue; // another function of the same name
                }
                for (before, after) in forms {
                    let full = format!("{before}{key}{after}");
                    if !keys.contains(&full) {
                        broken.push(format!("{}: {full} is not in config/texts", source.place(at)));
                    }
                }
            }
        }
    }
    hold("House: every sentence for people stands in config/texts.", broken);
}

#[test]
fn every_setting_is_explained() {
    let text = read("config/default.toml");
    let mut broken = Vec::new();
    let mut depth = 0i32;
    let mut before = "";
    for (number, line) in text.lines().enumerate() {
        let bare = line.trim();
        let is_key = depth == 0 && !bare.starts_with(['#', '[']) && bare.contains('=');
        if is_key && !before.starts_with('#') {
            let key = bare.split('=').next().unwrap_or_default().trim();
            broken.push(format!("config/default.toml:{}: {key} has no comment above", number + 1));
        }
        if !bare.starts_with('#') && (is_key || depth > 0) {
            depth += brackets(bare);
        }
        before = bare;
    }
    hold("House: every key of config/default.toml is explained above it.", broken);
}

/// How many more brackets the line opens than it closes, outside strings.
fn brackets(line: &str) -> i32 {
    let mut quoted = false;
    let mut depth = 0;
    for character in line.chars() {
        match character {
            '"' => quoted = !quoted,
            '#' if !quoted => break,
            '[' | '{' if !quoted => depth += 1,
            ']' | '}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    depth
}

#[test]
fn the_package_stays_one_without_features_and_without_unsafe_code() {
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    assert!(!manifest.contains_key("features"), "law 10: no cargo features of our own");
    assert!(!manifest.contains_key("workspace"), "one package, a library and a binary");
    let lints = &manifest["lints"]["rust"];
    assert_eq!(lints["unsafe_code"].as_str(), Some("forbid"), "unsafe code is forbidden");
    for name in ["rust-toolchain", "rust-toolchain.toml"] {
        let exists = Path::new(&root()).join(name).exists();
        assert!(!exists, "{name} would make rustup download another toolchain");
    }
}

#[cfg(test)]
#[path = "architecture/self_check.rs"]
mod self_check;

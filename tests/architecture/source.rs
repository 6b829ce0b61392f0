//! Reads Rust sources and tells code, comments, strings, tests and functions apart.

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A string literal and where its text begins.
pub struct Literal {
    pub offset: usize,
    pub text: String,
}

/// One Rust file.
pub struct Source {
    /// Path below the root of the repository, with `/`.
    pub path: String,
    pub text: String,
    /// The text with comments and the insides of literals blanked, byte for byte as long.
    pub code: String,
    pub literals: Vec<Literal>,
    /// Bytes of items under `#[cfg(test)]`; all of it in a file of tests.
    tests: Vec<Range<usize>>,
}

/// A function with a body.
pub struct Function {
    pub name: String,
    pub offset: usize,
    pub line: usize,
    pub lines: usize,
}

impl Source {
    fn read(root: &Path, path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let (code, literals) = blank(&text);
        let tests = test_items(&code);
        Self { path: relative(root, path), text, code, literals, tests }
    }

    /// The line of a byte, counted from 1.
    pub fn line(&self, offset: usize) -> usize {
        self.text.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// `path:line`, as editors and terminals open it.
    pub fn place(&self, offset: usize) -> String {
        format!("{}:{}", self.path, self.line(offset))
    }

    pub fn in_tests(&self, offset: usize) -> bool {
        self.tests.iter().any(|range| range.contains(&offset))
    }

    /// The module of `lib.rs` this file belongs to; none for `lib.rs` and `main.rs` themselves.
    pub fn module(&self) -> Option<&str> {
        let below = self.path.strip_prefix("src/")?;
        let first = below.split('/').next()?;
        let name = first.trim_end_matches(".rs");
        (!matches!(name, "lib" | "main")).then_some(name)
    }

    /// How many modules stand above the items of this file: 1 in `src/a.rs` and `src/a/mod.rs`.
    pub fn depth(&self) -> usize {
        let parts = self.path.trim_end_matches("/mod.rs").split('/').count();
        parts.saturating_sub(1)
    }

    /// Where `word` stands in the code as a whole word.
    pub fn words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.code.match_indices(word).filter_map(move |(at, _)| {
            let code = self.code.as_bytes();
            let starts = at == 0 || !is_word(code[at - 1]) || !is_word(word.as_bytes()[0]);
            let end = at + word.len();
            let last = word.as_bytes()[word.len() - 1];
            let ends = !is_word(last) || code.get(end).is_none_or(|byte| !is_word(*byte));
            (starts && ends).then_some(at)
        })
    }

    /// The same, outside tests.
    pub fn product_words<'a>(&'a self, word: &'a str) -> impl Iterator<Item = usize> + 'a {
        self.words(word).filter(|at| !self.in_tests(*at))
    }

    pub fn functions(&self) -> Vec<Function> {
        let mut found = Vec::new();
        for at in self.words("fn") {
            let name = identifier(&self.code[at + 2..]);
            if name.is_empty() {
                continue; // a type such as `fn(u8) -> u8`
            }
            let Some(end) = body_end(&self.code, at) else {
                continue; // a declaration without a body
            };
            found.push(Function {
                name: name.to_owned(),
                offset: at,
                line: self.line(at),
                lines: self.line(end) - self.line(at) + 1,
            });
        }
        found
    }
}

/// Read every Rust file of `folders`, knowing which of them hold tests only.
pub fn read_all(root: &Path, folders: &[&str]) -> Vec<Source> {
    let mut sources: Vec<Source> = folders
        .iter()
        .flat_map(|folder| files(&root.join(folder)))
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| Source::read(root, &path))
        .collect();
    let test_only: Vec<String> = sources.iter().flat_map(test_files).collect();
    for source in &mut sources {
        let path = source.path.trim_end_matches(".rs");
        let below = |stem: &String| path == stem || path.starts_with(&format!("{stem}/"));
        if !source.path.starts_with("src/") || test_only.iter().any(below) {
            source.tests = std::iter::once(0..source.text.len()).collect();
        }
    }
    sources
}

/// Every file below `folder`, sorted; nothing where the folder is not.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The path below `root`, with `/`.
pub fn relative(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.to_string_lossy().replace('\\', "/")
}

pub fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The identifier `text` begins with, after white space; empty where there is none.
pub fn identifier(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.bytes().position(|byte| !is_word(byte)).unwrap_or(text.len());
    &text[..end]
}

/// The byte after the bracket that closes the one at `open`.
pub fn closing(code: &str, open: usize) -> usize {
    let mut depth = 0usize;
    for (at, byte) in code.bytes().enumerate().skip(open) {
        match byte {
            b'{' | b'(' | b'[' => depth += 1,
            b'}' | b')' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => {}
        }
    }
    code.len()
}

/// The last byte of the body of the item that begins at `from`; none where it ends with `;`.
fn body_end(code: &str, from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(byte) = code.as_bytes().get(at) {
        match byte {
            b'(' | b'[' => at = closing(code, at),
            b'{' => return Some(closing(code, at) - 1),
            b';' => return None,
            _ => at += 1,
        }
    }
    None
}

fn test_items(code: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for (at, attribute) in code.match_indices("#[cfg(test)]") {
        let mut start = at + attribute.len();
        while code[start..].trim_start().starts_with("#[") {
            start = closing(code, start + code[start..].find('[').unwrap_or(0));
        }
        let end = body_end(code, start)
            .or_else(|| code[start..].find(';').map(|length| start + length))
            .unwrap_or(code.len());
        found.push(at..end + 1);
    }
    found
}

/// Stems of the files that `#[cfg(test)] mod name;` in `source` brings in.
fn test_files(source: &Source) -> Vec<String> {
    let stem = source.path.trim_end_matches(".rs");
    let folder = match stem.rsplit_once('/') {
        Some((folder, "mod" | "lib" | "main")) => folder,
        _ => stem,
    };
    source
        .tests
        .iter()
        .filter_map(|range| {
            let item = &source.code[range.clone()];
            let after = item.split_once("mod ")?.1;
            let name = identifier(after);
            after[name.len()..].trim_start().starts_with(';').then(|| format!("{folder}/{name}"))
        })
        .collect()
}

/// Blank comments and the insides of literals, keeping every byte's place and line.
fn blank(text: &str) -> (String, Vec<Literal>) {
    let bytes = text.as_bytes();
    let mut code = bytes.to_vec();
    let mut literals = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let after_word = at > 0 && is_word(bytes[at - 1]);
        let (inside, next) = if rest.starts_with(b"//") {
            let length = rest.iter().position(|byte| *byte == b'\n');
            let end = at + length.unwrap_or(rest.len());
            (at..end, end)
        } else if rest.starts_with(b"/*") {
            let end = comment_end(bytes, at);
            (at..end, end)
        } else if let Some((start, end, next)) = string_at(bytes, at, after_word) {
            literals.push(Literal { offset: start, text: text[start..end].to_owned() });
            (start..end, next)
        } else if let Some(next) = character_end(text, at) {
            (at + 1..next - 1, next)
        } else {
            (at..at, at + 1)
        };
        for byte in &mut code[inside] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = next;
    }
    (String::from_utf8(code).unwrap(), literals)
}

fn comment_end(bytes: &[u8], from: usize) -> usize {
    let mut depth = 0;
    let mut at = from;
    while at < bytes.len() {
        if bytes[at..].starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if bytes[at..].starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    bytes.len()
}

/// Start and end of the text of the string that begins at `at`, and the byte after it.
fn string_at(bytes: &[u8], at: usize, after_word: bool) -> Option<(usize, usize, usize)> {
    let mut open = at;
    let mut hashes = None;
    if !after_word {
        if matches!(bytes[open], b'b' | b'c') {
            open += 1;
        }
        if bytes.get(open) == Some(&b'r') {
            let count = bytes[open + 1..].iter().take_while(|byte| **byte == b'#').count();
            open += 1 + count;
            hashes = Some(count);
        }
    }
    if bytes.get(open) != Some(&b'"') {
        return None;
    }
    let start = open + 1;
    let mut end = start;
    while end < bytes.len() {
        match (bytes[end], hashes) {
            (b'\\', None) => end += 1,
            (b'"', None) => return Some((start, end, end + 1)),
            (b'"', Some(count)) if bytes[end + 1..].starts_with(&b"#".repeat(count)) => {
                return Some((start, end, end + 1 + count));
            }
            _ => {}
        }
        end += 1;
    }
    Some((start, bytes.len(), bytes.len()))
}

/// The byte after the character literal at `at`; none where a lifetime or something else stands.
fn character_end(text: &str, at: usize) -> Option<usize> {
    let rest = text.get(at..)?.strip_prefix('\'')?;
    let mut characters = rest.char_indices();
    let (_, first) = characters.next()?;
    if first == '\\' {
        let close = rest[2..].find('\'')? + 2;
        return Some(at + 1 + close + 1);
    }
    let (next, second) = characters.next()?;
    (second == '\'').then_some(at + 1 + next + 1)
}

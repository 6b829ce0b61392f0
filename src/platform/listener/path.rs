//! Refuses request paths that could mean two things, before any decision looks at them (promise P34).

use unicode_normalization::is_nfc;

/// Tell whether `path` has exactly one reading: no `.` or `..` segment, no empty segment, no `;`, `\`
/// or control character, no percent-encoding of a character that could stand for itself or that
/// separates, and UTF-8 in NFC once decoded.
pub(super) fn is_canonical(path: &str) -> bool {
    if !path.starts_with('/') || path.contains("//") {
        return false;
    }
    if path.split('/').any(|segment| matches!(segment, "." | "..")) {
        return false;
    }
    let Some(decoded) = decode(path.as_bytes()) else {
        return false;
    };
    std::str::from_utf8(&decoded).is_ok_and(is_nfc)
}

fn decode(path: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (pair, tail) = rest.split_first_chunk::<2>()?;
                rest = tail;
                let value = hex(pair[0])? << 4 | hex(pair[1])?;
                if !may_be_encoded(value) {
                    return None;
                }
                decoded.push(value);
            }
            b';' | b'\\' => return None,
            _ if byte.is_ascii_control() => return None,
            _ => decoded.push(byte),
        }
    }
    Some(decoded)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

// `%` itself is refused too: it is the beginning of a double encoding.
fn may_be_encoded(value: u8) -> bool {
    let unreserved = value.is_ascii_alphanumeric() || b"-._~".contains(&value);
    let separates = b"/\\;%".contains(&value);
    !(unreserved || separates || value.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in [
            "/",
            "/v1/batches",
            "/v1/batches/0193a5c1-0000-7000-8000-000000000001",
            "/assets/app.js",
            "/a..b/.well-known/x",
            "/h%E1%BB%8Dc%20b%E1%BA%A1",
        ] {
            assert!(is_canonical(path), "{path}");
        }
    }

    #[test]
    fn tricks_are_refused() {
        for path in [
            "",
            "*",
            "v1",
            "/../etc",
            "/v1/..",
            "/v1/./x",
            "/v1//x",
            "//",
            "/v1/%2e%2e/x",
            "/v1/%2E",
            "/v1%2fx",
            "/v1%2Fx",
            "/v1%5cx",
            "/v1\\x",
            "/v1;a=b/x",
            "/v1%3bx",
            "/v1%00",
            "/v1\u{0}",
            "/v1%0a",
            "/v1%252e%252e",
            "/v1%252fx",
            "/%76%31/x",
            "/v1%",
            "/v1%2",
            "/v1%zz",
            "/v1%c0%af",
            "/v1%ff",
            "/o%CC%88",
        ] {
            assert!(!is_canonical(path), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn a_path_that_passes_decodes_to_no_separator_it_did_not_show(path in "/[a-z0-9./%;\\\\A-F]{0,24}") {
            if is_canonical(&path) {
                let decoded = decode(path.as_bytes()).unwrap();
                let slashes = |bytes: &[u8]| bytes.iter().filter(|byte| **byte == b'/').count();
                prop_assert_eq!(slashes(&decoded), slashes(path.as_bytes()));
                prop_assert!(!decoded.contains(&b'%'));
                prop_assert!(!decoded.split(|byte| *byte == b'/').any(|part| part == b".." || part == b"."));
            }
        }
    }
}

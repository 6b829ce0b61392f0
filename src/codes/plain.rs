//! Brings names to the form in which two spellings of one name are equal.

use std::borrow::Cow;

use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// Return `text` with case folded, tone marks in one place and spaces single.
///
/// `Hòa` equals `Hoà` and `THÚY` equals `Thuý`; `Hoa` differs from `Hòa`, and `Lý` from `Lí`.
/// The result is for comparing only, never for storing or sending.
pub fn plain(text: &str) -> String {
    let nfc = match is_nfc_quick(text.chars()) {
        IsNormalized::Yes => Cow::Borrowed(text),
        _ => Cow::Owned(text.nfc().collect::<String>()),
    };
    let mut folded = String::with_capacity(nfc.len());
    let mut space = false;
    let mut waiting: Option<char> = None;
    for next in nfc.chars().flat_map(char::to_lowercase) {
        if next.is_whitespace() {
            flush(&mut folded, &mut waiting);
            space = !folded.is_empty();
            continue;
        }
        if space {
            folded.push(' ');
            space = false;
        }
        match waiting.and_then(|first| moved(first, next)) {
            Some((first, second)) => {
                waiting = None;
                folded.push(first);
                folded.push(second);
            }
            None => {
                flush(&mut folded, &mut waiting);
                waiting = Some(next);
            }
        }
    }
    flush(&mut folded, &mut waiting);
    folded
}

/// Return the key under which a code list finds `text`: [`plain`], with hyphens as spaces and one kind of apostrophe.
pub(super) fn key(text: &str) -> String {
    let folded = plain(text);
    if !folded.contains(['-', '–', '’', '‘', '.', '_']) {
        return folded;
    }
    let mut key = String::with_capacity(folded.len());
    for letter in folded.chars() {
        match letter {
            '-' | '–' | '.' | '_' | ' ' => {
                if !key.is_empty() && !key.ends_with(' ') {
                    key.push(' ');
                }
            }
            '’' | '‘' => key.push('\''),
            other => key.push(other),
        }
    }
    key.truncate(key.trim_end().len());
    key
}

fn flush(folded: &mut String, waiting: &mut Option<char>) {
    if let Some(letter) = waiting.take() {
        folded.push(letter);
    }
}

const TONES: [[char; 6]; 5] = [
    ['o', 'ò', 'ó', 'ỏ', 'õ', 'ọ'],
    ['u', 'ù', 'ú', 'ủ', 'ũ', 'ụ'],
    ['a', 'à', 'á', 'ả', 'ã', 'ạ'],
    ['e', 'è', 'é', 'ẻ', 'ẽ', 'ẹ'],
    ['y', 'ỳ', 'ý', 'ỷ', 'ỹ', 'ỵ'],
];

// The pairs whose tone mark is written on either letter: oa, oe, uy. The second letter carries it here.
fn moved(first: char, second: char) -> Option<(char, char)> {
    let target = match second {
        'a' => 2,
        'e' => 3,
        'y' => 4,
        _ => return None,
    };
    let row = if second == 'y' { 1 } else { 0 };
    let tone = TONES[row].iter().position(|letter| *letter == first)?;
    (tone > 0).then(|| (TONES[row][0], TONES[target][tone]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_of_the_tone_mark_does_not_matter() {
        for (left, right) in [
            ("Hòa", "Hoà"),
            ("HÓA HỌC", "Hoá học"),
            ("Thúy Loe", "thuý  loe "),
            ("Khỏe", "khoẻ"),
            ("Ho\u{e0}", "Ho\u{61}\u{300}"),
            ("Nguye\u{302}\u{303}n", "Nguyễn"),
        ] {
            assert_eq!(plain(left), plain(right), "{left} {right}");
        }
    }

    #[test]
    fn letters_that_differ_stay_different() {
        for (left, right) in [("Hoa", "Hòa"), ("Lý", "Lí"), ("Dương", "Đương"), ("Thuy", "Thúy")]
        {
            assert_ne!(plain(left), plain(right), "{left} {right}");
        }
    }

    #[test]
    fn a_key_forgets_hyphens_and_kinds_of_apostrophe() {
        assert_eq!(key("Bru-Vân Kiều"), key("Bru - Vân Kiều"));
        assert_eq!(key("H’Mông"), key("h'mông"));
        assert_eq!(key("TP. Huế"), key("tp huế"));
        assert_eq!(key(""), "");
    }
}

//! Tests the content envelope with the annex's vector, broken and hostile envelopes.

use super::*;

const TEXT: &str = "<HOC_BA>Nguyễn</HOC_BA>";

fn decode(content: &[u8], quotes: Quotes, limit: u64) -> Result<String, EnvelopeError> {
    let mut text = String::new();
    match ContentReader::new(content, &settings(quotes, limit)).read_to_string(&mut text) {
        Ok(_) => Ok(text),
        Err(error) => Err(EnvelopeError::of(&error).expect("an error of the envelope")),
    }
}

fn settings(quotes: Quotes, inflated_bytes_max: u64) -> Settings {
    Settings { quotes, inflated_bytes_max }
}

fn packed(length: u32, gzip: &[u8]) -> String {
    let mut bytes = length.to_le_bytes().to_vec();
    bytes.extend_from_slice(gzip);
    STANDARD.encode(bytes)
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_test_vector_of_the_annex_has_its_prefix() {
    assert_eq!(TEXT.len(), 25);
    let content = encode(TEXT, Quotes::Plain).unwrap();
    assert!(content.starts_with("GQAAAB+L"), "{content}");
    assert_eq!(decode(content.as_bytes(), Quotes::Plain, 25).unwrap(), TEXT);
}

#[test]
fn lines_and_spaces_in_the_base64_do_not_matter() {
    let content = encode(TEXT, Quotes::Plain).unwrap();
    let wrapped: Vec<u8> = content.bytes().flat_map(|byte| [b'\r', b'\n', byte, b' ']).collect();
    assert_eq!(decode(&wrapped, Quotes::Plain, 100).unwrap(), TEXT);
}

#[test]
fn quotes_are_escaped_and_unescaped_when_switched_on() {
    for text in ["<A b=\"c\">\"</A>", "\\", "\\\"", "a\\\\\"b\\", "\"", ""] {
        let content = encode(text, Quotes::Escaped).unwrap();
        let read = decode(content.as_bytes(), Quotes::Escaped, 100).unwrap();
        assert_eq!(read, text);
        let raw = decode(content.as_bytes(), Quotes::Plain, 100).unwrap();
        assert_eq!(raw, text.replace('"', "\\\""));
    }
    // The same through a reader that takes one byte at a time.
    let content = encode("\\\"\\x\"", Quotes::Escaped).unwrap();
    let mut reader = ContentReader::new(content.as_bytes(), &settings(Quotes::Escaped, 100));
    let mut read = Vec::new();
    let mut byte = [0];
    while reader.read(&mut byte).unwrap() == 1 {
        read.push(byte[0]);
    }
    assert_eq!(read, b"\\\"\\x\"");
}

#[test]
fn a_wrong_length_prefix_is_refused() {
    for length in [0, 24, 26, 90] {
        let content = packed(length, &gzip(TEXT.as_bytes()));
        assert_eq!(
            decode(content.as_bytes(), Quotes::Plain, 100),
            Err(EnvelopeError::WrongLength),
            "{length}"
        );
    }
}

#[test]
fn every_truncation_is_refused() {
    let content = encode(TEXT, Quotes::Plain).unwrap();
    for end in 0..content.len() {
        let result = decode(&content.as_bytes()[..end], Quotes::Plain, 100);
        assert!(
            matches!(
                result,
                Err(EnvelopeError::Truncated
                    | EnvelopeError::NotBase64
                    | EnvelopeError::WrongLength)
            ),
            "{end}: {result:?}"
        );
    }
}

#[test]
fn a_bomb_stops_at_its_prefix_or_at_the_limit() {
    let bomb = gzip(&vec![0; 20_000_000]);
    let honest = packed(20_000_000, &bomb);
    assert_eq!(
        decode(honest.as_bytes(), Quotes::Plain, 1_000_000),
        Err(EnvelopeError::TooLarge { limit: 1_000_000 })
    );
    let lying = packed(10, &bomb);
    let mut reader = ContentReader::new(lying.as_bytes(), &settings(Quotes::Plain, 1_000_000));
    let mut read = Vec::new();
    let error = reader.read_to_end(&mut read).unwrap_err();
    assert_eq!(EnvelopeError::of(&error), Some(EnvelopeError::WrongLength));
    assert!(read.len() <= BUFFER_BYTES);
}

#[test]
fn what_is_no_envelope_is_named() {
    let mut damaged = gzip(TEXT.as_bytes());
    let check_sum = damaged.len() - 8;
    damaged[check_sum] ^= 1;
    let mut trailing = gzip(TEXT.as_bytes());
    trailing.push(0);
    for (content, expected) in [
        ("<HOC_BA/>".to_owned(), EnvelopeError::NotBase64),
        (packed(3, b"abcdefghijklmnopqrstuvwxyz"), EnvelopeError::NotGzip),
        (packed(25, &damaged), EnvelopeError::NotGzip),
        (packed(25, &trailing), EnvelopeError::TrailingData),
        (format!("{}=x", packed(25, &gzip(TEXT.as_bytes()))), EnvelopeError::NotBase64),
    ] {
        assert_eq!(decode(content.as_bytes(), Quotes::Plain, 100), Err(expected), "{content}");
    }
}

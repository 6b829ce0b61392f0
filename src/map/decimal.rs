//! Reads and writes decimal numbers of at most four digits after the point, exactly.

const UNIT: u64 = 10_000;

/// Read a number with a point or comma as ten-thousandths; CV 2088 PL1 II.1 permits four decimals.
pub(super) fn parse(text: &str) -> Option<u64> {
    let text = text.trim();
    let (whole, fraction) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let digits = |part: &str, most: usize| {
        (1..=most).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(whole, 9) || !digits(fraction, 4) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let fraction: u64 = format!("{fraction:0<4}").parse().ok()?;
    Some(whole * UNIT + fraction)
}

/// Write ten-thousandths with a point and without zeros at the end.
pub(super) fn write(value: u64) -> String {
    let (whole, fraction) = (value / UNIT, value % UNIT);
    if fraction == 0 {
        return whole.to_string();
    }
    let text = format!("{whole}.{fraction:04}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_with_point_or_comma_and_written_with_a_point() {
        for (text, written) in [
            ("0", "0"),
            ("12", "12"),
            ("0,5", "0.5"),
            ("3.25", "3.25"),
            ("7.00", "7"),
            ("1.0001", "1.0001"),
        ] {
            assert_eq!(write(parse(text).unwrap()), written);
        }
        for wrong in ["", ".", "1.", ".5", "-1", "1.00001", "x", "1.2.3", "9999999999"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}

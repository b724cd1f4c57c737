//! Numbers as people read them: rates, bytes, counts, spans and times.
//!
//! All decimal (1 kB = 1,000 bytes) and with three significant digits, two in narrow tables.

use crate::base::time::{Nanos, Stamp};

/// Significant digits of a rate in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digits {
    /// `61.7M`, `1.20M`: at most 5 characters.
    Three,
    /// `62M`, `1.2M`: at most 4 characters.
    Two,
}

impl Digits {
    /// Returns those that a screen of `width` cells has room for.
    pub const fn on(width: u16) -> Self {
        if width < 100 { Self::Two } else { Self::Three }
    }

    /// Returns the cells of the longest [`compact`] number.
    pub const fn cells(self) -> u16 {
        match self {
            Self::Three => 5,
            Self::Two => 4,
        }
    }
}

/// Returns a rate or count in at most 5 (4) characters: `84`, `410K`, `1.20M`; `-` below 1.
pub fn compact(value: f64, digits: Digits) -> String {
    if value < 1.0 || value.is_nan() {
        return "-".into();
    }
    let (number, unit) = scaled(value, digits);
    match unit {
        0 => number,
        _ => format!("{number}{}", ["", "K", "M", "G", "T", "P", "E"][unit]),
    }
}

/// Returns bytes with their unit: `84 B`, `410 kB`, `48.1 GB`.
pub fn bytes(value: u64) -> String {
    with_unit(value as f64, "B", "k")
}

/// Returns a rate with its unit: `0 B/s`, `38.1 MB/s`.
pub fn rate(value: f64) -> String {
    with_unit(value, "B/s", "k")
}

/// Returns a rate in bits with its unit: `0 bit/s`, `38.1 Mbit/s`.
pub fn bit_rate(value: f64) -> String {
    with_unit(value, "bit/s", "k")
}

/// Returns a count with a short unit and a blank: `84`, `812 k`, `33.2 M`.
pub fn count(value: f64) -> String {
    with_unit(value, "", "k").trim_end().to_owned()
}

/// Returns all digits in groups of three: `412,662,118`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut out = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Returns a share: `0.0%`, `73%`, `<0.1%` for what is not nothing.
pub fn percent(part: u64, whole: u64) -> String {
    let share = part as f64 / whole.max(1) as f64 * 100.0;
    match share {
        _ if part == 0 => "0%".into(),
        s if s < 0.1 => "<0.1%".into(),
        s if s < 9.95 => format!("{s:.1}%"),
        s => format!("{s:.0}%"),
    }
}

/// Returns a span: ms below 10 s, then `12 s`, `5 m 18 s`, `1 h 1 m`, `2 d 5 h`.
pub fn span(span: Nanos) -> String {
    let ms = span.0 as f64 / 1e6;
    match span.0 / 1_000_000_000 {
        0..10 if span.0 > 0 && ms < 0.005 => "<0.01 ms".into(),
        0..10 if ms < 9.995 => format!("{ms:.2} ms"),
        0..10 if ms < 99.95 => format!("{ms:.1} ms"),
        0..10 => format!("{} ms", span.0 / 1_000_000),
        secs => long_span(secs),
    }
}

/// Returns a span with two significant digits where it is short: `0.12 ms`, `12 ms`, `240 ms`, `12 s`.
pub fn short_span(span: Nanos) -> String {
    let ms = span.0 as f64 / 1e6;
    match ms {
        ms if ms > 0.0 && ms < 0.005 => "<0.01 ms".into(),
        ms if ms < 0.995 => format!("{ms:.2} ms"),
        ms if ms < 9.95 => format!("{ms:.1} ms"),
        ms if ms < 10_000.0 => format!("{ms:.0} ms"),
        _ => whole_span(span),
    }
}

/// Returns a span without milliseconds: `0 s`, `12 s`, `5 m 18 s`.
pub fn whole_span(span: Nanos) -> String {
    long_span(span.0 / 1_000_000_000)
}

/// Returns what is left of a span as minutes and seconds: `9:42`.
pub fn countdown(span: Nanos) -> String {
    let secs = span.0 / 1_000_000_000;
    format!("{}:{:02}", secs / 60, secs % 60)
}

/// Returns the time of day, `13:58:04`, `offset` seconds east of Greenwich.
pub fn clock(at: Stamp, offset: i32) -> String {
    let secs = local_secs(at, offset).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", secs / 3600, secs / 60 % 60, secs % 60)
}

/// Returns date and time, `2026-11-22 13:58:04`, `offset` seconds east of Greenwich.
pub fn date_time(at: Stamp, offset: i32) -> String {
    let (year, month, day) = civil(local_secs(at, offset).div_euclid(86_400));
    format!("{year}-{month:02}-{day:02} {}", clock(at, offset))
}

fn local_secs(at: Stamp, offset: i32) -> i64 {
    (at.0 / 1_000_000_000) as i64 + i64::from(offset)
}

/// Returns year, month and day of a day since 1970-01-01 in the Gregorian calendar: years of 400
/// begin on March 1, so that the leap day comes last.
fn civil(days: i64) -> (i64, i64, i64) {
    const ERA: i64 = 146_097;
    let days = days + 719_468;
    let era = days.div_euclid(ERA);
    let day_of_era = days.rem_euclid(ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

fn long_span(secs: u64) -> String {
    match secs {
        0..60 => format!("{secs} s"),
        60..3600 => format!("{} m {} s", secs / 60, secs % 60),
        3600..86_400 => format!("{} h {} m", secs / 3600, secs / 60 % 60),
        _ => format!("{} d {} h", secs / 86_400, secs / 3600 % 24),
    }
}

fn with_unit(value: f64, unit: &str, kilo: &str) -> String {
    let (number, step) = scaled(value.max(0.0), Digits::Three);
    let prefix = ["", kilo, "M", "G", "T", "P", "E"][step];
    format!("{number} {prefix}{unit}")
}

/// Returns the digits of `value` and the power of 1,000 they stand for; rounding up carries over
/// to the next unit, and what is beyond all units shows as 999 of the last.
fn scaled(value: f64, digits: Digits) -> (String, usize) {
    let mut scaled = value;
    let mut unit = 0;
    while scaled >= 999.5 && unit < 6 {
        scaled /= 1000.0;
        unit += 1;
    }
    let places = match (unit, digits) {
        (0, _) => 0,
        (_, Digits::Three) if scaled < 9.995 => 2,
        (_, Digits::Three) if scaled < 99.95 => 1,
        (_, Digits::Two) if scaled < 9.95 => 1,
        _ => 0,
    };
    (format!("{:.places$}", scaled.min(999.0)), unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_fit_and_carry_over_when_rounded() {
        for (value, three, two) in [
            (0.0, "-", "-"),
            (0.99, "-", "-"),
            (f64::NAN, "-", "-"),
            (1.0, "1", "1"),
            (84.4, "84", "84"),
            (999.4, "999", "999"),
            (999.6, "1.00K", "1.0K"),
            (1_204.0, "1.20K", "1.2K"),
            (9_994.0, "9.99K", "10K"),
            (9_996.0, "10.0K", "10K"),
            (61_700_000.0, "61.7M", "62M"),
            (99_960_000.0, "100M", "100M"),
            (184e6, "184M", "184M"),
            (999.7e9, "1.00T", "1.0T"),
            (f64::from(f32::MAX), "999E", "999E"),
            (f64::INFINITY, "999E", "999E"),
        ] {
            assert_eq!(compact(value, Digits::Three), three, "{value}");
            assert_eq!(compact(value, Digits::Two), two, "{value}");
        }
    }

    #[test]
    fn bytes_and_counts_have_three_digits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(48_102_331_904), "48.1 GB");
        assert_eq!(bytes(u64::MAX), "18.4 EB");
        assert_eq!(rate(38_123_000.0), "38.1 MB/s");
        assert_eq!(rate(0.0), "0 B/s");
        assert_eq!(count(812_000.0), "812 k");
        assert_eq!(count(84.0), "84");
        assert_eq!(grouped(412_662_118), "412,662,118");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!([percent(0, 5), percent(1, 100_000), percent(73, 100)], ["0%", "<0.1%", "73%"]);
    }

    #[test]
    fn spans_change_their_unit_with_their_length() {
        for (ms, text) in [
            (0, "0.00 ms"),
            (11, "11.0 ms"),
            (340, "340 ms"),
            (9_999, "9999 ms"),
            (12_000, "12 s"),
            (318_000, "5 m 18 s"),
            (3_660_000, "1 h 1 m"),
            (190_800_000, "2 d 5 h"),
        ] {
            assert_eq!(span(Nanos::from_millis(ms)), text);
        }
        assert_eq!([4_200, 412_345].map(|ns| span(Nanos(ns))), ["<0.01 ms", "0.41 ms"]);
        let short =
            [120_000, 1_249_000, 11_800_000, 240_000_000, 12_000_000_000].map(|ns| short_span(Nanos(ns)));
        assert_eq!(short, ["0.12 ms", "1.2 ms", "12 ms", "240 ms", "12 s"]);
        assert_eq!(countdown(Nanos::from_secs(582)), "9:42");
        assert_eq!(whole_span(Nanos::from_millis(1_900)), "1 s");
    }

    #[test]
    fn times_follow_the_calendar() {
        let at = |secs: u64| Stamp(secs * 1_000_000_000);
        assert_eq!(date_time(at(0), 0), "1970-01-01 00:00:00");
        assert_eq!(date_time(at(951_782_399), 0), "2000-02-28 23:59:59");
        assert_eq!(date_time(at(951_782_400), 0), "2000-02-29 00:00:00");
        assert_eq!(date_time(at(1_795_355_884), 3600), "2026-11-22 14:58:04");
        assert_eq!(date_time(at(0), -3600), "1969-12-31 23:00:00");
        assert_eq!(date_time(Stamp(u64::MAX), 0), "2554-07-21 23:34:33");
        assert_eq!(clock(at(50_284), 0), "13:58:04");
    }
}

//! Values of flags that need more than a number: core lists, networks, spans of time.

use std::{net::IpAddr, ops::RangeInclusive, time::Duration};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::base::ids::CoreId;

/// A list of cores as in `0,2-3`: in the order given, without repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CoreList(pub Vec<CoreId>);

/// Reads a list of cores.
///
/// # Errors
/// When a part is neither a number nor a range that goes up, or names a core twice.
pub fn cores(text: &str) -> Result<CoreList, String> {
    let mut list = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (core(first, part)?, core(last, part)?);
        if first > last {
            return Err(format!("the range `{part}` goes down"));
        }
        for number in first..=last {
            if list.contains(&CoreId(number)) {
                return Err(format!("core {number} is named twice"));
            }
            list.push(CoreId(number));
        }
    }
    Ok(CoreList(list))
}

fn core(text: &str, part: &str) -> Result<u16, String> {
    // `u16::from_str` alone would take a plus sign.
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number = text.parse().ok().filter(|n| digits && *n < MAX_CORES);
    number.ok_or_else(|| format!("`{part}` is neither a core's number nor a range like 2-7"))
}

/// Linux builds for no more cores than this.
const MAX_CORES: u16 = 8192;

/// Reads a network: `10.0.0.0/8`, `2001:db8::/32`, or a single address.
///
/// # Errors
/// When the address or the prefix length is none.
pub fn network(text: &str) -> Result<(IpAddr, u8), String> {
    let (address, prefix) = text.split_once('/').map_or((text, None), |(a, p)| (a, Some(p)));
    let address: IpAddr = address
        .parse()
        .map_err(|_| format!("`{address}` is not an IP address; a network is written like 10.0.0.0/8"))?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let Some(prefix) = prefix else { return Ok((address, longest)) };
    let length = prefix.parse().ok().filter(|n| *n <= longest);
    length
        .map(|n| (address, n))
        .ok_or_else(|| format!("the prefix length `{prefix}` is not in 0..={longest}"))
}

/// Reads a span of time in seconds, decimals allowed.
///
/// # Errors
/// When it is not a number above 0 and up to ten years.
pub fn seconds(text: &str) -> Result<Duration, String> {
    span(text).ok_or_else(|| format!("`{text}` is not a number of seconds above 0 and up to {MOST_SECONDS}"))
}

/// Ten years.
const MOST_SECONDS: u32 = 10 * 365 * 86_400;

fn span(text: &str) -> Option<Duration> {
    let seconds = text.parse::<f64>().ok().filter(|n| *n > 0.0 && *n <= MOST_SECONDS.into())?;
    Some(Duration::from_secs_f64(seconds))
}

/// Reads the time between two rounds of `update` lines, in seconds, decimals allowed.
///
/// # Errors
/// When it is not a number from 0.05 to ten years: cuts do not come more often than every 50 ms.
pub fn interval(text: &str) -> Result<Duration, String> {
    let span = span(text).filter(|span| *span >= Duration::from_millis(50));
    span.ok_or_else(|| format!("`{text}` is not a number of seconds from 0.05 to {MOST_SECONDS}"))
}

/// Reads a refresh interval in milliseconds.
///
/// # Errors
/// When it is not a number from 50 to 60000.
pub fn refresh_ms(text: &str) -> Result<u32, String> {
    number(text, 50..=60_000)
}

/// Reads a number of flows. The most is what the slots of one worker's table can be numbered with.
///
/// # Errors
/// When it is not a number from 64 to 16000000.
pub fn flows(text: &str) -> Result<u32, String> {
    number(text, 64..=16_000_000)
}

fn number(text: &str, range: RangeInclusive<u32>) -> Result<u32, String> {
    let number = text.parse().ok().filter(|n| range.contains(n));
    number.ok_or_else(|| format!("`{text}` is not a number from {} to {}", range.start(), range.end()))
}

/// Reads a filter, to refuse one that cannot be read; its text is what is kept.
///
/// # Errors
/// When it is no filter: where and why.
pub fn filter(text: &str) -> Result<String, String> {
    match crate::query::filter::parse(text) {
        Ok(parsed) if parsed.incomplete.is_some() => Err("the last term is not complete".into()),
        Ok(_) => Ok(text.to_owned()),
        Err(problem) => {
            let place = text[..problem.start].chars().count() + 1;
            Err(format!("at {place}: {}", problem.reason))
        }
    }
}

/// Reads what rows are sorted by.
///
/// # Errors
/// When there is no such column: which there are.
pub fn sort(name: &str) -> Result<crate::query::sort::SortBy, String> {
    let all = crate::query::sort::SORTS;
    all.iter()
        .find(|row| row.name.eq_ignore_ascii_case(name))
        .map(|row| row.by)
        .ok_or_else(|| format!("one of {}", all.iter().map(|row| row.name).collect::<Vec<_>>().join(", ")))
}

/// Returns what reads the argument of `--sort`; shells complete it.
pub fn sorts() -> impl TypedValueParser<Value = crate::query::sort::SortBy> {
    let names = crate::query::sort::SORTS.iter().map(|row| row.name);
    PossibleValuesParser::new(names).try_map(|name| sort(&name))
}

/// Returns what reads the argument of `--theme`; shells complete it.
pub fn themes() -> impl TypedValueParser<Value = crate::tui::theme::ThemeName> {
    let names = crate::tui::theme::ThemeName::ALL.iter().map(|(_, name)| *name);
    PossibleValuesParser::new(names).try_map(|name| theme(&name))
}

/// Reads the name of a theme.
///
/// # Errors
/// When there is no such theme: which there are.
pub fn theme(name: &str) -> Result<crate::tui::theme::ThemeName, String> {
    use crate::tui::theme::ThemeName;
    ThemeName::named(name).ok_or_else(|| {
        format!("one of {}", ThemeName::ALL.iter().map(|(_, name)| *name).collect::<Vec<_>>().join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cores_are_numbers_and_ranges() {
        let list = |text| cores(text).map(|l| l.0.iter().map(|c| c.0).collect::<Vec<_>>());
        assert_eq!(list("2-7"), Ok(vec![2, 3, 4, 5, 6, 7]));
        assert_eq!(list("0,2-3"), Ok(vec![0, 2, 3]));
        assert_eq!(list("5,1"), Ok(vec![5, 1]));
        for bad in
            ["", ",", "1,", "a", "-1", "1-", "3-2", "1,1", "0-2,1", "+1", "1-2-3", "70000", "0x1", " 1"]
        {
            assert!(list(bad).is_err(), "{bad:?}");
        }
        assert!(cores("0-65535").is_err(), "a range cannot make a list of any length");
    }

    #[test]
    fn networks_have_a_prefix_that_fits() {
        assert_eq!(network("10.0.0.0/8"), Ok(("10.0.0.0".parse().unwrap(), 8)));
        assert_eq!(network("192.0.2.1"), Ok(("192.0.2.1".parse().unwrap(), 32)));
        assert_eq!(network("2001:db8::/32"), Ok(("2001:db8::".parse().unwrap(), 32)));
        assert_eq!(network("::1"), Ok(("::1".parse().unwrap(), 128)));
        for bad in ["", "10.0.0.0/33", "10/8", "::/129", "10.0.0.0/", "10.0.0.0/-1", "host", "10.0.0.0/8/8"] {
            assert!(network(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn spans_are_above_zero_and_finite() {
        assert_eq!(seconds("1.5"), Ok(Duration::from_millis(1500)));
        for bad in ["", "0", "-1", "inf", "NaN", "1e300", "1s", "315360001"] {
            assert!(seconds(bad).unwrap_err().contains("above 0 and up to 315360000"), "{bad:?}");
            assert!(interval(bad).unwrap_err().contains("from 0.05 to 315360000"), "{bad:?}");
        }
        assert!(interval("0.049").is_err() && interval("0.05").is_ok() && seconds("315360000").is_ok());
    }
}

//! Text in terminal cells: width, cutting, and making foreign text harmless.
//!
//! Widths are those of single characters summed up. Sequences that a terminal joins (emoji with
//! modifiers) come out narrower than counted, never wider.

use std::{borrow::Cow, fmt::Write as _, net::IpAddr};

use unicode_width::UnicodeWidthChar as _;

use crate::base::shown::is_unseen;

/// Returns the cells that `text` takes.
pub fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Returns `text` cut to `max` cells; what was cut shows as `ellipsis`.
pub fn clip(text: &str, max: usize, ellipsis: char) -> Cow<'_, str> {
    if width(text) <= max {
        return Cow::Borrowed(text);
    }
    let Some(room) = max.checked_sub(1) else { return Cow::Borrowed("") };
    let mut out = head(text, room).to_owned();
    out.push(ellipsis);
    Cow::Owned(out)
}

/// Returns a header with the sign of the order behind it, as much as `max` cells hold: the name is cut, the sign never.
pub fn with_sign(header: &str, sign: char, max: usize, ellipsis: char) -> String {
    match max.checked_sub(2) {
        Some(room @ 1..) => format!("{} {sign}", clip(header, room, ellipsis)),
        _ => sign.to_string(),
    }
}

/// Returns `text` cut to `max` cells at its beginning, as suits paths: what they end in tells more.
pub fn clip_start(text: &str, max: usize, ellipsis: char) -> Cow<'_, str> {
    if width(text) <= max {
        return Cow::Borrowed(text);
    }
    let Some(room) = max.checked_sub(1) else { return Cow::Borrowed("") };
    let mut used = 0;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= room
    };
    let kept: usize = text.chars().rev().take_while(fits).map(char::len_utf8).sum();
    Cow::Owned(format!("{ellipsis}{}", &text[text.len() - kept..]))
}

/// Returns `text` on lines of at most `max` cells, broken at blanks, and within a word only where that is longer than
/// a line. No line is broken at `\u{a0}`, which comes out as a blank.
pub fn wrap(text: &str, max: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    for mut word in text.split(' ') {
        let cells = width(word);
        let line = lines.last_mut().expect("there is one from the start");
        if used > 0 && used + 1 + cells <= max {
            line.push(' ');
            used += 1;
        } else if used > 0 {
            lines.push(String::new());
            used = 0;
        }
        while width(word) > max {
            // A sign that is wider than a line stands alone on one.
            let first = word.chars().next().map_or(0, char::len_utf8);
            let (part, rest) = word.split_at(head(word, max).len().max(first));
            if rest.is_empty() {
                break;
            }
            lines.last_mut().expect("there is one from the start").push_str(part);
            lines.push(String::new());
            word = rest;
        }
        lines.last_mut().expect("there is one from the start").push_str(word);
        used += width(word);
    }
    lines.into_iter().map(|line| line.replace('\u{a0}', " ")).collect()
}

/// Returns text that came from outside with everything escaped (`\u{1b}`) that could steer a
/// terminal, change the direction of writing, take no cell of its own, or that terminals disagree about.
pub fn escape(text: &str) -> Cow<'_, str> {
    let harmless = |c: char| !c.is_control() && c.width().unwrap_or(0) > 0 && !is_unseen(c);
    if text.chars().all(harmless) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmless(c) {
            out.push(c);
        } else {
            let _ = write!(out, "{}", c.escape_unicode());
        }
    }
    Cow::Owned(out)
}

/// One end of a connection as text: `10.0.0.1:443`, `[2001:db8::1]:443`, or the address alone.
pub fn endpoint(address: IpAddr, port: Option<u16>) -> String {
    match (address, port) {
        (address, None) => address.to_string(),
        (IpAddr::V4(address), Some(port)) => format!("{address}:{port}"),
        (IpAddr::V6(address), Some(port)) => format!("[{address}]:{port}"),
    }
}

/// Returns an [`endpoint`] in at most `max` cells: shortened in the middle of its address, never
/// in its port, as long as that and the sign of the cut have room.
pub fn endpoint_within(address: IpAddr, port: Option<u16>, max: usize, ellipsis: char) -> String {
    let full = endpoint(address, port);
    if full.len() <= max {
        return full;
    }
    let tail_len = match (address, port) {
        (_, None) => 0,
        (IpAddr::V4(_), Some(_)) => full.len() - full.rfind(':').unwrap_or(full.len()),
        (IpAddr::V6(_), Some(_)) => full.len() - full.rfind(']').unwrap_or(full.len()),
    };
    let (address, port) = full.split_at(full.len() - tail_len);
    let Some(room) = max.checked_sub(port.len() + 1) else { return clip(&full, max, ellipsis).into_owned() };
    let behind = room / 2;
    format!("{}{ellipsis}{}{port}", &address[..room - behind], &address[address.len() - behind..])
}

/// Returns a name in at most `max` cells: an address shortened in its middle, all else at its end.
pub fn shorten(name: &str, max: usize, ellipsis: char) -> Cow<'_, str> {
    if width(name) <= max {
        return Cow::Borrowed(name);
    }
    match name.parse::<IpAddr>() {
        Ok(address) => endpoint_within(address, None, max, ellipsis).into(),
        Err(_) => clip(name, max, ellipsis),
    }
}

/// Returns `text` with blanks behind it up to so many cells: letters may be two cells wide, or none.
pub fn padded(text: &str, cells: usize) -> String {
    format!("{text}{}", " ".repeat(cells.saturating_sub(width(text))))
}

/// Returns the longest beginning of `text` that fits into `max` cells.
fn head(text: &str, max: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += c.width().unwrap_or(0);
        if used > max {
            return &text[..at];
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_counts_cells_and_not_bytes() {
        assert_eq!(clip("eth0", 4, '…'), "eth0");
        assert_eq!(clip("enp0s31f6", 5, '…'), "enp0…");
        assert_eq!(clip("網路介面", 5, '…'), "網路…");
        assert_eq!(clip("網路介面", 4, '…'), "網…");
        assert_eq!(clip("eth0", 0, '…'), "");
        assert_eq!(clip("eth0", 1, '…'), "…");
        assert_eq!(clip_start("/tmp/a.pcap", 11, '…'), "/tmp/a.pcap");
        assert_eq!(clip_start("/tmp/a.pcap", 8, '…'), "…/a.pcap");
        assert_eq!(clip_start("/網路介面", 6, '…'), "…介面");
        assert_eq!(clip_start("eth0", 0, '…'), "");
    }

    #[test]
    fn lines_are_broken_at_blanks_and_lose_nothing() {
        assert_eq!(wrap("run with --pid=host", 19), ["run with --pid=host"]);
        assert_eq!(wrap("run with --pid=host", 18), ["run with", "--pid=host"]);
        assert_eq!(wrap("run with --pid=host", 4), ["run", "with", "--pi", "d=ho", "st"]);
        assert_eq!(wrap("in 1\u{a0}h 5\u{a0}m", 6), ["in 1 h", "5 m"]);
        assert_eq!(wrap("網路 介面", 5), ["網路", "介面"]);
        assert_eq!(wrap("網路", 1), ["網", "路"]);
        assert_eq!(wrap("", 10), [""]);
        let text = "a worker's core is too slow or shared with something else";
        for max in 1..80 {
            let lines = wrap(text, max);
            assert!(lines.iter().all(|line| width(line) <= max), "{max}: {lines:?}");
            assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""), "{max}");
        }
    }

    #[test]
    fn foreign_text_cannot_steer_the_terminal() {
        assert_eq!(escape("eth0"), "eth0");
        assert_eq!(escape("\x1b[2J"), "\\u{1b}[2J");
        assert_eq!(escape("a\u{202e}b"), "a\\u{202e}b");
        assert_eq!(escape("e\u{301}\u{301}"), "e\\u{301}\\u{301}");
        assert_eq!(escape("\u{9b}31m\n"), "\\u{9b}31m\\u{a}");
        assert_eq!(escape("網路"), "網路");
        for c in [
            '\u{2028}',
            '\u{2029}',
            '\u{600}',
            '\u{605}',
            '\u{115f}',
            '\u{1160}',
            '\u{3164}',
            '\u{34f}',
            '\u{fe0f}',
            '\u{ffa0}',
            '\u{e0100}',
            '\u{fff9}',
            '\u{13430}',
        ] {
            assert_eq!(escape(&c.to_string()), c.escape_unicode().to_string());
        }
    }

    #[test]
    fn addresses_are_shortened_in_the_middle_and_keep_their_port() {
        let v6: IpAddr = "2a00:1450:4001:82b::200e".parse().unwrap();
        assert_eq!(endpoint(v6, Some(443)), "[2a00:1450:4001:82b::200e]:443");
        assert_eq!(endpoint(v6, None), "2a00:1450:4001:82b::200e");
        for max in 8..30 {
            let text = endpoint_within(v6, Some(443), max, '…');
            assert!(width(&text) <= max && text.ends_with("]:443"), "{max}: {text}");
        }
        assert_eq!(endpoint_within(v6, Some(443), 20, '…'), "[2a00:1…b::200e]:443");
        let v4: IpAddr = "203.0.113.254".parse().unwrap();
        assert_eq!(endpoint_within(v4, Some(51022), 19, '…'), "203.0.113.254:51022");
        assert_eq!(endpoint_within(v4, Some(51022), 14, '…'), "203.…254:51022");
        assert_eq!(endpoint_within(v4, None, 9, '…'), "203.….254");
        assert_eq!(endpoint_within(v4, Some(51022), 8, '…'), "2…:51022");
        assert_eq!(endpoint_within(v4, Some(51022), 7, '…'), "…:51022");
        assert_eq!(endpoint_within(v4, Some(51022), 5, '…'), "203.…");
        assert_eq!(shorten("2a00:1450:4001:82b::200e", 18, '…'), "2a00:1450…2b::200e");
        assert_eq!(shorten("billing-api", 8, '…'), "billing…");
    }
}

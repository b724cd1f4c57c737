//! What a word of the filter can become: keywords, and the values that they have. Tab writes what all
//! candidates have in common, and the next Tabs one candidate after the other.

use std::borrow::Cow;

use crate::{
    dpi::service::Service,
    query::{
        filter::{
            field::{KEYWORDS, Keyword, Unit, keyword_of},
            values::begins,
        },
        states::StateTable,
    },
    tui::field::Field,
};

/// Several candidates for one word.
#[derive(Clone, Debug)]
pub struct Completion {
    /// What they are, in order.
    pub candidates: Vec<String>,
    /// The one that stands in the line.
    pub chosen: Option<usize>,
    /// Where the word begins.
    start: usize,
    /// The line since the last Tab: who has typed anything else wants others.
    line: Field,
}

impl Completion {
    /// Returns whether the line is still the one that they are for.
    pub fn is_of(&self, line: &Field) -> bool {
        self.line == *line
    }

    /// Puts the next candidate into the line, or the one before.
    pub fn step(&mut self, line: &mut Field, back: bool) {
        let count = self.candidates.len();
        let next = match self.chosen {
            None if back => count - 1,
            None => 0,
            Some(at) if back => (at + count - 1) % count,
            Some(at) => (at + 1) % count,
        };
        self.chosen = Some(next);
        line.complete(self.start, &quoted(&self.candidates[next], false, true));
        self.line = line.clone();
    }
}

/// What is asked of the rows.
#[derive(Clone, Copy, Debug)]
pub enum Sought<'a> {
    /// The values of the keyword that begin with a text.
    Begin(&'a str),
    /// Which of these they have.
    Of(&'a [String]),
}

/// Completes the word before the cursor as far as it is certain; returns the candidates if there are several, those
/// first that rows have. `values` tells values of a keyword among the rows.
pub fn complete(
    line: &mut Field,
    values: impl FnOnce(&'static Keyword, Sought) -> Vec<String>,
) -> Option<Completion> {
    let before = line.before();
    let start = word_start(before);
    let word = &before[start..];
    let (start, typed, is_quoted, candidates) = match word.split_once(':') {
        Some((name, value)) => {
            let value_start = before.len() - value.len() + usize::from(value.starts_with('='));
            let value = &before[value_start..];
            let (typed, is_quoted) = match value.strip_prefix('"') {
                Some(quoted) => (Cow::from(quoted.replace("\\\"", "\"")), true),
                None => (value.into(), false),
            };
            let keyword = keyword_of(name)?;
            let mut candidates = of_tables(keyword.name);
            candidates.retain(|candidate| begins(candidate, &typed));
            if candidates.is_empty() {
                candidates = values(keyword, Sought::Begin(&typed));
            } else {
                let here = values(keyword, Sought::Of(&candidates));
                candidates.sort_by_key(|candidate| !here.contains(candidate));
            }
            // In quotes a backslash at the end would belong to the quote.
            candidates.retain(|candidate| !(candidate.ends_with('\\') && needs_quotes(candidate)));
            (value_start, typed, is_quoted, candidates)
        }
        None if word.is_empty() => return None,
        None => (start, word.into(), false, keywords(word)),
    };
    let common = common_start(&candidates)?.to_owned();
    let is_one = candidates.len() == 1;
    // Where candidates differ in case only, what is typed is longer than what they have in common.
    if is_one || common.len() >= typed.len() {
        let text = quoted(&common, is_quoted, is_one);
        line.complete(start, &text);
    }
    (!is_one).then(|| Completion { candidates, chosen: None, start, line: line.clone() })
}

/// Returns where the last word begins; a blank in quotes is part of one.
fn word_start(before: &str) -> usize {
    let (mut start, mut in_quotes, mut is_escaped) = (0, false, false);
    for (at, c) in before.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if in_quotes => is_escaped = true,
            '"' => in_quotes = !in_quotes,
            _ if in_quotes => {}
            c if c.is_whitespace() || matches!(c, '(' | '!') => start = at + c.len_utf8(),
            _ => {}
        }
    }
    start
}

/// Returns a value as it stands in a filter: in quotes where it must, which are left open while it is a part.
fn quoted(value: &str, is_quoted: bool, is_whole: bool) -> String {
    if !is_quoted && !needs_quotes(value) {
        return value.to_owned();
    }
    let end = if is_whole { "\"" } else { "" };
    format!("\"{}{end}", value.replace('"', "\\\""))
}

fn needs_quotes(value: &str) -> bool {
    let is_sign = |c: char| c.is_whitespace() || matches!(c, '(' | ')' | '"' | '~' | '/');
    // `=` at the front would ask for the whole value.
    value.contains(is_sign) || value.starts_with('=')
}

fn keywords(start: &str) -> Vec<String> {
    let sign = |keyword: &Keyword| match keyword.unit {
        Unit::Text | Unit::Number => ':',
        _ => '>',
    };
    let fitting = KEYWORDS.iter().filter(|keyword| begins(keyword.name, start));
    fitting.map(|keyword| format!("{}{}", keyword.name, sign(keyword))).collect()
}

/// Returns the values that a keyword can have whatever the rows are, in lower case; none for one that takes
/// what comes.
fn of_tables(keyword: &str) -> Vec<String> {
    let mut values: Vec<String> = Vec::new();
    let mut add = |text: &str| {
        let text = text.to_lowercase();
        if !values.contains(&text) {
            values.push(text);
        }
    };
    match keyword {
        "proto" => {
            ["tcp", "udp", "icmp", "icmp6", "arp", "sctp", "igmp", "gre", "esp"].into_iter().for_each(add);
        }
        "dir" => ["in", "out", "fwd"].into_iter().for_each(add),
        "state" => drop(StateTable::new(add)),
        "app" => Service::ALL.iter().for_each(|service| add(service.text())),
        _ => {}
    }
    values
}

fn common_start(candidates: &[String]) -> Option<&str> {
    let first = candidates.first()?;
    let same = |other: &String| {
        let pairs = first.chars().zip(other.chars()).take_while(|(a, b)| a == b);
        pairs.map(|(c, _)| c.len_utf8()).sum::<usize>()
    };
    let len = candidates.iter().map(same).min()?;
    first.get(..len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nobody(_: &Keyword, _: Sought) -> Vec<String> {
        Vec::new()
    }

    #[test]
    fn f1_tab_completes_keywords_and_values() {
        for (before, after) in [
            ("proc", "process:"),
            ("tcp dpo", "tcp dport:"),
            ("state:est", "state:established"),
            ("state:fin", "state:fin_wait"),
            ("state:ND_A", "state:nd_advert"),
            ("state:auth", "state:authentication"),
            ("app:postg", "app:postgresql"),
            ("dir:f", "dir:fwd"),
            ("!pro", "!pro"),
            ("\u{3000}dpo", "\u{3000}dport:"),
            ("xyz", "xyz"),
            ("rat", "rate>"),
            ("", ""),
        ] {
            let mut line = Field::new(before);
            complete(&mut line, nobody);
            assert_eq!(line.text(), after, "{before}");
        }
    }

    #[test]
    fn f1_tab_completes_values_of_rows_quoted_where_they_must_be() {
        let names = [
            "Nginx",
            "nginx: master process",
            "nginx: worker process",
            "päge",
            "päint",
            "2001:db8::1",
            "=cmd",
            "say \"a\" b",
            "say \"a\" c",
            "back slash\\",
            "slash\\",
        ];
        for (before, after, count) in [
            ("process:2", "process:2001:db8::1", 0),
            ("!(process:2", "!(process:2001:db8::1", 0),
            ("process:nginx:", "process:\"nginx: ", 2),
            ("process:nginx", "process:nginx", 3),
            ("process:=\"nginx: w", "process:=\"nginx: worker process\"", 0),
            ("tcp process:\"nginx: m", "tcp process:\"nginx: master process\"", 0),
            ("process:p", "process:pä", 2),
            ("process:x", "process:x", 0),
            ("process:s", "process:s", 3),
            ("process:sl", "process:slash\\", 0),
            ("process:b", "process:b", 0),
            ("process:\"say \\\"a\\\" c", "process:\"say \\\"a\\\" c\"", 0),
            ("process:\"=", "process:\"=cmd\"", 0),
            ("nothing:x", "nothing:x", 0),
        ] {
            let mut line = Field::new(before);
            let all = |keyword: &Keyword, wanted: Sought| {
                assert_eq!(keyword.name, "process");
                let Sought::Begin(start) = wanted else { panic!("no table has processes") };
                names.iter().filter(|name| begins(name, start)).map(|name| (*name).to_owned()).collect()
            };
            let open = complete(&mut line, all);
            assert_eq!(line.text(), after, "{before}");
            assert_eq!(open.map_or(0, |open| open.candidates.len()), count, "{before}");
        }
    }

    #[test]
    fn f1_what_rows_have_comes_first() {
        let mut line = Field::new("state:");
        let some = |_: &Keyword, wanted: Sought| {
            let Sought::Of(all) = wanted else { panic!("states are in a table") };
            all.iter().filter(|state| *state == "time_wait" || *state == "closed").cloned().collect()
        };
        let open = complete(&mut line, some).unwrap();
        assert!(open.candidates.len() > 20, "{:?}", open.candidates);
        assert_eq!(open.candidates[..2], ["time_wait", "closed"]);
        assert!(open.candidates.contains(&"syn_sent".to_owned()), "{:?}", open.candidates);
    }

    #[test]
    fn f1_further_tabs_go_through_the_candidates() {
        let mut line = Field::new("dir:");
        let mut open = complete(&mut line, nobody).unwrap();
        assert_eq!(line.text(), "dir:");
        for (back, text) in
            [(false, "dir:in"), (false, "dir:out"), (false, "dir:fwd"), (false, "dir:in"), (true, "dir:fwd")]
        {
            assert!(open.is_of(&line));
            open.step(&mut line, back);
            assert_eq!(line.text(), text);
        }
        line.insert('x');
        assert!(!open.is_of(&line));
    }
}

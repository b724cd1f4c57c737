//! Tokens to a tree, with the place and the reason where that does not work.

use std::net::{IpAddr, SocketAddr};

use crate::query::filter::{
    Comparison, Expr, Term, Test,
    field::{Field, Keyword, Unit, keyword_of, least_unlike, nearest, without_data},
    lexer::{self, Kind, RawTerm, Token, Value},
};

/// Bytes that a compiled expression may take.
const REGEX_SIZE: usize = 1 << 18;
/// Brackets inside brackets.
const DEEPEST: usize = 64;

/// What became of a text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// The filter; `None` for one without terms, which shows everything.
    pub expr: Option<Expr>,
    /// The place from which the text is a term that is still being typed, and not part of it.
    pub incomplete: Option<usize>,
}

/// Why a text is no filter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Problem {
    /// The byte at which it begins, and the one after its end.
    pub start: usize,
    /// See `start`.
    pub end: usize,
    /// What is wrong, and what would be right.
    pub reason: String,
}

/// Reads a filter.
///
/// # Errors
/// When it cannot be understood: where, and why.
pub fn parse(text: &str) -> Result<Parsed, Problem> {
    let tokens = match lexer::tokens(text) {
        Ok(tokens) => tokens,
        Err(open) => {
            let reason = format!("{} is not closed", open.missing);
            return Err(Problem { start: open.start, end: text.len(), reason });
        }
    };
    let mut parser = Parser { tokens: &tokens, at: 0, depth: 0, incomplete: None };
    let expr = parser.or()?;
    if let Some(token) = parser.tokens.get(parser.at) {
        return Err(problem(token, "there is no ( before this )"));
    }
    Ok(Parsed { expr, incomplete: parser.incomplete })
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: usize,
    incomplete: Option<usize>,
}

fn problem(token: &Token, reason: impl Into<String>) -> Problem {
    Problem { start: token.start, end: token.end, reason: reason.into() }
}

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&'a Token> {
        self.tokens.get(self.at)
    }

    fn or(&mut self) -> Result<Option<Expr>, Problem> {
        let mut parts: Vec<Expr> = self.and()?.into_iter().collect();
        while let Some(token) = self.peek().filter(|t| t.kind == Kind::Or) {
            if parts.is_empty() {
                return Err(problem(token, "nothing stands before or"));
            }
            self.at += 1;
            match self.and()? {
                Some(part) => parts.push(part),
                // Still being typed.
                None if self.peek().is_none() => drop(self.incomplete.get_or_insert(token.start)),
                None => return Err(problem(token, "nothing stands behind or")),
            }
        }
        Ok(join(parts, Expr::Or))
    }

    fn and(&mut self) -> Result<Option<Expr>, Problem> {
        let mut parts = Vec::new();
        // An `and` behind which nothing stands yet.
        let mut open: Option<&Token> = None;
        while let Some(token) = self.peek() {
            match token.kind {
                Kind::Or | Kind::Close => break,
                Kind::And if parts.is_empty() || open.is_some() => {
                    return Err(problem(token, "nothing stands before and"));
                }
                Kind::And => {
                    open = Some(token);
                    self.at += 1;
                }
                _ => {
                    open = None;
                    parts.extend(self.not()?);
                }
            }
        }
        match (open, self.peek()) {
            // Still being typed.
            (Some(token), None) => drop(self.incomplete.get_or_insert(token.start)),
            (Some(token), Some(_)) => return Err(problem(token, "nothing stands behind and")),
            (None, _) => {}
        }
        Ok(join(parts, Expr::And))
    }

    fn not(&mut self) -> Result<Option<Expr>, Problem> {
        let Some(token) = self.peek() else { return Ok(None) };
        self.at += 1;
        match &token.kind {
            Kind::Not => {
                self.go_deeper(token)?;
                let inner = self.not()?;
                self.depth -= 1;
                if inner.is_none() && self.incomplete.is_none() {
                    match self.peek() {
                        None => self.incomplete = Some(token.start),
                        Some(_) => return Err(problem(token, "nothing stands behind not")),
                    }
                }
                Ok(inner.map(|inner| Expr::Not(Box::new(inner))))
            }
            Kind::Open => {
                self.go_deeper(token)?;
                let inner = self.or()?;
                self.depth -= 1;
                let Some(close) = self.peek() else {
                    // Still being typed, with all that is in it.
                    self.incomplete = Some(token.start);
                    return Ok(None);
                };
                self.at += 1;
                if inner.is_none() && self.incomplete.is_none() {
                    match self.peek() {
                        // Still being typed.
                        None => self.incomplete = Some(token.start),
                        // That one has nothing before it.
                        Some(next) if next.kind == Kind::Close && self.depth == 0 => {}
                        Some(_) => {
                            let reason = "nothing stands between ( and )".into();
                            return Err(Problem { start: token.start, end: close.end, reason });
                        }
                    }
                }
                Ok(inner)
            }
            Kind::Term(raw) => {
                let is_last = self.at == self.tokens.len();
                let is_unfinished = is_unfinished(raw);
                if is_last && (is_unfinished || may_become_mac(&raw.whole)) {
                    self.incomplete = Some(token.start);
                    return Ok(None);
                }
                if is_unfinished && !raw.operator.is_empty() {
                    let head = format!("{}{}", raw.head, raw.operator);
                    return Err(problem(
                        token,
                        format!("{head} has no value: it stands behind without a blank"),
                    ));
                }
                match term(raw) {
                    Ok(term) => Ok(Some(Expr::Term(term))),
                    Err(Wrong::Term(reason)) => Err(problem(token, reason)),
                    Err(Wrong::Value(reason)) => {
                        let start = token.start + raw.head.len() + raw.operator.len();
                        Err(Problem { start, ..problem(token, reason) })
                    }
                }
            }
            Kind::Or | Kind::And | Kind::Close => Err(problem(token, "a word is missing before this")),
        }
    }

    fn go_deeper(&mut self, token: &Token) -> Result<(), Problem> {
        self.depth += 1;
        if self.depth > DEEPEST {
            Err(problem(token, format!("nested more than {DEEPEST} times")))
        } else {
            Ok(())
        }
    }
}

fn join(mut parts: Vec<Expr>, how: impl FnOnce(Vec<Expr>) -> Expr) -> Option<Expr> {
    match parts.len() {
        0 | 1 => parts.pop(),
        _ => Some(how(parts)),
    }
}

/// Returns whether the last term of a text only has its value missing.
fn is_unfinished(raw: &RawTerm) -> bool {
    let has_value = match &raw.value {
        // A regular expression without its second slash, too.
        Value::Word(word) => {
            let is_open = match raw.operator {
                ":" => word.starts_with('/'),
                // Alone it is a path, unless it has what no path has.
                "" => word.starts_with('/') && word.contains(['^', '$', '*', '+', '|', '[', '(', '\\']),
                _ => false,
            };
            !word.is_empty() && !is_open
        }
        Value::Quoted(_) | Value::Regex(_) => true,
        Value::Fuzzy(letters) => !letters.is_empty(),
    };
    let is_known = raw.operator.is_empty() || keyword_of(&raw.head).is_some();
    !has_value && is_known
}

/// What is wrong with a term: all of it, or its value, and why.
enum Wrong {
    Term(String),
    Value(String),
}

fn term(raw: &RawTerm) -> Result<Term, Wrong> {
    let text = |field, value: &str| Term { field, test: Test::Contains(value.to_lowercase().into()) };
    if raw.operator.is_empty() {
        let test = match &raw.value {
            Value::Word(word) => match network(word) {
                Some((address, prefix)) => Test::Network(address, prefix),
                None => return Ok(text(Field::Any, bare(word))),
            },
            other => test_of(other)?,
        };
        return Ok(Term { field: Field::Any, test });
    }
    if looks_like_text(&raw.whole) {
        return Ok(match network(&raw.whole) {
            Some((address, prefix)) => Term { field: Field::Any, test: Test::Network(address, prefix) },
            None => text(Field::Any, bare(&raw.whole)),
        });
    }
    let Some(keyword) = keyword_of(&raw.head) else {
        // What has `=` in it may be a part of a URL.
        if raw.operator != "=" {
            if let Some(why) = without_data(&raw.head) {
                return Err(Wrong::Term(why.into()));
            }
            let sign = if raw.operator == ":=" { ":" } else { raw.operator };
            let hint = match nearest(&raw.head, sign) {
                Some(near) => format!("{near}{sign} is near"),
                None => format!("the nearest is {}{sign}, Help has all", least_unlike(&raw.head, sign)),
            };
            return Err(Wrong::Term(format!("{}{sign} is no keyword; {hint}", raw.head)));
        }
        return Ok(text(Field::Any, &raw.whole));
    };
    match raw.operator {
        ":" => contains(keyword, &raw.value),
        ":=" => is(keyword, &raw.value),
        "=" if keyword.unit == Unit::Text => is(keyword, &raw.value),
        operator => compare(keyword, operator, &raw.value),
    }
}

/// Returns whether a word with a colon is an address, one with a port, or a URL.
fn looks_like_text(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_hexdigit() || matches!(c, ':' | '.' | '/' | '%');
    let head = word.split(':').next().unwrap_or("");
    let is_address = is_mac(word)
        || word.parse::<SocketAddr>().is_ok()
        || word.parse::<IpAddr>().is_ok()
        || head.contains(|c: char| c.is_ascii_digit())
            && word.chars().all(plain)
            && keyword_of(head).is_none()
        || word.contains("::") && word.chars().all(plain);
    is_address || word.contains("://")
}

/// Returns whether a word is a MAC address, or three of its six pairs or more from the first on.
fn is_mac(word: &str) -> bool {
    (3..=6).contains(&word.split(':').count()) && has_pairs(word)
}

/// Returns whether a word of letters and a colon is the first or the second pair of a MAC address: with a colon behind
/// it, more is on its way.
fn may_become_mac(word: &str) -> bool {
    word.split(':').count() == 2 && has_pairs(word) && keyword_of(&word[..2]).is_none()
}

/// Returns whether a word is pairs of hexadecimal digits with colons between them; of the last one some may be missing.
fn has_pairs(word: &str) -> bool {
    let mut pairs = word.split(':').rev();
    let is_hex = |part: &str| part.bytes().all(|digit| digit.is_ascii_hexdigit());
    pairs.next().is_some_and(|last| last.len() <= 2 && is_hex(last))
        && pairs.all(|pair| pair.len() == 2 && is_hex(pair))
}

/// Returns an address without the brackets around it, as rows without ports show it.
fn bare(word: &str) -> &str {
    let inner = word.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    inner.filter(|inner| inner.parse::<IpAddr>().is_ok()).unwrap_or(word)
}

fn contains(keyword: &Keyword, value: &Value) -> Result<Term, Wrong> {
    let field = keyword.field;
    let Value::Word(word) = value else { return Ok(Term { field, test: test_of(value)? }) };
    let test = match field {
        Field::Local | Field::Remote | Field::Host if network(word).is_some() => {
            let (address, prefix) = network(word).unwrap_or((IpAddr::from([0; 4]), 0));
            Test::Network(address, prefix)
        }
        Field::Local | Field::Remote | Field::Host if word.contains('/') && word.parse::<f64>().is_err() => {
            let (address, prefix) = word.split_once('/').unwrap_or((word, ""));
            let digits = |text: &str, more: &str| {
                text.chars().all(|c| c.is_ascii_digit() || more.contains(c)) && !text.is_empty()
            };
            match address.parse::<IpAddr>() {
                Ok(_) if !prefix.is_empty() => {
                    let reason = format!("{word} is no network: the part behind / is too large");
                    return Err(Wrong::Value(reason));
                }
                // `a.example/8` is the beginning of a URL.
                Err(_) if digits(address, ".") && digits(prefix, "") => {
                    return Err(Wrong::Value(format!("{address} is no address: 10.0.0.0/8")));
                }
                _ => {}
            }
            Test::Contains(word.trim_end_matches('/').to_lowercase().into())
        }
        Field::Direction => match direction(word) {
            Some(name) => Test::Is(name.into()),
            None => return Err(Wrong::Value("dir: is in, out or fwd".into())),
        },
        _ if keyword.unit == Unit::Number && word.contains('-') => {
            word.split('-').try_for_each(|number| within_range(keyword, number))?;
            range(word)?
        }
        Field::Retransmits => return Err(Wrong::Term("retr: compares numbers: retr>10".into())),
        _ if keyword.unit == Unit::Number && !word.bytes().all(|c| c.is_ascii_digit()) => {
            let reason = match field {
                Field::Port | Field::LocalPort | Field::RemotePort => {
                    format!("{word} is no number: {}:443 or {0}:8000-8100", keyword.name)
                }
                _ => format!("{word} is no number: {}:{}", keyword.name, example(keyword)),
            };
            return Err(Wrong::Value(reason));
        }
        _ if keyword.unit == Unit::Number => {
            within_range(keyword, word)?;
            Test::Contains(word.to_lowercase().into())
        }
        _ if matches!(keyword.unit, Unit::Rate | Unit::Bytes | Unit::Time) => {
            let reason = format!("{0}: compares numbers: {0}>{1}", keyword.name, example(keyword));
            return Err(Wrong::Term(reason));
        }
        Field::Mac => Test::Contains(mac(word)?.into()),
        _ => Test::Contains(bare(word).to_lowercase().into()),
    };
    Ok(Term { field, test })
}

/// Returns a MAC address, or a part of one, as it is shown: pairs with colons between them. Those with dashes between
/// the pairs (IEEE 802), with dots between fours, and without signs are written otherwise.
fn mac(word: &str) -> Result<String, Wrong> {
    let word = word.to_ascii_lowercase();
    if !word.bytes().all(|c| c.is_ascii_hexdigit() || b":-.".contains(&c)) {
        let reason = format!("{word} is no MAC address: mac:00:1b:21, 00-1b-21, 001b.21 or 001b21");
        return Err(Wrong::Value(reason));
    }
    // Fours are whole but for the first and the last one, of which the other half may be missing.
    let pairs = |(n, group): (usize, &str)| {
        let odd = if n == 0 && word.contains('.') { group.len() % 2 } else { 0 };
        let (head, tail) = group.split_at(odd);
        let tail = tail.as_bytes().chunks(2).map(|pair| String::from_utf8_lossy(pair).into_owned());
        let head = (odd > 0).then(|| head.to_owned());
        head.into_iter().chain(tail).collect::<Vec<_>>().join(":")
    };
    let groups = word.split([':', '-', '.']).enumerate();
    Ok(groups.map(pairs).collect::<Vec<_>>().join(":"))
}

fn is(keyword: &Keyword, value: &Value) -> Result<Term, Wrong> {
    let field = keyword.field;
    match value {
        Value::Word(word) | Value::Quoted(word) => match keyword.unit {
            Unit::Rate | Unit::Bytes | Unit::Time => compare(keyword, "=", value),
            _ if field == Field::Direction => contains(keyword, value),
            Unit::Number if word.is_empty() || !word.bytes().all(|c| c.is_ascii_digit()) => {
                Err(Wrong::Value(format!("{word} is no number: {}:={}", keyword.name, example(keyword))))
            }
            Unit::Number => {
                within_range(keyword, word)?;
                Ok(Term { field, test: Test::Is(word.to_lowercase().into()) })
            }
            _ if field == Field::Mac => Ok(Term { field, test: Test::Is(mac(word)?.into()) }),
            _ => Ok(Term { field, test: Test::Is(bare(word).to_lowercase().into()) }),
        },
        _ => Err(Wrong::Value(format!("{}:= takes a word", keyword.name))),
    }
}

fn compare(keyword: &Keyword, operator: &str, value: &Value) -> Result<Term, Wrong> {
    let how = match operator {
        "<" => Comparison::Less,
        "<=" => Comparison::LessOrEqual,
        ">=" => Comparison::GreaterOrEqual,
        ">" => Comparison::Greater,
        _ => Comparison::Equal,
    };
    let Value::Word(word) = value else {
        return Err(Wrong::Value(format!("{}{operator} takes a number", keyword.name)));
    };
    if keyword.unit == Unit::Text {
        return Err(Wrong::Term(format!("{0} is text: {0}:{word}", keyword.name)));
    }
    let number = number(word, keyword.unit).ok_or_else(|| {
        let example = example(keyword);
        Wrong::Value(format!("{word} is no number for {0}: {0}{operator}{example}", keyword.name))
    })?;
    within_range(keyword, word)?;
    Ok(Term { field: keyword.field, test: Test::Compare(how, number) })
}

/// Refuses digits that no number of a keyword can have.
fn within_range(keyword: &Keyword, word: &str) -> Result<(), Wrong> {
    let most: u64 = match keyword.field {
        Field::Port | Field::LocalPort | Field::RemotePort => u16::MAX.into(),
        Field::Vlan => 4095,
        // Of Linux: PID_MAX_LIMIT.
        Field::Pid => 4_194_304,
        _ => return Ok(()),
    };
    let is_digits = !word.is_empty() && word.bytes().all(|c| c.is_ascii_digit());
    match word.parse::<u64>() {
        Err(_) if !is_digits => Ok(()),
        Ok(number) if number <= most => Ok(()),
        _ => Err(Wrong::Value(format!("{word} is too large: {} is 0 to {most}", keyword.name))),
    }
}

/// Returns numbers as they are written for a keyword.
fn example(keyword: &Keyword) -> &'static str {
    match (keyword.field, keyword.unit) {
        // How many, whatever the share.
        (Field::Retransmits, _) => "10",
        (Field::Pid, _) => "1000",
        (Field::Vlan, _) => "100",
        (_, Unit::Rate) => "1M, 8Mbit",
        (_, Unit::Bytes) => "10M",
        (_, Unit::Time) => "200ms, 10s, 5m",
        (_, Unit::Number | Unit::Text) => "443",
    }
}

fn test_of(value: &Value) -> Result<Test, Wrong> {
    Ok(match value {
        Value::Word(word) | Value::Quoted(word) => Test::Contains(word.to_lowercase().into()),
        Value::Fuzzy(letters) => Test::Fuzzy(letters.to_lowercase().into()),
        Value::Regex(pattern) => {
            let regex = regex::bytes::RegexBuilder::new(pattern)
                .case_insensitive(true)
                .size_limit(REGEX_SIZE)
                .dfa_size_limit(REGEX_SIZE)
                .build()
                .map_err(|error| Wrong::Value(regex_reason(&error)))?;
            Test::Regex(Box::new(regex))
        }
    })
}

/// Returns the reason in one line; the crate draws several.
fn regex_reason(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "this expression is too large".into(),
        other => {
            let text = other.to_string();
            let last = text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
            format!("no regular expression: {}", last.trim().trim_start_matches("error: "))
        }
    }
}

/// Returns the network that a word with a slash names.
fn network(word: &str) -> Option<(IpAddr, u8)> {
    let (address, prefix) = word.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    (prefix <= most).then_some((address, prefix))
}

fn direction(word: &str) -> Option<&'static str> {
    let names = [("in", "in"), ("out", "out"), ("fwd", "fwd"), ("forwarded", "fwd")];
    names.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, name)| name)
}

fn range(word: &str) -> Result<Test, Wrong> {
    let (low, high) = word.split_once('-').unwrap_or((word, word));
    match (low.parse(), high.parse()) {
        (Ok(low), Ok(high)) if low <= high => Ok(Test::Range(low, high)),
        (Ok(_), Ok(_)) => Err(Wrong::Value(format!("{word} goes down"))),
        // `8000-` is on its way to a range.
        (Ok(low), Err(_)) if high.is_empty() => Ok(Test::Range(low, u64::MAX)),
        _ => Err(Wrong::Value(format!("{word} is no range of numbers: 8000-8100"))),
    }
}

/// Returns a number in the unit's base: bytes a second, bytes, seconds.
fn number(word: &str, unit: Unit) -> Option<f64> {
    let digits = word.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(word.len());
    let (number, suffix) = word.split_at(digits);
    let number: f64 = number.parse().ok()?;
    let suffix = suffix.to_ascii_lowercase();
    let factor = match unit {
        Unit::Time => match suffix.as_str() {
            "us" | "µs" => 1e-6,
            "ms" => 1e-3,
            "" | "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            "d" => 86_400.0,
            _ => return None,
        },
        _ => {
            let (suffix, bits) = match suffix.strip_suffix("bit").or_else(|| suffix.strip_suffix("bps")) {
                Some(rest) if unit == Unit::Rate => (rest, 8.0),
                Some(_) => return None,
                None => (suffix.strip_suffix("b/s").or(suffix.strip_suffix('b')).unwrap_or(&suffix), 1.0),
            };
            let power = match suffix {
                "" => 0,
                "k" => 1,
                "m" => 2,
                "g" => 3,
                "t" => 4,
                _ => return None,
            };
            1000_f64.powi(power) / bits
        }
    };
    Some(number * factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        fn show(expr: &Expr) -> String {
            let list = |parts: &[Expr]| parts.iter().map(show).collect::<Vec<_>>().join(" ");
            match expr {
                Expr::And(parts) => format!("(and {})", list(parts)),
                Expr::Or(parts) => format!("(or {})", list(parts)),
                Expr::Not(inner) => format!("(not {})", show(inner)),
                Expr::Term(Term { field, test }) => match test {
                    Test::Contains(text) => format!("{field:?}~{text}"),
                    Test::Is(text) => format!("{field:?}={text}"),
                    Test::Regex(regex) => format!("{field:?}/{}/", regex.as_str()),
                    Test::Fuzzy(letters) => format!("{field:?}~~{letters}"),
                    Test::Network(address, prefix) => format!("{field:?} in {address}/{prefix}"),
                    Test::Range(low, high) => format!("{field:?} {low}-{high}"),
                    Test::Compare(how, number) => format!("{field:?} {how:?} {number}"),
                },
            }
        }
        let parsed = parse(text).unwrap_or_else(|p| panic!("{text}: {p}"));
        let incomplete = parsed.incomplete.map_or(String::new(), |at| format!(" … from {at}"));
        format!("{}{incomplete}", parsed.expr.as_ref().map_or("all".into(), show))
    }

    #[test]
    fn f14_not_binds_closer_than_a_blank_and_that_closer_than_or() {
        for (text, tree) in [
            ("", "all"),
            ("google", "Any~google"),
            ("Google Chrome", "(and Any~google Any~chrome)"),
            ("a and b", "(and Any~a Any~b)"),
            ("not a b or c", "(or (and (not Any~a) Any~b) Any~c)"),
            ("!(a or b) c", "(and (not (or Any~a Any~b)) Any~c)"),
            ("!port:443", "(not Port~443)"),
            ("! ! a", "(not (not Any~a))"),
            ("\"a b\" \"or\"", "(and Any~a b Any~or)"),
            ("/goo+gle/ sni:/^api\\./", "(and Any/goo+gle/ Sni/^api\\./)"),
            ("~ffx process:~ffx", "(and Any~~ffx Process~~ffx)"),
        ] {
            assert_eq!(shown(text), tree, "{text}");
        }
    }

    #[test]
    fn f3_to_f14_keywords_take_words_networks_ranges_and_numbers() {
        for (text, tree) in [
            ("port:44", "Port~44"),
            ("port:=443", "Port=443"),
            ("port:8000-8100", "Port 8000-8100"),
            ("SPORT:80 process:nginx", "(and LocalPort~80 Process~nginx)"),
            ("src:192.168", "Local~192.168"),
            ("src:10.0.0.0/8", "Local in 10.0.0.0/8"),
            ("10.0.0.0/8", "Any in 10.0.0.0/8"),
            ("dst:2001:db8::/32", "Remote in 2001:db8::/32"),
            ("src:[2001:db8::1]", "Local~2001:db8::1"),
            ("rate>1M", "Rate Greater 1000000"),
            ("rate>8Mbit", "Rate Greater 1000000"),
            ("down>=1.5k", "Down GreaterOrEqual 1500"),
            ("bytes>10MB", "Bytes Greater 10000000"),
            ("rtt>200ms", "Rtt Greater 0.2"),
            ("left<5s", "Left Less 5"),
            ("retrans>0", "Retransmits Greater 0"),
            ("age<10s", "Age Less 10"),
            ("pid=12", "Pid Equal 12"),
            ("port>1024", "Port Greater 1024"),
            ("dir:IN", "Direction=in"),
            ("state:=established", "State=established"),
        ] {
            assert_eq!(shown(text), tree, "{text}");
        }
    }

    #[test]
    fn f16_addresses_and_urls_are_text() {
        for text in
            ["fe80::1", "10.0.0.1:443", "[::1]:22", "https://a.b/c", "00:1b:21:3c:9d:f8", "2001:db8:", "::1"]
                .into_iter()
                .chain(["aa:bb:cc:dd:ee:ff", "aa:bb:", "aa:bb:c", "de:ad:be:ef"])
        {
            assert_eq!(shown(text), format!("Any~{text}"), "{text}");
        }
        assert_eq!(shown("[::1]"), "Any~::1");
        assert_eq!(shown("id=5"), "Any~id=5");
    }

    #[test]
    fn f16_a_last_term_without_its_value_is_incomplete() {
        assert_eq!(shown("tcp proto:"), "Any~tcp … from 4");
        assert_eq!(shown("rate>"), "all … from 0");
        assert_eq!(shown("a or "), "Any~a … from 2");
        assert_eq!(shown("a !"), "Any~a … from 2");
        assert_eq!(shown("a not port:"), "Any~a … from 6");
        assert_eq!(shown("sni:/"), "all … from 0");
        assert_eq!(shown("~"), "all … from 0");
        assert_eq!(shown("a and "), "Any~a … from 2");
        assert_eq!(shown("a ()"), "Any~a … from 2");
        assert_eq!(shown("( )"), "all … from 0");
        assert_eq!(shown("a ("), "Any~a … from 2");
        assert_eq!(shown("a (b"), "Any~a … from 2");
        assert_eq!(shown("(a or b"), "all … from 0");
        assert_eq!(shown("a or (b and (c"), "Any~a … from 5");
        assert_eq!(shown("a not (b"), "Any~a … from 6");
        assert_eq!(shown("rate>1M or (proto:"), "Rate Greater 1000000 … from 11");
        // On their way to a MAC address.
        assert_eq!(shown("a de:"), "Any~a … from 2");
        assert_eq!(shown("a de:ad"), "Any~a … from 2");
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        for (text, start, end, reason) in [
            ("a prot:tcp", 2, 10, "prot: is no keyword; proto: is near"),
            ("pro:tcp", 0, 7, "pro: is no keyword; proto: is near"),
            ("a retransmits>0", 2, 15, "retransmits> is no keyword; retr> is near"),
            ("total>", 0, 6, "total> is no keyword; bytes> is near"),
            ("pkts>=5 a", 0, 7, "pkts>= is no keyword; packets>= is near"),
            ("protocol:=tcp", 0, 13, "protocol: is no keyword; proto: is near"),
            ("port: 443", 0, 5, "port: has no value: it stands behind without a blank"),
            ("tcp (proto:) udp", 5, 11, "proto: has no value: it stands behind without a blank"),
            ("rate> 1M", 0, 5, "rate> has no value: it stands behind without a blank"),
            ("a pid:x", 6, 7, "x is no number: pid:1000"),
            ("a port:x", 7, 8, "x is no number: port:443 or port:8000-8100"),
            ("retrans>1%", 8, 10, "1% is no number for retr: retr>10"),
            (
                "country:de",
                0,
                10,
                "no country data: nothing here tells the country of an address; dst: takes networks",
            ),
            (
                "tcp asn:=15169",
                4,
                14,
                "no AS data: nothing here tells the autonomous system of an address; dst: takes networks",
            ),
            ("vlan>x", 5, 6, "x is no number for vlan: vlan>100"),
            ("a sni:/(/", 6, 9, "no regular expression: unclosed group"),
            ("rate:5 a", 0, 6, "rate: compares numbers: rate>1M, 8Mbit"),
            ("rate>fast", 5, 9, "fast is no number for rate: rate>1M, 8Mbit"),
            ("state>5", 0, 7, "state is text: state:5"),
            ("a) (b", 1, 2, "there is no ( before this )"),
            ("or a", 0, 2, "nothing stands before or"),
            ("(a or) b", 3, 5, "nothing stands behind or"),
            ("and", 0, 3, "nothing stands before and"),
            ("and a", 0, 3, "nothing stands before and"),
            ("a and and b", 6, 9, "nothing stands before and"),
            ("(a and) b", 3, 6, "nothing stands behind and"),
            ("a and or b", 2, 5, "nothing stands behind and"),
            ("() a", 0, 2, "nothing stands between ( and )"),
            ("(a ())", 3, 5, "nothing stands between ( and )"),
            ("de:ad a", 0, 5, "de: is no keyword; the nearest is dst:, Help has all"),
            ("foo:x a", 0, 5, "foo: is no keyword; the nearest is if:, Help has all"),
            ("foo>1 a", 0, 5, "foo> is no keyword; the nearest is up>, Help has all"),
            ("() )", 3, 4, "there is no ( before this )"),
            ("\"abc", 0, 4, "\" is not closed"),
            ("port:9-1", 5, 8, "9-1 goes down"),
            ("port:70000", 5, 10, "70000 is too large: port is 0 to 65535"),
            ("dport:=65536", 7, 12, "65536 is too large: dport is 0 to 65535"),
            ("sport>99999", 6, 11, "99999 is too large: sport is 0 to 65535"),
            ("port:80-70000", 5, 13, "70000 is too large: port is 0 to 65535"),
            ("port:99999999999999999999", 5, 25, "99999999999999999999 is too large: port is 0 to 65535"),
            ("vlan:4096", 5, 9, "4096 is too large: vlan is 0 to 4095"),
            ("pid:=4194305", 5, 12, "4194305 is too large: pid is 0 to 4194304"),
            ("mac:gateway", 4, 11, "gateway is no MAC address: mac:00:1b:21, 00-1b-21, 001b.21 or 001b21"),
            ("port:a-b", 5, 8, "a-b is no range of numbers: 8000-8100"),
            ("dir:up", 4, 6, "dir: is in, out or fwd"),
            ("src:10.0.0.0/40", 4, 15, "10.0.0.0/40 is no network: the part behind / is too large"),
        ] {
            match parse(text) {
                Err(problem) => {
                    assert_eq!((problem.start, problem.end), (start, end), "{text}: {problem}");
                    assert_eq!(problem.reason, reason, "{text}");
                }
                Ok(parsed) => panic!("{text} is read as {parsed:?}"),
            }
        }
        assert!(parse("/(/").unwrap_err().reason.contains("unclosed group"));
        assert!(parse("/(a{1000}){1000}/").unwrap_err().reason.contains("too large"));
    }

    #[test]
    fn brackets_end_somewhere() {
        assert!(parse(&"(".repeat(100_000)).is_err());
        assert!(parse(&"!".repeat(100_000)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_breaks_the_parser(text in "[a-z:!()\"/~<>=0-9. ä]{0,40}") {
            match parse(&text) {
                Ok(parsed) => proptest::prop_assert!(parsed.incomplete.is_none_or(|at| text.is_char_boundary(at))),
                Err(p) => proptest::prop_assert!(
                    p.start <= p.end && text.is_char_boundary(p.start) && text.is_char_boundary(p.end)
                ),
            }
        }
    }
}

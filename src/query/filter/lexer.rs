//! Text to tokens, each with its place.

/// A token and where it stands: bytes of the text, from and to.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// The byte after its last.
    pub end: usize,
}

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// `(`
    Open,
    /// `)`
    Close,
    /// `!` or `not`
    Not,
    /// `or`
    Or,
    /// `and`: the same as a blank.
    And,
    /// A term.
    Term(RawTerm),
}

/// A term before its keyword is looked up.
#[derive(Clone, Debug, PartialEq)]
pub struct RawTerm {
    /// What stands before the operator; empty without one.
    pub head: String,
    /// `:`, `:=`, `>`, `>=`, `<`, `<=`, `=`, or empty.
    pub operator: &'static str,
    /// What stands behind it.
    pub value: Value,
    /// The whole term as it was typed.
    pub whole: String,
}

/// A value as it was typed.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A word.
    Word(String),
    /// Between quotes.
    Quoted(String),
    /// Between slashes.
    Regex(String),
    /// Behind a tilde.
    Fuzzy(String),
}

/// A quote or a slash without its other half, or a bracket's: where, and what is missing.
#[derive(Clone, Debug, PartialEq)]
pub struct Unclosed {
    /// Its place.
    pub start: usize,
    /// The sign that is missing.
    pub missing: char,
}

/// Reads the tokens of `text`.
///
/// # Errors
/// When a quote or a slash is not closed.
pub fn tokens(text: &str) -> Result<Vec<Token>, Unclosed> {
    let mut lexer = Lexer { text, at: 0 };
    let mut out = Vec::new();
    let mut depth = 0_usize;
    loop {
        lexer.skip_blanks();
        let start = lexer.at;
        let Some(c) = lexer.peek() else { return Ok(out) };
        let kind = match c {
            '(' => {
                lexer.at += 1;
                depth += 1;
                Kind::Open
            }
            ')' => {
                lexer.at += 1;
                depth = depth.saturating_sub(1);
                Kind::Close
            }
            '!' => {
                lexer.at += 1;
                Kind::Not
            }
            _ => lexer.term(depth > 0)?,
        };
        out.push(Token { kind, start, end: lexer.at });
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

const OPERATORS: [&str; 7] = [":=", ":", ">=", ">", "<=", "<", "="];

impl Lexer<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn term(&mut self, in_brackets: bool) -> Result<Kind, Unclosed> {
        let start = self.at;
        // A head is a word of letters right before an operator.
        let rest = &self.text[start..];
        let letters = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        // A URL is a word.
        let is_url = rest[letters..].starts_with("://") && !rest[..letters].is_empty();
        let operator =
            OPERATORS.into_iter().find(|o| letters > 0 && !is_url && rest[letters..].starts_with(o));
        if let Some(operator) = operator {
            self.at = start + letters + operator.len();
        }
        let value = self.value(in_brackets)?;
        let whole = self.text[start..self.at].to_owned();
        if operator.is_none()
            && let Value::Word(word) = &value
        {
            match () {
                () if word.eq_ignore_ascii_case("or") => return Ok(Kind::Or),
                () if word.eq_ignore_ascii_case("and") => return Ok(Kind::And),
                () if word.eq_ignore_ascii_case("not") => return Ok(Kind::Not),
                () => {}
            }
        }
        let head = if operator.is_some() { rest[..letters].to_owned() } else { String::new() };
        Ok(Kind::Term(RawTerm { head, operator: operator.unwrap_or(""), value, whole }))
    }

    fn value(&mut self, in_brackets: bool) -> Result<Value, Unclosed> {
        match self.peek() {
            Some('"') => Ok(Value::Quoted(self.until('"')?)),
            // A path is a word; a regex ends in a slash.
            Some('/') if self.has_closing_slash() => Ok(Value::Regex(self.until('/')?)),
            Some('~') => {
                self.at += 1;
                Ok(Value::Fuzzy(self.word(in_brackets)))
            }
            _ => Ok(Value::Word(self.word(in_brackets))),
        }
    }

    /// A slash begins a regex if another one ends it before a blank, a bracket or the end; one
    /// that stands alone so far may become one.
    fn has_closing_slash(&self) -> bool {
        let rest = &self.text[self.at + 1..];
        let mut escaped = false;
        for (at, c) in rest.char_indices() {
            if c == '/' && !escaped {
                let behind = rest[at + 1..].chars().next();
                return behind.is_none_or(|c| c.is_whitespace() || c == ')');
            }
            escaped = c == '\\' && !escaped;
        }
        false
    }

    fn word(&mut self, in_brackets: bool) -> String {
        let rest = &self.text[self.at..];
        let mut end = rest.find(|c: char| c.is_whitespace() || in_brackets && c == ')').unwrap_or(rest.len());
        // One at the end that nothing in the word opened is a bracket.
        if !rest[..end].contains('(') {
            end = rest[..end].trim_end_matches(')').len();
        }
        self.at += end;
        rest[..end].to_owned()
    }

    /// Reads up to the sign that ends it, which a backslash takes its meaning from.
    fn until(&mut self, closing: char) -> Result<String, Unclosed> {
        let start = self.at;
        let rest = &self.text[start + 1..];
        let mut out = String::new();
        let mut escaped = false;
        for (at, c) in rest.char_indices() {
            if c == closing && !escaped {
                self.at = start + 1 + at + 1;
                return Ok(out);
            }
            if escaped && c != closing {
                out.push('\\');
            }
            escaped = c == '\\' && !escaped;
            if !escaped {
                out.push(c);
            }
        }
        Err(Unclosed { start, missing: closing })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heads(text: &str) -> Vec<String> {
        tokens(text)
            .unwrap()
            .into_iter()
            .map(|token| match token.kind {
                Kind::Term(term) => format!("{}|{}|{:?}", term.head, term.operator, term.value),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn terms_have_heads_operators_and_values() {
        assert_eq!(heads("port:=443"), [r#"port|:=|Word("443")"#]);
        assert_eq!(heads("rate>=1M x"), [r#"rate|>=|Word("1M")"#, r#"||Word("x")"#]);
        assert_eq!(heads(r#"process:"a b\"c""#), [r#"process|:|Quoted("a b\"c")"#]);
        assert_eq!(heads(r"sni:/^a\.b\//"), [r#"sni|:|Regex("^a\\.b/")"#]);
        assert_eq!(heads("~ffx"), [r#"||Fuzzy("ffx")"#]);
        assert_eq!(heads("/var/log"), [r#"||Word("/var/log")"#]);
        assert_eq!(
            heads("!(a or b) not c"),
            ["Not", "Open", r#"||Word("a")"#, "Or", r#"||Word("b")"#, "Close", "Not", r#"||Word("c")"#]
        );
        assert_eq!(heads("a)b"), [r#"||Word("a)b")"#]);
        assert_eq!(heads("f(x)"), [r#"||Word("f(x)")"#]);
        assert_eq!(heads("proto:tcp)"), [r#"proto|:|Word("tcp")"#, "Close"]);
        assert_eq!(heads("http://a.example/"), [r#"||Word("http://a.example/")"#]);
        assert_eq!(heads("  "), Vec::<String>::new());
        assert_eq!(heads("[::1]:22"), [r#"||Word("[::1]:22")"#]);
    }

    #[test]
    fn places_are_those_of_bytes() {
        let tokens = tokens(" ä  port:1").unwrap();
        assert_eq!((tokens[0].start, tokens[0].end), (1, 3));
        assert_eq!((tokens[1].start, tokens[1].end), (5, 11));
    }

    #[test]
    fn what_is_not_closed_is_told_with_its_place() {
        assert_eq!(tokens(r#"a "b"#), Err(Unclosed { start: 2, missing: '"' }));
    }
}

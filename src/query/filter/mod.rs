//! The filter language: which flows are shown.
//!
//! ```text
//! filter  = and { "or" and }                 not binds closest, then and (a blank), then or
//! and     = not { not }
//! not     = [ "!" | "not" ] ( "(" filter ")" | term )
//! term    = [ keyword ":" [ "=" ] ] value | number-keyword ( ">" | ">=" | "<" | "<=" | "=" ) number
//! value   = word | "quoted" | /regex/ | ~fuzzy | CIDR | n-m
//! ```
//!
//! [`parse`] reads text into a tree, [`plan`] turns that into tests with the cheap ones first, [`eval`]
//! answers whether a flow is in it and how long that holds, [`sieve`] which of many need not be asked.

pub mod address;
pub mod eval;
pub mod field;
pub mod lexer;
pub mod matching;
pub mod parse;
pub mod plan;
pub mod ports;
pub mod sieve;
pub mod texts;
pub mod values;

use std::net::IpAddr;

pub use self::{
    field::Field,
    parse::{Parsed, Problem, parse},
};

/// A filter as a tree.
#[derive(Clone, Debug)]
pub enum Expr {
    /// All of them.
    And(Vec<Expr>),
    /// Any of them.
    Or(Vec<Expr>),
    /// Not this.
    Not(Box<Expr>),
    /// One question.
    Term(Term),
}

/// One question about one field, or about all.
#[derive(Clone, Debug)]
pub struct Term {
    /// What is asked about.
    pub field: Field,
    /// What is asked.
    pub test: Test,
}

/// What can be asked about a field.
#[derive(Clone, Debug)]
pub enum Test {
    /// It contains this text (lower case), without regard to case.
    Contains(Box<str>),
    /// It is this text (lower case), without regard to case.
    Is(Box<str>),
    /// A part of it matches.
    Regex(Box<regex::bytes::Regex>),
    /// It has these letters (lower case), in this order.
    Fuzzy(Box<str>),
    /// The address lies in this network.
    Network(IpAddr, u8),
    /// The number is one of these, both included.
    Range(u64, u64),
    /// The number compares so.
    Compare(Comparison, f64),
}

/// How numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after what they mean")]
pub enum Comparison {
    Less,
    LessOrEqual,
    Equal,
    GreaterOrEqual,
    Greater,
}

impl Comparison {
    /// Returns whether `a` compares so with `b`.
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Self::Less => a < b,
            Self::LessOrEqual => a <= b,
            Self::Equal => a == b,
            Self::GreaterOrEqual => a >= b,
            Self::Greater => a > b,
        }
    }
}

impl Expr {
    /// Calls `each` for every term.
    pub fn terms(&self, each: &mut impl FnMut(&Term)) {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|p| p.terms(each)),
            Self::Not(inner) => inner.terms(each),
            Self::Term(term) => each(term),
        }
    }

    /// Returns the letters that are looked for in order (`~word`), if there are such.
    pub fn fuzzy(&self) -> Option<&str> {
        match self {
            Self::And(parts) | Self::Or(parts) => parts.iter().find_map(Self::fuzzy),
            Self::Term(Term { test: Test::Fuzzy(letters), .. }) => Some(letters),
            Self::Not(_) | Self::Term(_) => None,
        }
    }
}

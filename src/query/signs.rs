//! The signs beyond ASCII that tables and screens use, and what stands for them without Unicode.

use crate::snapshot::row::Direction;

/// One set of signs. All are one cell wide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after what they mean")]
pub struct Signs {
    /// Text is cut here; another one than any sign that says something of what it stands beside.
    pub ellipsis: char,
    /// Opened by us, by the other side, by neither.
    pub out: char,
    pub inward: char,
    pub forwarded: char,
    pub down: char,
    pub up: char,
    pub selected: char,
    /// A group with its rows below it, and without.
    pub open: char,
    pub closed: char,
    /// A row or a number that somebody watches for.
    pub watched: char,
    /// From 75 % and over 90 % of a row's lifetime.
    pub aging: char,
    pub dying: char,
    /// A rate that only fades: it falls. `~` stands before names that were asked for, not said.
    pub fading: char,
    pub rule: char,
    pub dot: char,
    pub good: char,
    pub minus: char,
    pub link_up: char,
    pub link_down: char,
    /// From a little to all of a cell.
    pub levels: [char; 8],
    /// From a little to all of a cell, from the left.
    pub parts: [char; 8],
    /// An empty part of a progress bar.
    pub empty: char,
}

impl Signs {
    /// For terminals that show Unicode.
    pub const UNICODE: Self = Self {
        ellipsis: '…',
        out: '→',
        inward: '←',
        forwarded: '⇄',
        down: '↓',
        up: '↑',
        selected: '▌',
        open: '▾',
        closed: '▸',
        watched: '◆',
        aging: '!',
        dying: '‼',
        fading: '\\',
        rule: '─',
        dot: '·',
        good: '✓',
        minus: '−',
        link_up: '●',
        link_down: '○',
        levels: ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
        parts: ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'],
        empty: '░',
    };

    /// For all others.
    pub const ASCII: Self = Self {
        // As procps cuts names of users.
        ellipsis: '+',
        out: '>',
        inward: '<',
        forwarded: '=',
        down: 'v',
        up: '^',
        selected: '>',
        open: '-',
        closed: '+',
        watched: '@',
        aging: '!',
        dying: 'X',
        fading: '\\',
        rule: '-',
        dot: '-',
        good: ' ',
        minus: '-',
        link_up: '*',
        link_down: 'o',
        levels: ['_', '_', '.', '.', '-', '=', '*', '#'],
        parts: ['.', '.', '-', '-', '=', '=', '#', '#'],
        empty: '.',
    };

    /// Returns the sign between Local and Remote.
    pub const fn direction(&self, direction: Direction) -> char {
        match direction {
            Direction::Out => self.out,
            Direction::In => self.inward,
            Direction::Forwarded => self.forwarded,
        }
    }
}

//! Roles of text and how they look. Views name roles, never colours.
//!
//! Colours are the terminal's own, so that they fit its background; with `NO_COLOR` only bold,
//! dim, underlined and reversed text are left, and signs say what colours would.

use ratatui::style::{Color, Modifier, Style};

/// What a piece of text is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Text.
    Plain,
    /// Text of less weight: labels, rules, ended rows.
    Dim,
    /// What one should read first.
    Strong,
    /// The program's own signs: the active tab, keys, traces.
    Accent,
    /// Nothing is lost.
    Good,
    /// From 75 % of a lifetime; degraded.
    Warn,
    /// Over 90 % of a lifetime; lost.
    Bad,
    /// Headers of columns.
    Header,
}

/// How roles look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// Whether colours may be used.
    pub color: bool,
}

impl Theme {
    /// Returns the look of a role.
    pub fn style(&self, role: Role) -> Style {
        let style = Style::new();
        let color = |color, otherwise| match self.color {
            true => style.fg(color),
            false => style.add_modifier(otherwise),
        };
        match role {
            Role::Plain => style,
            Role::Dim => style.add_modifier(Modifier::DIM),
            Role::Strong => style.add_modifier(Modifier::BOLD),
            Role::Accent => color(Color::Cyan, Modifier::BOLD),
            Role::Good => color(Color::Green, Modifier::empty()),
            Role::Warn => color(Color::Yellow, Modifier::empty()),
            Role::Bad => color(Color::Red, Modifier::BOLD),
            Role::Header => style.add_modifier(Modifier::BOLD),
        }
    }

    /// Returns what lies over the whole line of the selected row.
    pub fn band(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

//! Roles of text and how they look (one table). Views name roles, never colours.
//!
//! The themes dark and light use the terminal's own colours where it has few, so that they fit
//! its background; with `NO_COLOR` only bold, dim, underlined and reversed text are left, and
//! signs say what colours would.

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
    /// The header of the column that rows are sorted by.
    Sorted,
    /// Letters that a fuzzy search found.
    Found,
}

/// The themes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "named after what they are for")]
pub enum ThemeName {
    #[default]
    Dark,
    Light,
    HighContrast,
    ColourBlind,
}

impl ThemeName {
    /// All themes with their names in the config.
    pub const ALL: [(Self, &'static str); 4] = [
        (Self::Dark, "dark"),
        (Self::Light, "light"),
        (Self::HighContrast, "high-contrast"),
        (Self::ColourBlind, "colour-blind"),
    ];

    /// Returns the theme of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known)| *known == name).map(|(theme, _)| theme)
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        Self::ALL.into_iter().find(|(theme, _)| *theme == self).map_or("", |(_, name)| name)
    }

    /// Returns the one after it.
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|(theme, _)| *theme == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()].0
    }
}

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Depth {
    /// None may be used.
    None,
    /// The sixteen of its own palette.
    #[default]
    Sixteen,
    /// 256, of which those from 16 on are the same everywhere.
    Many,
    /// All.
    True,
}

/// How roles look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Theme {
    /// Which one.
    pub name: ThemeName,
    /// How many colours may be used.
    pub depth: Depth,
}

/// The four colours of a theme: accent, good, warn, bad.
type Colors = [Color; 4];

/// Returns the colours of a theme on a terminal that has so many.
const fn colors(name: ThemeName, depth: Depth) -> Colors {
    use Color::{
        Blue, Cyan, Green, Indexed, LightCyan, LightGreen, LightMagenta, LightRed, LightYellow, Magenta, Red,
    };
    use Color::{Rgb, Yellow};
    match (name, depth) {
        // The terminal's own, which fit its background. Its plain red is too dark on many a black one.
        (ThemeName::Dark, _) => [Cyan, Green, Yellow, LightRed],
        // Contrast to white at least 4.5:1 (WCAG 2.1 section 1.4.3), which no green or yellow of sixteen has.
        (ThemeName::Light, Depth::True) => [Rgb(0, 95, 135), Rgb(0, 100, 0), Rgb(133, 77, 0), Rgb(175, 0, 0)],
        (ThemeName::Light, Depth::Many) => [Indexed(24), Indexed(22), Indexed(94), Indexed(124)],
        (ThemeName::Light, _) => [Blue, Blue, Magenta, Red],
        (ThemeName::HighContrast, Depth::True) => {
            [Rgb(0, 255, 255), Rgb(0, 255, 0), Rgb(255, 255, 0), Rgb(255, 110, 110)]
        }
        (ThemeName::HighContrast, Depth::Many) => [Indexed(51), Indexed(46), Indexed(226), Indexed(210)],
        (ThemeName::HighContrast, _) => [LightCyan, LightGreen, LightYellow, LightRed],
        // After Okabe and Ito: told apart with every common kind of colour blindness.
        (ThemeName::ColourBlind, Depth::True) => {
            [Rgb(86, 180, 233), Rgb(100, 160, 255), Rgb(240, 228, 66), Rgb(230, 120, 50)]
        }
        (ThemeName::ColourBlind, Depth::Many) => [Indexed(74), Indexed(75), Indexed(227), Indexed(208)],
        (ThemeName::ColourBlind, _) => [Cyan, LightCyan, Yellow, LightMagenta],
    }
}

impl Theme {
    /// A theme without colours.
    pub const PLAIN: Self = Self { name: ThemeName::Dark, depth: Depth::None };

    /// Returns whether there are colours.
    pub fn has_color(&self) -> bool {
        self.depth != Depth::None
    }

    /// Returns the look of a role.
    pub fn style(&self, role: Role) -> Style {
        let style = Style::new();
        let color = |n: usize, otherwise| match self.depth {
            Depth::None => style.add_modifier(otherwise),
            depth => style.fg(colors(self.name, depth)[n]),
        };
        match role {
            Role::Plain => style,
            Role::Dim if self.name == ThemeName::HighContrast => style,
            Role::Dim => style.add_modifier(Modifier::DIM),
            Role::Strong | Role::Header => style.add_modifier(Modifier::BOLD),
            Role::Accent => color(0, Modifier::BOLD),
            Role::Good => color(1, Modifier::empty()),
            Role::Warn => color(2, Modifier::empty()),
            Role::Bad => color(3, Modifier::BOLD),
            Role::Sorted => color(0, Modifier::BOLD).add_modifier(Modifier::UNDERLINED),
            Role::Found => style.add_modifier(Modifier::UNDERLINED),
        }
    }

    /// Returns what lies over the whole line of the selected row.
    pub fn band(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sixteen of xterm, which are among the darkest in use.
    const XTERM: [(Color, [u8; 3]); 11] = {
        use Color::*;
        [
            (Red, [205, 0, 0]),
            (Green, [0, 205, 0]),
            (Yellow, [205, 205, 0]),
            (Blue, [0, 0, 238]),
            (Magenta, [205, 0, 205]),
            (Cyan, [0, 205, 205]),
            (LightRed, [255, 0, 0]),
            (LightGreen, [0, 255, 0]),
            (LightYellow, [255, 255, 0]),
            (LightMagenta, [255, 0, 255]),
            (LightCyan, [0, 255, 255]),
        ]
    };

    fn parts(color: Color) -> [u8; 3] {
        match color {
            Color::Rgb(r, g, b) => [r, g, b],
            // The cube of six steps each.
            Color::Indexed(n) => {
                [(n - 16) / 36, (n - 16) / 6 % 6, (n - 16) % 6].map(|s| if s == 0 { 0 } else { 55 + 40 * s })
            }
            own => XTERM.iter().find(|(known, _)| *known == own).unwrap().1,
        }
    }

    /// WCAG 2.1: relative luminance.
    fn luminance(color: Color) -> f64 {
        let part = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        let [r, g, b] = parts(color).map(part);
        0.2126 * r + 0.7152 * g + 0.0722 * b
    }

    #[test]
    fn l17_colours_of_themes_have_contrast_to_their_background() {
        for (theme, background) in [
            (ThemeName::Dark, 0.0),
            (ThemeName::Light, 1.0),
            (ThemeName::HighContrast, 0.0),
            (ThemeName::ColourBlind, 0.0),
        ] {
            for depth in [Depth::Sixteen, Depth::Many, Depth::True] {
                for color in colors(theme, depth) {
                    let (a, b) = (luminance(color), background);
                    let contrast = (f64::max(a, b) + 0.05) / (f64::min(a, b) + 0.05);
                    assert!(contrast >= 4.5, "{theme:?} {depth:?} {color:?}: {contrast:.1}");
                }
            }
        }
    }

    #[test]
    fn without_colours_there_are_none() {
        use Role::*;
        for role in [Plain, Dim, Strong, Accent, Good, Warn, Bad, Header, Sorted, Found] {
            let style = Theme::PLAIN.style(role);
            assert!(style.fg.is_none() && style.bg.is_none());
        }
        for (theme, name) in ThemeName::ALL {
            assert_eq!(ThemeName::named(name), Some(theme));
        }
    }
}

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

/// The four colours of a theme: accent, good, warn, bad; with sixteen colours, with all.
type Colors = ([Color; 4], [Color; 4]);

const fn colors(name: ThemeName) -> Colors {
    use Color::*;
    match name {
        ThemeName::Dark => ([Cyan, Green, Yellow, Red], [Cyan, Green, Yellow, Red]),
        // Contrast to white at least 4.5:1 (WCAG 2.1 section 1.4.3).
        ThemeName::Light => {
            ([Blue, Green, Magenta, Red], [Rgb(0, 95, 135), Rgb(0, 100, 0), Rgb(133, 77, 0), Rgb(175, 0, 0)])
        }
        ThemeName::HighContrast => (
            [LightCyan, LightGreen, LightYellow, LightRed],
            [Rgb(0, 255, 255), Rgb(0, 255, 0), Rgb(255, 255, 0), Rgb(255, 110, 110)],
        ),
        // After Okabe and Ito: told apart with every common kind of colour blindness.
        ThemeName::ColourBlind => (
            [Cyan, LightBlue, Yellow, Magenta],
            [Rgb(86, 180, 233), Rgb(100, 160, 255), Rgb(240, 228, 66), Rgb(230, 120, 50)],
        ),
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
            Depth::Sixteen => style.fg(colors(self.name).0[n]),
            Depth::True => style.fg(colors(self.name).1[n]),
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

    /// WCAG 2.1: relative luminance.
    fn luminance(color: Color) -> f64 {
        let Color::Rgb(r, g, b) = color else { panic!("{color:?} is the terminal's own") };
        let part = |c: u8| {
            let c = f64::from(c) / 255.0;
            if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
        };
        0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b)
    }

    #[test]
    fn l17_colours_of_themes_have_contrast_to_their_background() {
        for (theme, background) in
            [(ThemeName::Light, 1.0), (ThemeName::HighContrast, 0.0), (ThemeName::ColourBlind, 0.0)]
        {
            for color in colors(theme).1 {
                let (a, b) = (luminance(color), background);
                let contrast = (f64::max(a, b) + 0.05) / (f64::min(a, b) + 0.05);
                assert!(contrast >= 4.5, "{theme:?} {color:?}: {contrast:.1}");
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

//! The first line: program, tabs, what is watched, by which methods, and what must not be missed.
//!
//! Lines of a fixed width have no room for all of it: [`FORMS`] lists the ways to write it.

use ratatui::{buffer::Buffer, layout::Rect, style::Modifier};

use super::{
    chips::chips,
    own::{capture_method, owner_method},
    watched::{Links, Watched},
};
use crate::{
    query::text,
    tui::{
        action::Tab,
        app::App,
        theme::Role,
        widget::strip::{Runs, Strip},
    },
};

/// Draws the line with program, tabs, interfaces and capture method; notes where the tabs are.
pub fn draw_tabs(buf: &mut Buffer, area: Rect, app: &mut App) {
    let head = Head::new(app, area.width);
    let form = head.fitting_form();
    let mut x = area.x + 1;
    let (mut hits, mut runs) = (Vec::new(), Vec::new());
    for (tab, text) in tabs(app, area.width, form) {
        let width = text::width(&text) as u16;
        if let Some(tab) = tab {
            hits.push((x, x + width.saturating_sub(1), tab));
        }
        x += width;
        let (text, style) = match tab {
            Some(tab) if tab == app.tab => app.run(Role::Accent, text),
            Some(_) => app.run(Role::Dim, text),
            None => app.run(Role::Strong, text),
        };
        let active = tab == Some(app.tab);
        runs.push((text, if active { style.add_modifier(Modifier::UNDERLINED) } else { style }));
    }
    let mut strip = Strip::new(app.setup.signs.ellipsis);
    strip.left(9, runs);
    let room = usize::from(area.width).saturating_sub(usize::from(x - area.x) + 3);
    // A name gives way to what stands beside it.
    let mut name = FILE_CELLS;
    let mut all = head.beside(form, name);
    while cells(&all) > room && name > NAME_AT_LEAST {
        name -= 1;
        all = head.beside(form, name);
    }
    all.into_iter().for_each(|piece| strip.right(piece.weight, piece.runs));
    strip.draw(buf, area);
    app.hits.tabs = hits;
}

/// How the first line is written.
#[derive(Clone, Copy)]
struct HeadForm {
    tabs: TabNames,
    /// The program's name before them.
    is_named: bool,
    /// Speeds of interfaces, `owners` before their method.
    has_words: bool,
    /// Chips say what they are about.
    has_chips: bool,
    links: Links,
}

/// How tabs are named.
#[derive(Clone, Copy, PartialEq)]
enum TabNames {
    Long,
    Short,
    /// Only the active one has a name.
    Numbers,
}

/// The ways to write the first line, the one that says most first: what is watched, by which methods, and the
/// names of the tabs stay longest.
const FORMS: &[HeadForm] = {
    use {Links::*, TabNames::*};
    const FULL: HeadForm =
        HeadForm { tabs: Long, is_named: true, has_words: true, has_chips: true, links: All };
    const SHORT: HeadForm = HeadForm { tabs: Short, has_words: false, has_chips: false, ..FULL };
    const BARE: HeadForm = HeadForm { is_named: false, ..SHORT };
    const NUMBERS: HeadForm = HeadForm { tabs: Numbers, has_words: false, has_chips: false, ..FULL };
    &[
        FULL,
        HeadForm { has_words: false, ..FULL },
        HeadForm { tabs: Short, ..FULL },
        HeadForm { has_chips: true, ..SHORT },
        HeadForm { has_words: false, has_chips: false, ..FULL },
        HeadForm { has_words: false, links: Few, ..FULL },
        SHORT,
        BARE,
        HeadForm { has_chips: true, links: Few, ..SHORT },
        HeadForm { links: Few, ..SHORT },
        HeadForm { links: Few, ..BARE },
        HeadForm { links: Names, ..SHORT },
        HeadForm { links: Names, ..BARE },
        HeadForm { has_chips: true, links: Counts, ..SHORT },
        HeadForm { links: Counts, ..SHORT },
        HeadForm { links: Counts, ..BARE },
        HeadForm { links: Worst, ..BARE },
        HeadForm { tabs: Numbers, ..FULL },
        HeadForm { tabs: Numbers, has_chips: false, ..FULL },
        HeadForm { has_words: true, ..NUMBERS },
        HeadForm { has_words: true, links: Few, ..NUMBERS },
        NUMBERS,
        HeadForm { links: Few, ..NUMBERS },
        HeadForm { links: Names, ..NUMBERS },
        HeadForm { links: Counts, ..NUMBERS },
        HeadForm { links: Worst, ..NUMBERS },
    ]
};

/// Cells that the name of a file has at most, and those that names are cut to before something else goes.
pub const FILE_CELLS: usize = 40;
pub const NAME_AT_LEAST: usize = 6;

/// A piece on the right of the first line.
pub struct Beside {
    weight: u8,
    runs: Runs,
}

impl Beside {
    /// Returns what names what is watched.
    pub fn named(runs: Runs) -> Self {
        Self { weight: 8, runs }
    }
}

/// Returns the cells that pieces take, with the gaps between them.
fn cells(pieces: &[Beside]) -> usize {
    let texts = pieces.iter().flat_map(|piece| &piece.runs);
    texts.map(|(text, _)| text::width(text)).sum::<usize>() + 2 * pieces.len().saturating_sub(1)
}

/// What the first line tells beside the tabs, found once for each draw.
struct Head<'a> {
    app: &'a App,
    width: u16,
    watched: Watched<'a>,
    /// Chips in signs, and in words.
    chips: [Vec<(u8, String)>; 2],
    capture_method: String,
}

impl<'a> Head<'a> {
    fn new(app: &'a App, width: u16) -> Self {
        Self {
            app,
            width,
            watched: Watched::new(app),
            chips: [false, true].map(|in_words| chips(app, in_words)),
            capture_method: app.view.as_ref().map_or_else(String::new, capture_method),
        }
    }

    /// Returns the first form that the width has room for.
    fn fitting_form(&self) -> HeadForm {
        let Self { app, width, .. } = *self;
        // Of many that are down, as on hosts with spare ports, the number says enough.
        let is_usual = |form: &HeadForm| {
            self.watched.troubles() <= 2
                || form.is_named
                || matches!(form.links, Links::Counts | Links::Worst)
        };
        // Below, tabs have numbers only, as without them nothing is left for what is watched.
        let usual =
            FORMS.iter().filter(|f| width >= 76 || f.tabs == TabNames::Numbers).filter(|f| is_usual(f));
        let usual: Vec<(&HeadForm, usize)> = usual
            .map(|form| (form, tabs(app, width, *form).iter().map(|(_, text)| text::width(text)).sum()))
            .collect();
        let fits = |form: HeadForm, tabs: usize, name: usize| {
            let beside = cells(&self.beside(form, name));
            tabs + beside + 2 + if beside > 0 { 2 } else { 0 } <= usize::from(width)
        };
        let names = self.watched.name_cells();
        let first = |is_wanted: fn(&HeadForm) -> bool| {
            let wanted = || usual.iter().filter(|(form, _)| is_wanted(form));
            names.iter().find_map(|name| wanted().find(|(form, tabs)| fits(**form, *tabs, *name)))
        };
        // Whoever has opened a file knows it by the beginning of its name.
        let branded =
            app.setup.file.as_ref().and_then(|_| first(|f| f.is_named && f.tabs != TabNames::Numbers));
        let found =
            branded.or_else(|| first(|form| form.tabs != TabNames::Numbers)).or_else(|| first(|_| true));
        found.map(|(form, _)| *form).or(FORMS.last()).copied().expect("there are forms")
    }

    /// Returns what stands beside the tabs: what is watched, its names in at most `name` cells, how, and what
    /// must not be missed.
    fn beside(&self, form: HeadForm, name: usize) -> Vec<Beside> {
        let Self { app, width, .. } = *self;
        let Some(view) = &app.view else { return Vec::new() };
        let mut all = self.watched.pieces(form.links, form.has_words, name);
        let mut add = |weight, runs| all.push(Beside { weight, runs: vec![runs] });
        if width >= 100 {
            add(4, app.run(Role::Dim, self.capture_method.as_str()));
        }
        if width >= 100 && !app.is_file() {
            let (role, method) = owner_method(view);
            match (form.has_words, view.owner_method.is_off()) {
                (true, _) => add(3, app.run(role, format!("owners {method}"))),
                (false, true) => {}
                // Where both have one name, it is told which is which.
                (false, false) if method == self.capture_method => {
                    add(3, app.run(role, format!("owners {method}")));
                }
                (false, false) => add(3, app.run(role, method)),
            }
        }
        for (weight, text) in &self.chips[usize::from(form.has_chips)] {
            add(*weight, app.run(Role::Warn, text.as_str()));
        }
        if app.setup.promiscuous {
            let is_long = form.has_chips || width >= 100;
            add(6, app.run(Role::Accent, if is_long { "promiscuous" } else { "promisc" }));
        }
        if view.resolver.is_some() {
            let is_long = form.has_chips || width >= 100;
            add(6, app.run(Role::Accent, if is_long { "resolve-dns" } else { "dns" }));
        }
        all
    }
}

fn tabs(app: &App, width: u16, form: HeadForm) -> Vec<(Option<Tab>, String)> {
    let gap = if width >= 116 && form.tabs == TabNames::Long { "  " } else { " " };
    let mut out = Vec::new();
    if form.is_named {
        out.push((None, format!("rustnet{gap}")));
    }
    for (n, tab) in Tab::ALL.into_iter().enumerate() {
        if n > 0 {
            out.push((None, gap.to_owned()));
        }
        let (long, short) = tab.names();
        let number = tab.place() + 1;
        let text = match form.tabs {
            TabNames::Long => format!("{number} {long}"),
            TabNames::Short => format!("{number} {short}"),
            TabNames::Numbers if tab == app.tab => format!("{number} {short}"),
            TabNames::Numbers => number.to_string(),
        };
        out.push((Some(tab), text));
    }
    out
}

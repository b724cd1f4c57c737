//! The first lines: which interfaces, how much, how many, whether anything was lost.

use std::collections::HashSet;

use ratatui::{buffer::Buffer, layout::Rect, style::Modifier};

use super::empty;
use crate::query::group::GroupName;
use crate::{
    base::{counters::DropReason, time::Stamp},
    capture::source::{InterfaceState, InterfaceStatus},
    query::{format, text, window::View},
    tui::{
        action::Tab,
        app::App,
        theme::Role,
        widget::bars,
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
    has_age: bool,
}

/// How tabs are named.
#[derive(Clone, Copy, PartialEq)]
enum TabNames {
    Long,
    Short,
    /// Only the active one has a name.
    Numbers,
}

/// How much is told of interfaces: those that are gone before those that are down.
#[derive(Clone, Copy, PartialEq)]
enum Links {
    /// All, with how long they have been down.
    All,
    /// One of those that are up, and one that is gone or down; others are counted.
    Few,
    /// The same without how long it has been so.
    Names,
    /// How many.
    Counts,
    /// How many are gone; if none is, how many are down.
    Worst,
}

/// The ways to write the first line, the one that says most first: what is watched, by which methods, and the
/// names of the tabs stay longest.
const FORMS: &[HeadForm] = {
    use {Links::*, TabNames::*};
    const FULL: HeadForm =
        HeadForm { tabs: Long, is_named: true, has_words: true, has_chips: true, links: All, has_age: true };
    const SHORT: HeadForm = HeadForm { tabs: Short, has_words: false, has_chips: false, ..FULL };
    const BARE: HeadForm = HeadForm { is_named: false, has_age: false, ..SHORT };
    const NUMBERS: HeadForm =
        HeadForm { tabs: Numbers, has_words: false, has_chips: false, has_age: false, ..FULL };
    &[
        FULL,
        HeadForm { has_words: false, ..FULL },
        HeadForm { tabs: Short, ..FULL },
        HeadForm { has_chips: true, ..SHORT },
        HeadForm { has_words: false, has_chips: false, ..FULL },
        HeadForm { has_words: false, links: Few, ..FULL },
        SHORT,
        HeadForm { is_named: false, ..SHORT },
        HeadForm { has_chips: true, links: Few, ..SHORT },
        HeadForm { links: Few, ..SHORT },
        HeadForm { is_named: false, links: Few, ..SHORT },
        BARE,
        HeadForm { links: Few, ..BARE },
        HeadForm { links: Names, ..SHORT },
        HeadForm { is_named: false, links: Names, ..SHORT },
        HeadForm { links: Names, ..BARE },
        HeadForm { has_chips: true, links: Counts, ..SHORT },
        HeadForm { links: Counts, ..SHORT },
        HeadForm { is_named: false, links: Counts, ..SHORT },
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
const FILE_CELLS: usize = 40;
const NAME_AT_LEAST: usize = 6;

/// A piece on the right of the first line.
struct Beside {
    weight: u8,
    runs: Runs,
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
    up: Vec<&'a InterfaceStatus>,
    /// Those that are gone, then those that are down; of each, what has changed last comes first.
    troubles: Vec<Trouble<'a>>,
    /// Chips in signs, and in words.
    chips: [Vec<(u8, String)>; 2],
    capture_method: String,
}

/// An interface that is gone or down.
struct Trouble<'a> {
    interface: &'a InterfaceStatus,
    role: Role,
    /// `down` or `gone`.
    what: &'static str,
    since: Stamp,
}

impl<'a> Head<'a> {
    fn new(app: &'a App, width: u16) -> Self {
        let all = app.view.as_ref().map_or_else(Vec::new, interfaces);
        let mut troubles: Vec<_> = all.iter().copied().filter_map(Trouble::of).collect();
        troubles.sort_by_key(|trouble| (!trouble.is_gone(), std::cmp::Reverse(trouble.since)));
        Self {
            app,
            width,
            up: all.into_iter().filter(|i| i.state == InterfaceState::Up).collect(),
            troubles,
            chips: [false, true].map(|in_words| chips(app, in_words)),
            capture_method: app.view.as_ref().map_or_else(String::new, capture_method),
        }
    }

    /// Returns the first form that the width has room for.
    fn fitting_form(&self) -> HeadForm {
        let Self { app, width, .. } = *self;
        // Of many that are down, as on hosts with spare ports, the number says enough.
        let is_usual = |form: &HeadForm| {
            self.troubles.len() <= 2 || form.is_named || matches!(form.links, Links::Counts | Links::Worst)
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
        // Of a file its own name is wanted; the way to it stands there if there is room anyway.
        let own = app.setup.file.as_ref().map_or(FILE_CELLS, |file| {
            let name = text::escape(file);
            text::width(name.rsplit('/').next().unwrap_or(&name)).min(FILE_CELLS)
        });
        let names = [own, own.min(24), own.min(16), NAME_AT_LEAST];
        let first = |is_wanted: fn(&HeadForm) -> bool| {
            let wanted = || usual.iter().filter(|(form, _)| is_wanted(form));
            names.iter().find_map(|name| wanted().find(|(form, tabs)| fits(**form, *tabs, *name)))
        };
        let found = first(|form| form.tabs != TabNames::Numbers).or_else(|| first(|_| true));
        found.map(|(form, _)| *form).or(FORMS.last()).copied().expect("there are forms")
    }

    /// Returns what stands beside the tabs: what is watched, its names in at most `name` cells, how, and what
    /// must not be missed.
    fn beside(&self, form: HeadForm, name: usize) -> Vec<Beside> {
        let Self { app, width, .. } = *self;
        let Some(view) = &app.view else { return Vec::new() };
        let mut all = self.watched(form, name);
        let mut add = |weight, runs| all.push(Beside { weight, runs: vec![runs] });
        if width >= 100 || app.is_file() {
            add(4, app.run(Role::Dim, self.capture_method.as_str()));
        }
        if width >= 100 && !app.is_file() {
            let (role, method) = owner_method(view);
            match (form.has_words, view.owner_method.is_off()) {
                (true, _) => add(3, app.run(role, format!("owners {method}"))),
                (false, true) => {}
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
        // Where the lines below have room for it, it stands there.
        if width < 100 && form.has_age && !app.is_file() {
            let (role, age) = age(app, view);
            let text = format!("{age:.1}s");
            // While frozen, the line below tells since when; its room stays free, so that the tabs stay in
            // their places.
            let text = if app.frozen_for().is_some() { " ".repeat(text.len()) } else { text };
            add(2, app.run(role, text));
        }
        all
    }

    /// Returns what is watched: the file, or the interfaces, those first that are up.
    fn watched(&self, form: HeadForm, most: usize) -> Vec<Beside> {
        let app = self.app;
        let signs = &app.setup.signs;
        let named = |runs: Runs| Beside { weight: 8, runs };
        let good = |text: String| named(vec![app.run(Role::Good, signs.link_up), app.run(Role::Plain, text)]);
        if let Some(file) = &app.setup.file {
            let name = text::escape(file);
            // Where there is no room for the way to it, its own name tells more.
            let own = name.rsplit('/').next().unwrap_or(&name);
            let name = match text::width(&name) <= most {
                true => text::clip_start(&name, FILE_CELLS, signs.ellipsis),
                false => text::clip(own, most, signs.ellipsis),
            };
            return vec![good(format!(" {name}"))];
        }
        let name = |interface: &InterfaceStatus| {
            let name = text::escape(&interface.name);
            text::clip(&name, NAME_CELLS.min(most), signs.ellipsis).into_owned()
        };
        let mut out = Vec::new();
        match (&self.up[..], form.links) {
            ([], _) => {}
            (few @ [_], _) | (few @ [_, _], Links::All) => out.extend(few.iter().map(|interface| {
                let speed = interface.speed.filter(|_| form.has_words).map_or_else(String::new, speed);
                good(format!(" {}{speed}", name(interface)))
            })),
            (many, Links::All) => out.push(good(format!(" {} interfaces", many.len()))),
            (many, Links::Counts | Links::Worst) => out.push(good(format!(" {} up", many.len()))),
            ([one, others @ ..], _) => out.push(good(format!(" {} +{} up", name(one), others.len()))),
        }
        let bad = |role, text: String| vec![app.run(role, signs.link_down), app.run(role, text)];
        let told = |trouble: &Trouble, has_span: bool| {
            let span = format::whole_span(app.clock.since(trouble.since));
            let span = if has_span { format!(" {span}") } else { String::new() };
            bad(trouble.role, format!(" {} {}{span}", name(trouble.interface), trouble.what))
        };
        let counts = |troubles: &[Trouble]| {
            let gone = troubles.iter().filter(|trouble| trouble.is_gone()).count();
            [(Role::Bad, gone, "gone"), (Role::Warn, troubles.len() - gone, "down")]
        };
        match (&self.troubles[..], form.links) {
            ([], _) => {}
            (few @ ([_] | [_, _]), Links::All) => {
                out.extend(few.iter().map(|trouble| named(told(trouble, true))));
            }
            (all, links @ (Links::Counts | Links::Worst)) => {
                let mut counts = counts(all).into_iter().filter(|(_, n, _)| *n > 0);
                let mut runs = Vec::new();
                runs.extend(counts.next().map(|(role, n, what)| bad(role, format!(" {n} {what}"))));
                let others = counts.filter(|_| links == Links::Counts);
                let others = others.map(|(role, n, _)| vec![app.run(role, format!(" +{n}"))]);
                out.push(named(runs.into_iter().chain(others).flatten().collect()));
            }
            ([one, others @ ..], links) => {
                let mut runs = told(one, links != Links::Names);
                let more = |(role, n, what): (_, _, &str)| app.run(role, format!(" +{n}{what}"));
                let counts = counts(others).into_iter().filter(|(_, n, _)| *n > 0);
                let counts: Vec<_> = counts.map(|(role, n, what)| (role, n, format!(" {what}"))).collect();
                match (&counts[..], links) {
                    // One number for all: in the colour of the worst, and a word where it is another one.
                    ([(role, _, _), _, ..], Links::Few | Links::Names) => {
                        runs.push(more((*role, others.len(), "")))
                    }
                    ([(role, n, what)], Links::Names) => {
                        runs.push(more((*role, *n, if *role == one.role { "" } else { what })));
                    }
                    (all, _) => runs.extend(all.iter().map(|(role, n, what)| more((*role, *n, what)))),
                }
                out.push(named(runs));
            }
        }
        out
    }
}

impl<'a> Trouble<'a> {
    /// Returns what is wrong with an interface, if anything is.
    fn of(interface: &'a InterfaceStatus) -> Option<Self> {
        let (role, what, since) = match interface.state {
            InterfaceState::Up => return None,
            InterfaceState::Down(at) => (Role::Warn, "down", at),
            InterfaceState::Gone(at) => (Role::Bad, "gone", at),
            InterfaceState::Unwatched(at) => (Role::Warn, "unwatched", at),
        };
        Some(Self { interface, role, what, since })
    }

    fn is_gone(&self) -> bool {
        matches!(self.interface.state, InterfaceState::Gone(_))
    }
}

fn capture_method(view: &View) -> String {
    unique(view.sources.iter().map(|s| s.method)).join(" ")
}

/// Returns how owners are found; not the best way is a warning, and the key `!` says why.
fn owner_method(view: &View) -> (Role, &str) {
    let owners = &view.owner_method;
    (if owners.reason.is_some() { Role::Warn } else { Role::Dim }, owners.method)
}

/// Returns one chip for all watches that fire, one for all that is degraded and one while frames are written,
/// each with its weight; in words where there is room for them.
fn chips(app: &App, in_words: bool) -> Vec<(u8, String)> {
    let signs = &app.setup.signs;
    let (degraded, firing) = (app.degraded(), app.firing().count());
    let watched = app.firing().next().map(|(watch, _)| {
        let name = text::escape(&watch.name);
        let more = if firing > 1 { format!(" +{}", firing - 1) } else { String::new() };
        match in_words {
            false => format!("{}{firing}", signs.watched),
            true => format!("{} {}{more}", signs.watched, text::clip(&name, 24, signs.ellipsis)),
        }
    });
    let less = match &degraded[..] {
        [] => None,
        all if !in_words => Some(format!("!{}", all.len())),
        [(what, _)] => Some(format!("! {what} degraded")),
        all => Some(format!("! {} degraded", all.len())),
    };
    let recording = app.recording.as_ref().map(|_| if in_words { "P writes frames" } else { "P" });
    let all = [(7, watched), (6, less), (8, recording.map(str::to_owned))];
    all.into_iter().filter_map(|(weight, text)| Some((weight, text?))).collect()
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

fn unique<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut out = Vec::new();
    for one in all {
        if !out.contains(&one) {
            out.push(one);
        }
    }
    out
}

/// Cells that the name of an interface has at most.
const NAME_CELLS: usize = 15;

/// Returns the interfaces that are watched.
fn interfaces(view: &View) -> Vec<&InterfaceStatus> {
    let mut met = HashSet::new();
    let all = view.sources.iter().flat_map(|s| &s.interfaces);
    all.filter(|interface| met.insert(interface.name.as_str())).collect()
}

fn speed(bits: u64) -> String {
    format!(" {}", format::compact(bits as f64, format::Digits::Two).replace(".0", ""))
}

/// Draws one to three lines of totals, as many as `area` has.
pub fn draw_totals(buf: &mut Buffer, area: Rect, app: &App) {
    let Some(view) = &app.view else { return };
    let line = |n| Rect { y: area.y + n, height: 1, ..area };
    let first = match area.height {
        // Where there is one line, nothing is as urgent as what is lost.
        0 | 1 if view.lost > 0 => losses(app, view, area.width),
        _ => rates(app, view, area.width),
    };
    first.draw(buf, line(0));
    match area.height {
        0 | 1 => {}
        // Nothing is as urgent as what is lost.
        2 if view.lost > 0 => losses(app, view, area.width).draw(buf, line(1)),
        2 => {
            let mut strip = top(app, view, area.width);
            strip.right_in_forms(9, lost(app, view));
            add_own(&mut strip, app, view, area.width);
            strip.draw(buf, line(1));
        }
        _ => {
            top(app, view, area.width).draw(buf, line(1));
            losses(app, view, area.width).draw(buf, line(2));
        }
    }
}

/// Returns how much was lost of how much, in forms from the longest to the shortest.
fn lost(app: &App, view: &View) -> Vec<Runs> {
    let (role, forms) = match view.lost {
        0 => {
            let good = app.setup.signs.good;
            let of = |seen: String| format!("Lost 0 of {seen} {good}");
            let all = [format::grouped(view.seen), format::count(view.seen as f64)].map(of);
            (Role::Good, [&all[..], &[format!("lost 0 {good}")]].concat())
        }
        lost => {
            let share = format::percent(lost, view.seen);
            let exact = format!("Lost {} of {}", format::grouped(lost), format::grouped(view.seen));
            let [lost, seen] = [lost, view.seen].map(|frames| format::count(frames as f64));
            (Role::Bad, vec![format!("{exact} ({share})"), exact, format!("Lost {lost} of {seen}")])
        }
    };
    forms.iter().map(|text| vec![app.run(role, text.trim_end())]).collect()
}

/// Adds by which methods, at what cost, and how old all this is, as far as the first line does not say it.
fn add_own(strip: &mut Strip, app: &App, view: &View, width: u16) {
    if width < 100 && !app.is_file() {
        let (role, method) = owner_method(view);
        let mut methods = vec![app.run(Role::Dim, capture_method(view))];
        if !view.owner_method.is_off() {
            methods.push(app.run(role, format!(" {method}")));
        }
        strip.right(7, methods);
    }
    if let Some(usage) = &app.usage {
        let memory = format::bytes(usage.memory);
        let own = format!("{:.2} core {memory}", usage.cores);
        let short = format!("{:.2}c {}", usage.cores, memory.replace([' ', 'B'], ""));
        let forms = [format!("rustnet {own}"), own, short];
        let forms = &forms[usize::from(width < 100)..];
        let runs: Vec<Runs> = forms.iter().map(|text| vec![app.run(Role::Dim, text.as_str())]).collect();
        strip.right_in_forms(6, runs);
    }
    if let Some(frozen) = app.frozen_for() {
        strip.right(9, [app.run(Role::Warn, format!("FROZEN {}", format::whole_span(frozen)))]);
    } else if width >= 100 && !app.is_file() {
        let (role, age) = age(app, view);
        strip.right(5, [app.run(role, format!("{age:.1} s old"))]);
    }
}

/// Returns how old what is shown is, in seconds.
fn age(app: &App, view: &View) -> (Role, f64) {
    let age = app.clock.since(view.wall).as_secs_f64();
    (if age > 5.0 { Role::Warn } else { Role::Dim }, age)
}

/// Who moves most, whatever the order of the table.
fn top(app: &App, view: &View, width: u16) -> Strip {
    let signs = &app.setup.signs;
    let mut strip = Strip::new(signs.ellipsis);
    let all = view.totals.down + view.totals.up;
    let by_host = matches!(view.top.first(), Some(share) if matches!(share.name, GroupName::Host(_)));
    strip.left(9, [app.run(Role::Dim, if by_host { "Top hosts" } else { "Top" })]);
    if view.top.is_empty() {
        let words = match all > 0.0 {
            true => "4 Hosts tells who".to_owned(),
            false if empty::is_starting(app, view) => empty::starting(app).to_lowercase(),
            false => "nothing moves".to_owned(),
        };
        strip.left(8, [app.run(Role::Dim, words)]);
    }
    for (n, share) in view.top.iter().enumerate() {
        let name = group_name(&share.name);
        let name = text::clip(&name, if width < 100 { 14 } else { 24 }, signs.ellipsis).into_owned();
        // The shares of a moment and its total are of the same second, but for rows that ended.
        let part = format::percent((share.rate * 1000.0) as u64, (all.max(share.rate) * 1000.0) as u64);
        let mut runs = vec![app.run(if n == 0 { Role::Strong } else { Role::Plain }, name)];
        if width >= 100 && n < 3 {
            runs.push(app.run(Role::Plain, format!(" {}", app.rate(share.rate))));
        }
        runs.push(app.run(Role::Accent, format!(" {part}")));
        if width >= 100 && n < 2 {
            let cells = (share.rate / all.max(1.0) * 8.0).round().clamp(1.0, 8.0) as usize;
            let full = signs.levels[signs.levels.len() - 1].to_string().repeat(cells);
            runs.push(app.run(Role::Accent, format!(" {full}")));
        }
        // One is told in any case, others as far as there is room.
        strip.left(if n == 0 { 8 } else { 3 }, runs);
    }
    if width >= 100 {
        strip.right(4, [app.run(Role::Dim, if by_host { "4: all" } else { "5: all" })]);
    }
    strip
}

/// Returns the name of a group as it is shown.
pub fn group_name(name: &GroupName) -> String {
    match name {
        GroupName::Host(address) => address.to_string(),
        GroupName::Process(name) => text::escape(name).into_owned(),
        GroupName::Kernel => "kernel".into(),
        GroupName::Forwarded => "forwarded".into(),
        GroupName::LinkLocal => "link-local".into(),
        GroupName::Unknown => "(unknown)".into(),
        GroupName::NotLooked => "n/a".into(),
        GroupName::Gone => "(ended)".into(),
    }
}

fn rates(app: &App, view: &View, width: u16) -> Strip {
    let wide = width >= 100;
    let most = match width {
        ..72 => 0,
        72..100 => 8,
        100..180 => 15,
        _ => 30,
    };
    // Where the line has no room for all, the traces are shorter.
    let missing =
        rates_with(app, view, wide, most).width().saturating_sub(usize::from(width).saturating_sub(2));
    rates_with(app, view, wide, most.saturating_sub(missing.div_ceil(2)).max(most.min(4)))
}

/// Returns the line with traces of so many cells.
fn rates_with(app: &App, view: &View, wide: bool, cells: usize) -> Strip {
    let mut strip = Strip::new(app.setup.signs.ellipsis);
    for (which, label, rate) in [(0, "Down", view.totals.down), (1, "Up", view.totals.up)] {
        let label = app.run(Role::Dim, format!("{label} "));
        let mut runs = vec![label, app.run(Role::Strong, format!("{:>9}", app.rate(rate)))];
        if cells > 0 {
            let trace = bars::trace(&app.history.parts(which, cells), &app.setup.signs);
            runs.push(app.run(Role::Accent, format!(" {trace}")));
        }
        strip.left(9 - which as u8, runs);
    }
    let packets = packets_per_second(view, if wide { "packets/s" } else { "p/s" });
    strip.left(5, [app.run(Role::Plain, packets)]);
    let flows = [format::grouped(view.totals.flows), format::count(view.totals.flows as f64)];
    let noun = match (wide, view.totals.flows) {
        (true, 1) => " connection",
        (true, _) => " connections",
        (false, 1) => " conn",
        (false, _) => " conns",
    };
    strip
        .right_in_forms(7, flows.map(|flows| vec![app.run(Role::Strong, flows), app.run(Role::Plain, noun)]));
    let per_second = |n: f64| match n {
        n if n < 0.5 => "0".to_owned(),
        n => format::compact(n.round(), format::Digits::Two),
    };
    let [opened, closed] = [view.totals.opened_per_second, view.totals.closed_per_second].map(per_second);
    let unit = if wide { "/s" } else { "" };
    strip
        .right(6, [app.run(Role::Plain, format!("+{opened}{unit} {}{closed}{unit}", app.setup.signs.minus))]);
    strip
}

fn packets_per_second(view: &View, unit: &str) -> String {
    format!("{} {unit}", format::count(view.totals.packets_per_second))
}

fn losses(app: &App, view: &View, width: u16) -> Strip {
    let mut strip = Strip::new(app.setup.signs.ellipsis);
    strip.left_in_forms(9, lost(app, view));
    if view.lost > 0 {
        let mut reasons = lost_by_reason(view);
        reasons.sort_by_key(|(lost, ..)| std::cmp::Reverse(*lost));
        let remedy = reasons.first().map_or("", |(_, _, remedy)| *remedy);
        for (n, (lost, title, _)) in reasons.into_iter().enumerate() {
            let counted = format!("{title} {}", format::grouped(lost));
            let short = text::clip(title, 16, app.setup.signs.ellipsis).into_owned();
            let forms = [counted, title.to_owned(), short];
            let forms = if n == 0 { &forms[..] } else { &forms[..1] };
            let runs: Vec<Runs> = forms.iter().map(|text| vec![app.run(Role::Bad, text.as_str())]).collect();
            strip.left_in_forms(if n == 0 { 8 } else { 3 }, runs);
        }
        let tab = Tab::Pipeline;
        strip.left(8, [app.run(Role::Bad, format!("{} {}", tab.place() + 1, tab.names().0))]);
        strip.left(3, [app.run(Role::Bad, remedy)]);
    }
    if view.totals.retransmits > 0 {
        let count = format::grouped(view.totals.retransmits);
        strip.left(3, [app.run(Role::Dim, "retrans "), app.run(Role::Plain, count)]);
    }
    if view.round_trips.count > 0 && width >= 100 {
        let [middle, far] = [view.round_trips.p50, view.round_trips.p99].map(format::short_span);
        let runs = [
            app.run(Role::Dim, "RTT p50 "),
            app.run(Role::Plain, middle),
            app.run(Role::Dim, " p99 "),
            app.run(Role::Plain, far),
        ];
        strip.left(3, runs);
    }
    if view.totals.half_open > 0 {
        let count = format::grouped(view.totals.half_open);
        strip.left(2, [app.run(Role::Dim, "half-open "), app.run(Role::Plain, count)]);
    }
    if view.totals.evicted > 0 {
        let count = format::grouped(view.totals.evicted);
        strip.left(4, [app.run(Role::Warn, format!("evicted {count}"))]);
    }
    add_own(&mut strip, app, view, width);
    strip
}

/// Returns frames lost with what lost them and what helps.
pub fn lost_by_reason(view: &View) -> Vec<(u64, &'static str, &'static str)> {
    let kernel = (view.kernel_drops, "kernel ring full", "the capture cores are too slow or shared");
    let second_copies = [DropReason::SeenElsewhere, DropReason::LoopbackCopy];
    let own = DropReason::ALL.iter().filter(|r| !second_copies.contains(r));
    let own = own.map(|r| (view.accounts.drops[*r], r.title(), r.remedy()));
    std::iter::once(kernel).chain(own).filter(|(lost, ..)| *lost > 0).collect()
}

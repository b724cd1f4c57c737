//! What is watched, on the first line: the file, or the interfaces, those first that are up; then what is gone or
//! down, as far as there is room for names.

use std::collections::HashSet;

use super::first::{Beside, FILE_CELLS, NAME_AT_LEAST};
use crate::{
    base::time::Stamp,
    capture::source::{InterfaceState, InterfaceStatus},
    query::{format, text, window::View},
    tui::{app::App, theme::Role, widget::strip::Runs},
};

/// Cells that the name of an interface has at most.
const NAME_CELLS: usize = 15;

/// How much is told of interfaces: those that are gone before those that are down.
#[derive(Clone, Copy, PartialEq)]
pub enum Links {
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

/// The file or the interfaces.
pub struct Watched<'a> {
    app: &'a App,
    up: Vec<&'a InterfaceStatus>,
    /// Those that are gone, then those that are down; of each, what has changed last comes first.
    troubles: Vec<Trouble<'a>>,
}

/// An interface that is gone or down.
struct Trouble<'a> {
    interface: &'a InterfaceStatus,
    role: Role,
    /// `down` or `gone`.
    what: &'static str,
    since: Stamp,
}

impl<'a> Watched<'a> {
    /// Returns what the newest epoch tells of.
    pub fn new(app: &'a App) -> Self {
        let all = app.view.as_ref().map_or_else(Vec::new, interfaces);
        let mut troubles: Vec<_> = all.iter().copied().filter_map(Trouble::of).collect();
        troubles.sort_by_key(|trouble| (!trouble.is_gone(), std::cmp::Reverse(trouble.since)));
        let up = all.into_iter().filter(|i| i.state == InterfaceState::Up).collect();
        Self { app, up, troubles }
    }

    /// Returns how many interfaces are gone or down.
    pub fn troubles(&self) -> usize {
        self.troubles.len()
    }

    /// Returns the cells that names are cut to, one after the other, before something else goes.
    pub fn name_cells(&self) -> [usize; 4] {
        // Of a file its own name is wanted; the way to it stands there if there is room anyway.
        let own = self.app.setup.file.as_ref().map_or(FILE_CELLS, |file| {
            let name = text::escape(file);
            text::width(name.rsplit('/').next().unwrap_or(&name)).min(FILE_CELLS)
        });
        [own, own.min(24), own.min(16), NAME_AT_LEAST]
    }

    /// Returns the pieces for it: names in at most so many cells, interfaces with their speeds or without.
    pub fn pieces(&self, links: Links, has_speeds: bool, most: usize) -> Vec<Beside> {
        match &self.app.setup.file {
            Some(file) => vec![self.file(file, most)],
            None => self.up(links, has_speeds, most).into_iter().chain(self.down(links, most)).collect(),
        }
    }

    fn file(&self, file: &str, most: usize) -> Beside {
        let ellipsis = self.app.setup.signs.ellipsis;
        let name = text::escape(file);
        // Where there is no room for the way to it, its own name tells more.
        let own = name.rsplit('/').next().unwrap_or(&name);
        self.good(&match text::width(&name) <= most {
            true => text::clip_start(&name, FILE_CELLS, ellipsis),
            false => text::clip(own, most, ellipsis),
        })
    }

    fn good(&self, text: &str) -> Beside {
        let (sign, app) = (self.app.setup.signs.link_up, self.app);
        Beside::named(vec![app.run(Role::Good, sign), app.run(Role::Plain, format!(" {text}"))])
    }

    fn name(&self, interface: &InterfaceStatus, most: usize) -> String {
        let name = text::escape(&interface.name);
        text::clip(&name, NAME_CELLS.min(most), self.app.setup.signs.ellipsis).into_owned()
    }

    fn up(&self, links: Links, has_speeds: bool, most: usize) -> Vec<Beside> {
        let name = |interface| self.name(interface, most);
        match (&self.up[..], links) {
            ([], _) => Vec::new(),
            (few @ [_], _) | (few @ [_, _], Links::All) => {
                let told = few.iter().map(|interface| {
                    let speed = interface.speed.filter(|_| has_speeds).map_or_else(String::new, speed);
                    self.good(&format!("{}{speed}", name(interface)))
                });
                told.collect()
            }
            (many, Links::All) => vec![self.good(&format!("{} interfaces", many.len()))],
            (many, Links::Counts | Links::Worst) => vec![self.good(&format!("{} up", many.len()))],
            ([one, others @ ..], _) => vec![self.good(&format!("{} +{} up", name(one), others.len()))],
        }
    }

    fn down(&self, links: Links, most: usize) -> Vec<Beside> {
        match (&self.troubles[..], links) {
            ([], _) => Vec::new(),
            (few @ ([_] | [_, _]), Links::All) => {
                few.iter().map(|trouble| Beside::named(self.told(trouble, true, most))).collect()
            }
            (all, Links::Counts | Links::Worst) => vec![Beside::named(self.counted(all, links))],
            ([one, others @ ..], links) => vec![Beside::named(self.one_told(one, others, links, most))],
        }
    }

    fn bad(&self, role: Role, text: String) -> Runs {
        vec![self.app.run(role, self.app.setup.signs.link_down), self.app.run(role, text)]
    }

    /// `○ eth0 down 12 s`
    fn told(&self, trouble: &Trouble, has_span: bool, most: usize) -> Runs {
        let span = format::whole_span(self.app.clock.since(trouble.since));
        let span = if has_span { format!(" {span}") } else { String::new() };
        self.bad(trouble.role, format!(" {} {}{span}", self.name(trouble.interface, most), trouble.what))
    }

    /// `○ 2 gone +3`
    fn counted(&self, all: &[Trouble], links: Links) -> Runs {
        let mut counts = counts(all);
        let first = counts.next().map(|(role, n, what)| self.bad(role, format!(" {n} {what}")));
        let others = counts.filter(|_| links == Links::Counts);
        let others = others.map(|(role, n, _)| vec![self.app.run(role, format!(" +{n}"))]);
        first.into_iter().chain(others).flatten().collect()
    }

    /// `○ wg0 gone 11 m 40 s +1 gone +2 down`
    fn one_told(&self, one: &Trouble, others: &[Trouble], links: Links, most: usize) -> Runs {
        let more = |role, n, what: &str| self.app.run(role, format!(" +{n}{what}"));
        let mut runs = self.told(one, links != Links::Names, most);
        let all: Vec<_> = counts(others).map(|(role, n, what)| (role, n, format!(" {what}"))).collect();
        match (&all[..], links) {
            // One number for all: in the colour of the worst, and a word where it is another one.
            ([(role, _, _), _, ..], Links::Few | Links::Names) => runs.push(more(*role, others.len(), "")),
            ([(role, n, what)], Links::Names) => {
                runs.push(more(*role, *n, if *role == one.role { "" } else { what }));
            }
            (all, _) => runs.extend(all.iter().map(|(role, n, what)| more(*role, *n, what))),
        }
        runs
    }
}

/// Returns how many are gone and how many are down, without what is none.
fn counts(troubles: &[Trouble]) -> impl Iterator<Item = (Role, usize, &'static str)> {
    let gone = troubles.iter().filter(|trouble| trouble.is_gone()).count();
    let all = [(Role::Bad, gone, "gone"), (Role::Warn, troubles.len() - gone, "down")];
    all.into_iter().filter(|(_, n, _)| *n > 0)
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

/// Returns the interfaces that are watched.
fn interfaces(view: &View) -> Vec<&InterfaceStatus> {
    let mut met = HashSet::new();
    let all = view.sources.iter().flat_map(|s| &s.interfaces);
    all.filter(|interface| met.insert(interface.name.as_str())).collect()
}

fn speed(bits: u64) -> String {
    format!(" {}", format::compact(bits as f64, format::Digits::Two).replace(".0", ""))
}

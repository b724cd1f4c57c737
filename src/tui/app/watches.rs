//! What is watched for, and what is degraded.

use super::*;
use crate::{
    capture::source::InterfaceState,
    query::{
        filter::{eval::Filter, parse},
        format, text,
        watch::{Counted, Firing},
    },
};

/// What is named instead of what is degraded where a flag is what helps.
pub const PROMISCUOUS: &str = "--promiscuous";

impl App {
    /// Switches a watch on or off.
    pub fn switch_watch(&mut self, n: usize) {
        let Some(watch) = Arc::make_mut(&mut self.watches).get_mut(n) else { return };
        watch.on = !watch.on;
        let text = format!("watch {} is {}", watch.name, if watch.on { "on" } else { "off" });
        self.changed();
        self.say(text, Role::Plain);
    }

    /// Watches for connections in a filter.
    pub fn add_watch(&mut self, filter: &str) {
        let Some(expr) = parse(filter).ok().and_then(|parsed| parsed.expr) else { return };
        let counts = Counted::Rows(Arc::new(Filter::new(expr, self.setup.services)));
        let watch = Watch { name: filter.to_owned(), counts, above: 0.0, lasting: Nanos(0), on: true };
        Arc::make_mut(&mut self.watches).push(watch);
        self.changed();
        self.say(format!("watching for {filter}"), Role::Plain);
    }

    /// Returns the watches that fire.
    pub fn firing(&self) -> impl Iterator<Item = (&Watch, Firing)> {
        let firing = self.view.iter().flat_map(|view| &view.firing);
        self.watches.iter().zip(firing).filter_map(|(watch, firing)| Some((watch, (*firing)?)))
    }

    /// Tells the log of watches that have begun or ceased to fire.
    pub(super) fn log_watches(&mut self, before: &[Option<Firing>]) {
        let Some(view) = &self.view else { return };
        for (n, watch) in self.watches.iter().enumerate() {
            let [was, is] = [before, &view.firing].map(|all| all.get(n).copied().flatten());
            let name = text::escape(&watch.name);
            let line = match (was, is) {
                (None, Some(firing)) => format!("watch {name}: fires at {}", firing.value),
                (Some(_), None) => format!("watch {name}: is over"),
                _ => continue,
            };
            self.effects.push(Effect::Log(line));
        }
    }

    /// Returns what does not work here as it should, each with what helps.
    pub fn degraded(&self) -> Vec<(&'static str, String)> {
        let mut all: Vec<_> = self.setup.notes.iter().map(|note| ("capture", note.clone())).collect();
        let Some(view) = &self.view else { return all };
        if let Some(reason) = &view.owner_method.reason {
            let remedy = view.owner_method.remedy.as_ref().map_or(String::new(), |r| format!(": {r}"));
            all.push(("owners", format!("{reason}{remedy}")));
        } else if view.owner_method.unknown * 20 > view.totals.flows {
            let unknown = format::percent(view.owner_method.unknown, view.totals.flows);
            let remedy = match view.owner_method.method {
                "proc" => "--owners bpf finds short ones, too",
                _ => {
                    "in a container, run with --pid=host; sockets that were closed before the start stay unknown"
                }
            };
            all.push(("owners", format!("{unknown} of the connections have no owner: {remedy}")));
        }
        all.extend(self.of_others());
        for source in &view.sources {
            if let Some(why) = &source.truncated {
                all.push(("file", format!("cut short: {}", text::escape(why))));
            }
        }
        if view.totals.evicted > 0 {
            let count = format::grouped(view.totals.evicted);
            all.push(("table", format!("{count} connections were evicted: --max-flows")));
        }
        all
    }

    /// Returns the interfaces most of whose frames of the last minute are for other hosts, unless that was asked for.
    fn of_others(&self) -> impl Iterator<Item = (&'static str, String)> {
        let heard = Some(&self.readings.heard).filter(|_| !self.setup.promiscuous);
        let ends = heard.and_then(|heard| Some((&heard.front()?.1, &heard.back()?.1)));
        ends.into_iter().flat_map(|(first, last)| {
            last.iter().filter_map(|(name, now)| {
                let before =
                    first.iter().find(|(known, _)| known == name).map_or([0; 2], |(_, before)| *before);
                let [all, others] = [0, 1].map(|n| now[n].saturating_sub(before[n]));
                let is_much = all > 1000 && others * 2 > all;
                is_much.then(|| {
                    let (share, name) = (format::percent(others, all), text::escape(name));
                    (
                        PROMISCUOUS,
                        format!(
                            "{share} of the frames on {name} are for other hosts: --promiscuous shows all"
                        ),
                    )
                })
            })
        })
    }

    /// Returns the interfaces that deliver nothing, since when and what helps. The first line names or counts them in
    /// their own colours, so that no chip does.
    pub fn troubled_links(&self) -> impl Iterator<Item = (&'static str, String)> {
        let sources = self.view.iter().flat_map(|view| &view.sources);
        let mut met = HashSet::new();
        let all = sources.flat_map(|source| &source.interfaces);
        let once = all.filter(move |interface| met.insert(interface.name.as_str()));
        once.filter_map(|interface| {
            let (what, since, remedy) = match interface.state {
                InterfaceState::Up => return None,
                InterfaceState::Down(at) => {
                    ("down", at, "plug it in or set it up; capture resumes by itself")
                }
                InterfaceState::Gone(at) => {
                    ("gone", at, "capture resumes by itself once it is back; I watches another one")
                }
                InterfaceState::Unwatched(at) => ("not watched", at, "--capture af-packet can"),
            };
            let for_ = format::whole_span(self.clock.since(since));
            Some(("interface", format!("{} is {what} for {for_}: {remedy}", interface.name)))
        })
    }
}

//! The first lines: which interfaces, how much, how many, whether anything was lost.

use ratatui::{buffer::Buffer, layout::Rect, style::Modifier};

use super::empty;
use crate::query::group::GroupName;
use crate::{
    base::counters::DropReason,
    capture::source::{InterfaceState, InterfaceStatus},
    query::{format, text, window::View},
    tui::{action::Tab, app::App, theme::Role, widget::bars, widget::strip::Strip},
};

/// Draws the line with program, tabs, interfaces and capture method; notes where the tabs are.
pub fn draw_tabs(buf: &mut Buffer, area: Rect, app: &mut App) {
    let tabs = fitting_tabs(app, area.width);
    app.hits.tabs.clear();
    let mut x = area.x + 1;
    let mut runs = Vec::new();
    for (tab, text) in tabs {
        let width = text::width(&text) as u16;
        if let Some(tab) = tab {
            app.hits.tabs.push((x, x + width.saturating_sub(1), tab));
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
    let app = &*app;
    let mut strip = Strip::new(app.setup.signs.ellipsis);
    strip.left(9, runs);
    if let Some(view) = &app.view {
        add_interfaces(&mut strip, app, view, room_beside(app, usize::from(x - area.x), area.width));
        let methods: Vec<_> = unique(view.sources.iter().map(|s| s.method));
        strip.right(4, [app.run(Role::Dim, methods.join(" "))]);
        if !app.is_file() {
            let owners = &view.owner_method;
            // Not the best way: the losses' line says why.
            let role = if owners.reason.is_some() { Role::Warn } else { Role::Dim };
            let text = match area.width {
                ..100 if owners.is_off() => String::new(),
                ..100 => owners.method.to_owned(),
                _ => format!("owners {}", owners.method),
            };
            if !text.is_empty() {
                strip.right(3, [app.run(role, text)]);
            }
        }
        for (weight, text) in self::chips(app, area.width) {
            strip.right(weight, [app.run(Role::Warn, text)]);
        }
        if app.setup.promiscuous {
            strip.right(6, [app.run(Role::Accent, "promiscuous")]);
        }
    }
    strip.draw(buf, area);
}

/// Returns one chip for all watches that fire, one for all that is degraded and one while frames are written,
/// each with its weight; short where there is no room for more.
fn chips(app: &App, width: u16) -> Vec<(u8, String)> {
    let signs = &app.setup.signs;
    let (degraded, firing) = (app.degraded(), app.firing().count());
    let watched = app.firing().next().map(|(watch, _)| {
        let name = text::escape(&watch.name);
        let more = if firing > 1 { format!(" +{}", firing - 1) } else { String::new() };
        match width {
            ..100 => format!("{}{firing}", signs.watched),
            _ => format!("{} {}{more}", signs.watched, text::clip(&name, 24, signs.ellipsis)),
        }
    });
    let less = match &degraded[..] {
        [] => None,
        all if width < 100 => Some(format!("!{}", all.len())),
        [(what, _)] => Some(format!("! {what} degraded")),
        all => Some(format!("! {} degraded", all.len())),
    };
    let recording = app.recording.as_ref().map(|_| if width < 100 { "P" } else { "P writes frames" });
    let all = [(7, watched), (6, less), (8, recording.map(str::to_owned))];
    all.into_iter().filter_map(|(weight, text)| Some((weight, text?))).collect()
}

/// How tabs are named.
#[derive(Clone, Copy)]
enum TabNames {
    Long,
    Short,
    /// Only the active one has a name.
    Numbers,
}

/// Returns the pieces of the tabs' line, with names as long as the width has room for: an interface that is
/// down is told in full, whatever it costs them.
fn fitting_tabs(app: &App, width: u16) -> Vec<(Option<Tab>, String)> {
    let all = [TabNames::Long, TabNames::Short, TabNames::Numbers];
    let from = match width {
        116.. => 0,
        76.. => 1,
        _ => 2,
    };
    let live = app.view.as_ref().filter(|_| app.setup.file.is_none());
    let needed = live.map_or(0, |view| cells_of_troubles(app, view));
    let fits = |names: &&TabNames| {
        let cells: usize = tabs(app, width, **names).iter().map(|(_, text)| text::width(text)).sum();
        needed <= room_beside(app, cells + 1, width)
    };
    let names = all[from..].iter().find(fits).copied().unwrap_or(TabNames::Numbers);
    tabs(app, width, names)
}

/// Returns the cells that are left behind the tabs for what is watched: without the line's margins, a gap, and
/// the chips, which must not be missed.
fn room_beside(app: &App, tabs: usize, width: u16) -> usize {
    let chips: usize = chips(app, width).iter().map(|(_, text)| text::width(text) + 2).sum();
    usize::from(width).saturating_sub(tabs + 3 + chips)
}

fn tabs(app: &App, width: u16, names: TabNames) -> Vec<(Option<Tab>, String)> {
    let gap = if width >= 116 { "  " } else { " " };
    let mut out = vec![(None, "rustnet".to_owned())];
    for tab in Tab::ALL {
        out.push((None, gap.to_owned()));
        let (long, short) = tab.names();
        let number = tab.place() + 1;
        let text = match names {
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

/// Adds what is watched, in at most `room` cells where that is one interface or file.
fn add_interfaces(strip: &mut Strip, app: &App, view: &View, room: usize) {
    let signs = &app.setup.signs;
    // A sign and a blank before each name.
    let room = room.saturating_sub(2).max(4);
    if let Some(file) = &app.setup.file {
        let name = text::escape(file);
        // Where there is no room for the way to it, its own name tells more.
        let own = name.rsplit('/').next().unwrap_or(&name);
        let name = match text::width(&name) <= room {
            true => text::clip_start(&name, 40, signs.ellipsis),
            false => text::clip(own, room, signs.ellipsis),
        };
        return strip
            .right(8, [app.run(Role::Good, signs.link_up), app.run(Role::Plain, format!(" {name}"))]);
    }
    let (all, [up, down]) = interfaces(view);
    for interface in &all {
        let Some((role, sign, what)) = state(app, interface, [up, down]) else { continue };
        let name = text::escape(&interface.name);
        let name = text::clip(&name, room.min(NAME_CELLS), signs.ellipsis);
        let speed = interface.speed.filter(|_| role == Role::Good).map_or_else(String::new, speed);
        let rest = if role == Role::Good { Role::Plain } else { role };
        // The sign and its colour say what there is no room to say.
        let fits = |text: &str| text::width(&name) + text::width(text) <= room;
        let [speed, what] = [speed, what].map(|text| if fits(&text) { text } else { String::new() });
        strip.right(8, [app.run(role, sign), app.run(rest, format!(" {name}{speed}{what}"))]);
    }
    if down > 2 {
        let text = format!(" {down} down");
        strip.right(7, [app.run(Role::Dim, signs.link_down), app.run(Role::Dim, text)]);
    }
    if up > 2 {
        let text = format!(" {up} interfaces");
        strip.right(8, [app.run(Role::Good, signs.link_up), app.run(Role::Plain, text)]);
    }
}

/// Cells that the name of an interface has at most.
const NAME_CELLS: usize = 15;

/// Returns the interfaces that are watched, and how many are up and down.
fn interfaces(view: &View) -> (Vec<&InterfaceStatus>, [usize; 2]) {
    let mut all: Vec<&InterfaceStatus> = Vec::new();
    for interface in view.sources.iter().flat_map(|s| &s.interfaces) {
        if all.iter().all(|i| i.name != interface.name) {
            all.push(interface);
        }
    }
    let up = all.iter().filter(|i| i.state == InterfaceState::Up).count();
    let down = all.iter().filter(|i| matches!(i.state, InterfaceState::Down(_))).count();
    (all, [up, down])
}

/// Returns how an interface stands: role, sign and words; `None` if it is counted only. Of many that are down,
/// as on hosts with spare ports, only the number matters.
fn state(app: &App, interface: &InterfaceStatus, [up, down]: [usize; 2]) -> Option<(Role, char, String)> {
    let signs = &app.setup.signs;
    let since = |what: &str, since| format!(" {what} {}", format::whole_span(app.clock.since(since)));
    match interface.state {
        InterfaceState::Up if up > 2 => None,
        InterfaceState::Down(_) if down > 2 => None,
        InterfaceState::Up => Some((Role::Good, signs.link_up, String::new())),
        InterfaceState::Down(at) => Some((Role::Warn, signs.link_down, since("down", at))),
        InterfaceState::Gone(at) => Some((Role::Bad, signs.link_down, since("gone", at))),
    }
}

/// Returns the cells that interfaces take, with all that is to be said of those that are down or gone; 0 if none is.
fn cells_of_troubles(app: &App, view: &View) -> usize {
    let (all, counts) = interfaces(view);
    let shown = || all.iter().filter_map(|i| Some((i, state(app, i, counts)?)));
    if shown().all(|(_, (role, ..))| role == Role::Good) {
        return 0;
    }
    // A sign and a blank before each name, and a gap between two.
    let cells = shown().map(|(i, (.., what))| {
        2 + text::width(&text::escape(&i.name)).min(NAME_CELLS) + text::width(&what) + 2
    });
    cells.sum::<usize>().saturating_sub(2)
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
        2 if view.lost == 0 && !view.top.is_empty() => {
            let mut strip = top(app, view, area.width);
            let text = format!("lost 0 {}", app.setup.signs.good);
            strip.right(8, [app.run(Role::Good, text.trim_end())]);
            add_age(&mut strip, app, view);
            strip.draw(buf, line(1));
        }
        2 => losses(app, view, area.width).draw(buf, line(1)),
        _ => {
            top(app, view, area.width).draw(buf, line(1));
            losses(app, view, area.width).draw(buf, line(2));
        }
    }
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
        strip.left(8_u8.saturating_sub(n as u8), runs);
    }
    if width >= 100 {
        strip.right(3, [app.run(Role::Dim, if by_host { "4: all" } else { "5: all" })]);
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

fn add_age(strip: &mut Strip, app: &App, view: &View) {
    if let Some(frozen) = app.frozen_for() {
        strip.right(9, [app.run(Role::Warn, format!("FROZEN {}", format::whole_span(frozen)))]);
    } else if !app.is_file() {
        let age = app.clock.since(view.wall).as_secs_f64();
        let role = if age > 5.0 { Role::Warn } else { Role::Dim };
        strip.right(6, [app.run(role, format!("{age:.1} s old"))]);
    }
}

fn rates(app: &App, view: &View, width: u16) -> Strip {
    let mut strip = Strip::new(app.setup.signs.ellipsis);
    let cells = match width {
        ..100 => 8,
        100..180 => 15,
        _ => 30,
    };
    for (which, label, rate) in [(0, "Down", view.totals.down), (1, "Up", view.totals.up)] {
        let label = app.run(Role::Dim, format!("{label} "));
        let mut runs = vec![label, app.run(Role::Strong, format!("{:>9}", app.rate(rate)))];
        if width >= 72 {
            let trace = bars::trace(&app.history.parts(which, cells), &app.setup.signs);
            runs.push(app.run(Role::Accent, format!(" {trace}")));
        }
        strip.left(9 - which as u8, runs);
    }
    let wide = width >= 100;
    if wide {
        strip.left(5, [app.run(Role::Plain, packets_per_second(view, "packets/s"))]);
    }
    let flows = format::grouped(view.totals.flows);
    let noun = match (wide, view.totals.flows) {
        (true, 1) => " connection",
        (true, _) => " connections",
        (false, 1) => " conn",
        (false, _) => " conns",
    };
    strip.right(7, [app.run(Role::Strong, flows), app.run(Role::Plain, noun)]);
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
    let seen = format::grouped(view.seen);
    if view.lost == 0 {
        let text = format!("Lost 0 of {seen} {}", app.setup.signs.good);
        strip.left(9, [app.run(Role::Good, text.trim_end())]);
    } else {
        let share = format::percent(view.lost, view.seen);
        let text = format!("Lost {} of {seen} ({share})", format::grouped(view.lost));
        let mut reasons = lost_by_reason(view);
        strip.left(9, [app.run(Role::Bad, text)]);
        reasons.sort_by_key(|(lost, ..)| std::cmp::Reverse(*lost));
        for (n, (lost, title, remedy)) in reasons.into_iter().enumerate() {
            let weight = 8_u8.saturating_sub(n as u8);
            let remedy = if n == 0 && width >= 100 { format!(": {remedy}") } else { String::new() };
            strip.left(weight, [app.run(Role::Bad, format!("{title} {}{remedy}", format::grouped(lost)))]);
        }
    }
    if width < 100 {
        strip.left(7, [app.run(Role::Plain, packets_per_second(view, "pkt/s"))]);
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
    if let Some(usage) = &app.usage {
        let own = format!("{:.2} core {}", usage.cores, format::bytes(usage.memory));
        strip.right(4, [app.run(Role::Dim, if width >= 100 { format!("rustnet {own}") } else { own })]);
    }
    add_age(&mut strip, app, view);
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

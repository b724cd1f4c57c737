//! The first lines: which interfaces, how much, how many, whether anything was lost.

use ratatui::{buffer::Buffer, layout::Rect, style::Modifier};

use crate::{
    base::counters::DropReason,
    capture::source::{InterfaceState, InterfaceStatus},
    query::{format, text, window::View},
    tui::{app::App, theme::Role, widget::bars, widget::strip::Strip},
};

/// Draws the line with program, page, interfaces and capture method.
pub fn draw_tabs(buf: &mut Buffer, area: Rect, app: &App) {
    let mut strip = Strip::new(app.setup.signs.ellipsis);
    strip.left(9, [app.run(Role::Strong, "rustnet")]);
    let (name, style) = app.run(Role::Accent, if app.help.is_some() { "Help" } else { "Overview" });
    strip.left(5, [(name, style.add_modifier(Modifier::UNDERLINED))]);
    if let Some(view) = &app.view {
        add_interfaces(&mut strip, app, view);
        let methods: Vec<_> = unique(view.sources.iter().map(|s| s.method));
        strip.right(4, [app.run(Role::Dim, methods.join(" "))]);
        if !app.is_file() {
            let owners = &view.owner_method;
            // Not the best way: the losses' line says why.
            let role = if owners.reason.is_some() { Role::Warn } else { Role::Dim };
            strip.right(3, [app.run(role, format!("owners {}", owners.method))]);
        }
        if app.setup.promiscuous {
            strip.right(6, [app.run(Role::Accent, "promiscuous")]);
        }
    }
    strip.draw(buf, area);
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

fn add_interfaces(strip: &mut Strip, app: &App, view: &View) {
    let signs = &app.setup.signs;
    if let Some(file) = &app.setup.file {
        let name = text::escape(file);
        let name = text::clip_start(&name, 40, signs.ellipsis);
        return strip
            .right(8, [app.run(Role::Good, signs.link_up), app.run(Role::Plain, format!(" {name}"))]);
    }
    let mut all: Vec<&InterfaceStatus> = Vec::new();
    for interface in view.sources.iter().flat_map(|s| &s.interfaces) {
        if all.iter().all(|i| i.name != interface.name) {
            all.push(interface);
        }
    }
    let up = all.iter().filter(|i| i.state == InterfaceState::Up).count();
    // Of many that are down, as on hosts with spare ports, only the number matters.
    let down = all.iter().filter(|i| matches!(i.state, InterfaceState::Down(_))).count();
    for interface in &all {
        let name = text::escape(&interface.name);
        let name = text::clip(&name, 15, signs.ellipsis);
        let (role, sign, what) = match interface.state {
            InterfaceState::Up if up > 2 => continue,
            InterfaceState::Down(_) if down > 2 => continue,
            InterfaceState::Up => (Role::Good, signs.link_up, String::new()),
            InterfaceState::Down(since) => {
                (Role::Warn, signs.link_down, format!(" down {}", format::whole_span(app.clock.since(since))))
            }
            InterfaceState::Gone(since) => {
                (Role::Bad, signs.link_down, format!(" gone {}", format::whole_span(app.clock.since(since))))
            }
        };
        let speed = interface.speed.filter(|_| role == Role::Good).map_or_else(String::new, speed);
        let rest = if role == Role::Good { Role::Plain } else { role };
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

fn speed(bits: u64) -> String {
    format!(" {}", format::compact(bits as f64, format::Digits::Two).replace(".0", ""))
}

/// Draws one or two lines of totals, as many as `area` has.
pub fn draw_totals(buf: &mut Buffer, area: Rect, app: &App) {
    let Some(view) = &app.view else { return };
    rates(app, view, area.width).draw(buf, Rect { height: 1, ..area });
    if area.height > 1 {
        losses(app, view, area.width).draw(buf, Rect { y: area.y + 1, height: 1, ..area });
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
        let mut runs = vec![label, app.run(Role::Strong, format!("{:>9}", format::rate(rate)))];
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
    for note in &app.setup.notes {
        strip.left(6, [app.run(Role::Warn, note.as_str())]);
    }
    if let Some(reason) = &view.owner_method.reason {
        let remedy = view.owner_method.remedy.iter().map(|r| format!(": {r}")).next().unwrap_or_default();
        strip.left(2, [app.run(Role::Warn, format!("owners: {reason}{remedy}"))]);
    }
    if width < 100 {
        strip.left(7, [app.run(Role::Plain, packets_per_second(view, "pkt/s"))]);
    }
    if view.totals.retransmits > 0 {
        let count = format::grouped(view.totals.retransmits);
        strip.left(3, [app.run(Role::Dim, "retrans "), app.run(Role::Plain, count)]);
    }
    if view.totals.half_open > 0 {
        let count = format::grouped(view.totals.half_open);
        strip.left(2, [app.run(Role::Dim, "half-open "), app.run(Role::Plain, count)]);
    }
    if view.totals.evicted > 0 {
        let count = format::grouped(view.totals.evicted);
        strip.left(4, [app.run(Role::Warn, format!("evicted {count}"))]);
    }
    if let Some(usage) = app.usage {
        let own = format!("{:.2} core {}", usage.cores, format::bytes(usage.memory));
        strip.right(4, [app.run(Role::Dim, if width >= 100 { format!("rustnet {own}") } else { own })]);
    }
    if !app.is_file() {
        let age = app.clock.since(view.wall).as_secs_f64();
        let role = if age > 5.0 { Role::Warn } else { Role::Dim };
        strip.right(6, [app.run(role, format!("{age:.1} s old"))]);
    }
    strip
}

/// Returns frames lost with what lost them and what helps.
fn lost_by_reason(view: &View) -> Vec<(u64, &'static str, &'static str)> {
    let kernel = (view.kernel_drops, "kernel ring full", "the capture cores are too slow or shared");
    let second_copies = [DropReason::SeenElsewhere, DropReason::LoopbackCopy];
    let own = DropReason::ALL.iter().filter(|r| !second_copies.contains(r));
    let own = own.map(|r| (view.accounts.drops[*r], r.title(), r.remedy()));
    std::iter::once(kernel).chain(own).filter(|(lost, ..)| *lost > 0).collect()
}

//! Whether anything was lost, and where every frame went.

use super::{
    figures,
    page::{Page, about},
};
use crate::{
    query::{format, text},
    tui::{
        app::{App, Engine},
        theme::Role,
        view::head,
    },
};

const LOST: &str = "Lost are frames that passed and were not counted: the kernel dropped them, or rustnet did for one of \
                    the reasons below. A second copy of a frame is not lost.";
const SUM: &str = "At every epoch the parts must be what was taken. If they are not, this program has an error: y copies \
                   this page for a report.";

/// Adds one sentence: whether anything was lost, and if so what and what to do.
pub fn verdict(app: &App, engine: Engine, page: &mut Page) {
    let view = engine.view;
    let seen = format::grouped(view.seen);
    let (role, text) = if view.lost == 0 {
        // A file's own time leaves out what lies between its parts: how long it took says nothing.
        let within = match app.is_file() {
            true => String::new(),
            false => {
                format!(", in {}", format::whole_span(view.now.since(engine.readings.counted_before.at)))
            }
        };
        // No line begins with a unit.
        let within = within.replace(' ', "\u{a0}").replacen('\u{a0}', " ", 1);
        (Role::Good, format!("Nothing lost. {seen} frames seen, all accounted for{within}."))
    } else {
        let mut reasons = head::lost_by_reason(view);
        reasons.sort_by_key(|(lost, ..)| std::cmp::Reverse(*lost));
        let share = format::percent(view.lost, view.seen);
        let (why, remedy) = reasons.first().map_or(("", ""), |(_, title, remedy)| (*title, *remedy));
        let lost = format::grouped(view.lost);
        (Role::Bad, format!("LOST {lost} of {seen} frames ({share}), most by: {why}. {remedy}."))
    };
    let labels = std::iter::once("VERDICT  ").chain(std::iter::repeat("         "));
    let lines = labels.zip(page.beside("VERDICT  ".len(), &text));
    let lines = lines.map(|(label, line)| vec![app.run(Role::Strong, label), app.run(role, line)]);
    page.item(about("VERDICT", LOST), lines.collect());
}

/// Adds the sum.
pub fn conservation(app: &App, engine: Engine, page: &mut Page) {
    let view = engine.view;
    let accounts = &view.accounts;
    let age = app.clock.since(view.wall).as_secs_f64();
    let age = if app.is_file() { String::new() } else { format!(" ({age:.1} s old)") };
    page.rule("Conservation", format!("epoch {}{age}, exact at every cut", format::grouped(view.epoch.0)));
    let (name_width, number_width) = figures(page.width);
    let row = |page: &mut Page, sign: &str, (name, meaning): (&str, &str), frames: u64, role: Role| {
        let shown = text::clip(name, name_width, app.setup.signs.ellipsis);
        let line = vec![
            app.run(Role::Dim, format!(" {sign} {shown:<name_width$}")),
            app.run(role, format!("{:>number_width$}", format::grouped(frames))),
        ];
        page.item(about(name, meaning), vec![line]);
    };
    let taken =
        ("taken from the source", "Frames that the capture threads took from the kernel, or from the file.");
    row(page, " ", taken, accounts.taken.frames, Role::Strong);
    row(
        page,
        "=",
        ("in flows", "Frames with IP or ARP: each is counted in one row."),
        accounts.flows.frames,
        Role::Plain,
    );
    let not_flow = ("not a flow", "Frames without IP and ARP, such as LLDP: counted, and in no row.");
    row(page, "+", not_flow, accounts.not_flow.frames, Role::Plain);
    let dropped = accounts.drops.total();
    let name = "dropped or counted twice";
    row(
        page,
        "+",
        (name, "Frames in no row, by the reasons below; second copies are among them."),
        dropped,
        Role::Plain,
    );
    let sum = accounts.flows.frames + accounts.not_flow.frames + dropped;
    let (role, word) = match accounts.conserved() {
        true => (Role::Good, format!("the sum is exact {}", app.setup.signs.good)),
        false => (Role::Bad, format!("the sum is {}: a bug", format::grouped(sum))),
    };
    page.item(about("the sum", SUM), vec![vec![app.run(role, format!("   {}", word.trim_end()))]]);
    let kernel_role = if view.kernel_drops > 0 { Role::Bad } else { Role::Plain };
    row(page, " ", ("dropped by the kernel", head::KERNEL_RING.meaning), view.kernel_drops, kernel_role);
}

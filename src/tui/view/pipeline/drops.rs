//! What was dropped, by reason, and what helps.

use super::{figures, page::Page};
use crate::{
    base::counters::DropReason,
    query::{format, text},
    tui::{
        app::{App, Engine},
        theme::Role,
        view::head::{Cause, KERNEL_RING},
        widget::bars,
    },
};

const EVICTED: Cause = Cause {
    title: "connections evicted",
    meaning: "The table of connections was full: those without an answer, then those silent the longest made room.",
    remedy: "the table was full: --max-flows; no frame is lost by it",
};

const UNTOLD: Cause = Cause {
    title: "ended connections not told",
    meaning: "More connections ended at once than are kept for exports and the log. Sums have them all.",
    remedy: "more ended at once than the queue holds",
};

/// From here on remedies stand beside the numbers.
const WIDE: u16 = 100;

/// Adds the reasons.
pub fn drops(app: &App, engine: Engine, page: &mut Page) {
    let view = engine.view;
    let since = if engine.readings.has_reset_counts() { "the reset" } else { "the start" };
    page.rule("Drops by reason", format!("last 60 s, since {since}, what to do"));
    let kernel = (view.kernel_drops, KERNEL_RING);
    let own = DropReason::ALL.iter().map(|r| (view.accounts.drops[*r], Cause::of(*r)));
    let frames = std::iter::once(kernel).chain(own).enumerate().map(|(n, row)| (Some(n), row));
    let others = [(view.totals.evicted, EVICTED), (view.totals.ended_unreported, UNTOLD)];
    for (n, (count, cause)) in frames.chain(others.map(|row| (None, row))) {
        row(app, page, count, n.map(|n| engine.readings.dropped_lately(n)), &cause);
    }
}

const LATELY: &str = "Frames that were lost in each of the last sixty seconds, by all reasons together.";

/// Adds what was lost in each second of the last minute.
pub fn lately(app: &App, engine: Engine, page: &mut Page) {
    let seconds = engine.readings.lost_per_second();
    let most = seconds.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
    let top = format!("60 s, at most {}", format::grouped(most.ceil() as u64));
    page.rule("Lost per second", top);
    // A cell for each second, and for some where there are fewer cells.
    let cells = usize::from(page.width).saturating_sub(6).clamp(1, 60);
    let part = |cell: usize| {
        let some = &seconds[cell * 60 / cells..((cell + 1) * 60 / cells).min(60)];
        some.iter().flatten().copied().reduce(f64::max)
    };
    let parts: Vec<Option<f64>> = (0..cells).map(part).collect();
    let role = if most > 0.0 { Role::Bad } else { Role::Accent };
    let rule = app.setup.signs.rule.to_string().repeat(cells.saturating_sub("60 snow".len()));
    let lines = vec![
        vec![app.run(role, format!("   {}", bars::trace(&parts, &app.setup.signs)))],
        vec![app.run(Role::Dim, format!("   60 s{rule}now"))],
    ];
    page.item(super::page::about("Lost per second", LATELY), lines);
}

/// Adds one reason. What to do stands beside its numbers; where there is no room for it there, below them if there is
/// something to do something about.
fn row(app: &App, page: &mut Page, count: u64, lately: Option<u64>, cause: &Cause) {
    let (name_width, number_width) = figures(page.width);
    let lately_width = if page.width >= 80 { 12 } else { 0 };
    let role = match (lately, count) {
        (Some(1..), _) => Role::Bad,
        (_, 1..) => Role::Warn,
        _ => Role::Plain,
    };
    let title = text::clip(cause.title, name_width, app.setup.signs.ellipsis);
    let lately = match (lately_width, lately) {
        (0, _) => String::new(),
        (_, Some(lately)) => format!("{:>lately_width$}", format::grouped(lately)),
        (_, None) => " ".repeat(lately_width),
    };
    let mut first = vec![
        app.run(Role::Plain, format!("   {title:<name_width$}")),
        app.run(role, format!("{lately}{:>number_width$}", format::grouped(count))),
    ];
    let mut lines = Vec::new();
    if page.width >= WIDE {
        let before = 3 + name_width + lately_width + number_width + 3;
        let mut remedy = page.beside(before, cause.remedy).into_iter();
        first.extend(remedy.next().map(|line| app.run(Role::Dim, format!("   {line}"))));
        lines.push(first);
        lines.extend(remedy.map(|line| vec![app.run(Role::Dim, format!("{}{line}", " ".repeat(before)))]));
    } else {
        lines.push(first);
        let remedy = page.beside(5, cause.remedy).into_iter().filter(|_| count > 0);
        lines.extend(remedy.map(|line| vec![app.run(Role::Dim, format!("     {line}"))]));
    }
    page.item(cause.about(), lines);
}

//! The tab Pipeline: whether anything was lost, where every frame went, what each thread does.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    base::counters::DropReason,
    query::{format, text, window::View},
    tui::{
        action::Tab,
        app::App,
        theme::Role,
        view::{head, overview},
        widget::bars,
    },
};

type Runs = Vec<(String, Style)>;

/// A line of the page: a rule with a title, or text.
enum Line {
    Rule(&'static str, String),
    Text(Runs),
}

/// Draws the page from its line of scroll on.
pub fn draw(buf: &mut Buffer, area: Rect, app: &mut App) {
    let lines = lines(app);
    let scroll = &mut app.scroll[Tab::Pipeline.place()];
    *scroll = (*scroll).min(lines.len().saturating_sub(area.height.into()));
    let scroll = *scroll;
    for (y, line) in (area.y..area.bottom()).zip(lines.iter().skip(scroll)) {
        let area = Rect { y, height: 1, ..area };
        match line {
            Line::Rule(title, right) => {
                let mut rule = overview::rule(app);
                rule.left(9, [app.run(Role::Strong, *title)]);
                if !right.is_empty() {
                    rule.right(5, [app.run(Role::Dim, right.as_str())]);
                }
                rule.draw(buf, area);
            }
            Line::Text(runs) => {
                let mut x = area.x + 1;
                for (run, style) in runs {
                    let room = usize::from(area.right().saturating_sub(x + 1));
                    let run = text::clip(run, room, app.setup.signs.ellipsis);
                    buf.set_stringn(x, y, &*run, room, *style);
                    x += text::width(&run) as u16;
                }
            }
        }
    }
}

/// Returns the page as text, for a ticket.
pub fn diagnosis(app: &App) -> String {
    let line = |line: &Line| match line {
        Line::Rule(title, right) => format!("== {title} {right}"),
        Line::Text(runs) => runs.iter().map(|(run, _)| run.as_str()).collect::<String>(),
    };
    lines(app).iter().map(line).map(|l| l.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn lines(app: &App) -> Vec<Line> {
    let Some(view) = &app.view else {
        return vec![Line::Text(vec![app.run(Role::Strong, "Waiting for the first epoch")])];
    };
    let mut lines = vec![Line::Text(verdict(app, view))];
    conservation(app, view, &mut lines);
    stages(app, view, &mut lines);
    drops(app, view, &mut lines);
    capture(app, view, &mut lines);
    own(app, view, &mut lines);
    lines
}

/// One sentence: whether anything was lost, and if so what and what to do.
fn verdict(app: &App, view: &View) -> Runs {
    let seen = format::grouped(view.seen);
    if view.lost == 0 {
        let since = format::whole_span(view.now);
        let text = format!("Nothing lost. {seen} frames seen, all accounted for, in {since}.");
        return vec![app.run(Role::Strong, "VERDICT  "), app.run(Role::Good, text)];
    }
    let mut reasons = head::lost_by_reason(view);
    reasons.sort_by_key(|(lost, ..)| std::cmp::Reverse(*lost));
    let share = format::percent(view.lost, view.seen);
    let (why, remedy) = reasons.first().map_or(("", ""), |(_, title, remedy)| (*title, *remedy));
    let text =
        format!("LOST {} of {seen} frames ({share}), most by: {why}. {remedy}.", format::grouped(view.lost));
    vec![app.run(Role::Strong, "VERDICT  "), app.run(Role::Bad, text)]
}

fn conservation(app: &App, view: &View, lines: &mut Vec<Line>) {
    let accounts = &view.accounts;
    let age = app.clock.since(view.wall).as_secs_f64();
    let age = if app.is_file() { String::new() } else { format!(" ({age:.1} s old)") };
    lines.push(Line::Rule(
        "Conservation",
        format!("epoch {}{age}, exact at every cut", format::grouped(view.epoch.0)),
    ));
    let row = |sign: &str, name: &str, frames: u64, role: Role| {
        Line::Text(vec![
            app.run(Role::Dim, format!("  {sign} {name:<24}")),
            app.run(role, format!("{:>20}", format::grouped(frames))),
        ])
    };
    lines.push(row(" ", "taken from the source", accounts.taken.frames, Role::Strong));
    lines.push(row("=", "in flows", accounts.flows.frames, Role::Plain));
    lines.push(row("+", "not a flow", accounts.not_flow.frames, Role::Plain));
    let dropped = accounts.drops.total();
    lines.push(row("+", "dropped or counted twice", dropped, Role::Plain));
    let sum = accounts.flows.frames + accounts.not_flow.frames + dropped;
    let (role, word) = match accounts.conserved() {
        true => (Role::Good, format!("the sum is exact {}", app.setup.signs.good)),
        false => (Role::Bad, format!("the sum is {}: a bug", format::grouped(sum))),
    };
    lines.push(Line::Text(vec![app.run(role, format!("    {}", word.trim_end()))]));
    let kernel = if view.kernel_drops > 0 { Role::Bad } else { Role::Plain };
    lines.push(row(" ", "dropped by the kernel", view.kernel_drops, kernel));
}

fn stages(app: &App, view: &View, lines: &mut Vec<Line>) {
    lines.push(Line::Rule("Stages", "one line for each pinned thread".into()));
    let header =
        format!("  {:<12} {:>5} {:>14} {:>18} {:>12}", "Thread", "Core", "Frames/s", "Frames", "Flows");
    lines.push(Line::Text(vec![app.run(Role::Header, header)]));
    let most = app.stage_rates.iter().fold(1.0_f64, |a, b| a.max(*b));
    for (n, stage) in view.stages.iter().enumerate() {
        let rate = app.stage_rates.get(n).copied().unwrap_or(0.0);
        let core = stage.core.map_or("any".into(), |core| core.0.to_string());
        let flows = if stage.flows == 0 { "-".into() } else { format::grouped(stage.flows) };
        let text = format!(
            "  {:<12} {core:>5} {:>14} {:>18} {flows:>12}  ",
            stage.name,
            format::grouped(rate as u64),
            format::grouped(stage.frames)
        );
        let bar = bars::progress(rate as u64, most as u64, 12, &app.setup.signs);
        lines.push(Line::Text(vec![app.run(Role::Plain, text), app.run(Role::Accent, bar)]));
    }
    let skipped = format!(
        "  epochs skipped because a reader was slower than the refresh: {}",
        format::grouped(view.epochs_skipped)
    );
    lines.push(Line::Text(vec![app.run(Role::Dim, skipped)]));
}

fn drops(app: &App, view: &View, lines: &mut Vec<Line>) {
    lines.push(Line::Rule("Drops by reason", "since the start".into()));
    let kernel = (view.kernel_drops, "kernel ring full", "the capture cores are too slow or shared");
    let own = DropReason::ALL.iter().map(|r| (view.accounts.drops[*r], r.title(), r.remedy()));
    for (frames, title, remedy) in std::iter::once(kernel).chain(own) {
        let role = if frames > 0 { Role::Warn } else { Role::Plain };
        lines.push(Line::Text(vec![
            app.run(Role::Plain, format!("  {title:<30}")),
            app.run(role, format!("{:>16}", format::grouped(frames))),
            app.run(Role::Dim, format!("   {remedy}")),
        ]));
    }
    for (count, title, remedy) in [
        (
            view.totals.evicted,
            "connections evicted",
            "the table was full: --max-flows; no frame is lost by it",
        ),
        (
            view.totals.ended_unreported,
            "ended connections not told",
            "more ended at once than the queue holds",
        ),
    ] {
        let role = if count > 0 { Role::Warn } else { Role::Plain };
        lines.push(Line::Text(vec![
            app.run(Role::Plain, format!("  {title:<30}")),
            app.run(role, format!("{:>16}", format::grouped(count))),
            app.run(Role::Dim, format!("   {remedy}")),
        ]));
    }
}

fn capture(app: &App, view: &View, lines: &mut Vec<Line>) {
    lines.push(Line::Rule("Capture", String::new()));
    let mut field = |name: &str, value: String, role: Role| {
        lines.push(Line::Text(vec![app.run(Role::Dim, format!("  {name:<14}")), app.run(role, value)]));
    };
    for (n, source) in view.sources.iter().enumerate() {
        let names: Vec<_> = source.interfaces.iter().map(|i| text::escape(&i.name).into_owned()).collect();
        field("Method", format!("{} ({n})", source.method), Role::Plain);
        let shown = names.iter().take(6).cloned().collect::<Vec<_>>().join(" ");
        let more = if names.len() > 6 { format!(" and {} more", names.len() - 6) } else { String::new() };
        field("Interfaces", format!("{shown}{more}"), Role::Plain);
        if source.kernel_frames > 0 {
            field("Kernel saw", format!("{} frames", format::grouped(source.kernel_frames)), Role::Plain);
        }
        if source.other_host_frames > 0 {
            let text = format!("{} frames for other hosts", format::grouped(source.other_host_frames));
            field("Not for us", text, Role::Plain);
        }
        if let Some(why) = &source.truncated {
            field("Cut short", text::escape(why).into_owned(), Role::Warn);
        }
    }
    if let Some(reason) = &app.setup.reason {
        field("Chosen", reason.clone(), Role::Plain);
    }
    let owners = &view.owner_method;
    if !owners.method.is_empty() {
        field("Owners", format!("{}  {}", owners.method, owners.parts).trim_end().to_owned(), Role::Plain);
    }
    if let Some(reason) = &owners.reason {
        let remedy = owners.remedy.as_ref().map_or(String::new(), |remedy| format!(": {remedy}"));
        field("Degraded", format!("{reason}{remedy}"), Role::Warn);
    }
    for note in &app.setup.notes {
        field("Degraded", note.clone(), Role::Warn);
    }
}

fn own(app: &App, view: &View, lines: &mut Vec<Line>) {
    lines.push(Line::Rule("Self", String::new()));
    let mut field = |name: &str, value: String| {
        lines
            .push(Line::Text(vec![app.run(Role::Dim, format!("  {name:<14}")), app.run(Role::Plain, value)]));
    };
    if let Some(usage) = app.usage {
        field("CPU", format!("{:.2} core", usage.cores));
        field("Memory", format::bytes(usage.memory));
    }
    field(
        "Connections",
        format!("{} open, {} ended", format::grouped(view.totals.flows), format::grouped(view.totals.closed)),
    );
    field("Half-open", format::grouped(view.totals.half_open));
    field("Retransmits", format::grouped(view.totals.retransmits));
}

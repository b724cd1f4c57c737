//! The tab Pipeline: whether anything was lost, where every frame went, what each thread does.

use ratatui::{buffer::Buffer, layout::Rect, style::Style};

use crate::{
    base::counters::DropReason,
    query::{format, text, window::View},
    snapshot::view::RingFill,
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
    let lines = lines(app, area.width);
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
    lines(app, 200).iter().map(line).map(|l| l.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

fn lines(app: &App, width: u16) -> Vec<Line> {
    let Some(view) = &app.view else {
        return vec![Line::Text(vec![app.run(Role::Strong, "Waiting for the first epoch")])];
    };
    let mut lines = verdict(app, view, width);
    conservation(app, view, width, &mut lines);
    // What was lost matters more than who did it, where there is no room for both.
    if width >= 100 {
        stages(app, view, width, &mut lines);
        drops(app, view, width, &mut lines);
    } else {
        drops(app, view, width, &mut lines);
        stages(app, view, width, &mut lines);
    }
    capture(app, view, &mut lines);
    own(app, view, &mut lines);
    lines
}

/// One sentence: whether anything was lost, and if so what and what to do. On as many lines as it needs.
fn verdict(app: &App, view: &View, width: u16) -> Vec<Line> {
    let seen = format::grouped(view.seen);
    let (role, text) = if view.lost == 0 {
        // A file's own time leaves out what lies between its parts: how long it took says nothing.
        let within = match app.is_file() {
            true => String::new(),
            false => format!(", in {}", format::whole_span(view.now.since(app.counted_before.at))),
        };
        (Role::Good, format!("Nothing lost. {seen} frames seen, all accounted for{within}."))
    } else {
        let mut reasons = head::lost_by_reason(view);
        reasons.sort_by_key(|(lost, ..)| std::cmp::Reverse(*lost));
        let share = format::percent(view.lost, view.seen);
        let (why, remedy) = reasons.first().map_or(("", ""), |(_, title, remedy)| (*title, *remedy));
        let lost = format::grouped(view.lost);
        (Role::Bad, format!("LOST {lost} of {seen} frames ({share}), most by: {why}. {remedy}."))
    };
    let room = usize::from(width).saturating_sub(12).max(20);
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        if !line.is_empty() && text::width(&line) + 1 + text::width(word) > room {
            lines.push(std::mem::take(&mut line));
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line += word;
    }
    lines.push(line);
    let labels = std::iter::once("VERDICT  ").chain(std::iter::repeat("         "));
    labels
        .zip(lines)
        .map(|(label, line)| Line::Text(vec![app.run(Role::Strong, label), app.run(role, line)]))
        .collect()
}

/// Cells of a page's number and of the name before it.
fn figures(width: u16) -> (usize, usize) {
    let number = if width < 60 { 15 } else { 20 };
    let name = usize::from(width).saturating_sub(number + 7).min(30);
    (name, number)
}

fn conservation(app: &App, view: &View, width: u16, lines: &mut Vec<Line>) {
    let accounts = &view.accounts;
    let age = app.clock.since(view.wall).as_secs_f64();
    let age = if app.is_file() { String::new() } else { format!(" ({age:.1} s old)") };
    lines.push(Line::Rule(
        "Conservation",
        format!("epoch {}{age}, exact at every cut", format::grouped(view.epoch.0)),
    ));
    let (name_width, number_width) = figures(width);
    let row = |sign: &str, name: &str, frames: u64, role: Role| {
        let name = text::clip(name, name_width, app.setup.signs.ellipsis);
        Line::Text(vec![
            app.run(Role::Dim, format!(" {sign} {name:<name_width$}")),
            app.run(role, format!("{:>number_width$}", format::grouped(frames))),
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
    lines.push(Line::Text(vec![app.run(role, format!("   {}", word.trim_end()))]));
    let kernel = if view.kernel_drops > 0 { Role::Bad } else { Role::Plain };
    lines.push(row(" ", "dropped by the kernel", view.kernel_drops, kernel));
}

/// A column of the table of stages: header, cells, from which width.
type StageColumn = (&'static str, usize, u16);

const STAGE_COLUMNS: [StageColumn; 8] = [
    ("Core", 4, 40),
    ("Frames/s", 11, 40),
    ("Peak/s", 11, 100),
    ("ns/frame", 8, 80),
    ("Busy", 6, 40),
    ("Ring/peak", 9, 80),
    ("Frames", 16, 100),
    ("Flows", 11, 80),
];

/// How full a ring is now, and was at most: `0%/31%`.
fn fill(ring: RingFill) -> String {
    let part = |lines: u32| format!("{:.0}%", f64::from(lines) * 100.0 / f64::from(ring.size.max(1)));
    format!("{}/{}", part(ring.now), part(ring.peak))
}

fn stages(app: &App, view: &View, width: u16, lines: &mut Vec<Line>) {
    // A file that has been read keeps no thread busy: how fast it went is what can be said.
    let read_in = app.read_in.filter(|_| app.is_file() && view.ended).map(|took| took.as_secs_f64());
    let what = match read_in {
        Some(_) => "one line for each pinned thread; frames/s over the whole reading",
        None => "one line for each pinned thread; X X resets peaks",
    };
    lines.push(Line::Rule("Stages", what.into()));
    let shown: Vec<_> = STAGE_COLUMNS.iter().enumerate().filter(|(_, c)| c.2 <= width).collect();
    let mut header = format!(" {:<12}", "Thread");
    shown.iter().for_each(|(_, (name, cells, _))| header += &format!(" {name:>cells$}"));
    lines.push(Line::Text(vec![app.run(Role::Header, header)]));
    for (n, stage) in view.stages.iter().enumerate() {
        // A shard is one thread that tells of both its halves; the later one has the table.
        if view.stages[n + 1..].iter().any(|later| later.name == stage.name) {
            continue;
        }
        let of = |all: &[f64]| all.get(n).copied().unwrap_or(0.0);
        let (rate, peak) = match read_in {
            Some(took) => {
                let before = app.counted_before.stages.get(n).copied().unwrap_or(0);
                let mean = (stage.frames + before) as f64 / took.max(1e-3);
                (mean, mean.max(of(&app.stage_peaks)))
            }
            None => (of(&app.stage_rates), of(&app.stage_peaks)),
        };
        let busy = app.usage.as_ref().and_then(|usage| usage.of_thread(&stage.name));
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".into());
        let per_frame =
            busy.filter(|_| rate >= 1.0 && read_in.is_none()).map(|busy| format!("{:.0}", busy * 1e9 / rate));
        let values = [
            stage.core.map_or("any".into(), |core| core.0.to_string()),
            format::grouped(rate as u64),
            format::grouped(peak as u64),
            or_none(per_frame),
            or_none(busy.map(|busy| format!("{:.1}%", busy * 100.0))),
            or_none(stage.ring.map(fill)),
            format::grouped(stage.frames),
            or_none((stage.flows > 0).then(|| format::grouped(stage.flows))),
        ];
        let mut text = format!(" {:<12}", stage.name);
        shown.iter().for_each(|(n, (_, cells, _))| text += &format!(" {:>cells$}", values[*n]));
        let mut runs = vec![app.run(if stage.stalled { Role::Bad } else { Role::Plain }, text)];
        if width >= 116 {
            let part = (busy.unwrap_or(0.0) * 1000.0) as u64;
            runs.push(
                app.run(Role::Accent, format!("  {}", bars::progress(part, 1000, 12, &app.setup.signs))),
            );
        }
        if stage.stalled {
            runs.push(app.run(Role::Bad, "  does not answer"));
        }
        lines.push(Line::Text(runs));
    }
    for name in ["collector", "screen/query", "rustnet"] {
        let Some(busy) = app.usage.as_ref().and_then(|usage| usage.of_thread(name)) else { continue };
        let name = if name == "rustnet" { "screen" } else { name };
        let mut text = format!(" {name:<12}");
        for (n, (_, cells, _)) in &shown {
            let value = match n {
                0 => "any".to_owned(),
                4 => format!("{:.1}%", busy * 100.0),
                _ => String::new(),
            };
            text += &format!(" {value:>cells$}");
        }
        lines.push(Line::Text(vec![app.run(Role::Dim, text)]));
    }
    let skipped = format!(
        " epochs skipped, a reader was slower than the refresh: {}",
        format::grouped(view.epochs_skipped)
    );
    lines.push(Line::Text(vec![app.run(Role::Dim, skipped)]));
}

fn drops(app: &App, view: &View, width: u16, lines: &mut Vec<Line>) {
    let since = if app.has_reset_counts() { "the reset" } else { "the start" };
    lines.push(Line::Rule("Drops by reason", format!("last 60 s, since {since}, what to do")));
    let kernel = (view.kernel_drops, "kernel ring full", "the capture cores are too slow or shared");
    let own = DropReason::ALL.iter().map(|r| (view.accounts.drops[*r], r.title(), r.remedy()));
    let evicted = (
        view.totals.evicted,
        "connections evicted",
        "the table was full: --max-flows; no frame is lost by it",
    );
    let untold = (
        view.totals.ended_unreported,
        "ended connections not told",
        "more ended at once than the queue holds",
    );
    let (name_width, number_width) = figures(width);
    let lately_width = if width >= 80 { 12 } else { 0 };
    let frames = std::iter::once(kernel).chain(own).enumerate().map(|(n, row)| (Some(n), row));
    let others = [evicted, untold].into_iter().map(|row| (None, row));
    for (n, (count, title, remedy)) in frames.chain(others) {
        let lately = n.map_or(0, |n| app.dropped_lately(n));
        let role = if lately > 0 {
            Role::Bad
        } else if count > 0 {
            Role::Warn
        } else {
            Role::Plain
        };
        let title = text::clip(title, name_width, app.setup.signs.ellipsis);
        let lately = match (lately_width, n) {
            (0, _) => String::new(),
            (_, Some(_)) => format!("{:>lately_width$}", format::grouped(lately)),
            (_, None) => format!("{:>lately_width$}", ""),
        };
        let mut runs = vec![
            app.run(Role::Plain, format!("   {title:<name_width$}")),
            app.run(role, format!("{lately}{:>number_width$}", format::grouped(count))),
        ];
        if width >= 100 {
            runs.push(app.run(Role::Dim, format!("   {remedy}")));
        }
        lines.push(Line::Text(runs));
        // Where there is no room beside it, what to do is told of what there is to do something about.
        if width < 100 && count > 0 {
            lines.push(Line::Text(vec![app.run(Role::Dim, format!("     {remedy}"))]));
        }
    }
}

fn capture(app: &App, view: &View, lines: &mut Vec<Line>) {
    lines.push(Line::Rule("Capture", String::new()));
    let mut field = |name: &str, value: String, role: Role| {
        lines.push(Line::Text(vec![app.run(Role::Dim, format!("  {name:<14}")), app.run(role, value)]));
    };
    for (n, source) in view.sources.iter().enumerate() {
        let named = source.interfaces.iter().filter(|i| !i.name.is_empty());
        let names: Vec<_> = named.map(|i| text::escape(&i.name).into_owned()).collect();
        let number = if view.sources.len() > 1 { format!(" ({n})") } else { String::new() };
        field("Method", format!("{}{number}", source.method), Role::Plain);
        let shown = names.iter().take(6).cloned().collect::<Vec<_>>().join(" ");
        let more = if names.len() > 6 { format!(" and {} more", names.len() - 6) } else { String::new() };
        // A file need not name any.
        if !names.is_empty() {
            field("Interfaces", format!("{shown}{more}"), Role::Plain);
        }
        if let Some(file) = &app.setup.file {
            field("File", text::escape(file).into_owned(), Role::Plain);
        }
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
    if let Some(usage) = &app.usage {
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

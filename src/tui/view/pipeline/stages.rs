//! One line for each pinned thread: where it runs, how much it does, how busy it is.

use super::page::{About, Page};
use crate::{
    query::format,
    snapshot::view::RingFill,
    tui::{
        app::{App, Engine},
        theme::Role,
        widget::bars,
    },
};

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

/// What the threads do, by the beginning of their names.
const THREADS: [(&str, &str); 6] = [
    ("rx", "Takes frames from the kernel or the file, reads their headers, and hands them to the workers."),
    ("worker", "Keeps its share of the connections and reads what they say."),
    ("shard", "Takes its share of the frames, and keeps the connections of these, on one core."),
    ("collector", "Puts what the workers publish together, at every refresh, and at least once a second."),
    ("screen/query", "Finds, filters and sorts the rows that are shown."),
    ("screen", "Draws, and answers keys."),
];

const COLUMNS: &str = "Core: where it is pinned. Busy: of that core. ns/frame: what a frame costs at this rate. Ring/peak: how \
                       full the ring before it is now, and was at most. Flows: connections in its table.";
const STALLED: &str =
    "It has not answered for some time: its core is taken by something else. Give it another one: --cores.";
const PACE: &str = "The longest frame of the last second; how long the last rows took to find; how long 99 of 100 keys waited for a \
                    frame, of the last 200; what is sent to the terminal.";
const SKIPPED: &str =
    "What came while a reader was at the one before. Numbers stay exact; they only come later.";

/// Returns what a thread does.
fn about(name: &str, is_stalled: bool) -> About {
    let does = THREADS.iter().find(|(start, _)| name.starts_with(start)).map_or("", |(_, does)| does);
    let mut about = vec![(name.to_owned(), does.to_owned())];
    if is_stalled {
        about.push(("does not answer".into(), STALLED.into()));
    }
    about.push(("columns".into(), COLUMNS.into()));
    about
}

/// Adds the threads.
pub fn stages(app: &App, engine: Engine, page: &mut Page) {
    let view = engine.view;
    let width = page.width;
    // A file that has been read keeps no thread busy: how fast it went is what can be said.
    let read_in = app.read_in.filter(|_| app.is_file() && view.ended).map(|took| took.as_secs_f64());
    let what = match read_in {
        Some(_) => "one line for each pinned thread; frames/s over the whole reading",
        None => "one line for each pinned thread; X X resets peaks",
    };
    page.rule("Stages", what);
    let shown: Vec<_> = STAGE_COLUMNS.iter().enumerate().filter(|(_, c)| c.2 <= width).collect();
    let mut header = format!(" {:<12}", "Thread");
    shown.iter().for_each(|(_, (name, cells, _))| header += &format!(" {name:>cells$}"));
    page.item(vec![("columns".into(), COLUMNS.into())], vec![vec![app.run(Role::Header, header)]]);
    for (n, stage) in view.stages.iter().enumerate() {
        // A shard is one thread that tells of both its halves; the later one has the table.
        if view.stages[n + 1..].iter().any(|later| later.name == stage.name) {
            continue;
        }
        let of = |all: &[f64]| all.get(n).copied().unwrap_or(0.0);
        let (rate, peak) = match read_in {
            Some(took) => {
                let before = engine.readings.counted_before.stages.get(n).copied().unwrap_or(0);
                let mean = (stage.frames + before) as f64 / took.max(1e-3);
                (mean, mean.max(of(&engine.readings.stage_peaks)))
            }
            None => (of(&engine.readings.stage_rates), of(&engine.readings.stage_peaks)),
        };
        let busy = engine.readings.usage.as_ref().and_then(|usage| usage.of_thread(&stage.name));
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
        let mut lines = vec![runs];
        if stage.stalled {
            lines.push(vec![app.run(Role::Bad, "   does not answer")]);
        }
        page.item(about(&stage.name, stage.stalled), lines);
    }
    for name in ["collector", "screen/query", "rustnet"] {
        let Some(busy) = engine.readings.usage.as_ref().and_then(|usage| usage.of_thread(name)) else {
            continue;
        };
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
        page.item(about(name, false), vec![vec![app.run(Role::Dim, text)]]);
    }
    if let Some(pace) = engine.readings.pace {
        let key = pace
            .key_to_paint
            .map_or(String::new(), |wait| format!("key to paint p99 {}, ", format::short_span(wait)));
        let text = format!(
            "screen: draw {}, query {}, {key}{}/s to the terminal",
            format::short_span(pace.draw),
            format::short_span(view.took),
            format::bytes(pace.bytes_per_second as u64),
        );
        let lines = page.beside(1, &text).into_iter();
        page.item(
            super::page::about("screen", PACE),
            lines.map(|line| vec![app.run(Role::Dim, format!(" {line}"))]).collect(),
        );
    }
    let skipped = format!(
        "epochs skipped, a reader was slower than the refresh: {}",
        format::grouped(view.epochs_skipped)
    );
    let lines = page.beside(1, &skipped);
    let lines = lines.into_iter().map(|line| vec![app.run(Role::Dim, format!(" {line}"))]);
    page.item(super::page::about("epochs skipped", SKIPPED), lines.collect());
}

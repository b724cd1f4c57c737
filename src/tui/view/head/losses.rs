//! Whether anything was lost, of what, why, and what helps.

use super::{
    Runs,
    own::{self, Age},
};
use crate::{
    base::counters::DropReason,
    query::{format, text, window::View},
    tui::{action::Tab, app::App, theme::Role, widget::strip::Strip},
};

/// Returns how much was lost of how much, in forms from the longest to the shortest.
pub fn lost(app: &App, view: &View) -> Vec<Runs> {
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

/// Returns the line of losses and of how well connections do.
pub fn losses(app: &App, view: &View, width: u16, age: Age) -> Strip {
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
    own::add(&mut strip, app, view, width, age);
    strip
}

/// Why frames are lost, and what helps.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// What is full or wrong.
    pub title: &'static str,
    /// The same in a sentence.
    pub meaning: &'static str,
    /// What one can do.
    pub remedy: &'static str,
}

/// The one reason that the kernel counts.
pub const KERNEL_RING: Cause = Cause {
    title: "kernel ring full",
    meaning: "Frames came faster than they were taken out of the kernel's ring, and it dropped them.",
    remedy: "the capture cores are too slow or shared: more or other --cores, or --capture bpf",
};

impl Cause {
    /// Returns that of a reason that rustnet counts.
    pub fn of(reason: DropReason) -> Self {
        Self { title: reason.title(), meaning: reason.meaning(), remedy: reason.remedy() }
    }

    /// Returns it in names with texts.
    pub fn about(&self) -> Vec<(String, String)> {
        vec![(self.title.into(), self.meaning.into()), ("what to do".into(), self.remedy.into())]
    }
}

/// Returns frames lost with what lost them and what helps.
pub fn lost_by_reason(view: &View) -> Vec<(u64, &'static str, &'static str)> {
    let second_copies = [DropReason::SeenElsewhere, DropReason::LoopbackCopy];
    let own = DropReason::ALL.iter().filter(|r| !second_copies.contains(r));
    let own = own.map(|r| (view.accounts.drops[*r], r.title(), r.remedy()));
    let kernel = (view.kernel_drops, KERNEL_RING.title, KERNEL_RING.remedy);
    std::iter::once(kernel).chain(own).filter(|(lost, ..)| *lost > 0).collect()
}

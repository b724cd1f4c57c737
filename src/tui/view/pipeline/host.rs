//! How frames and owners are found on this host, and what the program itself costs.

use super::page::Page;
use crate::{
    query::{format, text},
    tui::{
        app::{App, Engine},
        theme::Role,
    },
};

/// What the fields mean.
const MEANINGS: [(&str, &str); 20] = [
    (
        "Method",
        "How frames are captured. --capture chooses another way; auto takes the best that works here.",
    ),
    ("Interfaces", "What is captured. -i chooses others, and so does I; any is all of them."),
    ("File", "What is read."),
    ("Kernel saw", "Frames that passed the kernel's own count: those taken, and those it dropped."),
    ("Not for us", "Frames for other hosts' hardware addresses. --promiscuous makes more of them visible."),
    ("Comment", "What was written into the file, on all of it or on an interface."),
    ("Cut short", "The file ends within a record; all before that is counted."),
    (
        "NIC counters",
        "What the cards and their drivers gave up before anybody could see it, by the system's own count since the \
         start of rustnet: rx_dropped, which has frames that nobody wanted, too, and rx_missed, for which the card's \
         ring was too small (ethtool -G).",
    ),
    (
        "Placement",
        "On which NUMA node cards and cores are, and which cores take the cards' interrupts; rustnet --show-plan tells \
         all of it.",
    ),
    ("Clock", "Whose time is shown, and how old what is shown is."),
    ("Privileges", "What this process may do beyond others."),
    ("Chosen", "Why this method."),
    ("Owners", "How the processes of connections are found. --owners chooses another way."),
    (
        "Names",
        "Of remote addresses that the traffic does not name the system's resolver is asked, because of --resolve-dns. \
         What it sends is traffic of this host, too.",
    ),
    ("Degraded", "What does not work here as it could, and what helps. rustnet --check tells all of it."),
    ("CPU", "Of all threads of this program together, in cores."),
    ("Memory", "Resident memory of this program."),
    ("Connections", "Rows of the table now, and those that have ended since the start."),
    ("Half-open", "TCP connections without an answer to their SYN, or to that answer."),
    ("Retransmits", "TCP segments that were sent again, of all connections."),
];

fn meaning(name: &str) -> &'static str {
    MEANINGS.iter().find(|(known, _)| *known == name).map_or("", |(_, meaning)| meaning)
}

/// Adds how frames and owners are found.
pub fn capture(app: &App, engine: Engine, page: &mut Page) {
    let view = engine.view;
    page.rule("Capture", "");
    let mut field = |name: &str, value: String, role: Role| {
        page.field(app, (name, meaning(name)), &value, role);
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
        for comment in &source.notes.comments {
            field("Comment", text::escape(comment).into_owned(), Role::Plain);
        }
        if let Some(why) = &source.truncated {
            field("Cut short", text::escape(why).into_owned(), Role::Warn);
        }
    }
    if !engine.readings.nics.is_empty() {
        let is_one = engine.readings.nics.len() == 1;
        let lost = engine.readings.nics.iter().any(|nic| nic.now.missed > nic.first.missed);
        let counts = engine.readings.nics.iter().map(|nic| {
            let name = if is_one { String::new() } else { format!("{}: ", text::escape(&nic.name)) };
            let [dropped, missed] = [
                nic.now.dropped.saturating_sub(nic.first.dropped),
                nic.now.missed.saturating_sub(nic.first.missed),
            ];
            format!("{name}rx_dropped {}  rx_missed {}", format::grouped(dropped), format::grouped(missed))
        });
        let counts = counts.collect::<Vec<_>>().join("; ");
        field("NIC counters", counts, if lost { Role::Bad } else { Role::Plain });
    }
    if !app.setup.placement.is_empty() {
        field("Placement", app.setup.placement.join("; "), Role::Plain);
    }
    for warning in &app.setup.placement_warnings {
        field("Placement", warning.clone(), Role::Warn);
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
    if let Some(resolver) = &view.resolver {
        let number = format::grouped;
        let value = format!(
            "resolve-dns: {} asked, {} named, {} without a name, {} not answered yet",
            number(resolver.asked),
            number(resolver.named),
            number(resolver.nameless),
            number(resolver.waiting()),
        );
        field("Names", value, Role::Plain);
    }
    for note in &app.setup.notes {
        field("Degraded", note.clone(), Role::Warn);
    }
}

/// Adds what the program itself needs, and sums of connections.
pub fn own(app: &App, engine: Engine, page: &mut Page) {
    let view = engine.view;
    page.rule("Self", "");
    let mut field = |name: &str, value: String| page.field(app, (name, meaning(name)), &value, Role::Plain);
    if let Some(usage) = &engine.readings.usage {
        field("CPU", format!("{:.2} core", usage.cores));
        field("Memory", format::bytes(usage.memory));
    }
    let clock = match app.is_file() {
        true => "the packets' own time, as the file has it".to_owned(),
        false => {
            let age = app.clock.since(view.wall).as_secs_f64();
            format!("the packets' own time; what is shown is {age:.2} s old")
        }
    };
    field("Clock", clock);
    if let Some(privileges) = &app.setup.privileges {
        field("Privileges", privileges.clone());
    }
    field(
        "Connections",
        format!("{} open, {} ended", format::grouped(view.totals.flows), format::grouped(view.totals.closed)),
    );
    field("Half-open", format::grouped(view.totals.half_open));
    field("Retransmits", format::grouped(view.totals.retransmits));
}

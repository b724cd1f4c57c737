//! Who moves most, whatever the order of the table.

use crate::{
    query::{format, group::GroupName, text, window::View},
    tui::{
        app::App,
        theme::Role,
        view::empty,
        widget::{bars, strip::Strip},
    },
};

/// Returns the line of the processes, or of hosts where none are known.
pub fn top(app: &App, view: &View, width: u16) -> Strip {
    let signs = &app.setup.signs;
    let mut strip = Strip::new(signs.ellipsis);
    let all = view.totals.down + view.totals.up;
    let by_host = matches!(view.top.first(), Some(share) if matches!(share.name, GroupName::Host(_)));
    // An address says by itself that it is one.
    let label = if by_host && width >= 100 { "Top hosts" } else { "Top" };
    strip.left(9, [app.run(Role::Dim, label)]);
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
        let name = text::shorten(&name, if width < 100 { 14 } else { 24 }, signs.ellipsis).into_owned();
        // The shares of a moment and its total are of the same second, but for rows that ended.
        let part = format::percent((share.rate * 1000.0) as u64, (all.max(share.rate) * 1000.0) as u64);
        let mut runs = vec![app.run(if n == 0 { Role::Strong } else { Role::Plain }, name)];
        if width >= 100 && n < 3 {
            runs.push(app.run(Role::Plain, format!(" {}", app.rate(share.rate))));
        }
        runs.push(app.run(Role::Accent, format!(" {part}")));
        if width >= 100 && n < 2 {
            let bar = bars::share(share.rate / all.max(share.rate).max(1.0), 8, signs);
            runs.push(app.run(Role::Accent, format!(" {bar}")));
        }
        // One is told in any case, others as far as there is room.
        strip.left(if n == 0 { 8 } else { 3 }, runs);
    }
    if width >= 100 {
        strip.right(4, [app.run(Role::Dim, if by_host { "4: all" } else { "5: all" })]);
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

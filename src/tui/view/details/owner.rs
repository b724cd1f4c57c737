//! Whose the connection is.

use super::{card::Card, moment, or_none};
use crate::{
    query::{column, text},
    snapshot::row::Row,
    tui::app::App,
};

/// Returns the card.
pub fn card(app: &App, row: &Row) -> Card {
    let owner = row.owner.as_ref();
    let safe = |text: &str| text::escape(text).into_owned();
    let user = owner.and_then(|o| match (&o.user, o.uid) {
        (Some(user), Some(uid)) => Some(format!("{} ({uid})", safe(user))),
        (Some(user), None) => Some(safe(user)),
        (None, uid) => uid.map(|uid| uid.to_string()),
    });
    let parents = owner.map(|o| {
        let names = o.parents.iter().rev().map(|(pid, name)| format!("{}({pid})", safe(name)));
        names.collect::<Vec<_>>().join(" > ")
    });
    Card::new(
        "Owner",
        [
            ("Process", column::process(row, &app.look(200), usize::MAX).into_owned()),
            ("Command", or_none(owner.and_then(|o| o.command.as_deref().map(safe)))),
            ("Executable", or_none(owner.and_then(|o| o.exe.as_deref().map(safe)))),
            ("User", or_none(user)),
            ("Parents", or_none(parents)),
            ("Started", or_none(owner.and_then(|o| o.started).map(|at| moment(app, at)))),
            ("Container", or_none(owner.and_then(|o| o.container.as_deref().map(safe)))),
            ("Cgroup", or_none(owner.and_then(|o| o.cgroup.as_deref().map(safe)))),
            ("Namespace", or_none(owner.and_then(|o| o.netns).map(|netns| format!("net:[{netns}]")))),
            ("Certainty", or_none(owner.map(|o| o.quality.key().to_owned()))),
        ],
    )
}

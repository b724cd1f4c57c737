//! The last line: what is being typed, a question, a message, or the keys that work here.

use ratatui::{buffer::Buffer, layout::Rect, style::Modifier};

use crate::{
    query::{group::GroupBy, text},
    tui::{
        action::{Action, Tab},
        app::App,
        completion::Completion,
        field::Field,
        keys::{KEYS, Key},
        theme::Role,
        widget::strip::{Runs, Strip},
    },
};

/// Cells that a message has at least beside the keys.
const MESSAGE_CELLS: usize = 52;

/// Draws the line. Help and quit stand on its right and go last.
pub fn draw(buf: &mut Buffer, area: Rect, app: &App) {
    let mut strip = Strip::new(app.setup.signs.ellipsis);
    if app.asks_to_quit {
        strip.left(9, [app.run(Role::Warn, "Quit? q again quits, any other key stays")]);
        return strip.draw(buf, area);
    }
    if let Some(field) = app.filter.editing.as_ref().filter(|_| app.overlay.is_none()) {
        return draw_filter(buf, area, app, field);
    }
    if let Some((message, role)) = app.message() {
        for key in KEYS.iter().filter(|k| matches!(k.action, Action::Help | Action::AskQuit)) {
            add(&mut strip, app, key, 0);
        }
        let message = text::escape(message);
        let beside = usize::from(area.width).saturating_sub(strip.width() + 4);
        if beside >= MESSAGE_CELLS {
            let cut = text::clip(&message, beside, app.setup.signs.ellipsis).into_owned();
            strip.left_in_forms(9, [message.into_owned(), cut].map(|text| vec![app.run(role, text)]));
        } else {
            // It is there for three seconds, the keys are there again after them.
            strip.left(100, [app.run(role, message)]);
        }
        return strip.draw(buf, area);
    }
    if let Some(overlay) = &app.overlay {
        // The way out goes last.
        for (n, (name, word)) in overlay.keys().iter().enumerate() {
            strip.left(9 + n as u8, [app.run(Role::Accent, *name), app.run(Role::Dim, format!(" {word}"))]);
        }
        for key in KEYS.iter().filter(|k| matches!(k.action, Action::Help | Action::AskQuit)) {
            add(&mut strip, app, key, 0);
        }
        return strip.draw(buf, area);
    }
    for (n, key) in KEYS.iter().filter(|k| (k.works)(app).is_ok()).enumerate() {
        add(&mut strip, app, key, n);
    }
    strip.draw(buf, area);
}

fn add(strip: &mut Strip, app: &App, key: &Key, n: usize) {
    let Some((name, word)) = key.bar else { return };
    let word = match key.action {
        // Elsewhere others have its room.
        Action::Export if app.tab != Tab::Pipeline => return,
        Action::Freeze if app.is_frozen() => "live",
        // The way out of sums; Hosts and Processes are no other form of Overview.
        Action::Group => match app.grouping.filter(|_| app.tab == Tab::Overview) {
            Some(GroupBy::Process) => "by host",
            Some(GroupBy::Host) => word,
            None => return,
        },
        Action::Play if app.plays() => "stop",
        Action::Enter if app.group_by().is_some() => "connections",
        Action::Enter if app.tab == Tab::Pipeline => "explain",
        Action::CopyField if app.tab == Tab::Pipeline => "copy diagnosis",
        _ => word,
    };
    let runs = [app.run(Role::Accent, name), app.run(Role::Dim, format!(" {word}"))];
    match key.action {
        Action::Help | Action::AskQuit => strip.right(99, runs),
        Action::Group => strip.left(95, runs),
        _ => strip.left(90_u8.saturating_sub(n as u8), runs),
    }
}

/// Draws the filter as it is typed: red where it cannot be read, with the reason; dim where it is
/// not part of the filter yet.
fn draw_filter(buf: &mut Buffer, area: Rect, app: &App, field: &Field) {
    let theme = &app.setup.theme;
    let ellipsis = app.setup.signs.ellipsis;
    let reason = app.filter.problem.as_ref().map(|problem| {
        let place = field.text()[..problem.start.min(field.text().len())].chars().count() + 1;
        format!("at {place}: {}", problem.reason)
    });
    let most = usize::from(area.width) * 2 / 3;
    let shown: Runs = match (reason, app.filter.candidates()) {
        // Who asks what a word can become knows that the line is not finished.
        (_, Some(open)) => {
            let typed = text::width(&text::escape(field.text())) + 5;
            candidates(app, open, most.min(usize::from(area.width).saturating_sub(typed)))
        }
        (Some(reason), None) => vec![app.run(Role::Bad, text::clip(&reason, most, ellipsis))],
        (None, None) => Runs::new(),
    };
    let cells: usize = shown.iter().map(|(run, _)| text::width(run)).sum();
    let right = area.right().saturating_sub(cells as u16 + 1);
    let mut x = right;
    for (run, style) in shown {
        buf.set_stringn(x, area.y, &*run, area.width.into(), style);
        x += text::width(&run) as u16;
    }
    buf.set_stringn(area.x, area.y, " /", 2, theme.style(Role::Accent));
    let room = usize::from(right.saturating_sub(area.x + 4));
    // What is left of the cursor stays in sight.
    let mut skipped = 0;
    while text::width(&text::escape(&field.before()[skipped..])) > room {
        skipped += field.before()[skipped..].chars().next().map_or(1, char::len_utf8);
    }
    let (mut x, end) = (area.x + 2, area.x + 2 + room as u16);
    let mut drawn_cursor = false;
    for (at, c) in field.text().char_indices().filter(|(at, _)| *at >= skipped) {
        let wrong =
            app.filter.problem.as_ref().is_some_and(|p| (p.start..p.end.max(p.start + 1)).contains(&at));
        let role = match wrong {
            true => Role::Bad,
            false if app.filter.incomplete.is_some_and(|from| at >= from) => Role::Dim,
            false => Role::Plain,
        };
        let mut style = theme.style(role);
        if at == field.before().len() {
            style = style.add_modifier(Modifier::REVERSED);
            drawn_cursor = true;
        }
        let sign = c.to_string();
        let sign = text::escape(&sign);
        let width = text::width(&sign) as u16;
        if x + width > end {
            break;
        }
        buf.set_stringn(x, area.y, &*sign, width.into(), style);
        x += width;
    }
    if !drawn_cursor && x < right {
        buf.set_stringn(x, area.y, " ", 1, theme.style(Role::Plain).add_modifier(Modifier::REVERSED));
    }
}

/// Returns as many of the candidates as there is room for, from the first one on or from one before that in the
/// line, and how many more there are.
fn candidates(app: &App, open: &Completion, room: usize) -> Runs {
    let all: Vec<_> = open.candidates.iter().map(|candidate| text::escape(candidate)).collect();
    let rest = |shown: usize| format!("  +{}", all.len() - shown);
    let fitting = |first: usize| {
        let mut cells = 0;
        let fits = |n: &usize| {
            cells += text::width(&all[*n]) + if *n > first { 2 } else { 0 };
            let is_all = first == 0 && n + 1 == all.len();
            cells + if is_all { 0 } else { text::width(&rest(0)) } <= room
        };
        first..first + (first..all.len()).take_while(fits).count()
    };
    let mut shown = fitting(0);
    while let Some(chosen) = open.chosen.filter(|chosen| *chosen >= shown.end && shown.start < *chosen) {
        // A page on, and at last the chosen one alone.
        shown = fitting(if shown.is_empty() { chosen } else { shown.end });
    }
    let mut runs = Runs::new();
    for n in shown.clone() {
        let role = if open.chosen == Some(n) { Role::Accent } else { Role::Dim };
        runs.push(app.run(role, format!("{}{}", if n > shown.start { "  " } else { "" }, all[n])));
    }
    if shown.len() < all.len() && !shown.is_empty() {
        runs.push(app.run(Role::Dim, rest(shown.len())));
    }
    runs
}

//! The tables of sums, and the tree below them: open groups show their rows.

use super::*;
use crate::query::group::{Group, GroupLine, GroupView};

impl App {
    /// Returns what is summed up by in place of rows.
    pub fn group_by(&self) -> Option<GroupBy> {
        match self.tab {
            Tab::Hosts => Some(GroupBy::Host),
            Tab::Processes => Some(GroupBy::Process),
            Tab::Overview => self.grouping,
            _ => None,
        }
    }

    pub(super) fn panel(&mut self) -> Option<&mut Panel> {
        let by = self.group_by()?;
        Some(&mut self.panels[by as usize])
    }

    fn shown_panel(&self) -> &Panel {
        self.group_by().map_or(&self.panels[0], |by| &self.panels[by as usize])
    }

    /// Returns what sums are sorted by, and whether the other way round.
    pub fn group_sort(&self) -> (GroupSort, bool) {
        let panel = self.shown_panel();
        (panel.sort, panel.flipped)
    }

    /// Returns the first and the selected place of the table of sums.
    pub fn group_places(&self) -> (usize, usize) {
        let panel = self.shown_panel();
        (panel.top, panel.place)
    }

    /// Returns the sums that are shown, if they are there.
    pub fn groups(&self) -> Option<&GroupView> {
        let by = self.group_by()?;
        self.view.as_ref()?.groups.as_ref().filter(|g| g.by == by)
    }

    /// Returns the selected line of the table of sums.
    pub fn selected_line(&self) -> Option<&GroupLine> {
        self.groups()?.at(self.shown_panel().place)
    }

    /// Returns the selected sum.
    pub fn selected_group(&self) -> Option<&Group> {
        match self.selected_line()? {
            GroupLine::Group { group, .. } => Some(group),
            _ => None,
        }
    }

    /// Shows the rows of the selected group.
    pub(super) fn unfold(&mut self) {
        let Some(GroupLine::Group { group, open: false }) = self.selected_line() else { return };
        let name = group.name.clone();
        if let Some(panel) = self.panel() {
            panel.open.push(name.clone());
            panel.name = Some(LineName { group: name, flow: None });
        }
    }

    /// Hides the rows of the group that the selected line belongs to, and selects the group.
    pub(super) fn fold(&mut self) {
        let Some(line) = self.selected_line().map(GroupLine::name) else { return };
        let groups =
            self.groups().map(|g| (g.first, g.lines.iter().map(GroupLine::name).collect::<Vec<_>>()));
        let Some(panel) = self.panel() else { return };
        panel.open.retain(|open| *open != line.group);
        let head = LineName { group: line.group, flow: None };
        if let Some((first, names)) = groups
            && let Some(place) = names.iter().position(|name| *name == head)
        {
            panel.place = first + place;
        }
        panel.name = Some(head);
    }

    pub(super) fn follow_group(&mut self) {
        let Some(groups) = self.view.as_ref().and_then(|v| v.groups.as_ref()) else { return };
        let (by, selected) = (groups.by, groups.selected);
        let name = groups.at(selected).map(GroupLine::name);
        let panel = &mut self.panels[by as usize];
        if panel.name.is_some() || panel.place == 0 {
            panel.place = selected;
        }
        if panel.place > 0 {
            panel.name = panel.name.take().or(name);
        }
    }

    /// Moves the selection of the table of sums.
    pub(super) fn move_in_groups(&mut self, action: Action, to: impl Fn(usize) -> usize) {
        let Some(groups) = self.groups() else { return };
        let last = groups.len.saturating_sub(1);
        let place = match action {
            Action::Line(line) => self.shown_panel().top + usize::from(line),
            _ => to(self.shown_panel().place),
        };
        let place = place.min(last);
        let name = groups.at(place).map(GroupLine::name);
        if let Some(panel) = self.panel() {
            (panel.place, panel.name) = (place, name);
        }
    }
}

//! What a key, the mouse or the palette can ask for.

use crate::query::{column::ColumnId, group::GroupSort};

/// The tabs, in their order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "named as they are shown")]
pub enum Tab {
    #[default]
    Overview,
    Details,
    Help,
    Hosts,
    Processes,
    Graph,
    Pipeline,
}

impl Tab {
    /// All tabs.
    pub const ALL: [Self; 7] = [
        Self::Overview,
        Self::Details,
        Self::Help,
        Self::Hosts,
        Self::Processes,
        Self::Graph,
        Self::Pipeline,
    ];

    /// Returns its name, and a shorter one.
    pub const fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Overview => ("Overview", "Overview"),
            Self::Details => ("Details", "Details"),
            Self::Help => ("Help", "Help"),
            Self::Hosts => ("Hosts", "Hosts"),
            Self::Processes => ("Processes", "Procs"),
            Self::Graph => ("Graph", "Graph"),
            Self::Pipeline => ("Pipeline", "Pipe"),
        }
    }

    /// Returns its place, from 0.
    pub fn place(self) -> usize {
        Self::ALL.iter().position(|t| *t == self).unwrap_or(0)
    }
}

/// One thing the screen can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Moves the selection by so many rows; in Help and the like, the text.
    Move(i32),
    /// Moves by so many halves of a screen.
    HalfScreens(i32),
    /// Goes to the first row.
    First,
    /// Goes to the last row and stays with the newest.
    Last,
    /// Selects the row on this line of the table.
    Line(u16),
    /// Goes to a tab.
    Go(Tab),
    /// Goes on by so many tabs.
    Cycle(i32),
    /// Shows what is selected in detail, or the rows of the selected group.
    Enter,
    /// Opens the filter's line.
    Filter,
    /// Opens the palette.
    Palette,
    /// Sorts by the next column.
    NextSort,
    /// Sorts the other way round.
    FlipSort,
    /// Sorts by this column; by it already: the other way round.
    SortColumn(ColumnId),
    /// The same of a table of sums.
    SortSums(GroupSort),
    /// Freezes and thaws.
    Freeze,
    /// Shows and hides ended rows.
    Ended,
    /// Clears ended rows; the second time.
    Clear,
    /// Forgets the peaks and the history; the second time.
    Reset,
    /// Marks and unmarks the selected row.
    Mark,
    /// Shows marked rows only, and all again.
    OnlyMarked,
    /// Bits instead of bytes a second.
    Bits,
    /// Switches names and numbers of services.
    Services,
    /// Shows and hides connections of this host with itself.
    Localhost,
    /// Adds the selected row's value to the filter.
    Include,
    /// Excludes the selected row's value by the filter.
    Exclude,
    /// Copies the remote end.
    Copy,
    /// Opens the list of what can be copied of the row.
    CopyAs,
    /// Copies what is under the cursor.
    CopyField,
    /// Asks in which form the rows of the view are written to a file.
    Export,
    /// Writes the frames of the rows of the view to a file, live from now on; stops.
    Record,
    /// The same of the selected row alone.
    RecordRow,
    /// Opens the list of interfaces.
    Interfaces,
    /// Opens the list of sockets that wait for others.
    Listening,
    /// Opens the list of what is degraded.
    Degraded,
    /// Reads the file up to so many seconds later, or earlier.
    StepTime(i64),
    /// Plays the file at the speed at which it was recorded; stops.
    Play,
    /// Shows the rows of the selected group.
    Unfold,
    /// Hides them.
    Fold,
    /// Opens the chooser of columns.
    Columns,
    /// Sums up by process, by host, not at all.
    Group,
    /// Puts filter, sort and columns back to what they were at the start.
    ResetView,
    /// Another theme.
    Theme,
    /// Makes the sort column narrower or wider by a cell.
    Widen(i16),
    /// Opens and closes Help.
    Help,
    /// Closes what is open.
    Close,
    /// Draws everything anew.
    Redraw,
    /// Stops the process, as the shell's key does.
    Suspend,
    /// Asks whether to quit.
    AskQuit,
    /// Quits at once.
    Quit,
}

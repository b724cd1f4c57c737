//! What a key or the mouse can ask for.

/// One thing the screen can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Moves the selection by so many rows; in Help, the text.
    Move(i32),
    /// Moves by so many halves of a screen.
    HalfScreens(i32),
    /// Goes to the first row.
    First,
    /// Goes to the last row and stays with the newest.
    Last,
    /// Selects the row on this line of the table.
    Line(u16),
    /// Switches names and numbers of services.
    Services,
    /// Shows and hides connections of this host with itself.
    Localhost,
    /// Opens and closes Help.
    Help,
    /// Closes what is open.
    Close,
    /// Draws everything anew.
    Redraw,
    /// Asks whether to quit.
    AskQuit,
    /// Quits at once.
    Quit,
}

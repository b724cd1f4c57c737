//! What a reader asks of a snapshot: which rows, in which order, in which columns.

pub mod column;
pub mod format;
pub mod layout;
pub mod signs;
pub mod text;
pub mod window;

//! What a reader asks of a snapshot: which rows, in which order, in which columns.

pub mod application;
pub mod catalog;
pub mod census;
pub mod column;
pub mod damping;
pub mod filter;
pub mod finder;
pub mod format;
pub mod group;
pub mod kept;
pub mod labels;
pub mod layout;
pub mod recording;
pub mod rest;
pub mod scan;
pub mod select;
pub mod shares;
pub mod signs;
pub mod sort;
pub mod states;
pub mod text;
pub mod texts;
pub mod watch;
pub mod whose;
pub mod window;

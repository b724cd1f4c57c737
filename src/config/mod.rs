//! From the command line to the small config structs that the floors below declare.

pub mod cli;
pub mod engine;
pub mod file;
pub mod input;
pub mod log;
pub mod manual;
pub mod parse;
pub mod plan;
pub mod terminal;

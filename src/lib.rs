//! rustnet shows every connection of a host in a terminal, exact at 10 Gb/s.
//!
//! The modules stand in the order in which data flows; each imports only from floors above its
//! own in this list (`tests/architecture.rs` holds it):
//!
//! | floor | module | what lives there |
//! |---|---|---|
//! | 0 | [`base`] | time, ids, counters, the switch between std and loom |
//! | 1 | [`packet`] | one pass over a frame's headers: descriptor, key, hash |
//! | 2 | [`capture`] | the [`capture::source::Source`] trait, capture files, synthetic traffic |
//! | 3 | [`dpi`] | what flows speak: one table of recognisers |
//! | 4 | [`flow`] | the flow table of one worker: index, records, TCP, states, lifetimes |
//! | 5 | [`process`], [`names`] | owners of sockets; names of addresses |
//! | 6 | [`snapshot`] | what readers see: rows, totals, the published epoch |
//! | 7 | [`pipeline`] | rx, rings, workers, epochs, the collector |
//! | 7 | [`query`] | columns, and the window of rows a screen asks for |
//! | 8 | [`tui`], [`export`], [`platform`] | the screen, JSON, the operating system |
//! | 9 | [`config`] | flags; fills the small config structs of the floors below |

pub mod base;
pub mod capture;
pub mod config;
pub mod dpi;
pub mod export;
pub mod flow;
pub mod names;
pub mod packet;
pub mod pipeline;
pub mod platform;
pub mod process;
pub mod query;
pub mod snapshot;
pub mod tui;

//! Capture with BPF programs on tcx: each frame is copied, where it passes, into a ring that the program
//! and the reader have both mapped. No socket, no copy by the kernel for each listener, no system call for frames, and
//! no wake-up but of a reader that has slept for some ms.
//!
//! ```text
//!   interface ──ingress──▶ program ──┐            CPU 0 ──▶ ring ──┐
//!             ◀──egress─── program ──┴─ copies ─▶ CPU 1 ──▶ ring ──┴─ by time ─▶ source: one rx thread
//! ```
//!
//! | file | what |
//! |---|---|
//! | `record` | a frame as the program wrote it: bytes to facts |
//! | `ring` | the map of a ring, and the place where its reader is |
//! | `tallies` | settled flows where the programs count them: memory alone |
//! | `doorbell` | how the programs wake a reader that sleeps |
//! | `counting` | which flows are there, and what is handed out of them when |
//! | `programs` | the compiled programs: loaded, measured, attached |
//! | `source` | the source: rings merged by time, programs kept in step with the interfaces |
//!
//! Of settled flows nothing is copied: the programs count their frames, and a ring gets a note where something else
//! comes that a worker has to see in its place (see `bpf/tally.h`).
//!
//! The programs only look: a frame goes on as if they were not there. They hang on BPF links, which the
//! kernel removes with the process, however that ends; on kernels without tcx (before 6.6) on a clsact
//! filter with a handle of our own, which is taken away at the end, or replaced by the next start.

mod counting;
mod doorbell;
mod programs;
mod record;
mod ring;
mod source;
mod tallies;

pub use source::{BpfSource, open, try_here};

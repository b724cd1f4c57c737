//! Signals that ask to end.
#![expect(unsafe_code, reason = "registers what runs inside a signal")]

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use signal_hook::{
    consts::{SIGCONT, SIGINT, SIGTERM, SIGTSTP},
    low_level,
};

/// Signals that ask to end.
pub const SIGNALS: [i32; 4] = [SIGINT, SIGTERM, SIGHUP, SIGQUIT];
/// Signals of job control: to stop, and to go on.
pub const JOBS: [i32; 2] = [SIGTSTP, SIGCONT];
/// Hangup of the terminal: number 1 on every system that has it (POSIX, `kill`).
const SIGHUP: i32 = 1;
/// The terminal's other key to quit, Ctrl+\: number 3 on every system that has it (POSIX, `kill`). It would leave the
/// terminal as it is.
const SIGQUIT: i32 = 3;
/// Signals within this time of the first are the same wish: timeout(1) sends two, one to the process and one to its
/// group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Returns a flag that [`SIGNALS`] set. Should nobody follow it, a further one a second later ends the program at once,
/// with this status.
///
/// # Errors
/// When a signal cannot be caught that the system has.
pub fn stop_flag(status: i32) -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    // Milliseconds from `start` to the first signal, and 1 more; 0 before.
    let first = Arc::new(AtomicU64::new(0));
    for signal in SIGNALS {
        let (flag, first) = (Arc::clone(&flag), Arc::clone(&first));
        let heard = move || {
            let now = start.elapsed().as_millis() as u64 + 1;
            let before =
                first.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst).unwrap_or_else(|at| at);
            if is_another_wish(before, now) {
                low_level::exit(status);
            }
            flag.store(true, Ordering::SeqCst);
        };
        // SAFETY: what runs inside the signal reads a clock (clock_gettime), works on atomics and may call _exit, all of
        // which signal-safety(7) allows.
        let caught = unsafe { low_level::register(signal, heard) };
        // Systems without them refuse their numbers.
        if ![SIGHUP, SIGQUIT].contains(&signal) {
            caught?;
        }
    }
    Ok(flag)
}

/// Returns whether a signal at `now` means more than the first one did; both in ms, and 0 is none.
fn is_another_wish(first: u64, now: u64) -> bool {
    // A signal may come inside another one, and have read its clock later.
    first != 0 && now.saturating_sub(first) >= SAME_WISH.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_within_a_second_are_one_wish() {
        for (first, now, another) in [
            (0, 1, false),
            (0, 5_000, false),
            (1, 1, false),
            (1, 1_000, false),
            (1, 1_001, true),
            (1, 90_000, true),
            (2, 1, false),
        ] {
            assert_eq!(is_another_wish(first, now), another, "{first} {now}");
        }
    }
}

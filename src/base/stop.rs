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

use signal_hook::low_level;

/// Signals within this time of the first are the same wish: timeout(1) sends two, one to the process and one to its
/// group.
const SAME_WISH: Duration = Duration::from_secs(1);

/// Returns a flag that these signals set. Should nobody follow it, a further signal a second later ends the program
/// at once, with this status.
///
/// # Errors
/// When a signal cannot be caught.
pub fn stop_flag(signals: &[i32], status: i32) -> io::Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    let start = Instant::now();
    // Milliseconds from `start` to the first signal, and 1 more; 0 before.
    let first = Arc::new(AtomicU64::new(0));
    for &signal in signals {
        let (flag, first) = (Arc::clone(&flag), Arc::clone(&first));
        let heard = move || {
            let now = start.elapsed().as_millis() as u64 + 1;
            let before =
                first.compare_exchange(0, now, Ordering::SeqCst, Ordering::SeqCst).unwrap_or_else(|at| at);
            // A signal may come inside this one, and have read its clock later.
            if before != 0 && now.saturating_sub(before) >= SAME_WISH.as_millis() as u64 {
                low_level::exit(status);
            }
            flag.store(true, Ordering::SeqCst);
        };
        // SAFETY: what runs inside the signal reads a clock (clock_gettime), works on atomics and may call _exit, all of
        // which signal-safety(7) allows.
        unsafe { low_level::register(signal, heard) }?;
    }
    Ok(flag)
}

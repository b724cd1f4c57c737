//! The two clocks of the system, and how far local time is from UTC.
#![expect(unsafe_code, reason = "clock_gettime, clock_getres, localtime_r")]

use crate::base::time::Stamp;

/// Returns the seconds that local time is east of Greenwich at a moment; 0 if that is unknown.
pub fn utc_offset(at: Stamp) -> i32 {
    let seconds = (at.0 / 1_000_000_000) as libc::time_t;
    // SAFETY: `tm` is a plain struct of integers and a pointer that may be null.
    let mut local: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call; `localtime_r` writes only to `local`.
    let known = unsafe { !libc::localtime_r(&raw const seconds, &raw mut local).is_null() };
    if known { i32::try_from(local.tm_gmtoff).unwrap_or(0) } else { 0 }
}

/// Returns the wall time in ns since 1970.
pub fn wall() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// Returns a monotonic time in ns since some start, which does not jump when the wall clock is set.
pub fn monotonic() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

/// Returns the time in ns that this thread has worked.
pub fn worked() -> u64 {
    read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Returns how long a tick of the kernel is, in ns: 1 to 10 ms.
pub fn tick() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing; the clock, which a tick moves on, exists on every Linux.
    unsafe { libc::clock_getres(libc::CLOCK_MONOTONIC_COARSE, &raw mut time) };
    time.tv_nsec as u64
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing; these clocks exist on every Linux, so it cannot fail.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000) + time.tv_nsec as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_is_wall_and_monotonic_does_not_go_back() {
        let std = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert!(wall().abs_diff(std.as_nanos() as u64) < 10_000_000_000);
        let before = monotonic();
        assert!(monotonic() >= before);
        assert!((1_000_000..=10_000_000).contains(&tick()), "{}", tick());
    }
}

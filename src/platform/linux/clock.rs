//! The two clocks of the system.
#![expect(unsafe_code, reason = "clock_gettime")]

/// Returns the wall time in ns since 1970.
pub fn wall() -> u64 {
    read(libc::CLOCK_REALTIME)
}

/// Returns a monotonic time in ns since some start, which does not jump when the wall clock is set.
pub fn monotonic() -> u64 {
    read(libc::CLOCK_MONOTONIC)
}

fn read(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is valid for writing; both clocks exist on every Linux, so it cannot fail.
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
    }
}

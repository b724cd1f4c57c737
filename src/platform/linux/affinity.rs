//! Which cores the process may use, and threads bound to them.
#![expect(unsafe_code, reason = "sched_getaffinity, sched_setaffinity, sched_setscheduler, prctl")]

use std::{fs, io};

use crate::{base::ids::CoreId, platform::CoreError};

/// A set of cores as the kernel takes it: one bit for each, room for 8192.
type Mask = [u64; 128];

/// Returns the cores that this process may use, in order: its affinity set, which holds no core
/// that is offline or outside of its cpuset.
///
/// # Errors
/// When the kernel has more cores than 8192.
pub fn allowed_cores() -> io::Result<Vec<CoreId>> {
    let mut mask: Mask = [0; 128];
    // SAFETY: the mask is valid for writing its length; 0 is this thread.
    let done = unsafe {
        libc::syscall(
            libc::SYS_sched_getaffinity,
            0,
            size_of::<Mask>(),
            (&raw mut mask).cast::<libc::c_void>(),
        )
    };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    let cores = 0..(64 * mask.len());
    Ok(cores.filter(|c| mask[c / 64] >> (c % 64) & 1 == 1).map(|c| CoreId(c as u16)).collect())
}

/// Says whether the process may use each of these cores.
///
/// # Errors
/// For the first that it may not use, with the reason.
pub fn check_cores(cores: &[CoreId]) -> Result<(), CoreError> {
    let allowed = allowed_cores().map_err(CoreError::Unknown)?;
    let list =
        |name| parse_list(&fs::read_to_string(format!("/sys/devices/system/cpu/{name}")).unwrap_or_default());
    judge(cores, &allowed, &list("present"), &list("online"))
}

/// The lists of present and online cores are empty where the system does not tell.
fn judge(
    cores: &[CoreId],
    allowed: &[CoreId],
    present: &[CoreId],
    online: &[CoreId],
) -> Result<(), CoreError> {
    let Some(&core) = cores.iter().find(|c| !allowed.contains(c)) else { return Ok(()) };
    let known = if present.is_empty() { allowed } else { present };
    Err(if !known.contains(&core) {
        CoreError::OutOfRange { core, last: known.last().copied().unwrap_or_default() }
    } else if !online.is_empty() && !online.contains(&core) {
        CoreError::Offline(core)
    } else {
        CoreError::NotAllowed { core, allowed: allowed.to_vec() }
    })
}

/// Reads the kernel's `0-3,8`; what is not a list is none.
pub fn parse_list(text: &str) -> Vec<CoreId> {
    let mut cores = Vec::new();
    for part in text.trim().split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        if let (Ok(first), Ok(last)) = (first.parse::<u16>(), last.parse()) {
            cores.extend((first..=last).map(CoreId));
        }
    }
    cores
}

/// Names the calling thread, and binds it to a core if there is one.
///
/// That a core has gone offline meanwhile is no error: the thread then runs where it can.
pub fn enter_thread(name: &str, core: Option<CoreId>) {
    // The kernel keeps 15 bytes.
    let mut bytes = [0u8; 16];
    for (to, from) in bytes[..15].iter_mut().zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: a C string of at most 16 bytes, read during the call.
    unsafe { libc::prctl(libc::PR_SET_NAME, bytes.as_ptr()) };
    let Some(CoreId(core)) = core else { return };
    let mut mask: Mask = [0; 128];
    let Some(word) = mask.get_mut(usize::from(core) / 64) else { return };
    *word = 1 << (core % 64);
    // SAFETY: the mask is valid for its length during the call; 0 is this thread.
    unsafe {
        libc::syscall(
            libc::SYS_sched_setaffinity,
            0,
            size_of::<Mask>(),
            (&raw const mask).cast::<libc::c_void>(),
        )
    };
}

/// As [`enter_thread`], and gives a thread with a core of its own the lowest real-time priority: ordinary
/// threads never take the core away from it.
pub fn enter_thread_realtime(name: &str, core: Option<CoreId>) {
    enter_thread(name, core);
    if core.is_some() {
        // [`check_realtime`] has found that it may.
        let _ = set_realtime();
    }
}

/// Says whether threads may get a real-time priority.
///
/// # Errors
/// In words: what is missing.
pub fn check_realtime() -> Result<(), String> {
    // In a thread of its own, which takes the priority with it.
    let tried = std::thread::spawn(set_realtime).join();
    match tried {
        Ok(Ok(())) => Ok(()),
        Ok(Err(e)) => {
            Err(format!("a real-time priority is refused: {e} (needs CAP_SYS_NICE, or ulimit -r 1)"))
        }
        Err(_) => Err("a real-time priority could not be tried".to_owned()),
    }
}

fn set_realtime() -> io::Result<()> {
    // SAFETY: all members are numbers.
    let mut priority: libc::sched_param = unsafe { std::mem::zeroed() };
    priority.sched_priority = 1;
    // SAFETY: the struct is valid during the call; 0 is this thread.
    let done = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) };
    if done < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cores(text: &str) -> Vec<CoreId> {
        parse_list(text)
    }

    #[test]
    fn lists_of_the_kernel_are_read() {
        assert_eq!(cores("0-2,5\n"), [0, 1, 2, 5].map(CoreId));
        assert_eq!(cores(""), []);
        assert_eq!(cores("x,3-"), []);
    }

    #[test]
    fn a_core_that_cannot_be_used_is_refused_by_name_and_reason() {
        let text = |core: u16| {
            judge(&[CoreId(1), CoreId(core)], &cores("0-3"), &cores("0-7"), &cores("0-6"))
                .map_err(|e| e.to_string())
        };
        assert_eq!(text(3), Ok(()));
        assert_eq!(text(99).unwrap_err(), "core 99 does not exist: the last one is 7");
        assert_eq!(text(7).unwrap_err(), "core 7 is offline");
        assert_eq!(text(5).unwrap_err(), "core 5 is not in the set that this process may use: 0-3");
    }

    #[test]
    fn a_thread_gets_its_name_and_its_core() {
        let core = *allowed_cores().unwrap().last().unwrap();
        check_cores(&[core]).unwrap();
        std::thread::spawn(move || {
            enter_thread("worker/0-with-a-long-name", Some(core));
            assert_eq!(allowed_cores().unwrap(), [core]);
            let name = fs::read_to_string("/proc/thread-self/comm").unwrap();
            assert_eq!(name.trim_end(), "worker/0-with-a");
        })
        .join()
        .unwrap();
    }
}

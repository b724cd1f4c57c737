//! A mapped file that gets shorter must end the reading, not the program.
//!
//! Touching a page of a mapping that lies behind the file's end raises SIGBUS in the thread that
//! touches it. The handler looks whether the address is in a watched mapping; if so it sets that
//! mapping's flag, puts a page of zeros there, and returns: the load is done again and reads
//! zeros. Any other SIGBUS gets the action that was there before.
//!
//! The handler uses only atomics and the system calls `mmap` and `sigaction`.
#![expect(unsafe_code, reason = "signal handler, system calls")]

use std::{
    mem, ptr,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use crate::capture::capture_file::MapGuard;

/// The guard for mapped files: see the head of this file.
#[derive(Clone, Copy, Debug)]
pub struct SigBus;

/// Mappings that can be watched at once; a further file is read in pieces.
const SLOTS: usize = 64;

/// One watched mapping.
struct Slot {
    /// Its first address: 0 when the slot is free, [`CLAIMED`] while it is being filled.
    base: AtomicUsize,
    len: AtomicUsize,
    gone: AtomicBool,
}

/// No mapping begins here.
const CLAIMED: usize = 1;

static WATCHED: [Slot; SLOTS] =
    [const { Slot { base: AtomicUsize::new(0), len: AtomicUsize::new(0), gone: AtomicBool::new(false) } };
        SLOTS];

/// What the handler needs, set before it is installed; `None` if it could not be installed.
static BEFORE: OnceLock<Option<Before>> = OnceLock::new();

/// How things were before the handler, and the page size.
struct Before {
    action: libc::sigaction,
    page: usize,
}

impl MapGuard for SigBus {
    fn watch(&self, base: usize, len: usize) -> Option<&'static AtomicBool> {
        let page = installed()?;
        let slot = WATCHED.iter().find(|slot| {
            slot.base.compare_exchange(0, CLAIMED, Ordering::Acquire, Ordering::Relaxed).is_ok()
        })?;
        slot.gone.store(false, Ordering::Relaxed);
        slot.len.store(len.next_multiple_of(page), Ordering::Relaxed);
        // Release: pairs with the Acquire in `on_sigbus`, which then sees length and flag.
        slot.base.store(base, Ordering::Release);
        // SAFETY: the caller's mapping is `base..base + len`; the advice changes no byte of it.
        // That it may be refused does not matter.
        unsafe { libc::madvise(base as *mut libc::c_void, len, libc::MADV_SEQUENTIAL) };
        Some(&slot.gone)
    }

    fn release(&self, base: usize) {
        for slot in &WATCHED {
            // Release: pairs with the Acquire of the next `watch` that claims the slot.
            let _ = slot.base.compare_exchange(base, 0, Ordering::Release, Ordering::Relaxed);
        }
    }
}

/// Installs the handler once, and returns the page size if it is there.
fn installed() -> Option<usize> {
    let before = BEFORE.get_or_init(|| {
        // SAFETY: plain queries. A zeroed `sigaction` is a valid value to be overwritten.
        let (page, action) = unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            if libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut action) != 0 {
                return None;
            }
            (libc::sysconf(libc::_SC_PAGESIZE), action)
        };
        Some(Before { action, page: usize::try_from(page).ok().filter(|p| p.is_power_of_two())? })
    });
    let page = before.as_ref()?.page;
    static HANDLER: OnceLock<bool> = OnceLock::new();
    let there = HANDLER.get_or_init(|| {
        // SAFETY: `on_sigbus` has the signature that SA_SIGINFO asks for and uses only what is
        // allowed in a handler. SA_ONSTACK: the fault may come on any thread's stack.
        unsafe {
            let mut action: libc::sigaction = mem::zeroed();
            action.sa_sigaction = on_sigbus as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigemptyset(&raw mut action.sa_mask);
            libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) == 0
        }
    });
    there.then_some(page)
}

/// The handler.
extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // `get` of a cell that is filled is one atomic load.
    let Some(Some(before)) = BEFORE.get() else { return };
    // SAFETY: with SA_SIGINFO the system passes a valid `info`; for SIGBUS it has an address.
    let (address, code) = unsafe { ((*info).si_addr() as usize, (*info).si_code) };
    let faulted = code > 0;
    if faulted && WATCHED.iter().any(|slot| slot.covers(address)) && put_zeros(address, before.page) {
        return;
    }
    // SAFETY: `before.action` is what the system gave us. A fault happens again on return and
    // then gets that action; a signal that somebody sent has to be sent again.
    unsafe {
        libc::sigaction(signal, &raw const before.action, ptr::null_mut());
        if !faulted {
            libc::raise(signal);
        }
    }
}

impl Slot {
    /// Returns whether `address` is in this mapping, whose flag is then set.
    fn covers(&self, address: usize) -> bool {
        // Acquire: pairs with the Release in `watch`.
        let base = self.base.load(Ordering::Acquire);
        let inside = base > CLAIMED && address.wrapping_sub(base) < self.len.load(Ordering::Relaxed);
        if inside {
            // Relaxed: read by the thread that the handler runs on.
            self.gone.store(true, Ordering::Relaxed);
        }
        inside
    }
}

/// Puts a page of zeros where the page around `address` was.
fn put_zeros(address: usize, page: usize) -> bool {
    let start = address & !(page - 1);
    // SAFETY: the page lies in a watched mapping, which is read-only, stays mapped until it was
    // released, and is unmapped as a whole. Nothing but the file's lost bytes is replaced.
    let put = unsafe {
        libc::mmap(
            start as *mut libc::c_void,
            page,
            libc::PROT_READ,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    put != libc::MAP_FAILED
}

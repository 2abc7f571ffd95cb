//! What would differ between two runs of a seed: the random numbers and the wall clock of the operating system. Both are
//! answered here instead, once a seed began. Everything else in the process asks libc, and so asks here: std, tokio's choice
//! among ready branches, the ids, SQL Server's GUIDs, TLS's look at certificates.
//!
//! The monotonic clock stays real: tokio's is paused and moved by turmoil, and nothing else reads it.

#![expect(unsafe_code, reason = "libc's own symbols are replaced, in this process only")]

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

/// Where simulated time begins: 2026-01-05T08:00:00Z.
pub(crate) const BEGINNING: i64 = 1_767_600_000_000;

static ARMED: AtomicBool = AtomicBool::new(false);
static NOW: AtomicI64 = AtomicI64::new(0);
static RANDOM: Mutex<Option<StdRng>> = Mutex::new(None);

/// From here on, this process has one future.
pub(crate) fn arm(seed: u64) {
    if let Ok(mut random) = RANDOM.lock() {
        *random = Some(StdRng::seed_from_u64(seed));
    }
    ARMED.store(true, Ordering::SeqCst);
}

/// Milliseconds since the simulation began.
pub(crate) fn now() -> i64 {
    NOW.load(Ordering::SeqCst)
}

/// Moves the clock.
pub(crate) fn set_now(ms: i64) {
    NOW.store(ms, Ordering::SeqCst);
}

/// libc's `getrandom`.
///
/// # Safety
/// As libc's: `buf` has room for `len` bytes.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) unsafe extern "C" fn getrandom(buf: *mut u8, len: usize, flags: u32) -> isize {
    if ARMED.load(Ordering::SeqCst)
        && let Ok(mut random) = RANDOM.lock()
        && let Some(random) = random.as_mut()
    {
        // SAFETY: the caller promises room for `len` bytes.
        random.fill_bytes(unsafe { std::slice::from_raw_parts_mut(buf, len) });
        return isize::try_from(len).unwrap_or(isize::MAX);
    }
    // SAFETY: the same call, to the system.
    unsafe { libc::syscall(libc::SYS_getrandom, buf, len, flags) as isize }
}

/// libc's `clock_gettime`.
///
/// # Safety
/// As libc's: `at` is writable.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, at: *mut libc::timespec) -> libc::c_int {
    let wall = matches!(clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_COARSE);
    if wall && ARMED.load(Ordering::SeqCst) {
        let ms = BEGINNING + now();
        let told = libc::timespec {
            tv_sec: ms / 1000,
            tv_nsec: (ms % 1000) * 1_000_000,
        };
        // SAFETY: the caller promises that it is writable.
        unsafe { at.write(told) };
        return 0;
    }
    // SAFETY: the same call, to the system.
    unsafe { libc::syscall(libc::SYS_clock_gettime, clock, at) as libc::c_int }
}

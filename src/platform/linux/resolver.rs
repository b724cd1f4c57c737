//! Asks the system's resolver, whatever that is set to: files, DNS, mDNS (nsswitch.conf(5)).
#![expect(unsafe_code, reason = "getnameinfo")]

use std::{
    ffi::CStr,
    net::{IpAddr, SocketAddr},
};

/// Bytes of the longest name that the system gives, with its end (getnameinfo(3): NI_MAXHOST).
const LONGEST: usize = 1025;

/// Returns the name of an address, `None` if it has none or nobody answers. Takes seconds where nobody does.
pub fn name_of(address: IpAddr) -> Option<Vec<u8>> {
    let mut name = [0; LONGEST];
    let found = match SocketAddr::new(address, 0) {
        SocketAddr::V4(end) => {
            // SAFETY: a plain struct of integers.
            let mut place: libc::sockaddr_in = unsafe { std::mem::zeroed() };
            place.sin_family = libc::AF_INET as libc::sa_family_t;
            place.sin_addr.s_addr = u32::from_ne_bytes(end.ip().octets());
            ask(&place, &mut name)
        }
        SocketAddr::V6(end) => {
            // SAFETY: a plain struct of integers.
            let mut place: libc::sockaddr_in6 = unsafe { std::mem::zeroed() };
            place.sin6_family = libc::AF_INET6 as libc::sa_family_t;
            place.sin6_addr.s6_addr = end.ip().octets();
            ask(&place, &mut name)
        }
    };
    found.then(|| CStr::from_bytes_until_nul(&name).ok().map(|name| name.to_bytes().to_vec()))?
}

/// Writes the name of an end, one of the two kinds of socket address, and a zero behind it; returns whether it has one.
fn ask<T>(end: &T, name: &mut [u8; LONGEST]) -> bool {
    // SAFETY: both pointers are valid for their lengths during the call, which keeps none of them; no service is asked
    // for, so that its place may be null.
    let failed = unsafe {
        libc::getnameinfo(
            std::ptr::from_ref(end).cast(),
            size_of::<T>() as libc::socklen_t,
            name.as_mut_ptr().cast(),
            LONGEST as libc::socklen_t,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    };
    failed == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[ignore = "what a host calls itself differs: cargo test --lib the_loopback_has -- --ignored"]
    fn the_loopback_has_the_name_of_the_hosts_file() {
        for address in ["127.0.0.1", "::1"] {
            let name = name_of(address.parse().unwrap()).unwrap();
            assert!(name.starts_with(b"localhost") || name.starts_with(b"ip6-"), "{name:?}");
        }
    }
}

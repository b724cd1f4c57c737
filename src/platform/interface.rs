//! A network interface as the user sees it, and which one is watched when none is named.

use std::{fmt, net::IpAddr};

/// A network interface of this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// The system's number for it.
    pub index: u32,
    /// It is switched on.
    pub up: bool,
    /// It has a link: a cable, a peer, a carrier.
    pub running: bool,
    /// Frames on it stay on this host.
    pub loopback: bool,
    /// Its addresses with their prefix lengths in bits.
    pub addresses: Vec<(IpAddr, u8)>,
    /// The kind of its link in words: `ethernet`, `loopback`, `tunnel`, ...
    pub link: &'static str,
    /// Largest packet in bytes, 0 where not known.
    pub mtu: u32,
    /// Bits per second, where the driver tells.
    pub speed: Option<u64>,
    /// Metric of the default route through it; the lower, the better. `None` without one.
    pub default_route: Option<u32>,
}

impl Interface {
    /// Returns its state in one or two words.
    pub fn state(&self) -> &'static str {
        match (self.up, self.running) {
            (true, true) => "up",
            (true, false) => "no link",
            (false, _) => "down",
        }
    }

    /// Returns why it is not watched when none is named; `None` if it could be.
    pub fn unfit(&self) -> Option<&'static str> {
        if self.loopback {
            return Some("carries only this host's own traffic");
        }
        if !self.up {
            return Some("is down");
        }
        if !self.running {
            return Some("has no link");
        }
        if self.addresses.is_empty() && self.default_route.is_none() {
            return Some("has no address");
        }
        None
    }
}

/// Why there is no interface to watch. Its words name every interface and the flag to try.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InterfaceError {
    /// None is fit to be the default.
    #[error("no suitable interface{}", Listing(.0))]
    NoneFit(Vec<Interface>),
    /// There is none of this name.
    #[error("there is no interface {name:?}{}", Listing(.known))]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// Those there are.
        known: Vec<Interface>,
    },
}

/// Returns the interface to watch when none is named: the one with the best default route, IPv4 or
/// IPv6, else the first that is up, has a link and an address, and is not a loopback.
///
/// # Errors
/// When none is fit.
pub fn default_interface(all: &[Interface]) -> Result<&Interface, InterfaceError> {
    let fit = || all.iter().filter(|i| i.unfit().is_none());
    fit()
        .filter(|i| i.default_route.is_some())
        .min_by_key(|i| i.default_route)
        .or_else(|| fit().next())
        .ok_or_else(|| InterfaceError::NoneFit(all.to_vec()))
}

/// Returns the interface of this name.
///
/// # Errors
/// When there is none; the error lists those there are.
pub fn find<'a>(all: &'a [Interface], name: &str) -> Result<&'a Interface, InterfaceError> {
    all.iter()
        .find(|i| i.name == name)
        .ok_or_else(|| InterfaceError::Unknown { name: name.to_owned(), known: all.to_vec() })
}

/// Writes the interfaces as a table: name, state, addresses, link type, default.
pub struct Table<'a>(pub &'a [Interface]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = self.0.iter().map(|i| i.name.len()).max().unwrap_or(0).max(4);
        writeln!(f, "{:wide$}  {:7}  {:9}  {:5}  {:>8}  ADDRESSES", "NAME", "STATE", "LINK", "MTU", "SPEED")?;
        let default = default_interface(self.0).ok().map(|i| &i.name);
        for i in self.0 {
            let speed = i.speed.map_or_else(|| "-".to_owned(), speed);
            let mark = if default == Some(&i.name) { "  (default)" } else { "" };
            let (name, state, link) = (&i.name, i.state(), i.link);
            writeln!(
                f,
                "{name:wide$}  {state:7}  {link:9}  {:5}  {speed:>8}  {}{mark}",
                i.mtu,
                Addresses(i)
            )?;
        }
        Ok(())
    }
}

/// The part of an error's text that says what there is instead.
struct Listing<'a>(&'a [Interface]);

impl fmt::Display for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return write!(f, ": there are no interfaces at all");
        }
        writeln!(f, "; there are:")?;
        let wide = self.0.iter().map(|i| i.name.len()).max().unwrap_or(0);
        for i in self.0 {
            write!(f, "  {:wide$}  {:7}  {}", i.name, i.state(), Addresses(i))?;
            match i.unfit() {
                Some(reason) => writeln!(f, "  ({reason})")?,
                None => writeln!(f)?,
            }
        }
        // The best there is: one that is fit, else one that at least may hear something.
        let best = default_interface(self.0).ok().or_else(|| self.0.iter().find(|i| i.up && i.running));
        let best = best.unwrap_or(&self.0[0]);
        write!(f, "try: rustnet -i {}", best.name)
    }
}

struct Addresses<'a>(&'a Interface);

impl fmt::Display for Addresses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.addresses.is_empty() {
            return write!(f, "no address");
        }
        for (n, (address, prefix)) in self.0.addresses.iter().enumerate() {
            let comma = if n > 0 { ", " } else { "" };
            write!(f, "{comma}{address}/{prefix}")?;
        }
        Ok(())
    }
}

fn speed(bits: u64) -> String {
    match bits {
        1_000_000_000.. if bits.is_multiple_of(1_000_000_000) => format!("{} Gb/s", bits / 1_000_000_000),
        1_000_000_000.. => format!("{:.1} Gb/s", bits as f64 / 1e9),
        _ => format!("{} Mb/s", bits / 1_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interface(name: &str, up: bool, running: bool, address: Option<&str>) -> Interface {
        Interface {
            name: name.into(),
            index: name.len() as u32,
            up,
            running,
            loopback: name == "lo",
            addresses: address.map(|a| (a.parse().unwrap(), 24)).into_iter().collect(),
            link: "ethernet",
            mtu: 1500,
            ..Interface::default()
        }
    }

    #[test]
    fn default_is_the_best_route_then_the_first_fit() {
        let mut all = vec![
            interface("lo", true, true, Some("127.0.0.1")),
            interface("docker0", true, false, Some("172.17.0.1")),
            interface("eth0", true, true, Some("192.0.2.2")),
            interface("wlan0", true, true, Some("2001:db8::1")),
        ];
        assert_eq!(default_interface(&all).unwrap().name, "eth0");
        all[3].default_route = Some(600);
        assert_eq!(default_interface(&all).unwrap().name, "wlan0", "IPv6 counts too");
        all[2].default_route = Some(100);
        assert_eq!(default_interface(&all).unwrap().name, "eth0");
        all[2].running = false;
        assert_eq!(default_interface(&all).unwrap().name, "wlan0", "a route without a link is no use");
    }

    #[test]
    fn no_suitable_interface_names_each_with_its_reason_and_the_flag_to_try() {
        let all = [
            interface("lo", true, true, Some("127.0.0.1")),
            interface("eth0", false, false, None),
            interface("eth1", true, false, Some("192.0.2.2")),
            interface("eth2", true, true, None),
        ];
        assert_eq!(
            default_interface(&all).unwrap_err().to_string(),
            "no suitable interface; there are:\n\
             \x20 lo    up       127.0.0.1/24  (carries only this host's own traffic)\n\
             \x20 eth0  down     no address  (is down)\n\
             \x20 eth1  no link  192.0.2.2/24  (has no link)\n\
             \x20 eth2  up       no address  (has no address)\n\
             try: rustnet -i lo"
        );
        assert_eq!(
            default_interface(&[]).unwrap_err().to_string(),
            "no suitable interface: there are no interfaces at all"
        );
    }

    #[test]
    fn unknown_name_lists_those_there_are() {
        let all = [interface("lo", true, true, None), interface("eth0", true, true, Some("192.0.2.2"))];
        assert_eq!(find(&all, "lo").unwrap().name, "lo");
        let text = find(&all, "eth\u{1b}7").unwrap_err().to_string();
        assert!(text.starts_with("there is no interface \"eth\\u{1b}7\"; there are:\n"), "{text}");
        assert!(text.ends_with("  eth0  up       192.0.2.2/24\ntry: rustnet -i eth0"), "{text}");
    }

    #[test]
    fn table_marks_the_default() {
        let mut all = [interface("lo", true, true, None), interface("eth0", true, true, Some("192.0.2.2"))];
        all[1].speed = Some(2_500_000_000);
        let text = Table(&all).to_string();
        assert_eq!(
            text.lines().nth(2).unwrap(),
            "eth0  up       ethernet    1500  2.5 Gb/s  192.0.2.2/24  (default)"
        );
    }
}

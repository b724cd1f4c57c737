//! What this host says of itself: its addresses, and whose sockets are whose.

use std::{net::IpAddr, sync::Arc, thread};

use rustnet::{
    config::cli::{Cli, Input, OwnerLookup},
    flow::locals::Locals,
    pipeline::launch::Engine,
    platform::{self, AddressWatch, OwnerMethod},
    process::lookup::Owners,
    query::filter::eval::Neighbours,
};

/// Returns the addresses of this host and those that the user says are ours, and what its ports are for.
pub fn own_and_given(given: &[(IpAddr, u8)]) -> Locals {
    let own = platform::addresses().into_iter().map(|address| (address, 128));
    let locals = Locals::new(own.chain(given.iter().copied()));
    match platform::listening_ports() {
        Ok(ports) => locals.with_ports(ports, platform::ephemeral_ports()),
        Err(_) => locals,
    }
}

/// Tells the engine when the addresses of this host change, and soon when its ports do. While live only.
pub fn follow_addresses(cli: &Cli, engine: &mut Engine) {
    if !matches!(cli.input(), Input::Live(_)) {
        return;
    }
    let (shared, publication, given) =
        (engine.take_locals(), Arc::clone(engine.publication()), cli.local.clone());
    let follow = move || {
        let watch = AddressWatch::start();
        if let Some(caller) = watch.caller() {
            publication.call_at_end(caller);
        }
        // Those of the start may have changed by now.
        let mut known = Locals::new([]);
        while !publication.is_over() {
            let now = own_and_given(&given);
            if now != known {
                shared.set(&now);
                known = now;
            }
            watch.wait();
        }
    };
    // Without this thread the addresses of the start stay.
    let _ = thread::Builder::new().name("addresses".into()).spawn(follow);
}

/// Starts what knows owners of connections, if it is wanted.
pub fn owners(cli: &Cli) -> Option<Box<dyn Owners>> {
    let method = match cli.owners {
        OwnerLookup::Auto => OwnerMethod::Auto,
        OwnerLookup::Bpf => OwnerMethod::Bpf,
        OwnerLookup::Proc => OwnerMethod::Proc,
        OwnerLookup::Off => return None,
    };
    platform::owners(method)
}

/// Returns the hardware addresses of all neighbours.
pub fn neighbours() -> Neighbours {
    platform::neighbours().into_iter().map(|(address, mac)| (address, mac.into())).collect()
}

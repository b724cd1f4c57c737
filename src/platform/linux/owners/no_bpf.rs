//! A build without BPF (`--no-default-features`): nothing can be loaded.

use std::{convert::Infallible, os::fd::RawFd};

use super::{
    events::Event,
    why::{Facts, Why},
};

/// Never made.
pub struct Bpf(Infallible);

/// Never made.
pub struct PassReader(Infallible);

impl Bpf {
    /// Always fails.
    pub fn start() -> Result<Self, String> {
        Err("built without BPF".into())
    }

    /// Says what to do about it.
    pub fn refusal(_facts: &Facts, error: &str) -> Why {
        (error.into(), "build with the default features".into())
    }

    pub fn parts(&self) -> String {
        match self.0 {}
    }

    pub fn missing(&self) -> Option<Why> {
        match self.0 {}
    }

    pub fn has_events(&self) -> bool {
        match self.0 {}
    }

    pub fn tells_exits(&self) -> bool {
        match self.0 {}
    }

    pub fn drain(&mut self) -> Vec<Event> {
        match self.0 {}
    }

    pub fn holds_some_back(&self) -> bool {
        match self.0 {}
    }

    pub fn ask_to_be_woken(&self) -> Option<RawFd> {
        match self.0 {}
    }

    pub fn pass(&self) -> Option<PassReader> {
        match self.0 {}
    }

    pub fn lost(&self) -> u64 {
        match self.0 {}
    }
}

impl PassReader {
    pub fn read(self) -> Vec<Event> {
        match self.0 {}
    }
}

//! How a TCP connection is carried, as far as its records do not tell: windows, and the legs of its round trip.
//!
//! A worker alone knows it; see [`crate::flow::tcp`]. Readers get it of the flow that they ask for
//! ([`crate::snapshot::wish`]), of flows that have ended with a window that was closed at times, and of all at the last cut.
#![warn(clippy::disallowed_types, clippy::disallowed_methods, clippy::disallowed_macros)]

/// Closed windows of an end are counted up to here.
pub const MOST_ZERO_WINDOWS: u8 = 127;

/// What is known of a TCP connection's windows and legs. Index 0 of every pair is the key's low end, index 1 the high end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// The window that each end offered last.
    pub windows: [Window; 2],
    /// How often each end closed its window: acknowledged with a window of 0 after another one. At most
    /// [`MOST_ZERO_WINDOWS`].
    pub zero_windows: [u8; 2],
    /// Smoothed time from data of each end, as it passed here, to its acknowledgement, in us; 0 unknown.
    pub legs_us: [u32; 2],
}

/// How much an end is ready to take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Window {
    /// It has not acknowledged anything.
    #[default]
    Unknown,
    /// Bytes. Of a SYN-ACK rounded down to the scale.
    Bytes(u32),
    /// At least so many bytes: the field of the header, whose scale stood in a SYN that was not seen
    /// (RFC 7323 section 2.2).
    AtLeast(u32),
}

impl Window {
    /// Returns the bytes, if it is known how many they are.
    pub const fn bytes(self) -> Option<u32> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Unknown | Self::AtLeast(_) => None,
        }
    }
}

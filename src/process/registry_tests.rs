//! The registry against the cases that fool others.

use super::*;

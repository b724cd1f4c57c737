//! What ends somebody's wait from another thread, however they wait.

use std::{fmt, sync::Arc};

/// Calls somebody who waits, or is about to: their present wait ends, or else the next one. Goes to whoever
/// has something for them.
#[derive(Clone)]
pub struct Caller(Arc<dyn Fn() + Send + Sync>);

impl Caller {
    /// Returns one that does this, which must not wait.
    pub fn new(call: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(call))
    }

    /// Calls.
    pub fn call(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller")
    }
}

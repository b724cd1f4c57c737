//! A writer that tells how much of what it was given is taken.

use std::{
    io::{self, Write},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Bytes that are given at once: what a pipe holds (pipe(7)). More would be one wait, however steadily its reader reads.
const PIECE: usize = 64 << 10;

/// Writes to another writer, and counts what that took.
pub struct Counted<W> {
    out: W,
    taken: Arc<AtomicU64>,
}

impl<W> Counted<W> {
    /// Returns a writer that adds the bytes taken to `taken`.
    pub fn new(out: W, taken: Arc<AtomicU64>) -> Self {
        Self { out, taken }
    }
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(&bytes[..bytes.len().min(PIECE)])?;
        // Relaxed: it only tells that there is progress.
        self.taken.fetch_add(written as u64, Ordering::Relaxed);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_counted_piece_by_piece() {
        let taken = Arc::default();
        let mut out = Counted::new(Vec::new(), Arc::clone(&taken));
        assert_eq!(out.write(&[7; PIECE + 1]).unwrap(), PIECE);
        assert_eq!(taken.load(Ordering::Relaxed), PIECE as u64);
        out.write_all(&[8; 3 * PIECE]).unwrap();
        assert_eq!(taken.load(Ordering::Relaxed), 4 * PIECE as u64);
        assert_eq!(out.out.len(), 4 * PIECE);
    }
}

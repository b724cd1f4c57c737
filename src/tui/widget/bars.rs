//! Bars made of block characters: traces over time and progress.

use crate::query::signs::Signs;

/// Returns one character a part, as high as the part is to the largest of them; a blank where
/// nothing is known.
pub fn trace(parts: &[Option<f64>], signs: &Signs) -> String {
    let top = parts.iter().flatten().fold(0.0_f64, |a, b| a.max(*b));
    let level = |value: f64| {
        let height = (value / top * signs.levels.len() as f64).ceil();
        // What is not nothing shows, and so does the line that nothing runs along.
        signs.levels[(height as usize).clamp(1, signs.levels.len()) - 1]
    };
    parts.iter().map(|part| part.map_or(' ', level)).collect()
}

/// Returns a bar of `cells` characters, full as far as `part` is of `whole`.
pub fn progress(part: u64, whole: u64, cells: usize, signs: &Signs) -> String {
    let full = (part as f64 / whole.max(1) as f64 * cells as f64).floor().min(cells as f64) as usize;
    let bar = |i| if i < full { signs.levels[signs.levels.len() - 1] } else { signs.empty };
    (0..cells).map(bar).collect()
}

/// Returns a bar as long as `part` (0 to 1) of `cells` characters, to an eighth of one; what is not nothing shows.
pub fn share(part: f64, cells: usize, signs: &Signs) -> String {
    let most = cells * signs.parts.len();
    let eighths = ((part * most as f64).round() as usize).clamp(usize::from(part > 0.0), most);
    let (full, rest) = (eighths / signs.parts.len(), eighths % signs.parts.len());
    let whole = std::iter::repeat_n(signs.parts[signs.parts.len() - 1], full);
    whole.chain(rest.checked_sub(1).map(|rest| signs.parts[rest])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traces_reach_from_the_line_to_the_top() {
        let parts = [None, Some(0.0), Some(1.0), Some(50.0), Some(100.0)];
        assert_eq!(trace(&parts, &Signs::UNICODE), " ▁▁▄█");
        assert_eq!(trace(&[Some(0.0)], &Signs::UNICODE), "▁");
        assert_eq!(trace(&[], &Signs::UNICODE), "");
        assert_eq!(trace(&[Some(f64::INFINITY), Some(f64::NAN)], &Signs::UNICODE).chars().count(), 2);
    }

    #[test]
    fn shares_are_as_long_as_they_are_large() {
        for (part, bar) in
            [(0.0, ""), (0.001, "▏"), (0.125, "▌"), (0.25, "█"), (0.4, "█▋"), (1.0, "████"), (f64::NAN, "")]
        {
            assert_eq!(share(part, 4, &Signs::UNICODE), bar, "{part}");
        }
        assert_eq!(share(9.0, 2, &Signs::ASCII), "##");
    }

    #[test]
    fn progress_never_overflows() {
        assert_eq!(progress(1, 2, 4, &Signs::UNICODE), "██░░");
        assert_eq!(progress(9, 2, 4, &Signs::UNICODE), "████");
        assert_eq!(progress(0, 0, 2, &Signs::UNICODE), "░░");
    }
}

//! What works here and what does not, with remedies: the table of `--check`.

use std::fmt;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// What it is for.
    pub name: &'static str,
    /// How it stands.
    pub verdict: Verdict,
}

/// How something stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It works: how.
    Works(String),
    /// It does not, or not fully: why, and what helps.
    Degraded {
        /// Why.
        reason: String,
        /// What helps; one way a line.
        remedy: String,
    },
    /// This build leaves it out: how to build it in. No fault of the system's.
    LeftOut(String),
}

impl Check {
    /// Returns one that works.
    pub fn works(name: &'static str, how: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Works(how.into()) }
    }

    /// Returns one that does not work, or not fully.
    pub fn degraded(name: &'static str, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Degraded { reason: reason.into(), remedy: remedy.into() } }
    }

    /// Returns whether it is degraded.
    pub fn is_degraded(&self) -> bool {
        matches!(self.verdict, Verdict::Degraded { .. })
    }
}

/// The table.
#[derive(Debug)]
pub struct Table<'a>(pub &'a [Check]);

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = self.0.iter().map(|check| check.name.len()).max().unwrap_or(0);
        for Check { name, verdict } in self.0 {
            match verdict {
                Verdict::Works(how) => writeln!(f, "ok        {name:wide$}  {how}")?,
                Verdict::LeftOut(how) => writeln!(f, "left out  {name:wide$}  {how}")?,
                Verdict::Degraded { reason, remedy } => {
                    let mut lines = reason.lines();
                    writeln!(f, "degraded  {name:wide$}  {}", lines.next().unwrap_or_default())?;
                    for line in lines.chain(remedy.lines()) {
                        writeln!(f, "{:10}{:wide$}  {}", "", "", line.trim_start())?;
                    }
                }
            }
        }
        match self.0.iter().filter(|check| check.is_degraded()).count() {
            0 => writeln!(f, "all good"),
            1 => writeln!(f, "1 of {} degraded", self.0.len()),
            n => writeln!(f, "{n} of {} degraded", self.0.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c12_the_table_names_reasons_and_remedies() {
        let all = [
            Check::works("capture", "af-packet"),
            Check::degraded("bpf", "CAP_BPF missing", "sudo setcap ...\nor as root"),
            Check { name: "pcap", verdict: Verdict::LeftOut("--features pcap".into()) },
        ];
        assert_eq!(
            Table(&all).to_string(),
            "ok        capture  af-packet\n\
             degraded  bpf      CAP_BPF missing\n\
             \x20                  sudo setcap ...\n\
             \x20                  or as root\n\
             left out  pcap     --features pcap\n\
             1 of 3 degraded\n"
        );
        assert!(Table(&all[..1]).to_string().ends_with("\nall good\n"));
    }
}

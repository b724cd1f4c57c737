//! `--bpf-filter`: expressions of pcap-filter(7), compiled to classic BPF by libpcap.
//!
//! Compiled for Ethernet, which is what nearly every interface speaks; libpcap itself, as a way of
//! capture, compiles for the link that it has.

mod libpcap;

/// One instruction of a classic BPF program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What it does.
    pub code: u16,
    /// Instructions skipped when a test holds, and when not.
    pub jumps: [u8; 2],
    /// Its operand.
    pub k: u32,
}

/// A filter that was found valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    /// As it was given.
    pub expression: String,
    /// For frames that begin with an Ethernet header: returns the bytes to keep, 0 for none.
    pub program: Vec<Instruction>,
}

impl Filter {
    /// Compiles an expression.
    ///
    /// # Errors
    /// In words, when it is invalid or there is no libpcap.
    pub fn new(expression: &str) -> Result<Self, String> {
        Ok(Self { expression: expression.to_owned(), program: libpcap::compile(expression)? })
    }

    /// Returns the program with at most `snap` bytes kept of a frame; 0 keeps all.
    pub fn program(&self, snap: u32) -> impl Iterator<Item = Instruction> {
        const RETURN_K: u16 = 0x06;
        let keep = if snap == 0 { u32::MAX } else { snap };
        self.program.iter().map(move |&step| match step {
            // The compiler's own limit is below the largest super-frame.
            Instruction { code: RETURN_K, k: 1.., .. } => Instruction { k: keep, ..step },
            other => other,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_frame_is_the_captures_business() {
        let step = |code, jumps, k| Instruction { code, jumps, k };
        let program =
            vec![step(40, [0, 0], 12), step(21, [0, 1], 2048), step(6, [0, 0], 65535), step(6, [0, 0], 0)];
        let filter = Filter { expression: "ip".into(), program };
        let kept = |snap| filter.program(snap).map(|step| step.k).collect::<Vec<_>>();
        assert_eq!(kept(96), [12, 2048, 96, 0]);
        assert_eq!(kept(0), [12, 2048, u32::MAX, 0]);
    }

    #[test]
    fn expressions_are_compiled_or_refused() {
        let program = match Filter::new("ip") {
            Ok(filter) => filter.program,
            Err(why) if why == libpcap::MISSING => return eprintln!("skipped: {why}"),
            Err(why) => panic!("{why}"),
        };
        assert_eq!(program.len(), 4, "{program:?}");
        assert_eq!(program[1], Instruction { code: 21, jumps: [0, 1], k: 0x0800 });
        assert!(Filter::new("tcp port 443 or udp").is_ok());
        assert!(Filter::new("").unwrap().program.len() == 1, "nothing is left out");
        let why = |expression| Filter::new(expression).unwrap_err();
        assert!(why("no such thing").contains("syntax error"), "{}", why("no such thing"));
        assert!(why("ip broadcast").contains("netmask"), "{}", why("ip broadcast"));
        assert!(why("ip\0").contains("NUL"));
    }
}

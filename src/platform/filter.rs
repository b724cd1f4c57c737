//! `--bpf-filter`: expressions of pcap-filter(7), compiled to classic BPF by libpcap.
//!
//! Compiled for Ethernet, which is what nearly every interface speaks; libpcap itself, as a way of
//! capture, compiles for the link that it has.

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
    /// In words, when it is invalid or this build has no compiler.
    #[cfg(feature = "pcap")]
    pub fn new(expression: &str) -> Result<Self, String> {
        let says = |error: pcap::Error| match error {
            pcap::Error::PcapError(text) => text,
            other => other.to_string(),
        };
        let compiler = pcap::Capture::dead(pcap::Linktype::ETHERNET).map_err(says)?;
        let program = compiler.compile(expression, true).map_err(says)?;
        let steps = program.get_instructions().iter().map(|step| parse(&step.to_string()));
        let program = steps.collect::<Option<_>>().ok_or("libpcap writes its programs in another way")?;
        Ok(Self { expression: expression.to_owned(), program })
    }

    /// Says that this build cannot.
    ///
    /// # Errors
    /// Always.
    #[cfg(not(feature = "pcap"))]
    pub fn new(_expression: &str) -> Result<Self, String> {
        Err("filters need libpcap: build with --features pcap".to_owned())
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

/// Reads what the crate shows of an instruction: `code jt jf k`. Its fields are private.
#[cfg(any(test, feature = "pcap"))]
fn parse(text: &str) -> Option<Instruction> {
    let mut words = text.split(' ');
    let mut next = || words.next()?.parse::<u32>().ok();
    let (code, yes, no, k) = (next()?, next()?, next()?, next()?);
    let jumps = [u8::try_from(yes).ok()?, u8::try_from(no).ok()?];
    Some(Instruction { code: u16::try_from(code).ok()?, jumps, k })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_frame_is_the_captures_business() {
        let program =
            ["40 0 0 12", "21 0 1 2048", "6 0 0 65535", "6 0 0 0"].map(|s| parse(s).unwrap()).to_vec();
        let filter = Filter { expression: "ip".into(), program };
        let kept = |snap| filter.program(snap).map(|step| step.k).collect::<Vec<_>>();
        assert_eq!(kept(96), [12, 2048, 96, 0]);
        assert_eq!(kept(0), [12, 2048, u32::MAX, 0]);
        assert_eq!(parse("40 0 0"), None);
        assert_eq!(parse("40 256 0 1"), None);
    }

    #[cfg(feature = "pcap")]
    #[test]
    fn expressions_are_compiled_or_refused() {
        let program = Filter::new("ip").unwrap().program;
        assert_eq!(program.len(), 4, "{program:?}");
        assert_eq!(program[1], Instruction { code: 21, jumps: [0, 1], k: 0x0800 });
        assert!(Filter::new("tcp port 443 or udp").is_ok());
        assert!(Filter::new("no such thing").is_err());
    }

    #[cfg(not(feature = "pcap"))]
    #[test]
    fn a_build_without_libpcap_says_so() {
        assert!(Filter::new("ip").unwrap_err().contains("--features pcap"));
    }
}

//! Text to the user's clipboard, through the terminal (OSC 52).

/// Bytes that terminals take at least.
const MOST: usize = 74_994;

/// What lies between the program and the terminal, and has to be told to pass it on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wrapper {
    /// Nothing.
    #[default]
    None,
    /// tmux: takes it itself where `set-clipboard` is on, and passes it on where `allow-passthrough` is: told both ways.
    Tmux,
    /// GNU screen: a device control string.
    Screen,
}

/// Returns what makes the terminal take `text`; `None` if it is too long for terminals.
pub fn osc52(text: &str, wrapper: Wrapper) -> Option<Vec<u8>> {
    if text.len() > MOST {
        return None;
    }
    let inner = format!("\x1b]52;c;{}\x07", base64(text.as_bytes()));
    Some(match wrapper {
        Wrapper::None => inner.into_bytes(),
        Wrapper::Tmux => format!("{inner}\x1bPtmux;{}\x1b\\", inner.replace('\x1b', "\x1b\x1b")).into_bytes(),
        Wrapper::Screen => format!("\x1bP{inner}\x1b\\").into_bytes(),
    })
}

/// RFC 4648 section 4.
fn base64(bytes: &[u8]) -> String {
    const SIGNS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let word = three.iter().chain([0, 0].iter()).take(3).fold(0_u32, |sum, b| sum << 8 | u32::from(*b));
        for n in 0..4 {
            let sign = SIGNS[(word >> (18 - 6 * n) & 63) as usize];
            out.push(if n <= three.len() { char::from(sign) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_rfc_4648_section_10() {
        for (text, coded) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }

    #[test]
    fn k9_the_clipboard_is_reached_through_tmux_and_screen() {
        let plain = osc52("f", Wrapper::None).unwrap();
        assert_eq!(plain, b"\x1b]52;c;Zg==\x07");
        assert_eq!(
            osc52("f", Wrapper::Tmux).unwrap(),
            b"\x1b]52;c;Zg==\x07\x1bPtmux;\x1b\x1b]52;c;Zg==\x07\x1b\\"
        );
        assert_eq!(osc52("f", Wrapper::Screen).unwrap(), b"\x1bP\x1b]52;c;Zg==\x07\x1b\\");
        assert!(osc52(&"x".repeat(MOST + 1), Wrapper::None).is_none());
    }
}

//! Any size, any name, any keys.

use proptest::prelude::*;

use crate::stage::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_size_and_no_name_breaks_the_screen(
        width in 1_u16..=300,
        height in 1_u16..=100,
        count in 0_u32..400,
        name in ".{0,40}",
        keys in proptest::collection::vec(0_usize..12, 0..12),
        seed in any::<u64>(),
    ) {
        let mut rows = numbered(count);
        for (n, row) in rows.iter_mut().enumerate() {
            let bits = seed.rotate_left(n as u32);
            row.0.hot.bytes = [bits, bits >> 20];
            row.1 = [f32::from_bits(bits as u32), (bits >> 40) as f32];
            row.0.hot.key.proto = bits as u8;
        }
        let mut snapshot = live(&rows);
        snapshot.sources[0].interfaces[0].name = name.clone();
        snapshot.totals.down = f64::from_bits(seed);
        let file = (seed % 3 == 0).then_some(name);
        let mut stage = Stage::with(width, height, Setup { file, ..Setup::default() });
        stage.epoch(&snapshot);
        let codes = [
            KeyCode::Down, KeyCode::Up, KeyCode::Char('G'), KeyCode::Char('g'), KeyCode::PageDown,
            KeyCode::PageUp, KeyCode::Char('h'), KeyCode::Char('L'), KeyCode::Esc, KeyCode::End,
            KeyCode::Char('q'), KeyCode::Char('j'),
        ];
        for key in keys {
            if stage.key(codes[key]) == Next::Quit {
                break;
            }
            stage.settle(&snapshot);
        }
        stage.terminal.backend_mut().resize(width / 2 + 1, height.div_ceil(3));
        stage.epoch(&snapshot);
        for line in stage.text().lines() {
            let cells = unicode_width::UnicodeWidthStr::width(line);
            prop_assert!(cells <= usize::from(width / 2 + 1), "{cells}: {line}");
        }
        if width / 2 + 1 >= 40 && height.div_ceil(3) >= 14 && !stage.app.asks_to_quit {
            prop_assert!(stage.text().contains("quit"), "the way out is always shown");
        }
    }
}

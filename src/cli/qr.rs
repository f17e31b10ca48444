//! A link as a QR code in the terminal.

use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};

/// When to draw.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, clap::ValueEnum)]
pub enum When {
    /// On a terminal.
    #[default]
    Auto,
    /// Also into a file or a pipe.
    Always,
    /// Not at all.
    Never,
}

/// Black on white whatever the terminal's colours: many cameras refuse an inverted code.
const BLACK_ON_WHITE: &str = "\x1b[38;5;16;48;5;231m";
const RESET: &str = "\x1b[0m";

/// Two rows of modules a line, quiet zone included; `None` when the text is too long for a code.
#[must_use]
pub fn draw(text: &str) -> Option<String> {
    let code = QrCode::with_error_correction_level(text, EcLevel::L).ok()?;
    let blocks = code.render::<Dense1x2>().build();
    let lines: Vec<_> = blocks.lines().map(|line| format!("{BLACK_ON_WHITE}{line}{RESET}")).collect();
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINK: &str =
        "https://keys.example.org/p/000102030405060708090a0b0c0d0e0f#ABCD-EFGH.AAAAAAAAAAAAAAAAAAAAAA";

    #[test]
    fn the_drawing_is_the_code_in_its_quiet_zone() {
        let code = QrCode::with_error_correction_level(LINK, EcLevel::L).unwrap();
        let drawn = draw(LINK).unwrap();
        let lines: Vec<Vec<char>> = drawn
            .lines()
            .map(|line| {
                line.strip_prefix(BLACK_ON_WHITE).unwrap().strip_suffix(RESET).unwrap().chars().collect()
            })
            .collect();
        let dark = |x: usize, y: usize| match lines[y / 2][x] {
            '█' => true,
            '▀' => y.is_multiple_of(2),
            '▄' => !y.is_multiple_of(2),
            ' ' => false,
            other => panic!("{other}"),
        };
        let width = code.width();
        assert_eq!(lines[0].len(), width + 8, "a quiet zone of four modules");
        for y in 0..width + 8 {
            for x in 0..width + 8 {
                let inside = (4..width + 4).contains(&x) && (4..width + 4).contains(&y);
                let expected = inside && code[(x - 4, y - 4)] == qrcode::Color::Dark;
                assert_eq!(dark(x, y), expected, "module {x},{y}");
            }
        }
    }

    #[test]
    fn what_fits_no_code_draws_nothing() {
        assert_eq!(draw(&"x".repeat(4000)), None);
    }
}

//! A screen in nothing but ASCII, as far as its own signs and lines go: what a message says in other letters stays.

use ratatui::buffer::Buffer;

/// What stands for what; each as wide as what it replaces.
const SIGNS: [(&str, &str); 36] = [
    ("─", "-"),
    ("│", "|"),
    ("┌", "+"),
    ("┐", "+"),
    ("└", "+"),
    ("┘", "+"),
    ("├", "+"),
    ("┤", "+"),
    ("▌", ">"),
    ("▐", "|"),
    ("█", "#"),
    ("▓", "#"),
    ("░", "."),
    ("▁", "_"),
    ("▂", "."),
    ("▃", "-"),
    ("▄", "="),
    ("▅", "+"),
    ("▆", "*"),
    ("▇", "#"),
    ("●", "*"),
    ("○", "o"),
    ("≠", "!"),
    ("▸", ">"),
    ("▾", "v"),
    ("‖", "="),
    ("≥", ">"),
    ("·", "-"),
    ("×", "x"),
    ("—", "-"),
    ("–", "-"),
    ("…", "~"),
    ("↑", "^"),
    ("↓", "v"),
    ("←", "<"),
    ("→", ">"),
];

/// Puts ASCII in the place of every sign and line of the console's own.
pub fn in_ascii(buffer: &mut Buffer) {
    for cell in &mut buffer.content {
        if cell.symbol().is_ascii() {
            continue;
        }
        let sign = SIGNS.iter().find(|(sign, _)| *sign == cell.symbol());
        if let Some((_, ascii)) = sign {
            cell.set_symbol(ascii);
        }
    }
}

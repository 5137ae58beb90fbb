//! Numbers in tables and pictures.

/// Three significant figures.
pub fn short(number: f64) -> String {
    match number {
        it if it >= 100.0 => format!("{it:.0}"),
        it if it >= 10.0 => format!("{it:.1}"),
        it => format!("{it:.2}"),
    }
}

//! Medians, ratios, and the table that shows them.

use std::fmt;
use std::time::Duration;

/// One measured quantity of several subjects.
pub struct Table {
    pub title: String,
    pub rows: Vec<Row>,
}

pub struct Row {
    pub subject: &'static str,
    /// One per round.
    pub times: Vec<Duration>,
    /// What one of `times` is divided by: operations in a round.
    pub operations: u32,
    /// How many exchanges the last round caused, where that is what it is about.
    pub exchanges: Option<usize>,
}

impl Row {
    fn median_nanos(&self) -> f64 {
        let mut times = self.times.clone();
        times.sort_unstable();
        times[times.len() / 2].as_nanos() as f64 / f64::from(self.operations)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let base = self.rows[0].median_nanos();
        writeln!(f, "{}", self.title)?;
        writeln!(f, "| {:<44} | {:>12} | {:>8} | {:>9} |", "", "median", "ratio", "exchanges")?;
        writeln!(f, "|{:-<46}|{:->14}|{:->10}|{:->11}|", "", ":", ":", ":")?;
        for row in &self.rows {
            let median = row.median_nanos();
            let exchanges = row.exchanges.map_or_else(String::new, |n| n.to_string());
            let (shown, ratio) = (readable(median), median / base);
            writeln!(f, "| {:<44} | {shown:>12} | {ratio:>8.2} | {exchanges:>9} |", row.subject)?;
        }
        Ok(())
    }
}

fn readable(nanos: f64) -> String {
    if nanos < 10_000.0 { format!("{nanos:.1} ns") } else { format!("{:.2} ms", nanos / 1e6) }
}

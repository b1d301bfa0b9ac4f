//! Side by side with peers, in one run, as medians and ratios: `cargo xtask bench`.
//!
//! The machine is never quiet, so every round measures all subjects one after the other, and what
//! is printed is the median over the rounds, beside the ratio to tokenkeeper.

mod herds;
mod hot_path;
mod subjects;
mod table;

fn main() {
    println!("{}", hot_path::one_thread());
    println!("{}", hot_path::two_threads());
    println!("{}", herds::cold());
    println!("{}", herds::failing());
}

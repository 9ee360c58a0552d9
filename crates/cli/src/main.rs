//! The shell door.
fn main() {}

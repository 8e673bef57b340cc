//! Everything that needs no server: recorded bytes, rules of the house.

#[path = "hermetic/tidy.rs"]
mod tidy;
#[path = "hermetic/vectors.rs"]
mod vectors;

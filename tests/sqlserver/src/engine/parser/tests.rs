//! The grammar, by example.

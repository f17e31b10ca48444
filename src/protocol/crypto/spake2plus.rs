//! SPAKE2+.

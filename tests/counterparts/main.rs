//! Programs that others wrote, held against ours.

mod envelope;

//! What is counted of a session.

/// What has happened since it was asked last.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Noted {
    /// Values that were sealed.
    pub sealed: u64,
    /// Frames of clients that were taken.
    pub accepted: u64,
    /// Commands whose frames do not hold, or whose numbers were used before.
    pub unsound: u64,
    /// Commands that came again.
    pub replayed: u64,
    /// Why commands were refused otherwise, from a closed list.
    pub refused: Vec<&'static str>,
}

impl Noted {
    /// Nothing.
    pub(super) const NONE: Self =
        Self { sealed: 0, accepted: 0, unsound: 0, replayed: 0, refused: Vec::new() };
}

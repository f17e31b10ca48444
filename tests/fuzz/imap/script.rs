//! A talk between two sides, and what happens meanwhile, as octets: those below 8 direct, all others are said.

/// What happens next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scene<'o> {
    /// The client says this.
    Client(&'o [u8]),
    /// The server says this.
    Server(&'o [u8]),
    /// The key that is wished for is given.
    Key,
    /// It is not.
    NoKey,
    /// The key's time is over.
    Late,
    /// What is asked is confirmed.
    Confirmed,
    /// The server is gone.
    Gone,
}

/// All scenes of it.
pub(super) fn scenes(octets: &[u8]) -> impl Iterator<Item = Scene<'_>> {
    let mut rest = octets;
    std::iter::from_fn(move || {
        let (direction, after) = rest.split_first()?;
        let len = after.iter().position(|octet| (1..8).contains(octet)).unwrap_or(after.len());
        let (said, after) = after.split_at(len);
        rest = after;
        Some(match direction {
            2 => Scene::Server(said),
            3 => Scene::Key,
            4 => Scene::NoKey,
            5 => Scene::Late,
            6 => Scene::Confirmed,
            7 => Scene::Gone,
            _ => Scene::Client(said),
        })
    })
}

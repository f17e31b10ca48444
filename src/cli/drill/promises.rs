//! The promises of SECURITY.md that the attacks try, word for word: a test holds both together.

pub(super) const ALTERED: &str =
    "An envelope altered on its way, or another party's, is refused; in COSE, bit by bit.";
pub(super) const BETWEEN: &str = "Nobody stands between the two ends of a pairing unnoticed.";
pub(super) const DIGITS: &str = "A code that somebody reads on its way pairs nobody else's device where digits are \
    compared, and a device with a pin, or that waits for its user's word, goes to no other service.";
pub(super) const DOOR: &str =
    "A request that is not understood in every part is refused, says why and changes nothing.";
pub(super) const GUESSES: &str = "Five guesses at a code, each paid for before its answer, also across a restart and a \
    hundred at once.";
pub(super) const HEAD: &str = "A restored backup that has lost revocations is found by the first party that saw more, and \
    stays shut until an administrator accepts; nobody can invent such a head.";
pub(super) const LIVE: &str =
    "A session key goes to live pairings of its user and its server, and to nobody else.";
pub(super) const NEVER: &str = "What was revoked never comes back.";
pub(super) const NEXT: &str =
    "It takes effect on the very next request; nothing is issued after the acknowledgement.";
pub(super) const ONE: &str = "One invitation makes one pairing, whoever else tries at the same time.";
pub(super) const OTHERS: &str = "The others go on under a key that the revoked device never had.";
pub(super) const RECORDED: &str = "A recorded exchange tells nothing about the code, and is of no use again.";
pub(super) const SHARES: &str = "Malformed, small-order and off-curve shares are refused, and cost nothing.";
pub(super) const SPEAKS: &str = "Who does not hold a party's key does not speak as that party.";
pub(super) const SUITES: &str = "Nothing falls back to plaintext, to a weaker suite or to an older policy.";
pub(super) const TLS: &str = "What is older than TLS 1.3, or no TLS, is answered nothing.";

/// All of them.
#[cfg(test)]
pub(super) const ALL: [&str; 16] = [
    ALTERED, BETWEEN, DIGITS, DOOR, GUESSES, HEAD, LIVE, NEVER, NEXT, ONE, OTHERS, RECORDED, SHARES, SPEAKS,
    SUITES, TLS,
];

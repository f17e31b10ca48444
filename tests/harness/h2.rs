//! HTTP/2's frames (RFC 9113, section 4), by hand, and HPACK (RFC 7541) with literals alone.

/// Data of a stream.
pub const DATA: u8 = 0;
/// Headers, which open one.
pub const HEADERS: u8 = 1;
/// Its end, for nothing.
pub const RST_STREAM: u8 = 3;
/// What the connection is like.
pub const SETTINGS: u8 = 4;
/// A question that wants an answer.
pub const PING: u8 = 6;
/// The connection's end.
pub const GOAWAY: u8 = 7;
/// Room for more.
pub const WINDOW_UPDATE: u8 = 8;
/// More of the headers.
pub const CONTINUATION: u8 = 9;

/// No more follows on this stream.
pub const END_STREAM: u8 = 1;
/// No more headers follow.
pub const END_HEADERS: u8 = 4;

/// One stream more than there may be.
pub const REFUSED_STREAM: u32 = 7;
/// Of SETTINGS: the room of each stream.
pub const INITIAL_WINDOW_SIZE: u16 = 4;

/// One frame.
///
/// # Panics
/// When its payload is longer than any.
#[must_use]
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a frame has at most 16 MiB").to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// How a client begins, with these settings.
#[must_use]
pub fn begun(settings: &[(u16, u32)]) -> Vec<u8> {
    let octets = |(name, value): &(u16, u32)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
    let settings = settings.iter().flat_map(octets).collect::<Vec<_>>();
    [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &frame(SETTINGS, 0, 0, &settings)].concat()
}

/// `GET path` in HPACK, without a dynamic table.
///
/// # Panics
/// When the path is longer than any of ours.
#[must_use]
pub fn get(path: &str) -> Vec<u8> {
    let text = |text: &str| {
        let length = u8::try_from(text.len()).ok().filter(|length| *length < 127);
        [&[length.expect("a path has one octet of length")][..], text.as_bytes()].concat()
    };
    // Of the static table: method GET, scheme https, the names of authority and path.
    [&[0x82, 0x87][..], &[0x01], &text("localhost"), &[0x04], &text(path)].concat()
}

/// `POST path`, whose body does not come.
///
/// # Panics
/// As [`get`].
#[must_use]
pub fn post(path: &str) -> Vec<u8> {
    let mut block = get(path);
    block[0] = 0x83;
    block
}

/// Kind, stream and payload of each frame.
#[must_use]
pub fn frames(mut octets: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    let mut found = Vec::new();
    while let Some((head, rest)) = octets.split_first_chunk::<9>() {
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        let Some(payload) = rest.get(..length) else { break };
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        found.push((head[3], stream, payload.to_vec()));
        octets = &rest[length..];
    }
    found
}

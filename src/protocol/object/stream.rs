//! Whole values from reader to writer. The traits are generic: this opens no file and no socket.

use std::io::{self, Read, Write};

use super::frame::{Buffer, Kind};
use super::open::Opener;
use super::seal::Sealer;
use super::{Direction, Reject, Unsealable};

const PIECE_SIZE: usize = 64 * 1024;

/// Why a stream ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum Stopped<E> {
    /// The reader or the writer failed.
    #[error("reading or writing failed")]
    Io(#[from] io::Error),
    /// What was read does not fit or does not open.
    #[error(transparent)]
    Refused(E),
}

/// Seals all that `value` holds, which must be what `sealer` was told.
///
/// # Errors
/// [`Stopped`]; what was written is then no frame.
pub fn seal(
    mut sealer: Sealer,
    mut value: impl Read,
    mut frame: impl Write,
) -> Result<(), Stopped<Unsealable>> {
    let mut buffer = Buffer::new(PIECE_SIZE);
    while let Some(mut piece) = read(&mut value, &mut buffer.octets)? {
        buffer.used = buffer.used.max(piece.len());
        while !piece.is_empty() {
            frame.write_all(sealer.feed(&mut piece).map_err(Stopped::Refused)?)?;
        }
    }
    while let Some(octets) = sealer.pad().map_err(Stopped::Refused)? {
        frame.write_all(octets)?;
    }
    Ok(())
}

/// Opens all that `frame` holds. Nothing may act on what is written before this has returned.
///
/// # Errors
/// [`Stopped`]; what was written is then to be thrown away.
pub fn open<D: Direction>(
    mut opener: Opener<'_, D>,
    mut frame: impl Read,
    mut value: impl Write,
) -> Result<Kind, Stopped<Reject>> {
    let mut buffer = vec![0; PIECE_SIZE];
    while let Some(mut piece) = read(&mut frame, &mut buffer)? {
        while !piece.is_empty() {
            value.write_all(opener.feed(&mut piece).map_err(Stopped::Refused)?)?;
        }
    }
    let ending = opener.finish().map_err(Stopped::Refused)?;
    value.write_all(ending.octets())?;
    Ok(ending.kind())
}

/// The next octets; `None` at the end.
fn read<'b>(reader: &mut impl Read, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
    loop {
        match reader.read(buffer) {
            Ok(0) => return Ok(None),
            Ok(n) => return Ok(Some(&buffer[..n])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

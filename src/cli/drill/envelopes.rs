//! Wrapped keys as a carrier would bring them, at devices that they are for and are not for. The client crate judges.

use http::header::ACCEPT;
use sidekey_protocol::ids::SessionId;
use sidekey_protocol::session::envelope::cose;

use super::attack::{Attack, Bout, Group, Side, Went, bouts};
use super::ground::Keys;
use super::promises::{ALTERED, SUITES};
use super::sessions::key;

/// All of them.
pub(super) fn attacks() -> Vec<Attack> {
    bouts! { Envelopes:
        "another-device-s", "a key that was wrapped for another device", ALTERED => another_devices;
        "stranger-s-envelope", "a key of another user", ALTERED => another_users;
        "every-octet", "a bit of each octet, one after another", ALTERED => every_octet;
        "cut-or-longer", "an envelope cut short, or longer", ALTERED => cut;
        "late", "an envelope of before the last rotation", SUITES => late;
    }
}

/// The key of a session, in 127 octets for this party.
async fn wrapped(bout: &mut Bout, session: SessionId, keys: &Keys) -> Went<Vec<u8>> {
    let token = bout.ground.token(keys);
    let ask = key(session).bearer(&token).header(ACCEPT, cose::MEDIA_TYPE);
    let envelope = bout.twin("fetch by whom it is for", ask, 200).await?.body.to_vec();
    let (size, expected) = (envelope.len(), cose::SIZE);
    bout.holds(Side::Twin, "it has its 127 octets", size == expected, format!("it has {size}"));
    Ok(envelope)
}

async fn another_devices(bout: &mut Bout) -> Went {
    let ground = bout.ground.clone();
    let session = ground.session(&ground.phone.user).await?;
    let phones = wrapped(bout, session, &ground.phone.keys).await?;
    bout.refused_here(
        "the phone's, at the laptop",
        "tampered with",
        ground.laptop.client.accept(&phones).await,
    );
    bout.taken_here("the phone's, at the phone", ground.phone.client.accept(&phones).await)?;
    let laptops = wrapped(bout, session, &ground.laptop.keys).await?;
    bout.taken_here("the laptop's, at the laptop", ground.laptop.client.accept(&laptops).await)?;
    Ok(())
}

async fn another_users(bout: &mut Bout) -> Went {
    let ground = bout.ground.clone();
    let session = ground.session(&ground.stranger.user).await?;
    let envelope = wrapped(bout, session, &ground.stranger.keys).await?;
    bout.refused_here(
        "at another user's device",
        "tampered with",
        ground.phone.client.accept(&envelope).await,
    );
    bout.taken_here("at its own", ground.stranger.client.accept(&envelope).await)?;
    Ok(())
}

async fn every_octet(bout: &mut Bout) -> Went {
    let ground = bout.ground.clone();
    let session = ground.session(&ground.phone.user).await?;
    let envelope = wrapped(bout, session, &ground.phone.keys).await?;
    let mut taken = Vec::new();
    for at in 0..envelope.len() {
        let mut altered = envelope.clone();
        altered[at] ^= 1 << (at % 8);
        if ground.phone.client.accept(&altered).await.is_ok() {
            taken.push(at);
        }
    }
    let expected = format!("{0} of {0} refused", envelope.len());
    let came = format!("{} of {} refused", envelope.len() - taken.len(), envelope.len());
    bout.step(Side::Attack, "altered, at the phone", expected, came, taken.is_empty());
    bout.taken_here("unaltered", ground.phone.client.accept(&envelope).await)?;
    Ok(())
}

async fn cut(bout: &mut Bout) -> Went {
    let ground = bout.ground.clone();
    let session = ground.session(&ground.phone.user).await?;
    let envelope = wrapped(bout, session, &ground.phone.keys).await?;
    let longer = [&envelope[..], &[0]].concat();
    for (what, octets) in [
        ("without its last octet", &envelope[..envelope.len() - 1]),
        ("one octet longer", &longer),
        ("of nothing", &[][..]),
    ] {
        bout.refused_here(what, "tampered with", ground.phone.client.accept(octets).await);
    }
    bout.taken_here("whole", ground.phone.client.accept(&envelope).await)?;
    Ok(())
}

/// The session goes on under its next key, which the phone has seen.
async fn late(bout: &mut Bout) -> Went {
    let ground = bout.ground.clone();
    let session = ground.session(&ground.phone.user).await?;
    let old = wrapped(bout, session, &ground.phone.keys).await?;
    ground.mail.server.rotate(session).await?;
    let new = wrapped(bout, session, &ground.phone.keys).await?;
    bout.taken_here("the new one", ground.phone.client.accept(&new).await)?;
    bout.refused_here("the old one", "downgrade refused", ground.phone.client.accept(&old).await);
    Ok(())
}

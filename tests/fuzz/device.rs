//! What a device keeps, and what its administrator writes.

use sidekey_client::Profile;

/// What is kept of a pairing is read as what was written.
pub fn profiles(octets: &[u8]) {
    let Ok(profile) = Profile::from_json(octets) else { return };
    let written = profile.expose_json();
    let again = Profile::from_json(&written).expect("what was read is written");
    assert_eq!(*again.expose_json(), *written);
}

/// A file is an administrator's, refused with its reason, or in force.
pub fn configurations(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else { return };
    match toml::from_str::<sidekey_gateway::Config>(text) {
        Ok(config) => drop(config.check().map_err(|bad| bad.to_string())),
        Err(bad) => drop(bad.to_string()),
    }
    match toml::from_str::<sidekey_agent::config::Config>(text) {
        Ok(config) => drop(config.check().map_err(|bad| bad.to_string())),
        Err(bad) => drop(bad.to_string()),
    }
}

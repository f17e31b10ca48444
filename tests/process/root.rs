//! The root key, as an administrator meets it.

use std::ffi::OsStr;
use std::fs;

use crate::binary::{Serving, Sidekey, mode};
use crate::disk::{Dice, Disk, Survives, interposer};
use crate::kept;

#[test]
fn a_wrong_root_key_ends_with_4_and_one_line() {
    let (sidekey, other) = (Sidekey::new(), Sidekey::new());
    sidekey.init();
    other.init();
    fs::copy(other.data().join("root.key"), sidekey.data().join("root.key")).unwrap();
    for line in ["serve", "root status", "root rotate"] {
        let problem = sidekey.run(&format!("{line} -o json")).failed(4).problem();
        assert_eq!(problem["code"], "root_key_wrong", "{line}: {problem}");
        let said = problem["detail"].as_str().unwrap();
        assert!(said.contains("file root.key gives key ") && said.contains("expects key "), "{line}: {said}");
    }
}

#[test]
fn a_rotated_root_key_takes_effect_and_the_old_one_opens_nothing() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let path = sidekey.data().join("root.key");
    let old = fs::read(&path).unwrap();
    {
        let _serving = sidekey.serve(port);
        let before = sidekey.json("root status");
        assert_eq!(before["keys"].as_array().unwrap().len(), 1, "{before}");
        let busy = sidekey.run("root rotate -o json").failed(5).problem();
        assert_eq!(busy["code"], "folder_locked", "{busy}");
    }
    let rotated = sidekey.json("root rotate");
    assert_eq!((rotated["forgotten"].as_bool(), mode(&path)), (Some(true), 0o600), "{rotated}");
    assert_ne!(fs::read(&path).unwrap(), old);
    assert_eq!(sidekey.json("root status")["keys"][0]["key"], rotated["key"]);
    drop(sidekey.serve(port));
    fs::write(&path, old).unwrap();
    sidekey.run("serve").failed(4);
}

#[test]
fn every_source_of_the_root_key_starts_the_service() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let config = sidekey.data().join("sidekey.toml");
    let shipped = fs::read_to_string(&config).unwrap();
    let from = |source: &str| {
        let text = shipped.replace("\nroot_key = { file = \"root.key\" }", &format!("\nroot_key = {source}"));
        assert_ne!(text, shipped);
        fs::write(&config, text).unwrap();
    };
    let serve = |variable: Option<(&str, &OsStr)>| {
        let mut command = sidekey.command(&format!("serve --listen 127.0.0.1:{port}"));
        command.envs(variable);
        assert_eq!(Serving::start(&mut command).stop("TERM"), 0);
    };
    let key = fs::read_to_string(sidekey.data().join("root.key")).unwrap();
    let credentials = sidekey.path("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::rename(sidekey.data().join("root.key"), credentials.join("sidekey")).unwrap();

    from("{ credential = \"sidekey\" }");
    assert!(sidekey.run("serve").failed(1).err.contains("LoadCredential=sidekey"));
    serve(Some(("CREDENTIALS_DIRECTORY", credentials.as_os_str())));
    from("{ env = \"SIDEKEY_ROOT_KEY\" }");
    serve(Some(("SIDEKEY_ROOT_KEY", OsStr::new(key.trim_end()))));

    let passphrase = sidekey.path("passphrase");
    fs::copy(credentials.join("sidekey"), &passphrase).unwrap();
    fs::write(&passphrase, "correct horse battery staple\n").unwrap();
    let mut rotate = sidekey.command("root rotate --new-passphrase-file passphrase -o json");
    let rotated = rotate.env("SIDEKEY_ROOT_KEY", key.trim_end()).output().unwrap();
    assert!(rotated.status.success(), "{rotated:?}");
    from(&format!("{{ passphrase_file = {passphrase:?} }}"));
    serve(None);
    from("{ env = \"SIDEKEY_ROOT_KEY\" }");
    let mut old = sidekey.command("serve");
    let refused = old.env("SIDEKEY_ROOT_KEY", key.trim_end()).output().unwrap();
    assert_eq!(refused.status.code(), Some(4), "the old key is forgotten: {refused:?}");
    from("\"passphrase_prompt\"");
    assert!(sidekey.run("serve").failed(2).err.contains("passphrase_file"));
}

/// Wherever the power fails in a rotation, the folder opens with the key that is there, and the next run finishes it.
#[test]
fn a_power_cut_in_a_rotation_locks_nobody_out() {
    let sidekey = Sidekey::new();
    sidekey.init();
    let before = Disk::of(&sidekey.data());
    let log = sidekey.path("disk.log");
    let mut command = sidekey.command("root rotate");
    command.env("LD_PRELOAD", interposer(&sidekey.path(""))).env("SIDEKEY_CUT_LOG", &log);
    command.env("SIDEKEY_CUT_FOLDER", sidekey.data());
    assert!(command.status().unwrap().success());
    let log = fs::read(log).unwrap();
    let mut dice = Dice(1);
    for n in 0..24 {
        let end = dice.roll(log.len() as u64 + 1) as usize;
        let mut disk = before.clone();
        disk.play(&log, 0, end);
        let folder = sidekey.path("after");
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        let survives = if n % 3 == 0 { Survives::Nothing } else { Survives::Some(Dice(n)) };
        disk.cut(survives, &sidekey.data(), &folder);
        kept::open(&folder).unwrap_or_else(|fault| panic!("cut {n} at {end}: {fault}"));
        let rotated = sidekey.json(&format!("root rotate --data {}", folder.display()));
        assert_eq!(rotated["forgotten"], true, "cut {n} at {end}: {rotated}");
        kept::open(&folder).unwrap_or_else(|fault| panic!("cut {n} at {end}, rotated: {fault}"));
    }
}

//! `sidekey restore` as an administrator meets it, after putting back a real copy of the data folder.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::binary::Sidekey;

fn copy(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir(to).unwrap();
    fs::set_permissions(to, fs::metadata(from).unwrap().permissions()).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (here, there) = (entry.path(), to.join(entry.file_name()));
        if here.is_dir() {
            copy(&here, &there);
        } else {
            fs::copy(here, there).unwrap();
        }
    }
}

#[test]
fn a_copy_that_is_put_back_is_found_out_by_the_administrator_who_saw_more_and_accepted() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    // Where the service's backups do not reach it.
    fs::copy(sidekey.data().join("admin.json"), sidekey.path("admin.json")).unwrap();
    let backup = sidekey.path("backup");
    {
        let _serving = sidekey.serve(port);
        sidekey.run("server add mail.example.org --admin admin.json").succeeded();
        let status = sidekey.json("restore status --admin admin.json");
        assert_eq!((&status["rolled_back"], &status["revocations"]), (&json!(false), &json!(0)));
        sidekey.run("restore accept --yes --admin admin.json").failed(5);
    }
    copy(&sidekey.data(), &backup);
    {
        let _serving = sidekey.serve(port);
        let invite = "client invite ann@example.org --server mail.example.org --admin admin.json";
        let invitation = sidekey.json(invite)["invitation"].as_str().unwrap().to_owned();
        let revoke = format!("revoke invitation {invitation} --reason mistake --yes --admin admin.json");
        sidekey.run(&revoke).succeeded();
        // The next answer carries the head that counts it.
        sidekey.run("server list --admin admin.json").succeeded();
        assert!(sidekey.path("admin.head").exists());
    }
    copy(&backup, &sidekey.data());
    for _ in 0..2 {
        let _serving = sidekey.serve(port);
        let problem = sidekey.run("server list --admin admin.json -o json").failed(6).problem();
        assert_eq!(problem["code"], "rolled_back", "{problem}");
        assert!(problem.to_string().contains("sidekey restore status"), "{problem}");
        let status = sidekey.run("restore status --admin admin.json").succeeded().out;
        assert!(
            status.contains("has 0 revocations, and there were 1") && status.contains("--missing 1"),
            "{status}"
        );
    }
    let _serving = sidekey.serve(port);
    let refused = sidekey.run("restore accept --yes --admin admin.json -o json").failed(5).problem();
    assert_eq!(refused["code"], "revocations_missing", "{refused}");
    let tried = sidekey.json("restore accept --missing 1 --dry-run --admin admin.json");
    assert_eq!((&tried["dry_run"], &tried["revocations"]), (&json!(true), &json!(2)));
    let accepted = sidekey.run("restore accept --missing 1 --yes --admin admin.json").succeeded().out;
    assert!(accepted.contains("The service goes on from here."), "{accepted}");
    sidekey.run("server list --admin admin.json").succeeded();
    assert_eq!(sidekey.json("restore status --admin admin.json")["revocations"], 2);
}

//! `sidekey key` as an administrator meets it.

use serde_json::json;

use crate::binary::Sidekey;

#[test]
fn a_signing_key_is_listed_tried_and_rotated_and_the_link_names_the_new_one() {
    let sidekey = Sidekey::new();
    let port = sidekey.init();
    let config = sidekey.data().join("sidekey.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("key_overlap_s = 604800", "key_overlap_s = 3600")).unwrap();
    let _serving = sidekey.serve(port);
    sidekey.run("server add mail.example.org").succeeded();
    let first = sidekey.json("key list");
    let kid = |list: &serde_json::Value| list["keys"][0]["kid"].as_str().unwrap().to_owned();
    assert_eq!((first["keys"].as_array().unwrap().len(), &first["verified"]), (1, &json!(true)));

    let tried = sidekey.json("key rotate --dry-run");
    assert_eq!((&tried["dry_run"], &tried["previous"]["kid"]), (&json!(true), &json!(kid(&first))));
    assert_eq!(sidekey.json("key list"), first, "nothing was changed");
    let unasked = sidekey.run("key rotate -o json").failed(2).problem();
    assert_eq!(unasked["code"], "confirmation_needed");

    let rotated = sidekey.json("key rotate --yes");
    let previous = &rotated["previous"];
    let overlap = previous["until"].as_u64().unwrap() - rotated["active"]["since"].as_u64().unwrap();
    assert_eq!((overlap, &previous["state"]), (3600, &json!("previous")), "as it is configured");
    let second = sidekey.json("key list");
    assert_eq!(json!(kid(&second)), rotated["active"]["kid"]);
    let invited = sidekey.json("client invite ann@example.org --server mail.example.org");
    assert!(invited["link"].as_str().unwrap().ends_with(&kid(&second)), "{invited}");
    let table = sidekey.run("key list").succeeded().out;
    assert!(table.contains("previous") && table.contains("vouches"), "{table}");
    sidekey.run("key rotate --overlap 31d --yes").failed(1);
}

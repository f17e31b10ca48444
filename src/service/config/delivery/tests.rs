use crate::config::{BadOption, Config};

fn check(carrier: &str) -> Result<(), BadOption> {
    toml::from_str::<Config>(&format!("[delivery.carriers.sms]\n{carrier}")).unwrap().check()
}

const WEBHOOK: &str = "kind = 'webhook'\nurl = 'https://a'\nsecret_file = 's'";

#[test]
fn a_code_never_goes_to_a_bearer_of_the_proxy_s_domain() {
    let refused = |text: &str| check(text).unwrap_err().to_string();
    assert!(refused("kind = 'email'\nto = 'ann@example.org'").contains("passes the proxy"));
    let proxy = refused(&format!("{WEBHOOK}\ndomain = 'operator'\ncodes = true"));
    assert!(proxy.contains("is the proxy's") && proxy.contains("delivery.carriers.sms"), "{proxy}");
    let elsewhere = refused(&format!("{WEBHOOK}\ndomain = 'enterprise'\ncodes = true"));
    assert!(elsewhere.contains("no form of a delivery"), "{elsewhere}");
    assert_eq!(check(&format!("{WEBHOOK}\ndomain = 'operator'")), Ok(()));
}

#[test]
fn a_carrier_says_whose_it_is_and_what_it_is() {
    assert!(check(&format!("{WEBHOOK}\ndomain = ''")).is_err());
    for wrong in ["at_once = 0", "limits = { total = 0 }", "limits = { prefixes = { '0049' = 1 } }"] {
        assert!(check(&format!("{WEBHOOK}\ndomain = 'x'\n{wrong}")).is_err(), "{wrong}");
    }
    assert_eq!(check(&format!("{WEBHOOK}\ndomain = 'x'\nlimits = {{ prefixes = {{ '+49' = 1 }} }}")), Ok(()));
    let xdms = "kind = 'xdms'\ndomain = 'x'\nroot = 'https://a'\nauid = 'keys'";
    assert!(check(&format!("{xdms}\nuser_xui = 'sip:ann@example.org'")).is_err());
    assert_eq!(check(&format!("{xdms}\nuser_xui = 'sip:{{user}}'")), Ok(()));
    for wrong in [
        "kind = 'pigeon'\ndomain = 'x'".to_owned(),
        format!("{WEBHOOK}\ndomain = 'x'\npassword = 'y'"),
        WEBHOOK.to_owned(),
    ] {
        let text = format!("[delivery.carriers.sms]\n{wrong}");
        assert!(toml::from_str::<Config>(&text).is_err(), "{wrong}");
    }
    assert!(toml::from_str::<Config>(&format!("[delivery.carriers.SMS]\n{WEBHOOK}\ndomain = 'x'")).is_err());
}

/// What stands in the shipped file as an example can be used by taking the `#` away.
#[test]
fn the_shipped_examples_are_carriers() {
    let lines: Vec<&str> = crate::config::SHIPPED.lines().collect();
    let start = lines.iter().position(|line| line.starts_with("#[delivery.carriers.")).unwrap();
    let example: Vec<&str> = lines[start..]
        .iter()
        .take_while(|line| !line.starts_with("["))
        .filter_map(|line| line.strip_prefix('#'))
        .collect();
    let said: Vec<&str> = example.into_iter().filter(|line| !line.starts_with(' ')).collect();
    let config: Config = toml::from_str(&said.join("\n")).unwrap();
    assert_eq!(config.check(), Ok(()));
    let kinds = |kind: &str| said.iter().any(|line| *line == format!("kind = \"{kind}\""));
    assert!(
        config.delivery.carriers.len() == 4
            && ["smpp", "http-sms", "xdms", "webhook"].iter().all(|kind| kinds(kind))
    );
}

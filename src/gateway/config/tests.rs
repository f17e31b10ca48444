use super::*;

fn read(text: &str) -> Config {
    toml::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Upstream, and a listener with these options.
fn with(listener: &str) -> Config {
    read(&format!("[upstream]\naddress = 'mail.example.org:993'\n[listeners.office]\n{listener}"))
}

const HERE: &str = "trusted = true\nnetworks = ['127.0.0.1']\n";
const CERTIFIED: &str = "certificate_file = 'tls.pem'\nkey_file = 'tls.key'\n";

#[test]
fn the_shipped_file_names_every_option_and_can_be_meant() {
    let config = read(SHIPPED);
    assert_eq!(config.check(), Ok(()));
    assert_eq!((config.limits, config.log), (Limits::default(), Log::default()));
    let shipped: toml::Table = SHIPPED.parse().unwrap();
    let options = |value: &toml::Value| value.as_table().unwrap().len();
    assert_eq!((options(&shipped["limits"]), options(&shipped["log"])), (6, 2));
    // What is not said there stands in a comment.
    for option in
        ["ca_file", "name", "client_ca_file", "networks", "trusted", "tls", "certificate_file", "key_file"]
    {
        let names = |line: &str| line.trim_start_matches("# ").starts_with(&format!("{option} = "));
        assert!(SHIPPED.lines().any(names), "{option}");
    }
}

#[test]
fn metrics_are_told_where_it_is_said_and_to_this_machine_alone() {
    let mut config = read(SHIPPED);
    assert_eq!(config.operations, None);
    for (listen, checked) in [
        ("127.0.0.1:8445", Ok(())),
        ("192.0.2.1:8445", Err(BadOption::OperationsExposed("192.0.2.1:8445".parse().unwrap()))),
    ] {
        config.operations = toml::from_str(&format!("listen = '{listen}'")).ok();
        assert_eq!(config.check(), checked);
    }
}

#[test]
fn an_unknown_option_is_refused_by_name() {
    for text in
        ["[limits]\nconections = 1", "[log]\nlevel = 'loud'", "[upstream]\nadress = 'x'", "trusted = true"]
    {
        let error = toml::from_str::<Config>(text).unwrap_err().to_string();
        assert!(error.contains("unknown"), "{text}: {error}");
    }
}

#[test]
fn a_trusted_listener_demands_what_an_operator_never_has() {
    let trusted = format!("listen = '192.0.2.1:993'\ntrusted = true\n{CERTIFIED}");
    assert_eq!(with(&trusted).check(), Err(BadOption::TrustsAnybody("office".to_owned())));
    for demand in ["client_ca_file = 'devices.pem'", "networks = ['10.0.0.0/8']"] {
        assert_eq!(with(&format!("{trusted}{demand}")).check(), Ok(()), "{demand}");
    }
}

#[test]
fn a_listener_for_proxies_needs_a_way_in_and_seals_what_leaves_the_machine() {
    let office = || "office".to_owned();
    let untrusted = format!("listen = '0.0.0.0:993'\n{CERTIFIED}");
    let check = |listener: &str| {
        let mut config = with(&format!("{untrusted}{listener}"));
        config.upstream.master = toml::from_str("user = 'gw'\npassword_file = 'p'").ok();
        config.check()
    };
    assert_eq!(with(&untrusted).check(), Err(BadOption::NoAccounts(office())));
    assert_eq!((check(""), check("profile = 'mailbox=allow'")), (Ok(()), Ok(())));
    assert_eq!(check("sealing = 'off'"), Err(BadOption::Unsealed(office())));
    let trusted = |option| Err(BadOption::Trusted { listener: office(), option });
    let demands = "trusted = true\nnetworks = ['10.0.0.0/8']\n";
    assert_eq!(check(&format!("{demands}profile = 'strict'")), trusted("profile"));
    assert_eq!(check(&format!("{demands}sealing = 'on'")), trusted("sealing"));
    let unknown = toml::from_str::<Listener>("listen = '[::1]:1'\nprofile = 'lax'").unwrap_err().to_string();
    assert!(unknown.contains("strict") && unknown.contains("mailbox=allow"), "{unknown}");
    let mut config = with(&format!("{untrusted}{demands}"));
    for separator in ['@', 'a', '.', '1', ' ', 'é'] {
        config.upstream.master = Some(Master { user: "gw".into(), password_file: "p".into(), separator });
        assert_eq!(config.check(), Err(BadOption::Separator(separator)));
    }
}

#[test]
fn nothing_is_in_the_clear_but_on_this_machine() {
    let office = || "office".to_owned();
    assert_eq!(
        with("listen = '0.0.0.0:143'\ntls = 'none'").check(),
        Err(BadOption::ListenerExposed(office()))
    );
    assert_eq!(with(&format!("listen = '[::1]:143'\ntls = 'none'\n{HERE}")).check(), Ok(()));
    for tls in ["implicit", "starttls"] {
        let text = format!("listen = '0.0.0.0:993'\ntls = '{tls}'");
        assert_eq!(with(&text).check(), Err(BadOption::Uncertified(office())));
    }
    let asked = BadOption::NoTls { listener: office(), option: "client_ca_file" };
    assert_eq!(with("listen = '127.0.0.1:143'\ntls = 'none'\nclient_ca_file = 'x'").check(), Err(asked));
    let upstream = |address: &str| {
        let mut config = with(&format!("listen = '127.0.0.1:993'\n{HERE}{CERTIFIED}"));
        (config.upstream.address, config.upstream.tls) = (address.to_owned(), Tls::None);
        config.check()
    };
    // A name means whatever a resolver says.
    for exposed in ["mail.example.org:143", "localhost:143", "192.0.2.1:143"] {
        assert_eq!(upstream(exposed), Err(BadOption::UpstreamExposed(exposed.to_owned())));
    }
    assert_eq!((upstream("127.0.0.1:143"), upstream("[::1]:143")), (Ok(()), Ok(())));
    for no in ["mail.example.org", "mail.example.org:0", "mail.example.org:x", ":993", ""] {
        assert_eq!(upstream(no), Err(BadOption::Address(no.to_owned())));
    }
}

#[test]
fn a_door_has_an_address_and_is_not_knocked_at_in_the_clear() {
    let check = |door: &str| {
        let mut config = with(&format!("listen = '127.0.0.1:993'\n{HERE}{CERTIFIED}"));
        config.doors.insert("pop".to_owned(), toml::from_str(&format!("kind = 'pop3'\n{door}")).unwrap());
        config.check()
    };
    assert_eq!(check("address = 'mail.example.org:995'"), Ok(()));
    let (name, address) = ("pop".to_owned(), "mail.example.org".to_owned());
    assert_eq!(check("address = 'mail.example.org'"), Err(BadOption::DoorAddress { name, address }));
    let exposed = check("address = 'mail.example.org:110'\ntls = 'none'");
    assert_eq!(exposed, Err(BadOption::DoorExposed("pop".to_owned())));
}

#[test]
fn limits_that_serve_nobody_or_cut_the_patient_are_refused() {
    for (limit, least, most) in
        [("connections = 0", 1, 1_000_000), ("idle_s = 1799", 1800, 86_400), ("drain_s = 26", 0, 25)]
    {
        let mut config = with(&format!("listen = '127.0.0.1:993'\n{HERE}{CERTIFIED}"));
        config.limits = toml::from_str(limit).unwrap();
        let (option, value) = limit.split_once(" = ").unwrap();
        let Err(BadOption::Limit { option: named, value: said, least: at_least, most: at_most }) =
            config.check()
        else {
            panic!("{limit}")
        };
        assert_eq!((named, said.to_string().as_str(), at_least, at_most), (option, value, least, most));
    }
}

#[test]
fn relative_paths_start_at_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway.toml");
    std::fs::write(&path, SHIPPED).unwrap();
    let config = Config::read(&path).unwrap();
    let listener = config.listeners.values().next().unwrap();
    assert_eq!(listener.key_file, Some(folder.path().join("tls.key")));
    assert!(matches!(Config::read(folder.path()), Err(BadConfig::Unreadable { .. })));
}

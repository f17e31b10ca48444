use super::*;

const LEAST: &str = "[proxy]\nhost = 'imap.example.org'\nuser = 'ann@example.org'\n";

fn parsed(text: &str) -> Config {
    toml::from_str(text).unwrap()
}

#[test]
fn the_shipped_file_states_the_defaults_and_names_every_option() {
    let least = parsed(LEAST);
    assert_eq!(parsed(SHIPPED), least);
    assert_eq!(least.check(), Ok(()));
    // What has no default stands there as an example.
    let uncommented: String = SHIPPED
        .lines()
        .map(|line| line.strip_prefix("#= ").unwrap_or(line))
        .fold(String::new(), |text, line| text + line + "\n");
    let whole: toml::Table = uncommented.parse().unwrap();
    let names = |table: &toml::Value| table.as_table().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(
        whole.keys().collect::<Vec<_>>(),
        ["deletions_max", "failing", "limits", "listen", "log", "proxy", "tls"]
    );
    assert_eq!(names(&whole["proxy"]), ["ca_file", "host", "octets", "password_file", "port", "tls", "user"]);
    assert_eq!(names(&whole["tls"]), ["certificate_file", "key_file"]);
    assert_eq!(
        names(&whole["limits"]),
        ["confirm_s", "connections", "drain_s", "idle_s", "login_s", "proxy_s"]
    );
    assert_eq!(names(&whole["log"]), ["format", "level"]);
    toml::from_str::<Config>(&uncommented).unwrap();
}

#[test]
fn what_would_tell_mail_to_others_is_refused() {
    let check = |text: &str| parsed(text).check();
    for exposed in ["0.0.0.0:1143", "[::]:1143", "192.0.2.1:1143"] {
        let text = format!("listen = '{exposed}'\n{LEAST}");
        assert_eq!(check(&text), Err(BadOption::Exposed), "{exposed}");
        let tls = "[tls]\ncertificate_file = 'a'\nkey_file = 'b'\n";
        assert_eq!(check(&format!("{text}{tls}")), Ok(()), "{exposed}");
    }
    for fine in ["[::1]:1", "127.0.0.2:1", "unix:imap.sock"] {
        assert_eq!(check(&format!("listen = '{fine}'\n{LEAST}")), Ok(()), "{fine}");
    }
    let proxy = |host: &str| format!("[proxy]\nhost = '{host}'\nuser = 'ann'\ntls = 'none'\n");
    for here in ["localhost", "127.0.0.1", "::1"] {
        assert_eq!(check(&proxy(here)), Ok(()), "{here}");
    }
    for there in ["imap.example.org", "192.0.2.1", "localhost.example.org"] {
        assert_eq!(check(&proxy(there)), Err(BadOption::ProxyInClear), "{there}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    for (text, said) in [
        ("listn = 1\n", "unknown"),
        ("listen = 'everywhere'\n", "neither ADDRESS:PORT nor unix:PATH"),
        ("listen = 'unix:'\n", "no path"),
        ("failing = 'open'\n", "omit"),
        ("deletions_max = -1\n", "deletions_max"),
    ] {
        let error = toml::from_str::<Config>(&format!("{text}{LEAST}")).unwrap_err().to_string();
        assert!(error.contains(said), "{text}: {error}");
    }
    let error = toml::from_str::<Config>("").unwrap_err().to_string();
    assert!(error.contains("proxy"), "{error}");
    for (text, bad) in [
        ("connections = 0", BadOption::Zero("connections")),
        ("idle_s = 0", BadOption::Zero("idle_s")),
        ("drain_s = 26", BadOption::DrainTooLong),
    ] {
        assert_eq!(parsed(&format!("{LEAST}[limits]\n{text}\n")).check(), Err(bad), "{text}");
    }
    assert_eq!(parsed("[proxy]\nhost = ''\nuser = 'a'").check(), Err(BadOption::Empty("host")));
}

#[test]
fn files_start_beside_the_file_and_ports_follow_from_tls() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("agent.toml");
    let text = format!("listen = 'unix:imap.sock'\n{LEAST}tls = 'starttls'\nca_file = '/etc/ca.pem'\n");
    std::fs::write(&path, text).unwrap();
    let config = Config::read(&path).unwrap();
    assert_eq!(config.listen, Listen::Unix(folder.path().join("imap.sock")));
    assert_eq!(config.proxy.password_file, folder.path().join("proxy.password"));
    assert_eq!(config.proxy.ca_file, Some("/etc/ca.pem".into()));
    assert_eq!((config.proxy.port(), parsed(LEAST).proxy.port()), (143, 993));
    assert!(matches!(Config::read(folder.path()), Err(BadConfig::Unreadable { .. })));
}

//! What the configuration comes to: the defaults, the file, the environment, the command line; the later wins, option
//! by option.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::{BadConfig, Config, SHIPPED};

/// What each variable of the environment begins with that sets an option: `SIDEKEY__LIMITS__DRAIN_S`.
pub const PREFIX: &str = "SIDEKEY__";

/// A configuration, and where each of its values came from.
#[derive(Clone, Debug)]
pub struct Effective {
    /// What the service does.
    pub config: Config,
    /// Every option, in the order of the shipped file.
    pub settings: Vec<Setting>,
}

/// One option.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// Its name, its section's before it: `limits.drain_s`.
    pub option: String,
    /// What holds.
    pub value: Value,
    /// Who said so.
    pub origin: Origin,
}

/// Where a value came from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Origin {
    /// Nobody said anything.
    Default,
    /// This file.
    File(PathBuf),
    /// This variable.
    Environment(String),
    /// This option of the command line.
    Flag(&'static str),
}

/// What the command line says about an option.
#[derive(Clone, Debug)]
pub struct Flag {
    /// Which option of the command line.
    pub flag: &'static str,
    /// Which option of the configuration.
    pub option: &'static str,
    /// What it says.
    pub value: String,
}

impl Config {
    /// The file at `path`, what `environment` and the command line say over it, and what nobody says at its default. A
    /// relative `data` starts beside the file, one of the environment or the command line in the current folder.
    ///
    /// # Errors
    /// [`BadConfig`] names the file, the line and the option, or the variable.
    pub fn effective(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: impl IntoIterator<Item = Flag>,
    ) -> Result<Effective, BadConfig> {
        // The file alone first: of its faults the line is known.
        Self::read(path)?;
        let text = std::fs::read_to_string(path)
            .map_err(|source| BadConfig::Unreadable { path: path.to_owned(), source })?;
        let file: Table = toml::from_str(&text)
            .map_err(|source| BadConfig::Invalid { path: path.to_owned(), source: Box::new(source) })?;
        let mut layers = Layers::defaults();
        for (option, value) in Layers::options(file) {
            layers.set(&option, value, Origin::File(path.to_owned()));
        }
        let mut set: Vec<_> = environment.into_iter().filter(|(name, _)| name.starts_with(PREFIX)).collect();
        set.sort();
        for (name, text) in set {
            let option = name[PREFIX.len()..].to_lowercase().replace("__", ".");
            layers.say(&option, &text, Origin::Environment(name))?;
        }
        for Flag { flag, option, value } in flags {
            layers.say(option, &value, Origin::Flag(flag))?;
        }
        let beside = path.parent().unwrap_or(Path::new(""));
        layers.finish(beside)
    }
}

struct Layers(Vec<Setting>);

impl Layers {
    /// Every option that there is: the shipped file names them all.
    fn defaults() -> Self {
        let shipped: Table = SHIPPED.parse().expect("the shipped file is TOML: a test reads it");
        let mut settings: Vec<_> = Self::options(shipped)
            .into_iter()
            .map(|(option, value)| Setting { option, value, origin: Origin::Default })
            .collect();
        settings.sort_by_key(|setting| place(&setting.option));
        Self(settings)
    }

    /// A table's options by their names; what is no section is one option, a table though it may be.
    fn options(table: Table) -> Vec<(String, Value)> {
        let sections: Vec<_> = SHIPPED.lines().filter_map(heading).collect();
        let mut options = Vec::new();
        for (name, value) in table {
            match value {
                Value::Table(section) if sections.contains(&name.as_str()) => options
                    .extend(section.into_iter().map(|(option, value)| (format!("{name}.{option}"), value))),
                value => options.push((name, value)),
            }
        }
        options
    }

    fn set(&mut self, option: &str, value: Value, origin: Origin) {
        match self.0.iter_mut().find(|setting| setting.option == option) {
            Some(setting) => (setting.value, setting.origin) = (value, origin),
            None => self.0.push(Setting { option: option.to_owned(), value, origin }),
        }
    }

    /// What is said as text: a text where the option is one, else as TOML has it, else a text all the same.
    fn say(&mut self, option: &str, text: &str, origin: Origin) -> Result<(), BadConfig> {
        let known = self.0.iter().find(|setting| setting.option == option);
        let value = match known.map(|setting| &setting.value) {
            Some(Value::String(_)) => None,
            _ => as_toml(text),
        };
        let from = match &origin {
            Origin::Environment(name) => name.clone(),
            Origin::Flag(flag) => (*flag).to_owned(),
            Origin::Default | Origin::File(_) => option.to_owned(),
        };
        self.set(option, value.unwrap_or_else(|| Value::String(text.to_owned())), origin);
        // One at a time, so that the one which is wrong is named.
        self.config().map(drop).map_err(|source| BadConfig::Said { from, source: Box::new(source) })
    }

    fn config(&self) -> Result<Config, toml::de::Error> {
        let mut whole = Table::new();
        for Setting { option, value, .. } in &self.0 {
            match option.split_once('.') {
                None => drop(whole.insert(option.clone(), value.clone())),
                Some((section, option)) => {
                    let section = whole.entry(section).or_insert_with(|| Value::Table(Table::new()));
                    if let Value::Table(section) = section {
                        section.insert(option.to_owned(), value.clone());
                    }
                }
            }
        }
        Value::Table(whole).try_into()
    }

    fn finish(mut self, beside: &Path) -> Result<Effective, BadConfig> {
        let path = self.0.iter_mut().find(|setting| setting.option == "data");
        if let Some(Setting {
            value: Value::String(data), origin: Origin::Default | Origin::File(_), ..
        }) = path
        {
            // Without the dots that mean nothing: people read it.
            *data = beside.join(&*data).components().collect::<PathBuf>().display().to_string();
        }
        let config = self.config();
        let config =
            config.map_err(|source| BadConfig::Said { from: "data".to_owned(), source: Box::new(source) })?;
        Ok(Effective { config, settings: self.0 })
    }
}

/// Where the shipped file says it.
fn place(option: &str) -> (usize, usize) {
    let (wanted, name) = option.split_once('.').unwrap_or(("", option));
    let (mut section, mut sections) = ("", 0);
    for (n, line) in SHIPPED.lines().enumerate() {
        if let Some(heading) = heading(line) {
            (section, sections) = (heading, sections + 1);
        } else if section == wanted && line.split_once('=').is_some_and(|(key, _)| key.trim() == name) {
            return (sections, n);
        }
    }
    (usize::MAX, usize::MAX)
}

fn heading(line: &str) -> Option<&str> {
    line.strip_prefix('[')?.strip_suffix(']')
}

fn as_toml(text: &str) -> Option<Value> {
    let mut table: Table = toml::from_str(&format!("value = {text}")).ok()?;
    if table.len() == 1 { table.remove("value") } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sidekey.toml");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    }

    fn listen(value: &str) -> Flag {
        Flag { flag: "--listen", option: "listen", value: value.to_owned() }
    }

    #[test]
    fn the_command_line_beats_the_environment_the_environment_the_file_and_the_file_the_default() {
        let (_folder, path) = file("listen = '127.0.0.1:1'\n[limits]\ndrain_s = 1\nbody_s = 2\n");
        let said =
            env(&[("SIDEKEY__LISTEN", "127.0.0.1:2"), ("SIDEKEY__LIMITS__DRAIN_S", "3"), ("PATH", "x")]);
        let Effective { config, settings } = Config::effective(&path, said, [listen("127.0.0.1:3")]).unwrap();
        assert_eq!(config.listen.port(), 3);
        assert_eq!((config.limits.drain_s, config.limits.body_s, config.limits.answer_s), (3, 2, 10));
        let origin = |option: &str| {
            settings.iter().find(|setting| setting.option == option).map(|setting| setting.origin.clone())
        };
        assert_eq!(origin("listen"), Some(Origin::Flag("--listen")));
        assert_eq!(origin("limits.drain_s"), Some(Origin::Environment("SIDEKEY__LIMITS__DRAIN_S".into())));
        assert_eq!(origin("limits.body_s"), Some(Origin::File(path)));
        assert_eq!(origin("limits.answer_s"), Some(Origin::Default));
    }

    #[test]
    fn every_option_is_there_once_and_nothing_said_is_the_default() {
        let (folder, path) = file("");
        let Effective { config, settings } = Config::effective(&path, [], []).unwrap();
        assert_eq!(config, Config { data: folder.path().join("."), ..Config::default() });
        let names: std::collections::BTreeSet<_> = settings.iter().map(|setting| &setting.option).collect();
        assert_eq!(names.len(), settings.len());
        assert!(settings.len() > 15 && settings[0].option == "listen", "{names:?}");
    }

    #[test]
    fn what_is_said_wrongly_is_refused_by_the_name_of_who_said_it() {
        let (_folder, path) = file("");
        for (name, text) in [
            ("SIDEKEY__LISTN", "127.0.0.1:1"),
            ("SIDEKEY__LISTEN", "everywhere"),
            ("SIDEKEY__LIMITS__DRAIN_S", "soon"),
            ("SIDEKEY__LIMITS__DRAIN_S", "1\nlog = 2"),
            ("SIDEKEY__LOG__LEVEL__MORE", "1"),
        ] {
            let error = Config::effective(&path, env(&[(name, text)]), []).unwrap_err();
            assert!(error.to_string().contains(name), "{name}: {error}");
        }
        let error = Config::effective(&path, [], [listen("nowhere")]).unwrap_err();
        assert!(error.to_string().contains("--listen"), "{error}");
    }

    #[test]
    fn data_of_the_environment_starts_in_the_current_folder() {
        let (_folder, path) = file("data = 'kept'");
        let said = env(&[("SIDEKEY__DATA", "elsewhere")]);
        assert_eq!(Config::effective(&path, said, []).unwrap().config.data, PathBuf::from("elsewhere"));
    }
}

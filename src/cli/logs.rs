//! What a gateway and an agent say on standard error: as the service does, with the same words in the configuration.

use serde::Serialize;
use sidekey_service::{config, telemetry};

use crate::exit::{Exit, Stop};

/// Starts logging as `[log]` of a configuration says.
///
/// # Errors
/// Something logs already.
pub(crate) fn init(log: &impl Serialize) -> Result<(), Stop> {
    telemetry::init(&of_the_service(log)).map(drop).map_err(|error| Stop::new(Exit::Failed, "log", error))
}

fn of_the_service(log: &impl Serialize) -> config::Log {
    let words = serde_json::to_value(log).and_then(serde_json::from_value);
    words.expect("[log] has the same words in every configuration")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_a_gateway_and_an_agent_is_one_of_the_service() {
        for level in ["error", "warn", "info", "debug", "trace"] {
            for format in ["text", "json"] {
                let text = format!("level = '{level}'\nformat = '{format}'\n");
                let service: config::Log = toml::from_str(&text).unwrap();
                let gateway: sidekey_gateway::config::Log = toml::from_str(&text).unwrap();
                let agent: sidekey_agent::config::Log = toml::from_str(&text).unwrap();
                assert_eq!((of_the_service(&gateway), of_the_service(&agent)), (service.clone(), service));
            }
        }
    }
}

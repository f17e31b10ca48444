//! `SIDEKEY_URL`: the addresses of a service, with commas between them.

use sidekey_protocol::pairing::PublicUrl;

use crate::exit::Stop;

/// The addresses that the environment names besides those that a profile or a credential holds.
///
/// # Errors
/// One of them is no URL of a service.
pub fn of_the_environment() -> Result<Vec<PublicUrl>, Stop> {
    let set = std::env::var("SIDEKEY_URL").unwrap_or_default();
    parse(&set).map_err(|url| Stop::usage(&format!("SIDEKEY_URL: {url} is not https://host[:port][/path]")))
}

/// The first of several: what a new service will be called.
///
/// # Errors
/// It is no URL of a service.
pub fn first(text: &str) -> Result<PublicUrl, String> {
    let first = text.split(',').next().unwrap_or_default().trim();
    first.parse().map_err(|_| "not https://host[:port][/path]".to_owned())
}

fn parse(text: &str) -> Result<Vec<PublicUrl>, &str> {
    let urls = text.split(',').map(str::trim).filter(|url| !url.is_empty());
    urls.map(|url| url.parse().map_err(|_| url)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_commas_and_the_first_is_the_service_s_name() {
        let both = "https://a.example.org, https://b.example.org:8443/keys,";
        let urls: Vec<_> = parse(both).unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(urls, ["https://a.example.org", "https://b.example.org:8443/keys"]);
        assert_eq!(first(both).unwrap().as_str(), "https://a.example.org");
        assert_eq!(parse(""), Ok(vec![]));
        assert_eq!(parse("https://a.example.org,http://b.example.org"), Err("http://b.example.org"));
    }
}

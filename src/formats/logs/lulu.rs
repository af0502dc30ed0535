//! The lines that LuLu logs.

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::flow::{Direction, Flow};
use crate::formats::logs::{Entry, LogFlow, LogOptions, Skip, macos, row};

/// `remote endpoint: 192.0.2.1:443 / url: https://www.example.com`.
pub(super) const ENDPOINT: &str = "remote endpoint: ";
/// `(user) response: "allow" for /path, that was trying to connect to 192.0.2.1:443`.
pub(super) const CONNECT: &str = "that was trying to connect to ";

/// Reads a line that holds [`ENDPOINT`] or [`CONNECT`]. Only the second says a direction.
pub(super) fn message<'a>(line: &'a str, options: &LogOptions) -> Result<Entry<'a>, Error> {
    let after = |marker: &str| {
        let start = line.rfind(marker)? + marker.len();
        line.get(start..)
    };
    let (rest, direction) = match (after(CONNECT), after(ENDPOINT)) {
        (Some(rest), _) => (rest, Direction::Outbound),
        (None, rest) => (rest.unwrap_or(""), Direction::Any),
    };
    if macos::is_redacted(rest) {
        return Ok(Entry::Skipped(Skip::Private));
    }
    let word = rest.split([' ', ',', '\t']).next().unwrap_or("");
    let word = word.trim_end_matches('.');
    if matches!(word, "" | "(null)") {
        return Ok(Entry::Skipped(Skip::NoAddress));
    }
    let mut flow = Flow::new(options.protocol, direction);
    if let Some(host) = after(" / url: ").and_then(host_of_url) {
        flow = flow.with_remote_hostname(host);
    }
    let flow = word.parse::<Endpoint>().and_then(|endpoint| flow.with_remote(endpoint));
    let flow =
        flow.map_err(|error| error.for_key("remote endpoint").at(1, row::column(line, word)))?;
    Ok(Entry::Flow(LogFlow { is_protocol_known: false, ..LogFlow::of_host(flow) }))
}

/// The host of a URL, unless it is an address.
fn host_of_url(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#', ' ']).next()?;
    let host = authority.rsplit('@').next()?;
    let host = match host.starts_with('[') {
        true => return None,
        false => host.split(':').next()?,
    };
    (!host.is_empty() && host.parse::<std::net::IpAddr>().is_err()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_is_what_the_url_names() {
        for (url, host) in [
            ("https://www.example.com/x?y=a@b", Some("www.example.com")),
            ("https://user@example.com:8443", Some("example.com")),
            ("https://192.0.2.1/", None),
            ("https://[2001:db8::1]/", None),
            ("(null)", None),
            ("https://", None),
        ] {
            assert_eq!(host_of_url(url), host, "{url}");
        }
    }
}

//! What the framework itself logs of flows, at its debug level.

use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::flow::{Direction, Flow, IpProtocol};
use crate::formats::logs::{Entry, LogFlow, Skip, macos, row};

/// `provider rejected new flow TCP com.example.app[...] remote: 192.0.2.1:443 interface utun9`.
const REJECTED: &str = "provider rejected new flow ";
/// `New flow verdict for <uuid>: drop = NO ...`, which names no address.
const VERDICT: &str = "New flow verdict for ";

/// What the messages hold.
pub(super) const MARKERS: [&str; 2] = [REJECTED, VERDICT];

/// Reads a message that may be of the framework.
pub(super) fn message(line: &str) -> Result<Entry<'_>, Error> {
    if line.contains(VERDICT) {
        return Ok(Entry::Skipped(Skip::NoAddress));
    }
    let Some((_, rest)) = line.split_once(REJECTED) else {
        return Ok(Entry::Skipped(Skip::NotAFlow));
    };
    let protocol: IpProtocol = match macos::protocol(rest.split(' ').next().unwrap_or("")) {
        Some(protocol) => protocol,
        None => return Ok(Entry::Skipped(Skip::NoProtocol)),
    };
    let word = |marker: &str| {
        let (_, value) = rest.rsplit_once(marker)?;
        Some(value.split([' ', ',']).next().unwrap_or(value))
    };
    let (remote, local) = (word(" remote: "), word(" local: "));
    if [remote, local].into_iter().flatten().any(macos::is_redacted) {
        return Ok(Entry::Skipped(Skip::Private));
    }
    let known = |word: Option<_>| word.filter(|word| !matches!(*word, "" | "(null)"));
    let Some(remote) = known(remote) else { return Ok(Entry::Skipped(Skip::NoAddress)) };
    let at =
        |error: Error, key: &str, word: &str| error.for_key(key).at(1, row::column(line, word));
    let mut flow = Flow::new(protocol, Direction::Any);
    let endpoint = remote.parse::<Endpoint>();
    flow = endpoint
        .and_then(|endpoint| flow.with_remote(endpoint))
        .map_err(|error| at(error, "remote", remote))?;
    if let Some(local) = known(local) {
        let endpoint = local.parse::<Endpoint>();
        flow = endpoint
            .and_then(|endpoint| flow.with_local(endpoint))
            .map_err(|error| at(error, "local", local))?;
    }
    Ok(Entry::Flow(LogFlow::of_host(flow)))
}

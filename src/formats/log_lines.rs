//! System log lines: what content filters modelled on Apple's sample print with os_log.
//!
//! ```
//! use flowsieve::{Direction, IpProtocol, formats::log_lines};
//!
//! let line = "2021-06-02 06:58:53.333438-0700 0x1bf8 Default 0x0 666 0 com.mycompany.MyApp: \
//!     Got a new flow with local endpoint 0.0.0.0:0, remote endpoint 111.111.111.111:80, \
//!     direction outbound";
//! let flow = log_lines::read(line, IpProtocol::TCP)?;
//! assert_eq!(flow.direction(), Direction::Outbound);
//! # Ok::<(), flowsieve::Error>(())
//! ```
//!
//! Whatever precedes `local endpoint` or `remote endpoint` is the prefix of the log and is not
//! looked at. A local endpoint or a direction that the line does not have is not known; `(null)`,
//! which is how a nil endpoint is printed, likewise. The line does not say the protocol. A value
//! that the system has redacted (`<private>`) is an error.

use crate::endpoint::Endpoint;
use crate::error::{Error, ErrorKind};
use crate::flow::{Direction, Flow, IpProtocol};
use crate::formats::MAX_LINE_BYTES;

/// Reads a log line as a flow of `protocol`.
///
/// # Errors
///
/// [`ErrorKind::NotAFlowLine`] for a line without `remote endpoint`, those of its endpoints and
/// direction, with their column, and [`ErrorKind::TooLarge`] above [`MAX_LINE_BYTES`].
pub fn read(line: &str, protocol: IpProtocol) -> Result<Flow<'_>, Error> {
    if line.len() > MAX_LINE_BYTES {
        return Err(Error::new(ErrorKind::TooLarge { limit: MAX_LINE_BYTES }));
    }
    let not_a_flow = || Error::new(ErrorKind::NotAFlowLine).at(1, 1);
    let remote = Word::after(line, "remote endpoint ").ok_or_else(not_a_flow)?;
    let local = Word::after(line, "local endpoint ");
    let direction = match Word::after(line, "direction ") {
        Some(word) => word.parse("direction", str::parse)?,
        None => Direction::Any,
    };

    let mut flow = Flow::new(protocol, direction);
    if let Some(remote) = remote.unless_null() {
        flow =
            remote.parse("remote endpoint", |text| flow.with_remote(text.parse::<Endpoint>()?))?;
    }
    if let Some(local) = local.and_then(Word::unless_null) {
        flow = local.parse("local endpoint", |text| flow.with_local(text.parse::<Endpoint>()?))?;
    }
    Ok(flow)
}

/// Whether a line is one of those that `log show` and `log stream` put around the messages: the predicate, the heads
/// of the columns, what was skipped, a ruled line, and the counts at the end. A message that begins alike is none.
pub fn is_frame(line: &str) -> bool {
    const FRAMES: [&str; 4] =
        ["Timestamp  ", "Filtering the log data using ", "Log      - ", "Activity - "];
    let is_skipped = line.starts_with("Skipping ") && line.contains(" messages, pass --");
    let is_ruled = |rule: char| line.len() >= 5 && line.trim_end().chars().all(|one| one == rule);
    FRAMES.into_iter().any(|frame| line.starts_with(frame))
        || is_skipped
        || is_ruled('=')
        || is_ruled('-')
}

/// A word of a line: up to a comma, white space or the end.
struct Word<'a> {
    line: &'a str,
    start: usize,
    text: &'a str,
}

impl<'a> Word<'a> {
    /// The word after the last `marker`.
    fn after(line: &'a str, marker: &str) -> Option<Word<'a>> {
        let start = line.rfind(marker)? + marker.len();
        let text = line.get(start..)?.split([',', ' ', '\t', '\r', '\n']).next()?;
        Some(Word { line, start, text })
    }

    fn unless_null(self) -> Option<Word<'a>> {
        (self.text != "(null)").then_some(self)
    }

    fn parse<T>(
        self,
        key: &str,
        parse: impl FnOnce(&'a str) -> Result<T, Error>,
    ) -> Result<T, Error> {
        parse(self.text).map_err(|error| {
            let before = self.line.get(..self.start).unwrap_or("");
            error.for_key(key).at(1, before.chars().count() as u64 + 1)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_from_messages_that_begin_alike() {
        for frame in [
            "Timestamp                       Thread     Type        Activity             PID    TTL  ",
            "Filtering the log data using \"eventMessage CONTAINS \"remote endpoint \"\"",
            "Skipping info and debug messages, pass --info and/or --debug to include.",
            "--------------------",
            "====================",
            "Log      - Default:          2, Info:                0, Debug:             0",
            "Activity - Create:           0, Transition:          0, Actions:           0",
        ] {
            assert!(is_frame(frame), "{frame}");
        }
        for message in [
            "",
            "Skipping flow with local endpoint 0.0.0.0:0, remote endpoint 192.0.2.1:80",
            "----- remote endpoint 192.0.2.1:80",
            "===== new flow: remote endpoint 192.0.2.1:80",
            "Logged remote endpoint 192.0.2.1:80",
        ] {
            assert!(!is_frame(message), "{message}");
        }
    }
}

//! Text: settings files, flow lines, system log lines and verdict lines.
//!
//! | module | text | read | written |
//! |---|---|---|---|
//! | [`settings`] | a settings file: an NEFilterSettings as JSON | yes | yes |
//! | [`flow_lines`] | one flow a line: an NEFilterSocketFlow as JSON | yes | yes |
//! | [`log_lines`] | the line that content filters print with os_log | yes | no |
//! | [`logs`] | logs of other programs, told apart by what they hold | yes | no |
//! | [`verdict_lines`] | one decision a line, as JSON | no | yes |
//! | [`lists`] | lists of addresses and names, and rules of other programs | yes | some |
//! | [`lints`] | one lint a line, as JSON; and proxy settings, to be linted | no | yes |
//!
//! Everything read is checked: an unknown key, a key that stands twice and a value out of range
//! are errors with line, column, rule index and key. Nothing is skipped, nothing recurses, and
//! text over a stated size is refused. Logs of other programs have keys and columns of their own,
//! of which only those of the flow are looked at.

mod fast_flow;
pub mod flow_lines;
mod json;
pub mod lints;
pub mod lists;
pub mod log_lines;
pub mod logs;
mod mend;
mod places;
pub mod settings;
pub mod verdict_lines;

use crate::error::Error;
use crate::flow::{Flow, IpProtocol};

/// Reads a flow line or a system log line, told apart by the brace that opens a JSON object.
///
/// `log_protocol` is the protocol of the flows in log lines, which do not say it.
///
/// # Errors
///
/// Those of [`flow_lines::read`] and [`log_lines::read`].
pub fn read_flow(line: &str, log_protocol: IpProtocol) -> Result<Flow<'_>, Error> {
    match line.trim_start().starts_with('{') {
        true => flow_lines::read(line),
        false => log_lines::read(line, log_protocol),
    }
}

/// The longest flow or log line that is read, in bytes.
pub const MAX_LINE_BYTES: usize = 64 * 1024;

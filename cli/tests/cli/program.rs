//! Running the program, and the files that tests give it.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs the program without standard input.
pub(crate) fn run<S: AsRef<OsStr>>(args: &[S]) -> Ended {
    run_with(args, b"")
}

/// Runs the program with `stdin`.
pub(crate) fn run_with<S: AsRef<OsStr>>(args: &[S], stdin: &[u8]) -> Ended {
    let mut child = command(args).spawn().unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let stdin = stdin.to_vec();
    // From a thread, as neither side may wait for the other.
    let writer = std::thread::spawn(move || pipe.write_all(&stdin));
    let ended = Ended::from(child.wait_with_output().unwrap());
    // The program need not read all of it.
    let _ = writer.join().unwrap();
    ended
}

/// Returns the program with everything piped and no colours asked for.
pub(crate) fn command<S: AsRef<OsStr>>(args: &[S]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for variable in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert!(!stderr.contains("panicked"), "{stderr}");
        Ended { status: output.status.code(), stdout, stderr }
    }
}

impl Ended {
    /// Returns the action and the rule of every verdict on standard output.
    pub(crate) fn verdicts(&self) -> Vec<(String, Option<u64>)> {
        let verdict = |line: &str| {
            let verdict: serde_json::Value = serde_json::from_str(line).unwrap();
            (verdict["action"].as_str().unwrap().to_owned(), verdict["rule"].as_u64())
        };
        self.stdout.lines().map(verdict).collect()
    }

    /// Returns the count that the summary gives for `name`, wherever it was printed.
    pub(crate) fn count(&self, name: &str) -> u64 {
        let lines = self.stderr.lines().chain(self.stdout.lines());
        let rests = lines.filter_map(|line| line.strip_prefix(name));
        let mut counts = rests.filter_map(|rest| rest.split_whitespace().next()?.parse().ok());
        counts.next().unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

/// Writes a file for the test of this name and returns its path.
pub(crate) fn file(test: &str, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = directory(test).join(name);
    fs::write(&path, content).unwrap();
    path
}

/// Returns a directory of its own for the test of this name.
pub(crate) fn directory(test: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    fs::create_dir_all(&path).unwrap();
    path
}

/// Returns the path of an example.
pub(crate) fn example(name: &str) -> String {
    format!("{}/../examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// Returns a flow line: outbound TCP from an unbound socket.
pub(crate) fn flow_line(remote: &str) -> String {
    format!(
        r#"{{"remoteEndpoint": "{remote}", "localEndpoint": "0.0.0.0:0", "socketProtocol": 6, "direction": "outbound"}}"#
    )
}

/// Drops 10.0.0.0/8 but for a host that is filtered, and allows the rest.
pub(crate) const SETTINGS: &str = r#"{
  "rules": [
    { "networkRule": { "destinationNetwork": "10.0.0.1", "destinationPrefix": 32, "protocol": "any" }, "action": "filterData" },
    { "networkRule": { "destinationNetwork": "10.0.0.0", "destinationPrefix": 8, "protocol": "any" }, "action": "drop", "label": "ten" },
    { "networkRule": { "destinationNetwork": "192.0.2.0", "destinationPrefix": 24, "protocol": "UDP" }, "action": "drop" }
  ],
  "defaultAction": "allow"
}
"#;

/// The program under test.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_flowsieve");

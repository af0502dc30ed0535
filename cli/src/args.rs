//! The arguments. The doc comments here are the help that the program prints.

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use flowsieve::formats::lints::Purpose;
use flowsieve::formats::lists;
use flowsieve::formats::logs::{Columns, LogFormat, local_net};
use flowsieve::{
    Action, Direction, Endpoint, Error, FilterSettings, IpProtocol, LintCode, Precedence, Severity,
    Vectors,
};
use ipnet::IpNet;
use std::path::PathBuf;
use std::str::FromStr;

/// Checks macOS content-filter rules (NENetworkRule, NEFilterSettings) against flows.
#[derive(Debug, Parser)]
#[command(name = "flowsieve", version, after_help = HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(CheckArgs),
    Explain(ExplainArgs),
    Lint(LintArgs),
    Test(TestArgs),
    Shadow(ShadowArgs),
    Diff(DiffArgs),
    Plan(PlanArgs),
    Map(MapArgs),
    Replay(Box<ReplayArgs>),
    Import(ImportArgs),
    Export(ExportArgs),
    MatchVector(MatchVectorArgs),
    Bench(BenchArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

/// Check settings for mistakes, and decide flows by them
///
/// Prints what is certainly wrong in the settings, then a verdict for each flow, then how many
/// flows each rule decided. Without --flows only the settings are checked.
#[derive(Args, Debug)]
#[command(after_help = CHECK_HELP)]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    /// File of flows, or - for standard input; may be given several times
    ///
    /// Each line is a flow as JSON, or a system log line with `remote endpoint`. Of standard
    /// input each line is answered as soon as it is read.
    #[arg(long, value_name = "FILE")]
    pub(crate) flows: Vec<PathBuf>,

    /// What verdicts look like [default: table on a terminal, otherwise jsonl]
    #[arg(long, value_enum)]
    pub(crate) format: Option<CheckFormat>,

    /// Stop at the first line that is no flow
    #[arg(long)]
    pub(crate) strict: bool,
}

/// Explain, rule by rule, why a flow is decided as it is
///
/// Rules are printed in the order in which they are considered, up to the one that decides.
#[derive(Args, Debug)]
#[command(after_help = EXPLAIN_HELP)]
pub(crate) struct ExplainArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    /// Flow as JSON, system log line, remote endpoint, or - to read one of these
    ///
    /// A remote endpoint such as 192.0.2.1:443 stands for an outbound flow to it that has no
    /// local endpoint yet.
    pub(crate) flow: String,

    /// What the explanation looks like
    #[arg(long, value_enum, default_value_t = ExplainFormat::Text)]
    pub(crate) format: ExplainFormat,

    /// Print the rules after the deciding one too
    #[arg(long)]
    pub(crate) all: bool,
}

/// Find rules that decide no flow, and rules that could be left out
///
/// A rule is dead if the rules before it together match every flow that it matches; they are
/// named. A rule is redundant if every flow that it decides would get the same action without it.
/// Both are exact, over all flows.
#[derive(Args, Debug)]
#[command(after_help = SHADOW_HELP)]
pub(crate) struct ShadowArgs {
    /// Settings file, a rule set in the neutral form (.rules), or - for standard input
    pub(crate) settings: PathBuf,

    #[command(flatten)]
    pub(crate) rules: RulesArgs,

    /// Print every rule, with a flow that it decides where there is one
    #[arg(long)]
    pub(crate) witness: bool,

    /// What the answer looks like
    #[arg(long, value_enum, default_value_t = LinesFormat::Text)]
    pub(crate) format: LinesFormat,
}

/// Find the flows to which two settings give different actions
///
/// Decides whether the settings give every possible flow the same action. If not, the regions in
/// which they differ are printed, the biggest first, with the action and the deciding rule of
/// either side and a flow of the region. The answer is exact, not sampled.
#[derive(Args, Debug)]
#[command(after_help = DIFF_HELP)]
pub(crate) struct DiffArgs {
    /// Settings file, a rule set in the neutral form (.rules), or - for standard input
    pub(crate) old: PathBuf,

    /// The same
    pub(crate) new: PathBuf,

    #[command(flatten)]
    pub(crate) rules: RulesArgs,

    /// Print at most so many regions, 0 for all [default: 20 as text, all as jsonl]
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// What the answer looks like
    #[arg(long, value_enum, default_value_t = LinesFormat::Text)]
    pub(crate) format: LinesFormat,
}

/// Plan a first stage of few rules for the framework, in front of an extension that decides exactly
///
/// The framework takes 1000 rules. The first stage gives every flow either the action that the
/// settings give it, or filterData, and then the extension decides by all rules. As little as
/// possible is sent to the extension. Every plan is proven before it is printed.
#[derive(Args, Debug)]
#[command(after_help = PLAN_HELP)]
pub(crate) struct PlanArgs {
    /// Settings file, a rule set in the neutral form (.rules), or - for standard input
    pub(crate) settings: PathBuf,

    #[command(flatten)]
    pub(crate) rules: RulesArgs,

    /// The most rules of the first stage
    #[arg(long, value_name = "N", default_value_t = FilterSettings::MAX_FRAMEWORK_RULES)]
    pub(crate) limit: usize,

    /// File of flows by which is weighed what is sent; without it, addresses are
    #[arg(long, value_name = "FLOWS")]
    pub(crate) sample: Option<PathBuf>,

    /// Protocol of the flows of a sample that do not say it
    #[arg(long, default_value_t = IpProtocol::TCP)]
    pub(crate) protocol: IpProtocol,

    /// Print the first stage; the report then goes to standard error
    #[arg(long, value_enum)]
    pub(crate) emit: Option<Emit>,

    /// Write a picture of how much is sent with how many rules
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    /// Plan nothing, but prove that this first stage misses no flow
    #[arg(long, value_name = "FIRST", conflicts_with_all = ["sample", "emit", "svg", "limit"])]
    pub(crate) verify: Option<PathBuf>,

    /// What the report looks like
    #[arg(long, value_enum, default_value_t = LinesFormat::Text)]
    pub(crate) format: LinesFormat,
}

/// Decide the flows of logs, and count what became of them
///
/// Reads logs of Zeek, Suricata, AWS VPC, nfdump and macOS, captures (pcap, pcapng), flow lines
/// and CSV, also compressed with gzip or zstd, and tells them apart by their content. Every record
/// is counted: as a flow, skipped with a reason, or rejected with its place.
#[derive(Args, Debug)]
#[command(after_help = REPLAY_HELP)]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    /// Logs, or - for standard input
    #[arg(required = true, value_name = "LOG")]
    pub(crate) logs: Vec<PathBuf>,

    /// Format of the logs [default: told by their content]
    #[arg(long = "as", value_name = "FORMAT", value_enum)]
    pub(crate) format_of_logs: Option<LogFormatArg>,

    /// What the columns of CSV are: source, destination, local or remote, each also with -port;
    /// protocol, direction, hostname
    ///
    /// In their order, as source,source-port,-,destination where - is not read; or by the names in
    /// the first line, as remote=dst_ip,remote-port=dst_port.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) columns: Option<Columns>,

    /// Networks of this host, by which the local side of a connection is known
    ///
    /// Needed for logs that do not say it. Where it is not known, the destination counts as the
    /// remote side, the direction as not known, and the flow is counted as such.
    #[arg(long = "local-net", value_name = "NET", value_delimiter = ',', value_parser = local_net)]
    pub(crate) local_nets: Vec<IpNet>,

    /// Other settings, to print the flows that would get another action by them
    #[arg(long, value_name = "OTHER")]
    pub(crate) against: Option<PathBuf>,

    /// Write an HTML report, which needs no other file
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,

    /// What the counts look like
    #[arg(long, value_enum, default_value_t = LinesFormat::Text)]
    pub(crate) format: LinesFormat,

    /// Remote sides to print of each rule, those with the most flows
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) top: usize,

    /// Flows to print of each change, the first ones
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) examples: usize,

    /// Threads that decide, up to 1024; 0 for as many as there are processors
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    pub(crate) threads: u16,
}

/// A format of logs that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormatArg {
    /// One flow a line, as JSON
    FlowLines,
    /// Text of the macOS log: os_log lines, log show, descriptions of flows, LuLu
    Macos,
    /// log show --style ndjson
    MacosJson,
    /// Zeek's conn.log as tab-separated values
    Zeek,
    /// Zeek's conn.log as JSON
    ZeekJson,
    /// Suricata's eve.json
    Suricata,
    /// AWS VPC flow logs, version 2 to 5
    Vpc,
    /// CSV of nfdump 1.6 or 1.7
    Nfdump,
    /// CSV with --columns
    Csv,
    /// pcap or pcapng
    Pcap,
}

impl LogFormatArg {
    /// Returns the format, if it is one of text.
    pub(crate) fn text(self) -> Option<LogFormat> {
        Some(match self {
            LogFormatArg::FlowLines => LogFormat::FlowLines,
            LogFormatArg::Macos => LogFormat::Macos,
            LogFormatArg::MacosJson => LogFormat::MacosJson,
            LogFormatArg::Zeek => LogFormat::Zeek,
            LogFormatArg::ZeekJson => LogFormat::ZeekJson,
            LogFormatArg::Suricata => LogFormat::Suricata,
            LogFormatArg::Vpc => LogFormat::Vpc,
            LogFormatArg::Nfdump => LogFormat::Nfdump,
            LogFormatArg::Csv => LogFormat::Csv,
            LogFormatArg::Pcap => return None,
        })
    }
}

/// What a first stage is printed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Emit {
    /// A settings file
    Json,
    /// A function in Swift, for macOS 15 and later
    Swift,
    /// A function in Objective-C
    Objc,
}

/// Draw what happens to flows at every address, as a map
///
/// Addresses follow a Hilbert curve, so that each network is a square or two beside each other. A
/// cell in which flows get several actions, by address or by port, is drawn as a mixture. The map
/// is computed from the rules, exactly; nothing is sampled.
#[derive(Args, Debug)]
#[command(after_help = MAP_HELP)]
pub(crate) struct MapArgs {
    /// Settings file, a rule set in the neutral form (.rules), or - for standard input
    pub(crate) settings: PathBuf,

    #[command(flatten)]
    pub(crate) rules: RulesArgs,

    /// Picture to write: .svg or .png
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: PathBuf,

    /// Network to draw, of IPv4 or IPv6, such as 10.0.0.0/8 or 2001:db8::/32 [default: all of IPv4]
    #[arg(long, value_name = "NETWORK")]
    pub(crate) prefix: Option<IpNet>,

    /// File of flows to mark on the map, or - for standard input; may be given several times
    ///
    /// Flow lines, or any log or capture that replay knows by its content.
    #[arg(long, value_name = "FILE")]
    pub(crate) flows: Vec<PathBuf>,

    /// Networks of this host, by which a log tells the remote side; may be given several times
    #[arg(long = "local-net", value_name = "NET", value_delimiter = ',', value_parser = local_net)]
    pub(crate) local_nets: Vec<IpNet>,

    /// Protocol of the flows asked about, and of flows in files that do not say it
    #[arg(long, default_value_t = IpProtocol::TCP)]
    pub(crate) protocol: IpProtocol,

    /// Direction of the flows asked about: outbound, inbound, or any for one that is not known
    #[arg(long, default_value_t = Direction::Outbound)]
    pub(crate) direction: Direction,

    /// Remote port of the flows asked about, 0 for one that is not known [default: every port]
    #[arg(long)]
    pub(crate) port: Option<u16>,

    /// Local endpoint of the flows asked about, such as 192.168.1.5:22 [default: not known]
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) local: Option<Endpoint>,

    /// Host name of the flows asked about [default: not known]
    #[arg(long, value_name = "NAME")]
    pub(crate) remote_hostname: Option<String>,

    /// Rows of cells as a power of two: 8 is 256 rows [default: 8 for .svg, 10 for .png]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=12))]
    pub(crate) order: Option<u8>,
}

/// What a map is written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapFormat {
    /// Lines and text
    Svg,
    /// Pixels
    Png,
}

/// How rules are read and applied, where no flows are read.
#[derive(Args, Debug)]
pub(crate) struct RulesArgs {
    /// Which of several matching rules decides
    #[arg(long, value_enum, default_value_t = PrecedenceArg::FirstMatch)]
    pub(crate) precedence: PrecedenceArg,

    /// Take a host name in a network rule as a host rule
    ///
    /// Apple's documentation asks for an address there.
    #[arg(long)]
    pub(crate) hostname_in_network: bool,
}

/// The settings, and how they are applied.
#[derive(Args, Debug)]
pub(crate) struct SettingsArgs {
    /// Settings file: an NEFilterSettings as JSON, or - for standard input
    pub(crate) settings: PathBuf,

    /// Which of several matching rules decides
    #[arg(long, value_enum, default_value_t = PrecedenceArg::FirstMatch)]
    pub(crate) precedence: PrecedenceArg,

    /// Protocol of flows that do not say it: those in log lines and bare endpoints
    ///
    /// TCP, UDP, ICMP, ICMPv6 or a number from 0 to 255.
    #[arg(long, default_value_t = IpProtocol::TCP)]
    pub(crate) protocol: IpProtocol,

    /// Take a host name in a network rule as a host rule
    ///
    /// Apple's documentation asks for an address there.
    #[arg(long)]
    pub(crate) hostname_in_network: bool,
}

/// Find likely mistakes in settings, and say how to mend them
///
/// Each has a code, such as L-01, says what happens, and, where rules can say what is meant,
/// suggests the rule.
#[derive(Args, Debug)]
#[command(after_help = LINT_HELP)]
pub(crate) struct LintArgs {
    /// Settings file: an NEFilterSettings, or the includedNetworkRules and excludedNetworkRules of
    /// a transparent proxy, as JSON; or - for standard input
    pub(crate) settings: PathBuf,

    /// What the settings are for [default: what their keys say]
    ///
    /// For a proxy, those rules of an NEFilterSettings that allow count as excluded, and the
    /// others as included.
    #[arg(long = "for", value_name = "PURPOSE", value_enum)]
    pub(crate) purpose: Option<PurposeArg>,

    /// Make it exit status 1 if one of these is found: codes, or all that are as bad as
    /// notes, warnings or errors
    #[arg(long, value_name = "CODE", num_args = 1.., value_delimiter = ',')]
    pub(crate) deny: Vec<Deny>,

    /// What the lints look like
    #[arg(long, value_enum, default_value_t = LintFormat::Text)]
    pub(crate) format: LintFormat,
}

/// Test settings by flows with the action that is expected
///
/// The file of cases is TOML, with a table [[case]] for each, or has a case as JSON on each line.
/// A case has a flow (a remote endpoint, a log line, or the keys of a flow line) and expects an
/// action and, if given, the label or the index of the rule, and the reason.
#[derive(Args, Debug)]
#[command(after_help = TEST_HELP)]
pub(crate) struct TestArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,

    /// File of cases, or - for standard input
    pub(crate) cases: PathBuf,

    /// What the cases look like
    #[arg(long, value_enum, default_value_t = TestFormat::Text)]
    pub(crate) format: TestFormat,
}

/// Make settings of lists of addresses and names, and of rules of other programs
///
/// The format of each list is told by its content; what is compressed with gzip or zstd is
/// decompressed. Each entry is accepted, accepted with a note, left out because the list itself or
/// an option says so, or rejected with its place and the reason. The label of each rule is the file
/// and the line that it came from.
#[derive(Args, Debug)]
#[command(after_help = IMPORT_HELP)]
pub(crate) struct ImportArgs {
    /// Lists, in the order of their rules; - for standard input
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,

    /// Write the settings into this file, or to standard output for - [default: only check]
    #[arg(long, short, value_name = "SETTINGS")]
    pub(crate) output: Option<PathBuf>,

    /// Take the lists for this format [default: told by their content]
    ///
    /// addresses (also .netset and .ipset), drop, drop-json, dshield, p2p, dat, hosts, ipsum, pf,
    /// nft, aws, google, azure, cloudflare, fastly, oracle, github, geofeed, csv, lsrules, lulu,
    /// opensnitch or settings.
    #[arg(long = "as", value_name = "FORMAT")]
    pub(crate) format_as: Option<lists::Format>,

    /// Action of rules whose list does not say it: allow, drop or filterData
    #[arg(long, default_value_t = Action::Drop)]
    pub(crate) action: Action,

    /// Direction of rules whose list does not say it: any, inbound or outbound
    ///
    /// Rules for host names are for outbound flows.
    #[arg(long, default_value = "any")]
    pub(crate) direction: Direction,

    /// Default action of the settings
    ///
    /// [default: that of settings among the lists; else filterData where a list says what is done,
    /// or the action is allow; else allow]
    #[arg(long = "default", value_name = "ACTION")]
    pub(crate) default_action: Option<Action>,

    /// Leave out entries of ipsum that are on fewer lists
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) min_count: u64,

    /// Take only entries with one of these values in a column or key; may be given several times
    ///
    /// Of csv the columns of the header; of geofeed country, region, city and postal; of aws
    /// region, service and network_border_group; of google service and scope; of azure name, region
    /// and systemService; of oracle region and tag; of github key.
    #[arg(long, value_name = "KEY=VALUE[,VALUE]")]
    pub(crate) select: Vec<SelectArg>,

    /// Make the shortest list of rules that decides every flow as all of them do
    #[arg(long)]
    pub(crate) merge: bool,

    /// Print all notes, not the first three of each kind
    #[arg(long)]
    pub(crate) all_notes: bool,

    /// The most entries that are read
    #[arg(long, value_name = "N", default_value_t = 100_000_000)]
    pub(crate) max_entries: u64,

    /// What the report looks like; entries that are accepted are in it as jsonl only
    #[arg(long, value_enum, default_value_t = LinesFormat::Text)]
    pub(crate) format: LinesFormat,
}

/// A choice of entries by a column or key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SelectArg(pub(crate) lists::Select);

impl FromStr for SelectArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<SelectArg, &'static str> {
        let (key, values) = text.split_once('=').ok_or("expected KEY=VALUE")?;
        let values = values.split(',').map(|value| value.trim().to_owned()).collect();
        Ok(SelectArg(lists::Select { key: key.trim().to_owned(), values }))
    }
}

/// Write settings as a list, as rules of another program, or as code
///
/// Each rule that cannot be said in that form is refused with the reason.
#[derive(Args, Debug)]
#[command(after_help = EXPORT_HELP)]
pub(crate) struct ExportArgs {
    /// Settings file, a rule set in the neutral form (.rules), or - for standard input
    pub(crate) settings: PathBuf,

    /// Take a host name in a network rule as a host rule
    ///
    /// Apple's documentation asks for an address there.
    #[arg(long)]
    pub(crate) hostname_in_network: bool,

    /// What the settings are written as
    #[arg(long, value_enum)]
    pub(crate) to: ExportTo,

    /// Write into this file [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,

    /// Which rules a list of addresses holds: those that allow, drop or filterData
    #[arg(long, default_value_t = Action::Drop)]
    pub(crate) action: Action,
}

/// What settings are exported to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportTo {
    /// A file for a pf table, in which `!` takes out
    Pf,
    /// Two sets of nftables
    Nft,
    /// A FireHOL .netset of IPv4 networks
    Netset,
    /// A function in Swift, for macOS 15 and later
    Swift,
    /// A function in Objective-C
    Objc,
    /// Rules of Little Snitch
    Lsrules,
    /// A settings file
    Json,
}

/// Run test vectors and compare each answer with the expected one
///
/// The file is a JSON array. A vector with `rule` tests one rule against a flow and expects
/// match, no_match or invalid_rule; one with `settings` decides a flow and expects a verdict.
#[derive(Args, Debug)]
#[command(after_help = MATCH_VECTOR_HELP)]
pub(crate) struct MatchVectorArgs {
    /// File of vectors
    pub(crate) file: PathBuf,
}

/// Measure how fast flows are decided, and check the answers
///
/// Answers are compared with the file FLOWS.exp where there is one, else with the reference on a
/// sample of the flows. A flow of port 0, which is an unknown port here, is not compared with an
/// expected answer.
#[derive(Args, Debug)]
#[command(after_help = BENCH_HELP)]
pub(crate) struct BenchArgs {
    /// Settings file, a rule set in the neutral form (.rules), or - for standard input
    pub(crate) rules: PathBuf,

    /// File of flows: JSON or log lines, or a trace in the neutral form (.trace)
    pub(crate) flows: PathBuf,

    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,

    /// How many times each figure is measured, over the first 300,000 flows; the median is printed
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) repeat: usize,

    /// Vector instructions of at most this width; the widest that the machine has unless given
    #[arg(long, value_enum, value_name = "BITS")]
    pub(crate) vectors: Option<VectorsArg>,
}

/// A width of vector instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum VectorsArg {
    /// None
    Scalar,
    /// SSE2, NEON
    #[value(name = "128")]
    Bits128,
    /// AVX2
    #[value(name = "256")]
    Bits256,
    /// AVX-512
    #[value(name = "512")]
    Bits512,
}

impl From<VectorsArg> for Vectors {
    fn from(vectors: VectorsArg) -> Vectors {
        match vectors {
            VectorsArg::Scalar => Vectors::Scalar,
            VectorsArg::Bits128 => Vectors::Bits128,
            VectorsArg::Bits256 => Vectors::Bits256,
            VectorsArg::Bits512 => Vectors::Bits512,
        }
    }
}

/// Print a completion script for a shell
#[derive(Args, Debug)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsArgs {
    /// Shell to print it for
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}

/// Print the manual page
#[derive(Args, Debug)]
#[command(after_help = MAN_HELP)]
pub(crate) struct ManArgs {
    /// Write the pages of all commands into this directory instead
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// What verdicts look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum CheckFormat {
    /// Columns for people, and a summary after them
    Table,
    /// One JSON object a line; the summary goes to standard error
    Jsonl,
}

impl CheckFormat {
    /// Returns the format where none is asked for.
    pub(crate) fn default_for(is_terminal: bool) -> CheckFormat {
        if is_terminal { CheckFormat::Table } else { CheckFormat::Jsonl }
    }
}

/// What an explanation looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// A block of text a rule
    Text,
    /// One JSON object a rule, and the verdict
    Jsonl,
}

/// What lints look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LintFormat {
    /// The line of the file, what happens, and the rule that is likely meant
    Text,
    /// One JSON object a line
    Jsonl,
}

/// What the cases of a test look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TestFormat {
    /// What failed, and why
    Text,
    /// One JSON object a case; the count goes to standard error
    Jsonl,
}

/// What settings are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PurposeArg {
    /// A content filter
    Filter,
    /// A transparent proxy
    Proxy,
}

impl From<PurposeArg> for Purpose {
    fn from(purpose: PurposeArg) -> Purpose {
        match purpose {
            PurposeArg::Filter => Purpose::Filter,
            PurposeArg::Proxy => Purpose::Proxy,
        }
    }
}

/// What is not to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deny {
    /// Lints of this code.
    Code(LintCode),
    /// Lints that are as bad as this, or worse.
    Severity(Severity),
}

impl FromStr for Deny {
    type Err = Error;

    fn from_str(word: &str) -> Result<Deny, Error> {
        let plural = |severity: &Severity| format!("{severity}s").eq_ignore_ascii_case(word);
        match Severity::ALL.into_iter().find(plural) {
            Some(severity) => Ok(Deny::Severity(severity)),
            None => word.parse().map(Deny::Code),
        }
    }
}

/// What an answer of many parts looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LinesFormat {
    /// A block of text a part
    Text,
    /// One JSON object a part, one a line
    Jsonl,
}

/// Which of several matching rules decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrecedenceArg {
    /// The first in the list, as Apple has it
    FirstMatch,
    /// The one with the longest remote prefix, an extension: host rules, wildcards and nil have length 0, and
    /// of one length the first decides
    LongestPrefix,
}

impl From<PrecedenceArg> for Precedence {
    fn from(precedence: PrecedenceArg) -> Precedence {
        match precedence {
            PrecedenceArg::FirstMatch => Precedence::FirstMatch,
            PrecedenceArg::LongestPrefix => Precedence::LongestPrefix,
        }
    }
}

const HELP: &str = "\
Examples:
  flowsieve check rules.json
  flowsieve check rules.json --flows flows.log
  log stream --process MyFilter | flowsieve check rules.json --flows -
  flowsieve explain rules.json 192.0.2.1:443
  flowsieve lint rules.json
  flowsieve test rules.json cases.toml
  flowsieve shadow rules.json
  flowsieve diff old.json new.json
  flowsieve plan blocklist.json
  flowsieve map rules.json -o map.svg
  flowsieve replay rules.json conn.log.gz capture.pcapng
  flowsieve import drop.txt hosts -o blocklist.json
  flowsieve export blocklist.json --to nft
  flowsieve match-vector vectors.json

Exit status:
  0  all went well
  1  a case, a test vector or an answer differs, a lint is denied, settings differ, or a rule is dead
  2  input or usage is wrong
  3  the matcher and the reference disagree, which is a bug";

const CHECK_HELP: &str = "\
Examples:
  flowsieve check rules.json
  flowsieve check rules.json --flows monday.jsonl --flows tuesday.log
  log stream --process MyFilter | flowsieve check rules.json --flows - --format jsonl

Exit status:
  0  all lines were flows, whatever their verdicts
  2  the settings or a line of flows cannot be read, or usage is wrong";

const EXPLAIN_HELP: &str = "\
Examples:
  flowsieve explain rules.json 192.0.2.1:443
  flowsieve explain rules.json --all --protocol UDP '[2001:db8::1]:53'
  flowsieve explain rules.json '{\"remoteEndpoint\": \"192.0.2.1:443\", \"socketProtocol\": 6, \
\"direction\": \"outbound\"}'
  tail -n 1 flows.log | flowsieve explain rules.json -

Exit status:
  0  the flow was explained
  2  the settings or the flow cannot be read, or usage is wrong";

const LINT_HELP: &str = "\
Examples:
  flowsieve lint rules.json
  flowsieve lint proxy.json --for proxy --format jsonl
  flowsieve lint rules.json --deny L-01 L-15
  flowsieve lint rules.json --deny warnings

Exit status:
  0  nothing that is denied was found
  1  something that is denied was found
  2  the settings or a rule cannot be read, or usage is wrong";

const TEST_HELP: &str = "\
Examples:
  flowsieve test rules.json cases.toml
  flowsieve test rules.json cases.jsonl --format jsonl

A case in TOML, and on a line of JSON:
  [[case]]
  name = \"the office is dropped\"
  flow = { remoteEndpoint = \"192.0.2.1:443\", socketProtocol = \"TCP\", direction = \"outbound\" }
  expect = { action = \"drop\", label = \"office\" }

  {\"flow\": \"192.0.2.1:443\", \"expect\": {\"action\": \"drop\"}}

Exit status:
  0  all cases pass
  1  a case fails
  2  the settings or a case cannot be read, or usage is wrong";

const MATCH_VECTOR_HELP: &str = "\
Examples:
  flowsieve match-vector vectors.json

Exit status:
  0  all vectors pass
  1  a vector differs
  2  the file or a vector cannot be read, or usage is wrong
  3  the matcher and the reference disagree, which is a bug";

const SHADOW_HELP: &str = "\
Examples:
  flowsieve shadow rules.json
  flowsieve shadow rules.json --witness --format jsonl

Exit status:
  0  every rule decides some flow
  1  a rule is dead
  2  the settings cannot be read, or usage is wrong";

const DIFF_HELP: &str = "\
Examples:
  flowsieve diff old.json new.json
  flowsieve diff old.json new.json --format jsonl

Exit status:
  0  the settings give every flow the same action
  1  they do not
  2  settings cannot be read, or usage is wrong";

const PLAN_HELP: &str = "\
Examples:
  flowsieve plan blocklist.json
  flowsieve plan blocklist.json --sample flows.jsonl --emit swift > FirstStage.swift
  flowsieve plan blocklist.json --limit 200 --svg curve.svg
  flowsieve plan --verify first.json blocklist.json

Exit status:
  0  there is a plan, or the first stage misses nothing
  1  the first stage misses a flow
  2  a file cannot be read or written, there is no plan, or usage is wrong";

const MAP_HELP: &str = "\
Examples:
  flowsieve map rules.json -o map.svg
  flowsieve map rules.json -o map.png --flows flows.log
  flowsieve map rules.json -o ten.svg --prefix 10.0.0.0/8 --port 443
  flowsieve map rules.json -o v6.svg --prefix 2001:db8::/32

Exit status:
  0  the map was drawn
  2  the settings or a line of flows cannot be read, the map not written, or usage is wrong";

const REPLAY_HELP: &str = "\
Examples:
  flowsieve replay rules.json conn.log.gz eve.json
  flowsieve replay rules.json capture.pcapng --local-net 192.168.1.7,fd00::/8
  flowsieve replay rules.json flows.jsonl --against new.json --report report.html
  zcat conn.*.log.gz | flowsieve replay rules.json - --as zeek --format jsonl
  flowsieve replay rules.json flows.csv --columns source,destination,destination-port

Exit status:
  0  every record was understood
  2  the settings, a log or a record cannot be read, or usage is wrong";
const IMPORT_HELP: &str = "\
Examples:
  flowsieve import drop.txt firehol_level1.netset -o blocklist.json
  curl -s https://lists.example/hosts.gz | flowsieve import - --as hosts -o hosts.json
  flowsieve import ip-ranges.json --select service=S3,EC2 --action filterData --merge -o aws.json
  flowsieve import *.lsrules --format jsonl

Exit status:
  0  no entry was rejected
  2  an entry was rejected, a list cannot be read or is not whole, or usage is wrong";

const EXPORT_HELP: &str = "\
Examples:
  flowsieve export blocklist.json --to nft > flowsieve.nft
  flowsieve export rules.json --to lsrules -o rules.lsrules
  flowsieve export rules.json --to pf --action allow

Exit status:
  0  every rule was written
  2  a rule was refused, a file cannot be read or written, or usage is wrong";

const COMPLETIONS_HELP: &str = "\
Examples:
  flowsieve completions zsh > ~/.zfunc/_flowsieve
  flowsieve completions bash > /usr/local/etc/bash_completion.d/flowsieve";

const MAN_HELP: &str = "\
Examples:
  flowsieve man | man -l -
  flowsieve man --dir /usr/local/share/man/man1";

const BENCH_HELP: &str = "\
Examples:
  flowsieve bench settings.json flows.jsonl
  flowsieve bench --json ne4_1000.rules ne4_1000.m.trace
  flowsieve bench --vectors 256 settings.json flows.jsonl

Exit status:
  0  all answers are right
  1  an answer is wrong
  2  a file cannot be read, or usage is wrong";

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn arguments_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn table_is_for_terminals_only() {
        assert_eq!(CheckFormat::default_for(true), CheckFormat::Table);
        assert_eq!(CheckFormat::default_for(false), CheckFormat::Jsonl);
    }

    #[test]
    fn log_formats_have_the_names_of_the_library() {
        let mut formats = LogFormat::ALL.into_iter();
        for arg in LogFormatArg::value_variants() {
            let name = arg.to_possible_value().unwrap();
            match arg.text() {
                Some(format) => {
                    assert_eq!(name.get_name(), format.as_str());
                    assert_eq!(formats.next(), Some(format));
                }
                None => assert_eq!(name.get_name(), "pcap"),
            }
        }
        assert_eq!(formats.next(), None);
    }

    #[test]
    fn precedences_have_the_names_of_the_library() {
        for arg in PrecedenceArg::value_variants() {
            let name = arg.to_possible_value().unwrap();
            assert_eq!(name.get_name(), Precedence::from(*arg).as_str());
        }
        assert_eq!(PrecedenceArg::value_variants().len(), Precedence::ALL.len());
    }
}

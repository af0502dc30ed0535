//! [`LintCode`] and [`Severity`]: the table of the lints.

use crate::error::{Error, ErrorKind};
use std::fmt;
use std::str::FromStr;

/// How much a [`Lint`](crate::Lint) matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The rule may be meant as it stands, and there is something to know about it.
    Note,
    /// The rule likely does something else than was meant.
    Warning,
    /// The framework refuses the rule or the settings, or the rule certainly does something else
    /// than it says.
    Error,
}

impl Severity {
    /// All severities, the least first.
    pub const ALL: [Severity; 3] = [Severity::Note, Severity::Warning, Severity::Error];

    /// Returns `note`, `warning` or `error`.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Defines [`LintCode`] from one row a lint: variant, code, clause, severity, title.
macro_rules! lint_codes {
    ($($variant:ident $code:literal $clause:literal $severity:ident $title:literal)*) => {
        #[doc = include_str!("../lint.md")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum LintCode {
            $(
                #[doc = concat!($code, " (", $clause, "): ", $title, ".")]
                $variant,
            )*
        }

        impl LintCode {
            /// All codes, in order.
            pub const ALL: &'static [LintCode] = &[$(LintCode::$variant),*];

            /// Returns the code, such as `L-01`.
            pub fn as_str(self) -> &'static str {
                match self { $(LintCode::$variant => $code,)* }
            }

            /// Returns the clause that the lint rests on, such as `S-11`.
            pub fn clause(self) -> &'static str {
                match self { $(LintCode::$variant => $clause,)* }
            }

            /// Returns how much the lint usually matters. What the framework refuses is an
            /// [`Error`](Severity::Error) whatever its code; see
            /// [`Lint::severity`](crate::Lint::severity).
            pub fn severity(self) -> Severity {
                match self { $(LintCode::$variant => Severity::$severity,)* }
            }

            /// Returns what the lint is about, in a few words.
            pub fn title(self) -> &'static str {
                match self { $(LintCode::$variant => $title,)* }
            }
        }
    };
}

lint_codes! {
    PrefixZero "L-01" "S-11" Error
        "host address with prefix length 0"
    NameInNetwork "L-02" "S-46" Error
        "host name or URL in a network initialiser"
    AddressInHostRule "L-03" "S-45" Error
        "IP address in a host rule"
    LoopbackUnnamed "L-04" "S-64" Note
        "no rule for loopback where all flows are meant"
    OneLoopbackFamily "L-05" "S-18" Warning
        "loopback of one address family only"
    LoopbackNetworkAsHost "L-06" "S-10" Error
        "127.0.0.0 with prefix length 32"
    OneWildcardFamily "L-07" "S-15" Warning
        "wildcard of one address family only"
    WildcardWithPrefix "L-08" "S-16" Error
        "wildcard address with a prefix length"
    ProxyWildcardAnyPort "L-09" "S-91" Error
        "wildcard address with any port in proxy settings"
    ProxyRuleForm "L-10" "S-91" Error
        "direction, local network or port 53 in proxy settings"
    LocalNetworkOutbound "L-11" "S-21" Warning
        "local network in a rule for outbound TCP"
    Ports "L-12" "S-25" Warning
        "port range, port name, or a rule for each of many ports"
    TooManyRules "L-13" "S-61" Error
        "more than 1000 filter rules"
    DefaultWithoutRules "L-14" "S-62" Error
        "default action of allow or drop without rules"
    Shadowed "L-15" "S-60" Warning
        "rule that an earlier rule covers"
    StarInName "L-16" "S-42" Warning
        "star in a host name"
    SingleLabel "L-17" "S-41" Warning
        "host name of a single label"
    HostRuleAlone "L-18" "S-44" Note
        "host rule without a rule for flows that carry no name"
    OtherProtocols "L-19" "S-31" Warning
        "protocols other than TCP and UDP follow the default action"
    MappedAddress "L-21" "S-20" Error
        "IPv4-mapped IPv6 address"
    PrefixTooLong "L-23" "S-12" Error
        "prefix length out of range"
    NonAsciiName "L-24" "S-43" Error
        "host name with other characters than ASCII"
    UnsupportedAction "L-25" "S-63" Error
        "action that macOS does not have"
    LoopbackPrefixZero "L-26" "S-11" Warning
        "loopback address with prefix length 0 for everything"
    LoopbackAction "L-27" "S-64" Warning
        "loopback rule with another action than filterData"
}

impl fmt::Display for LintCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads a code such as `L-01`, also in lower case.
impl FromStr for LintCode {
    type Err = Error;

    fn from_str(word: &str) -> Result<LintCode, Error> {
        let found = LintCode::ALL.iter().find(|code| code.as_str().eq_ignore_ascii_case(word));
        let unknown = || Error::new(ErrorKind::UnknownLint { word: word.to_owned() });
        found.copied().ok_or_else(unknown)
    }
}

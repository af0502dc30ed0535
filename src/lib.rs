#![cfg_attr(docsrs, feature(doc_cfg))]
#![doc = include_str!("lib.md")]

mod error;

mod hostname;

mod endpoint;

mod flow;

mod network;

mod rule;

mod settings;

mod proxy;

mod decision;

pub mod reference;

mod table;

mod matcher;

mod live;

mod explain;

mod space;

mod shadow;

mod diff;

mod plan;

mod lint;

#[cfg(feature = "serde")]
#[cfg_attr(docsrs, doc(cfg(feature = "serde")))]
pub mod formats;

#[cfg(feature = "capi")]
#[cfg_attr(docsrs, doc(cfg(feature = "capi")))]
pub mod capi;

pub use crate::{
    decision::{Decision, Reason},
    diff::{Diff, Difference, diff, first_difference},
    endpoint::{AddressFamily, Endpoint, Host, Ports, Zone},
    error::{Error, ErrorKind},
    explain::{Explanation, Outcome, RuleOutcome, explain},
    flow::{Direction, Flow, FlowEndpoint, IpProtocol},
    hostname::HostName,
    lint::{Edit, Lint, LintCode, RuleList, Severity, SuggestedRule, Suggestion, lint, lint_proxy},
    live::{LiveDecision, LiveMatcher, LiveMatcherBuilder, Snapshot},
    matcher::{Crossing, FrozenTable, Matcher, MatcherBuilder, Strategy, Vectors},
    network::{Answer, Network},
    plan::{Plan, PlanError, plan, verify_plan},
    proxy::{ProxyDecision, ProxyIssue, ProxyIssueKind, ProxyList, TransparentProxySettings},
    rule::{Action, FilterRule, Initializer, NetworkRule, Protocol, Remote, RulePart, RuleTest},
    settings::{FilterSettings, FrameworkIssue, FrameworkIssueKind, Precedence},
    shadow::{Standing, Use, shadow},
    space::{Decider, Hosts, Names, Protocols, Region, Zones},
    table::{Covering, RuleTable},
};

/// The examples of the README, which are run as tests.
#[cfg(all(doctest, feature = "serde"))]
#[doc = include_str!("../README.md")]
pub struct Readme;

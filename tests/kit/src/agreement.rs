//! Every matcher against the reference, and the reference's match against the naive one.

use crate::completion;
use crate::naive::{naive_is_loopback, naive_matches};
use flowsieve::{
    Crossing, Decision, Endpoint, FilterSettings, Flow, Host, Matcher, MatcherBuilder, Precedence,
    Strategy, Vectors, reference,
};
use std::fmt;

/// Checks that every matcher answers about `flow` as the reference does.
///
/// # Panics
///
/// If one does not; the message has the rules, the flow and both answers.
pub fn check_agreement(settings: &FilterSettings, flow: &Flow<'_>) {
    check_agreement_on(settings, std::slice::from_ref(flow));
}

/// Checks that text can say the endpoints of a flow that is shown to people.
///
/// # Panics
///
/// If the text of one is not read as the same host.
pub fn check_sayable(flow: &Flow<'_>) {
    for end in [flow.remote(), flow.local()].into_iter().flatten() {
        let Some(address) = end.address() else { continue };
        let read: Endpoint = end.to_string().parse().unwrap();
        assert_eq!(*read.host(), Host::Address(address, end.zone()), "{flow}");
    }
}

/// Checks what [`check_agreement`] does for several flows, compiling each matcher once.
///
/// # Panics
///
/// As for [`check_agreement`].
pub fn check_agreement_on(settings: &FilterSettings, flows: &[Flow<'_>]) {
    for precedence in Precedence::ALL {
        let expected: Vec<(Decision, Vec<usize>)> = flows
            .iter()
            .map(|flow| {
                let pending = reference::pending_rules(settings, precedence, flow);
                (reference::decide(settings, precedence, flow), pending)
            })
            .collect();
        for matcher in matchers(settings, precedence) {
            let strategy = matcher.strategy();
            for (flow, (expected, expected_pending)) in flows.iter().zip(&expected) {
                let case = || format!("{precedence} {strategy:?}\n{}", Shown(settings, flow));
                let decision = matcher.decide(flow);
                assert_eq!(decision, *expected, "matcher, reference of {}", case());
                let pending = matcher.pending_rules(flow);
                assert_eq!(pending, *expected_pending, "matcher, reference of {}", case());
                assert_eq!(decision.pending(), !pending.is_empty(), "pending of {}", case());
            }
            check_batch(&matcher, flows);
        }
    }
}

/// Checks that each rule matches `flow` if and only if the naive match says so, and that what is
/// pending is what could become known.
///
/// # Panics
///
/// If one does not; the message has the rule, the flow and both answers.
pub fn check_rules(settings: &FilterSettings, flow: &Flow<'_>) {
    let is_loopback = flow.is_loopback();
    assert_eq!(is_loopback, naive_is_loopback(flow), "loopback, naive of {flow}");
    for rule in settings.rules().iter().map(flowsieve::FilterRule::network_rule) {
        let (matches, naive) = (rule.matches(flow), naive_matches(rule, flow));
        assert_eq!(matches, naive, "match, naive of\n{rule}\n{flow}\n{rule:?}\n{flow:?}");
        completion::check_pending(rule, flow);
    }
}

/// Settings and a flow as people read them.
pub struct Shown<'a>(pub &'a FilterSettings, pub &'a Flow<'a>);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.0.rules().iter().enumerate() {
            let (action, network_rule) = (rule.action(), rule.network_rule());
            writeln!(f, "rule {index}: {action} {network_rule} {:?}", network_rule.initializer())?;
        }
        writeln!(f, "default: {}", self.0.default_action())?;
        writeln!(f, "flow: {}", self.1)?;
        write!(f, "{:?}", self.1)
    }
}

/// Matchers of every strategy, with the widest vectors and, where these are used, with all others;
/// with and without looking ahead in batches, and with each way of crossing rules.
pub fn matchers(settings: &FilterSettings, precedence: Precedence) -> Vec<Matcher> {
    let builder = Matcher::builder().precedence(precedence);
    let forced = Strategy::ALL.map(|strategy| builder.strategy(strategy).look_ahead(true));
    let narrower = Vectors::ALL.into_iter().filter(|own| *own < Vectors::Bits512);
    let narrower = narrower.flat_map(|vectors| {
        let builder = builder.vectors(vectors);
        let intervals = builder.strategy(Strategy::Intervals).look_ahead(true);
        let crossing = match vectors {
            Vectors::Bits128 => Crossing::Pairs,
            _ => Crossing::Phases,
        };
        let others = [Strategy::ExactMatch, Strategy::Blocks, Strategy::Buckets]
            .map(|other| builder.strategy(other));
        [intervals.crossing(crossing)].into_iter().chain(others)
    });
    let others = [Crossing::Off, Crossing::Pairs]
        .map(|crossing| builder.strategy(Strategy::Intervals).crossing(crossing).look_ahead(true));
    let build = |builder: MatcherBuilder| builder.build(settings).expect("settings compile");
    forced.into_iter().chain(narrower).chain(others).chain([builder]).map(build).collect()
}

fn check_batch(matcher: &Matcher, flows: &[Flow<'_>]) {
    let single: Vec<Decision> = flows.iter().map(|flow| matcher.decide(flow)).collect();
    let untouched = reference::decide(
        &FilterSettings::default(),
        Precedence::FirstMatch,
        &Flow::new(flowsieve::IpProtocol::TCP, flowsieve::Direction::Any),
    );
    let mut batch = vec![untouched; flows.len() + 1];
    let count = matcher.decide_batch(flows, &mut batch);
    assert_eq!(count, flows.len(), "decided in a batch, flows");
    assert_eq!(batch[..count], single, "batch, one by one of {flows:?}");
    assert_eq!(batch[count], untouched, "a decision past the batch changed");
    let short = flows.len().saturating_sub(1);
    let count = matcher.decide_batch(flows, &mut batch[..short]);
    assert_eq!(count, short, "decided where there is room for fewer");
}

//! Calls in any order, decoded from a fuzzer's bytes.

use super::handles::{
    CFlow, CLive, CMatcher, COptions, CSettings, Named, has_name_in_network, text_of,
};
use crate::specs::{ActionSpec, FlowSpec, MAX_FLOWS, RuleSpec, SettingsSpec, several};
use arbitrary::{Arbitrary, Unstructured};
use flowsieve::capi::*;
use flowsieve::formats::settings;
use flowsieve::{Endpoint, FilterSettings, Flow, Precedence, reference};
use std::cell::RefCell;
use std::ffi::c_char;
use std::ptr::{null, null_mut};
use std::rc::Rc;

/// The most calls.
pub const MAX_CALLS: usize = 24;

/// Calls, in order.
#[derive(Clone, Debug, Arbitrary)]
pub struct Calls {
    /// At most [`MAX_CALLS`].
    #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, 1..=MAX_CALLS))]
    pub calls: Vec<Call>,
}

/// A call. Handles are chosen modulo what there is, and nothing is done where there is none.
#[derive(Clone, Debug, Arbitrary)]
pub enum Call {
    /// Settings are built rule by rule and read back.
    Build(SettingsSpec),
    /// Settings are parsed from what the library writes.
    Parse(SettingsSpec),
    /// Settings are parsed from any bytes.
    ParseBytes(Vec<u8>),
    /// A rule is added.
    AddRule(u8, RuleSpec),
    /// The default action is set.
    SetDefaultAction(u8, ActionSpec),
    /// Settings are freed.
    FreeSettings(u8),
    /// A matcher is made.
    NewMatcher(u8, OptionsSpec),
    /// A matcher is freed.
    FreeMatcher(u8),
    /// A live matcher is made.
    NewLive(u8, OptionsSpec),
    /// The settings of a live matcher are replaced.
    Replace(u8, u8),
    /// The current generation of a live matcher becomes a matcher.
    TakeMatcher(u8),
    /// A live matcher is freed.
    FreeLive(u8),
    /// A matcher decides.
    Decide(u8, FlowSpec, FlowWay),
    /// A live matcher decides.
    DecideLive(u8, FlowSpec, FlowWay),
    /// A matcher decides several flows.
    DecideBatch(
        u8,
        #[arbitrary(with = |u: &mut Unstructured<'_>| several(u, 0..=MAX_FLOWS))] Vec<FlowSpec>,
    ),
    /// A matcher explains, and lists what is pending.
    Explain(u8, FlowSpec),
    /// The counters of a matcher are read.
    ReadHits(u8),
    /// A matcher decides a flow of any bytes, which may be in order or not.
    DecideRaw(u8, RawFlow),
    /// The ends of a flow are set from any text.
    SetEnds(Vec<u8>, Vec<u8>),
    /// A matcher is asked with NULL in one place.
    Null(u8, FlowSpec),
}

/// How a flow comes into its struct.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub enum FlowWay {
    /// Field by field.
    Fields,
    /// By text.
    Text,
}

impl FlowWay {
    fn flow<'a>(self, flow: &'a Flow<'a>) -> CFlow<'a> {
        match self {
            FlowWay::Fields => CFlow::by_fields(flow),
            FlowWay::Text => CFlow::by_text(flow),
        }
    }
}

/// What a matcher is made with.
#[derive(Clone, Copy, Debug, Arbitrary)]
pub struct OptionsSpec {
    /// The longest prefix goes before the first match.
    pub longest_prefix: bool,
    /// The failure action.
    pub failure_action: ActionSpec,
    /// Settings are kept.
    pub keep_settings: bool,
    /// Decisions are counted.
    pub count_hits: bool,
    /// Pending rules are counted.
    pub count_pending: bool,
}

impl OptionsSpec {
    fn build(self) -> COptions {
        let precedence = match self.longest_prefix {
            true => Precedence::LongestPrefix,
            false => Precedence::FirstMatch,
        };
        let options = fsv_matcher_options {
            failure_action: self.failure_action.build() as u8,
            keep_settings: self.keep_settings.into(),
            count_hits: self.count_hits.into(),
            count_pending: self.count_pending.into(),
            ..COptions::new(precedence).0
        };
        COptions(options)
    }
}

/// The fields of a flow, whatever they are.
#[derive(Clone, Debug, Arbitrary)]
pub struct RawFlow {
    size: Size,
    known: u8,
    protocol: u8,
    direction: u8,
    families: [u8; 2],
    ports: [u16; 2],
    addresses: [[u8; 16]; 2],
    hostname: Vec<u8>,
    scopes: [[u8; 16]; 2],
}

/// The size that a struct claims.
#[derive(Clone, Copy, Debug, Arbitrary)]
enum Size {
    Right,
    First,
    TooSmall(u8),
}

impl RawFlow {
    fn build(&self) -> fsv_flow {
        let whole = size_of::<fsv_flow>() as u32;
        fsv_flow {
            size: match self.size {
                Size::Right => whole,
                Size::First => 64,
                // Any size up to that of the struct may be read.
                Size::TooSmall(size) => u32::from(size).min(whole),
            },
            known: self.known.into(),
            protocol: self.protocol,
            direction: self.direction % 4,
            remote_family: self.families[0] % 8,
            local_family: self.families[1] % 8,
            remote_port: self.ports[0],
            local_port: self.ports[1],
            remote_address: self.addresses[0],
            local_address: self.addresses[1],
            remote_hostname: self.hostname.as_ptr().cast(),
            remote_hostname_len: self.hostname.len(),
            remote_scope: self.scopes[0].map(|byte| byte as c_char),
            local_scope: self.scopes[1].map(|byte| byte as c_char),
        }
    }
}

/// What a matcher should have counted; shared by the handles of one generation.
type Counts = Rc<RefCell<Vec<u64>>>;

/// The places of [`Counts`] before those of the rules.
const DEFAULT: usize = 0;
const LOOPBACK: usize = 1;
const FAILED: usize = 2;
const RULES: usize = 3;

/// What a matcher should answer by.
#[derive(Clone)]
struct Model {
    settings: FilterSettings,
    options: COptions,
    generation: u64,
    counts: Counts,
}

impl Model {
    fn new(settings: &FilterSettings, options: COptions, generation: u64) -> Model {
        let counts = Rc::new(RefCell::new(vec![0; RULES + settings.rules().len()]));
        Model { settings: settings.clone(), options, generation, counts }
    }

    /// What is expected of a flow, which counts as decided.
    fn decide(&self, flow: &Flow<'_>) -> Named {
        let precedence = self.options.precedence();
        let decision = reference::decide(&self.settings, precedence, flow);
        let pending = reference::pending_rules(&self.settings, precedence, flow).len();
        let pending = if self.options.0.count_pending == 1 { pending } else { pending.min(1) };
        let place = match decision.rule() {
            Some(rule) => RULES + rule,
            None if flow.is_loopback() => LOOPBACK,
            None => DEFAULT,
        };
        self.counts.borrow_mut()[place] += 1;
        Named::expected(&self.settings, decision, pending, self.generation)
    }
}

#[derive(Default)]
struct World {
    settings: Vec<(CSettings, FilterSettings)>,
    matchers: Vec<(CMatcher, Model)>,
    lives: Vec<(CLive, Model)>,
}

/// Makes the calls and checks every answer.
///
/// # Panics
///
/// If an answer is not that of the reference, an output is written on a failure, or text does not
/// come back as it went in.
pub fn check_calls(calls: &Calls) {
    let mut world = World::default();
    calls.calls.iter().for_each(|call| world.make(call));
}

fn nth(index: u8, count: usize) -> Option<usize> {
    usize::from(index).checked_rem(count)
}

impl World {
    fn make(&mut self, call: &Call) {
        // Where there is no handle yet, there is nothing to do.
        let _ = self.try_make(call);
    }

    fn try_make(&mut self, call: &Call) -> Option<()> {
        match call {
            Call::Build(spec) => {
                let model = spec.build();
                self.add_settings(CSettings::build(&model), model);
            }
            Call::Parse(spec) => {
                let model = spec.build();
                let text = settings::write(&model);
                let strict = settings::read(text.as_bytes()).ok()?;
                let made = CSettings::parse(text.as_bytes()).expect("settings that were written");
                self.add_settings(made, strict);
            }
            Call::ParseBytes(bytes) => {
                let made = CSettings::parse(bytes);
                match (made, settings::read(bytes)) {
                    (Ok(made), Ok(model)) => self.add_settings(made, model),
                    (Err(message), Err(error)) => assert_eq!(message, error.to_string()),
                    (made, read) => panic!("{made:?}, {read:?}"),
                }
            }
            Call::AddRule(index, spec) => {
                let index = nth(*index, self.settings.len())?;
                let (made, model) = &mut self.settings[index];
                let rule = spec.build();
                // Only the text of settings takes names in networks.
                if has_name_in_network(&rule) {
                    return None;
                }
                made.add(&rule);
                let default_action = model.default_action();
                let mut rules = model.rules().to_vec();
                rules.push(rule);
                *model = FilterSettings::new(rules, default_action);
            }
            Call::SetDefaultAction(index, spec) => {
                let index = nth(*index, self.settings.len())?;
                let (made, model) = &mut self.settings[index];
                let action = spec.build();
                // SAFETY: the handle is owned.
                unsafe {
                    assert_eq!(fsv_settings_set_default_action(made.0, action as u8), 0);
                    assert_eq!(fsv_settings_default_action(made.0), action as u8);
                }
                *model = FilterSettings::new(model.rules().to_vec(), action);
            }
            Call::FreeSettings(index) => {
                self.settings.swap_remove(nth(*index, self.settings.len())?);
            }
            Call::NewMatcher(index, options) => {
                let (made, model) = &self.settings[nth(*index, self.settings.len())?];
                let options = options.build();
                let matcher = CMatcher::new(made, &options);
                self.matchers.push((matcher, Model::new(model, options, 0)));
            }
            Call::FreeMatcher(index) => {
                self.matchers.swap_remove(nth(*index, self.matchers.len())?);
            }
            Call::NewLive(index, options) => {
                let (made, model) = &self.settings[nth(*index, self.settings.len())?];
                let options = options.build();
                self.lives.push((CLive::new(made, &options), Model::new(model, options, 0)));
            }
            Call::Replace(live, index) => {
                let (made, settings) = &self.settings[nth(*index, self.settings.len())?];
                let live = nth(*live, self.lives.len())?;
                let (live, model) = &mut self.lives[live];
                *model = Model::new(settings, model.options, model.generation + 1);
                let mut generation = 0;
                // SAFETY: the handles are owned, and the output may be written to.
                unsafe {
                    let generation = &raw mut generation;
                    assert_eq!(fsv_live_replace(live.0, made.0, generation, null_mut()), 0);
                }
                assert_eq!(generation, model.generation);
            }
            Call::TakeMatcher(index) => {
                let (live, model) = &self.lives[nth(*index, self.lives.len())?];
                let mut matcher = CMatcher(null_mut());
                // SAFETY: the handle is owned, and the output may be written to.
                unsafe { assert_eq!(fsv_live_matcher(live.0, &raw mut matcher.0), 0) };
                self.matchers.push((matcher, model.clone()));
            }
            Call::FreeLive(index) => {
                self.lives.swap_remove(nth(*index, self.lives.len())?);
            }
            Call::Decide(index, spec, way) => {
                let (matcher, model) = &self.matchers[nth(*index, self.matchers.len())?];
                let flow = spec.build(&model.settings);
                let decided = matcher.decide(way.flow(&flow).raw());
                assert_eq!(decided, model.decide(&flow), "in C, reference of {flow}");
            }
            Call::DecideLive(index, spec, way) => {
                let (live, model) = &self.lives[nth(*index, self.lives.len())?];
                let flow = spec.build(&model.settings);
                let mut decision = fsv_decision::INIT;
                // SAFETY: the handle is owned, it has the label, and the output may be written to.
                let decided = unsafe {
                    let flow = way.flow(&flow);
                    assert_eq!(fsv_live_decide(live.0, flow.raw(), &raw mut decision), 0);
                    Named::read(&decision)
                };
                assert_eq!(decided, model.decide(&flow), "in C, reference of {flow}");
            }
            Call::DecideBatch(index, specs) => {
                let (matcher, model) = &self.matchers[nth(*index, self.matchers.len())?];
                decide_batch(matcher, model, specs);
            }
            Call::Explain(index, spec) => {
                let (matcher, model) = &self.matchers[nth(*index, self.matchers.len())?];
                explain(matcher, model, &spec.build(&model.settings));
            }
            Call::ReadHits(index) => {
                let (matcher, model) = &self.matchers[nth(*index, self.matchers.len())?];
                read_hits(matcher, model);
            }
            Call::DecideRaw(index, raw) => {
                let (matcher, model) = &self.matchers[nth(*index, self.matchers.len())?];
                decide_raw(matcher, model, raw);
            }
            Call::SetEnds(host, port) => set_ends(host, port),
            Call::Null(index, spec) => {
                let (matcher, model) = &self.matchers[nth(*index, self.matchers.len())?];
                let flow = spec.build(&model.settings);
                let flow = CFlow::by_fields(&flow);
                let mut decision = fsv_decision::INIT;
                // SAFETY: the handle is owned, and the output may be written to.
                unsafe {
                    let status = fsv_matcher_decide(matcher.0, null(), &raw mut decision);
                    assert_eq!(status, FSV_STATUS_NULL_POINTER);
                    let status = fsv_matcher_decide(matcher.0, flow.raw(), null_mut());
                    assert_eq!(status, FSV_STATUS_NULL_POINTER);
                    let status = fsv_matcher_decide(null(), flow.raw(), &raw mut decision);
                    assert_eq!(status, FSV_STATUS_NULL_POINTER);
                }
                model.counts.borrow_mut()[FAILED] += 2;
                assert_eq!(decision.action, FSV_ACTION_NONE);
            }
        }
        Some(())
    }

    fn add_settings(&mut self, made: CSettings, model: FilterSettings) {
        assert_eq!(made.read_back().len(), model.rules().len());
        assert_eq!(made.write(), settings::write(&model));
        self.settings.push((made, model));
    }
}

fn decide_batch(matcher: &CMatcher, model: &Model, specs: &[FlowSpec]) {
    let flows: Vec<Flow<'_>> = specs.iter().map(|spec| spec.build(&model.settings)).collect();
    let raw: Vec<fsv_flow> = flows.iter().map(|flow| *CFlow::by_fields(flow).raw()).collect();
    let mut decisions = vec![fsv_decision::INIT; flows.len()];
    // SAFETY: the handle is owned, and there are as many flows as decisions.
    unsafe {
        let (flows, count) = (raw.as_ptr(), raw.len());
        let status = fsv_matcher_decide_batch(matcher.0, flows, count, decisions.as_mut_ptr());
        assert_eq!(status, FSV_STATUS_OK);
    }
    for (flow, decision) in flows.iter().zip(&decisions) {
        // SAFETY: the matcher has the label.
        let decided = unsafe { Named::read(decision) };
        assert_eq!(decided, model.decide(flow), "in a batch in C, reference of {flow}");
    }
}

fn explain(matcher: &CMatcher, model: &Model, flow: &Flow<'_>) {
    let raw = *CFlow::by_fields(flow).raw();
    let precedence = model.options.precedence();
    let decision = reference::decide(&model.settings, precedence, flow);
    let pending = reference::pending_rules(&model.settings, precedence, flow);
    let mut rules = vec![u32::MAX; pending.len()];
    let mut needed = 0;
    // SAFETY: the handle is owned, and the buffers are so long.
    unsafe {
        let (matcher, raw, needed) = (matcher.0, &raw const raw, &raw mut needed);
        let (buffer, capacity) = (rules.as_mut_ptr(), rules.len());
        assert_eq!(fsv_matcher_pending_rules(matcher, raw, buffer, capacity, needed), 0);
    }
    assert_eq!(needed, pending.len());
    assert!(rules.iter().map(|rule| *rule as usize).eq(pending), "pending of {flow}");
    // SAFETY: as above.
    let call = |buffer, capacity, needed| unsafe {
        fsv_matcher_explain(matcher.0, &raw const raw, buffer, capacity, needed)
    };
    if model.options.0.keep_settings == 0 {
        assert_eq!(call(null_mut(), 0, &raw mut needed), FSV_STATUS_NOT_KEPT);
        return;
    }
    let text = text_of(call);
    assert!(text.starts_with(decision.action().as_str()), "{text}");
    assert_eq!(text.lines().count(), model.settings.rules().len() + 1, "{text}");
    assert_eq!(text.contains(" decides ("), decision.rule().is_some(), "{text}");
}

fn read_hits(matcher: &CMatcher, model: &Model) {
    let counts = model.counts.borrow();
    let mut hits = fsv_hits::INIT;
    let mut rules = vec![u64::MAX; model.settings.rules().len()];
    let mut needed = 0;
    // SAFETY: the handle is owned, and the buffers are so long.
    unsafe {
        let (buffer, capacity) = (rules.as_mut_ptr(), rules.len());
        let status = fsv_matcher_rule_hits(matcher.0, buffer, capacity, &raw mut needed);
        let of_totals = fsv_matcher_hits(matcher.0, &raw mut hits);
        if model.options.0.count_hits == 0 {
            assert_eq!([status, of_totals], [FSV_STATUS_NOT_KEPT; 2]);
            return;
        }
        assert_eq!([status, of_totals], [FSV_STATUS_OK; 2]);
    }
    assert_eq!(rules, counts[RULES..]);
    assert_eq!(needed, rules.len());
    assert_eq!(hits.by_rule, counts[RULES..].iter().sum::<u64>());
    assert_eq!((hits.by_default, hits.by_loopback), (counts[DEFAULT], counts[LOOPBACK]));
    assert_eq!(hits.failed, counts[FAILED]);
}

fn decide_raw(matcher: &CMatcher, model: &Model, fields: &RawFlow) {
    let raw = fields.build();
    let untouched = fsv_decision::INIT;
    let mut decision = untouched;
    // SAFETY: the handle is owned, and the output may be written to; the flow claims no larger size
    // than it has, and its name is so long.
    let status = unsafe { fsv_matcher_decide(matcher.0, &raw const raw, &raw mut decision) };
    if status != FSV_STATUS_OK {
        model.counts.borrow_mut()[FAILED] += 1;
        assert_eq!((decision.action, decision.rule), (untouched.action, untouched.rule));
        return;
    }
    assert!(std::str::from_utf8(&fields.hostname).is_ok() || raw.known & FSV_KNOWN_HOSTNAME == 0);
    let flow = read_flow(&raw, fields);
    // SAFETY: the matcher has the label.
    let decided = unsafe { Named::read(&decision) };
    assert_eq!(decided, model.decide(&flow), "in C, reference of {flow}");
}

/// The flow that a struct in order describes, put together by way of text.
fn read_flow<'a>(raw: &fsv_flow, fields: &'a RawFlow) -> Flow<'a> {
    use flowsieve::{Direction, IpProtocol};
    let direction = [Direction::Any, Direction::Inbound, Direction::Outbound];
    let mut flow = Flow::new(IpProtocol(raw.protocol), direction[usize::from(raw.direction)]);
    let host = |end: usize, family: fsv_family, has_scope: bool| {
        let bytes = fields.addresses[end];
        let scope = fields.scopes[end].split(|byte| *byte == 0).next().unwrap_or_default();
        match family {
            FSV_FAMILY_IPV4 => bytes[..4].iter().map(u8::to_string).collect::<Vec<_>>().join("."),
            _ if has_scope => {
                let scope = std::str::from_utf8(scope).expect("a scope id");
                format!("{}%{scope}", std::net::Ipv6Addr::from(bytes))
            }
            _ => std::net::Ipv6Addr::from(bytes).to_string(),
        }
    };
    if raw.known & FSV_KNOWN_HOSTNAME != 0 {
        flow = flow.with_remote_hostname(std::str::from_utf8(&fields.hostname).expect("text"));
    }
    if raw.known & FSV_KNOWN_REMOTE != 0 && raw.remote_family == FSV_FAMILY_NAME {
        flow = flow.with_named_remote(raw.remote_port);
    } else if raw.known & FSV_KNOWN_REMOTE != 0 {
        let host = host(0, raw.remote_family, raw.known & FSV_KNOWN_REMOTE_SCOPE != 0);
        let end = Endpoint::new(&host, &raw.remote_port.to_string()).expect("an endpoint");
        flow = flow.with_remote(end).expect("one port");
    }
    if raw.known & FSV_KNOWN_LOCAL != 0 {
        let host = host(1, raw.local_family, raw.known & FSV_KNOWN_LOCAL_SCOPE != 0);
        let end = Endpoint::new(&host, &raw.local_port.to_string()).expect("an endpoint");
        flow = flow.with_local(end).expect("an address");
    }
    flow
}

/// Both ends from any text: taken if and only if the library takes it, as the same.
fn set_ends(host: &[u8], port: &[u8]) {
    let text = std::str::from_utf8(host).ok().zip(std::str::from_utf8(port).ok());
    let end = text.and_then(|(host, port)| Endpoint::new(host, port).ok());
    let is_small = host.len() <= FSV_MAX_HOST_BYTES && port.len() <= FSV_MAX_HOST_BYTES;
    for is_local in [false, true] {
        let set = if is_local { fsv_flow_set_local } else { fsv_flow_set_remote };
        let mut raw = fsv_flow::INIT;
        // SAFETY: the flow may be changed, and the texts are so long.
        let status = unsafe {
            let (host, host_len) = (host.as_ptr().cast(), host.len());
            set(&raw mut raw, host, host_len, port.as_ptr().cast(), port.len())
        };
        let is_taken = end.as_ref().is_some_and(|end| !is_local || end.host().name().is_none());
        assert_eq!(status == FSV_STATUS_OK, is_taken && is_small, "{host:?} {port:?} {status}");
        if status != FSV_STATUS_OK {
            assert_eq!((raw.known, raw.remote_port, raw.local_port), (0, 0, 0));
            continue;
        }
        let (family, port, bytes) = match is_local {
            true => (raw.local_family, raw.local_port, raw.local_address),
            false => (raw.remote_family, raw.remote_port, raw.remote_address),
        };
        let end = end.as_ref().expect("an endpoint");
        assert_eq!(port, end.ports().as_one().unwrap_or(0));
        match end.host() {
            flowsieve::Host::Name(_) => assert_eq!(family, FSV_FAMILY_NAME),
            flowsieve::Host::Address(std::net::IpAddr::V4(address), _) => {
                assert_eq!((family, &bytes[..4]), (FSV_FAMILY_IPV4, &address.octets()[..]));
            }
            flowsieve::Host::Address(std::net::IpAddr::V6(address), _) => {
                assert_eq!((family, bytes), (FSV_FAMILY_IPV6, address.octets()));
            }
        }
    }
}

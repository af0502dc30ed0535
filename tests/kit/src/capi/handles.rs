//! The handles of the C interface, which are freed when they are dropped, and what goes in and out.

use flowsieve::capi::*;
use flowsieve::{
    Decision, Error, FilterRule, FilterSettings, Flow, FlowEndpoint, Initializer, NetworkRule,
    Precedence, Protocol, Reason,
};
use std::ffi::{CStr, c_char};
use std::net::IpAddr;
use std::ptr::{null, null_mut};

/// A decision as C has it, with its label as text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// The action.
    pub action: fsv_action,
    /// The reason.
    pub reason: fsv_reason,
    /// Whether the action stands.
    pub is_final: bool,
    /// The index of the rule.
    pub rule: Option<usize>,
    /// The number of rules that could still match, or 1 for any number.
    pub pending_count: usize,
    /// The generation.
    pub generation: u64,
    /// The label of the rule.
    pub label: Option<String>,
}

impl Named {
    /// Reads a decision, whose reserved byte is 0.
    ///
    /// # Panics
    ///
    /// If it is not.
    ///
    /// # Safety
    ///
    /// What it was decided by still has the label.
    pub unsafe fn read(decision: &fsv_decision) -> Named {
        let label = (!decision.label.is_null()).then(|| {
            let (data, len) = (decision.label.cast::<u8>(), decision.label_len);
            // SAFETY: passed on.
            let bytes = unsafe { std::slice::from_raw_parts(data, len) };
            std::str::from_utf8(bytes).expect("labels are text").to_owned()
        });
        assert_eq!(decision.reserved, 0);
        assert!(decision.is_final <= 1, "{}", decision.is_final);
        Named {
            action: decision.action,
            reason: decision.reason,
            is_final: decision.is_final == 1,
            rule: (decision.rule != FSV_NO_RULE).then_some(decision.rule as usize),
            pending_count: decision.pending_count as usize,
            generation: decision.generation,
            label,
        }
    }

    /// Returns what a decision of the library is in C.
    pub fn expected(
        settings: &FilterSettings,
        decision: Decision,
        pending_count: usize,
        generation: u64,
    ) -> Named {
        Named {
            action: decision.action() as fsv_action,
            reason: match decision.reason() {
                Reason::Rule => FSV_REASON_RULE,
                Reason::Default => FSV_REASON_DEFAULT,
                Reason::Loopback => FSV_REASON_LOOPBACK,
                Reason::Pending => FSV_REASON_PENDING,
            },
            is_final: decision.is_final(),
            rule: decision.rule(),
            pending_count,
            generation,
            label: decision
                .rule()
                .and_then(|rule| settings.rules()[rule].label().map(str::to_owned)),
        }
    }
}

/// What an error in C says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CError {
    /// The message.
    pub message: String,
    /// The line, from 1, or 0.
    pub line: u64,
    /// The column, from 1, or 0.
    pub column: u64,
    /// The index of the rule.
    pub rule: Option<usize>,
}

impl CError {
    /// Reads and frees the error of a call, which there is if and only if the call failed.
    ///
    /// # Safety
    ///
    /// The error is NULL or owned.
    pub(crate) unsafe fn take(error: *mut fsv_error, status: fsv_status) -> Option<CError> {
        assert_eq!(error.is_null(), status == FSV_STATUS_OK, "an error, and status {status}");
        // SAFETY: passed on.
        unsafe {
            let taken = (!error.is_null()).then(|| {
                assert_eq!(fsv_error_status(error), status);
                let message = CStr::from_ptr(fsv_error_message(error)).to_str().expect("text");
                let rule = fsv_error_rule(error);
                CError {
                    message: message.to_owned(),
                    line: fsv_error_line(error),
                    column: fsv_error_column(error),
                    rule: (rule != FSV_NO_RULE).then_some(rule as usize),
                }
            });
            fsv_error_free(error);
            taken
        }
    }

    /// Returns what an error of the library is in C.
    pub(crate) fn of(error: &Error) -> CError {
        CError {
            line: error.line().unwrap_or(0),
            column: error.column().unwrap_or(0),
            rule: error.rule_index(),
            ..CError::plain(error)
        }
    }

    /// Returns one that is about no place.
    pub(crate) fn plain(message: &impl ToString) -> CError {
        CError { message: message.to_string(), line: 0, column: 0, rule: None }
    }
}

/// Settings in C.
#[derive(Debug)]
pub struct CSettings(pub *mut fsv_settings);

impl Drop for CSettings {
    fn drop(&mut self) {
        // SAFETY: the handle is owned.
        unsafe { fsv_settings_free(self.0) };
    }
}

impl CSettings {
    /// Builds settings rule by rule, or, as only text takes names in network initialisers, reads
    /// them.
    pub fn build(settings: &FilterSettings) -> CSettings {
        if settings.rules().iter().any(has_name_in_network) {
            let text = flowsieve::formats::settings::write(settings);
            return CSettings::parse_with(text.as_bytes(), FSV_PARSE_HOSTNAME_IN_NETWORK)
                .expect("settings that were written");
        }
        let mut made = CSettings(null_mut());
        // SAFETY: the output may be written to.
        let status = unsafe { fsv_settings_new(settings.default_action() as u8, &raw mut made.0) };
        assert_eq!(status, FSV_STATUS_OK);
        settings.rules().iter().for_each(|rule| made.add(rule));
        made
    }

    /// Reads settings text.
    ///
    /// # Errors
    ///
    /// What the library says is wrong.
    pub fn parse(text: &[u8]) -> Result<CSettings, CError> {
        CSettings::parse_with(text, 0)
    }

    fn parse_with(text: &[u8], flags: u32) -> Result<CSettings, CError> {
        let (mut made, mut error) = (CSettings(null_mut()), null_mut());
        // SAFETY: the text is so long, and the outputs may be written to.
        unsafe {
            let (data, len) = (text.as_ptr().cast(), text.len());
            let status = fsv_settings_parse(data, len, flags, &raw mut made.0, &raw mut error);
            match CError::take(error, status) {
                None => Ok(made),
                Some(error) => Err(error),
            }
        }
    }

    /// Adds a rule by the initialiser that it was made with.
    pub fn add(&mut self, rule: &FilterRule) {
        let network_rule = rule.network_rule();
        let (remote, local) = (End::remote(network_rule), End::local(network_rule));
        let (remote_c, local_c) = (remote.as_ref().map(End::in_c), local.as_ref().map(End::in_c));
        let protocol = match network_rule.match_protocol() {
            Protocol::Any => FSV_PROTOCOL_ANY,
            Protocol::Tcp => FSV_PROTOCOL_TCP,
            Protocol::Udp => FSV_PROTOCOL_UDP,
            Protocol::Number(number) => number.into(),
        };
        let pointer = |end: &Option<fsv_endpoint>| end.as_ref().map_or(null(), std::ptr::from_ref);
        let prefix = |prefix: Option<u8>| prefix.map_or(FSV_PREFIX_NOT_FOUND, u64::from);
        let remote_prefix = prefix(network_rule.match_remote_prefix());
        let (action, error) = (rule.action() as u8, null_mut());
        let (label, len) =
            rule.label().map_or((null(), 0), |label| (label.as_ptr().cast(), label.len()));
        // SAFETY: texts and endpoints are there as long as they say.
        let status = unsafe {
            match network_rule.initializer() {
                Initializer::DestinationNetwork => fsv_settings_add_destination_network(
                    self.0,
                    pointer(&remote_c),
                    remote_prefix,
                    protocol,
                    action,
                    label,
                    len,
                    error,
                ),
                Initializer::DestinationHost => fsv_settings_add_destination_host(
                    self.0,
                    pointer(&remote_c),
                    protocol,
                    action,
                    label,
                    len,
                    error,
                ),
                Initializer::RemoteNetwork => fsv_settings_add_remote_network(
                    self.0,
                    pointer(&remote_c),
                    remote_prefix,
                    pointer(&local_c),
                    prefix(network_rule.match_local_prefix()),
                    protocol,
                    network_rule.match_direction() as u8,
                    action,
                    label,
                    len,
                    error,
                ),
            }
        };
        assert_eq!(status, FSV_STATUS_OK, "{network_rule}");
    }

    /// Returns the settings as they are read back, rule by rule.
    pub fn read_back(&self) -> Vec<fsv_rule> {
        // SAFETY: the handle is owned, and the output may be written to.
        unsafe {
            let count = fsv_settings_rule_count(self.0);
            let rules = (0..=count).map_while(|index| {
                let mut rule = fsv_rule::INIT;
                (fsv_settings_rule(self.0, index, &raw mut rule) == FSV_STATUS_OK).then_some(rule)
            });
            rules.collect()
        }
    }

    /// Returns the settings as text.
    pub fn write(&self) -> String {
        // SAFETY: the handle is owned, and the buffer has so many bytes.
        text_of(|buffer, capacity, needed| unsafe {
            fsv_settings_write(self.0, buffer, capacity, needed)
        })
    }
}

/// Returns whether a rule has a name in a network initialiser.
pub(crate) fn has_name_in_network(rule: &FilterRule) -> bool {
    let rule = rule.network_rule();
    rule.remote_side().is_none() && rule.initializer() != Initializer::DestinationHost
}

/// One end of a rule as text.
struct End {
    host: String,
    port: String,
}

impl End {
    fn remote(rule: &NetworkRule) -> Option<End> {
        let end = rule.match_remote_endpoint()?;
        Some(End { host: end.host().to_string(), port: end.ports().to_string() })
    }

    fn local(rule: &NetworkRule) -> Option<End> {
        let end = rule.match_local_network()?;
        Some(End { host: end.host().to_string(), port: end.ports().to_string() })
    }

    fn in_c(&self) -> fsv_endpoint {
        fsv_endpoint {
            hostname: self.host.as_ptr().cast(),
            hostname_len: self.host.len(),
            port: self.port.as_ptr().cast(),
            port_len: self.port.len(),
        }
    }
}

/// Asks for the size of a text, then for the text.
///
/// # Panics
///
/// If one call does not agree with the other.
pub(crate) fn text_of(call: impl Fn(*mut c_char, usize, *mut usize) -> fsv_status) -> String {
    let mut needed = 0;
    assert_eq!(call(null_mut(), 0, &raw mut needed), FSV_STATUS_BUFFER_TOO_SMALL);
    let mut buffer = vec![0x7f_u8; needed + 3];
    let mut again = 0;
    let pointer: *mut c_char = buffer.as_mut_ptr().cast();
    assert_eq!(call(pointer, needed - 1, &raw mut again), FSV_STATUS_BUFFER_TOO_SMALL);
    assert!(again == needed && buffer.iter().all(|byte| *byte == 0x7f), "written in part");
    assert_eq!(call(pointer, needed, &raw mut again), FSV_STATUS_OK);
    assert_eq!(buffer[needed..], [0x7f; 3], "written past the end");
    let text = CStr::from_bytes_until_nul(&buffer).expect("a NUL").to_str().expect("text");
    assert_eq!(text.len(), needed - 1);
    text.to_owned()
}

/// What a matcher is made with.
#[derive(Clone, Copy, Debug)]
pub struct COptions(pub fsv_matcher_options);

impl COptions {
    /// Returns options of a precedence.
    pub fn new(precedence: Precedence) -> COptions {
        COptions(fsv_matcher_options {
            precedence: match precedence {
                Precedence::FirstMatch => FSV_PRECEDENCE_FIRST_MATCH,
                Precedence::LongestPrefix => FSV_PRECEDENCE_LONGEST_PREFIX,
            },
            ..fsv_matcher_options::INIT
        })
    }

    /// Returns the precedence.
    pub fn precedence(&self) -> Precedence {
        match self.0.precedence {
            FSV_PRECEDENCE_LONGEST_PREFIX => Precedence::LongestPrefix,
            _ => Precedence::FirstMatch,
        }
    }
}

/// A matcher in C.
#[derive(Debug)]
pub struct CMatcher(pub *mut fsv_matcher);

impl Drop for CMatcher {
    fn drop(&mut self) {
        // SAFETY: the handle is owned.
        unsafe { fsv_matcher_free(self.0) };
    }
}

impl CMatcher {
    /// Compiles settings.
    pub fn new(settings: &CSettings, options: &COptions) -> CMatcher {
        let mut made = CMatcher(null_mut());
        // SAFETY: the handle is owned, and the output may be written to.
        let status = unsafe {
            fsv_matcher_new(settings.0, &raw const options.0, &raw mut made.0, null_mut())
        };
        assert_eq!(status, FSV_STATUS_OK);
        made
    }

    /// Decides a flow that is in order.
    pub fn decide(&self, flow: &fsv_flow) -> Named {
        let mut decision = fsv_decision::INIT;
        // SAFETY: the handle is owned, the label in it, and the output may be written to.
        unsafe {
            let status = fsv_matcher_decide(self.0, flow, &raw mut decision);
            assert_eq!(status, FSV_STATUS_OK, "{flow:?}");
            Named::read(&decision)
        }
    }
}

/// A live matcher in C.
#[derive(Debug)]
pub struct CLive(pub *mut fsv_live);

impl Drop for CLive {
    fn drop(&mut self) {
        // SAFETY: the handle is owned.
        unsafe { fsv_live_free(self.0) };
    }
}

impl CLive {
    /// Compiles settings.
    pub fn new(settings: &CSettings, options: &COptions) -> CLive {
        let mut made = CLive(null_mut());
        // SAFETY: the handle is owned, and the output may be written to.
        let status =
            unsafe { fsv_live_new(settings.0, &raw const options.0, &raw mut made.0, null_mut()) };
        assert_eq!(status, FSV_STATUS_OK);
        made
    }
}

/// A flow as C has it. It points to the host name of the flow that it was made from.
pub struct CFlow<'a> {
    raw: fsv_flow,
    flow: &'a Flow<'a>,
}

impl<'a> CFlow<'a> {
    /// Fills in the fields.
    pub fn by_fields(flow: &'a Flow<'a>) -> CFlow<'a> {
        let mut made = CFlow::without_ends(flow);
        let raw = &mut made.raw;
        if let Some(end) = flow.remote() {
            raw.known |= FSV_KNOWN_REMOTE;
            raw.remote_port = end.port();
            (raw.remote_family, raw.remote_address) = bytes_of(end);
            if let Some(zone) = end.zone() {
                raw.known |= FSV_KNOWN_REMOTE_SCOPE;
                raw.remote_scope = scope_of(zone.as_str());
            }
        }
        if let Some(end) = flow.local() {
            raw.known |= FSV_KNOWN_LOCAL;
            raw.local_port = end.port();
            (raw.local_family, raw.local_address) = bytes_of(end);
            if let Some(zone) = end.zone() {
                raw.known |= FSV_KNOWN_LOCAL_SCOPE;
                raw.local_scope = scope_of(zone.as_str());
            }
        }
        made
    }

    /// Sets what text can set; a remote end that is a name is filled in.
    pub fn by_text(flow: &'a Flow<'a>) -> CFlow<'a> {
        let mut made = CFlow::without_ends(flow);
        let named = flow.remote().is_some_and(|end| end.address().is_none());
        let ends = [flow.remote().filter(|_| !named), flow.local()];
        for (end, set) in ends.into_iter().zip([fsv_flow_set_remote, fsv_flow_set_local]) {
            let Some(end) = end else { continue };
            let (host, port) = (host_of(end), end.port().to_string());
            // SAFETY: the flow may be changed, and the texts are so long.
            let status = unsafe {
                let (host, host_len) = (host.as_ptr().cast(), host.len());
                set(&raw mut made.raw, host, host_len, port.as_ptr().cast(), port.len())
            };
            assert_eq!(status, FSV_STATUS_OK, "{host} {port}");
        }
        if named {
            made.raw.known |= FSV_KNOWN_REMOTE;
            made.raw.remote_family = FSV_FAMILY_NAME;
            made.raw.remote_port = flow.remote().map_or(0, FlowEndpoint::port);
        }
        made
    }

    fn without_ends(flow: &'a Flow<'a>) -> CFlow<'a> {
        let mut raw = fsv_flow {
            protocol: flow.protocol().0,
            direction: flow.direction() as u8,
            ..fsv_flow::INIT
        };
        if let Some(name) = flow.remote_hostname() {
            let (data, len) = (name.as_ptr().cast(), name.len());
            // SAFETY: the flow may be changed, and the name is so long.
            let status = unsafe { fsv_flow_set_remote_hostname(&raw mut raw, data, len) };
            assert_eq!(status, FSV_STATUS_OK, "{name}");
        }
        CFlow { raw, flow }
    }

    /// Returns the struct.
    pub fn raw(&self) -> &fsv_flow {
        &self.raw
    }

    /// Returns the flow that it was made from.
    pub fn flow(&self) -> &'a Flow<'a> {
        self.flow
    }
}

fn bytes_of(end: FlowEndpoint) -> (fsv_family, [u8; 16]) {
    match end.address() {
        None => (FSV_FAMILY_NAME, [0xaa; 16]),
        Some(IpAddr::V4(address)) => {
            let mut bytes = [0xaa; 16];
            bytes[..4].copy_from_slice(&address.octets());
            (FSV_FAMILY_IPV4, bytes)
        }
        Some(IpAddr::V6(address)) => (FSV_FAMILY_IPV6, address.octets()),
    }
}

fn scope_of(text: &str) -> [c_char; 16] {
    let mut scope = [0; 16];
    for (place, byte) in scope.iter_mut().zip(text.bytes()) {
        *place = byte as c_char;
    }
    scope
}

fn host_of(end: FlowEndpoint) -> String {
    let address = end.address().expect("an address");
    match end.zone() {
        Some(zone) => format!("{address}%{zone}"),
        None => address.to_string(),
    }
}

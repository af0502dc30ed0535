//! `fsv_settings`: rules and the default action, read from text or built rule by rule.

use crate::capi::boundary::{Failure, guard, guard_or, guard_with};
use crate::capi::error::fsv_error;
use crate::capi::handle;
use crate::capi::status::{Checked, FSV_STATUS_INVALID_ARGUMENT, FSV_STATUS_NO_PLAN, fsv_status};
use crate::capi::text;
use crate::capi::types::{
    FSV_ACTION_NONE, FSV_MAX_HOST_BYTES, FSV_MAX_LABEL_BYTES, FSV_MAX_SETTINGS_BYTES,
    FSV_PARSE_HOSTNAME_IN_NETWORK, FSV_PRECEDENCE_FIRST_MATCH, FSV_PRECEDENCE_LONGEST_PREFIX,
    FSV_PROTOCOL_ANY, fsv_action, fsv_direction, fsv_endpoint, fsv_precedence, fsv_protocol,
};
use crate::endpoint::{Endpoint, Host, Ports};
use crate::error::{Error, ErrorKind};
use crate::flow::Direction;
use crate::formats::settings as file;
use crate::plan::plan;
use crate::rule::{Action, FilterRule, NetworkRule, Protocol};
use crate::settings::{FilterSettings, Precedence};
use std::ffi::c_char;
use std::sync::Arc;

/// Rules and the default action. Matchers share them, until the next rule is added.
pub struct fsv_settings(Arc<FilterSettings>);

impl fsv_settings {
    pub(super) fn shared(&self) -> &Arc<FilterSettings> {
        &self.0
    }

    /// Takes the settings apart and together again; the rules are moved, or copied if a matcher
    /// shares them.
    fn change(&mut self, change: impl FnOnce(Vec<FilterRule>, Action) -> FilterSettings) {
        let settings = Arc::make_mut(&mut self.0);
        let default_action = settings.default_action();
        *settings = change(std::mem::take(settings).into_rules(), default_action);
    }

    fn add(&mut self, rule: FilterRule) {
        self.change(|mut rules, default_action| {
            rules.push(rule);
            FilterSettings::new(rules, default_action)
        });
    }
}

/// Makes settings without rules.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_new(
    default_action: fsv_action,
    settings: *mut *mut fsv_settings,
) -> fsv_status {
    guard(|| {
        // SAFETY: the contract of the header.
        let out = unsafe { handle::out(settings) }?;
        let made = FilterSettings::new(Vec::new(), action(default_action)?);
        out.write(handle::give(fsv_settings(Arc::new(made))));
        Ok(())
    })
}

/// Reads a settings file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_parse(
    json: *const c_char,
    json_len: usize,
    flags: u32,
    settings: *mut *mut fsv_settings,
    error: *mut *mut fsv_error,
) -> fsv_status {
    let run = || {
        // SAFETY: the contract of the header.
        let (text, out) = unsafe {
            (handle::bytes(json, json_len, FSV_MAX_SETTINGS_BYTES)?, handle::out(settings)?)
        };
        if flags & !FSV_PARSE_HOSTNAME_IN_NETWORK != 0 {
            return Err(FSV_STATUS_INVALID_ARGUMENT.into());
        }
        let hostname_in_network = flags & FSV_PARSE_HOSTNAME_IN_NETWORK != 0;
        let options = file::ReadOptions { hostname_in_network };
        let read = file::read_with(text, options).map_err(Failure::Text)?;
        out.write(handle::give(fsv_settings(Arc::new(read))));
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { guard_with(error, run) }
}

/// Frees settings.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_free(settings: *mut fsv_settings) {
    guard(|| {
        // SAFETY: the contract of the header.
        unsafe { handle::free(settings) };
        Ok(())
    });
}

/// Adds a rule: `initWithDestinationNetwork:prefix:protocol:`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_add_destination_network(
    settings: *mut fsv_settings,
    destination_network: *const fsv_endpoint,
    destination_prefix: u64,
    protocol: fsv_protocol,
    action: fsv_action,
    label: *const c_char,
    label_len: usize,
    error: *mut *mut fsv_error,
) -> fsv_status {
    let run = || {
        // SAFETY: the contract of the header.
        let (settings, endpoint, label) = unsafe {
            (
                handle::borrow_mut(settings)?,
                needed_endpoint(destination_network)?,
                self::label(label, label_len)?,
            )
        };
        let protocol = self::protocol(protocol)?;
        let rule = NetworkRule::destination_network(endpoint, destination_prefix, protocol)?;
        settings.add(filter_rule(rule, action, label)?);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { guard_with(error, run) }
}

/// Adds a rule: `initWithDestinationHost:protocol:`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_add_destination_host(
    settings: *mut fsv_settings,
    destination_host: *const fsv_endpoint,
    protocol: fsv_protocol,
    action: fsv_action,
    label: *const c_char,
    label_len: usize,
    error: *mut *mut fsv_error,
) -> fsv_status {
    let run = || {
        // SAFETY: the contract of the header.
        let (settings, endpoint, label) = unsafe {
            (
                handle::borrow_mut(settings)?,
                needed_endpoint(destination_host)?,
                self::label(label, label_len)?,
            )
        };
        let rule = NetworkRule::destination_host(endpoint, self::protocol(protocol)?)?;
        settings.add(filter_rule(rule, action, label)?);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { guard_with(error, run) }
}

/// Adds a rule: the initialiser of six arguments.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_add_remote_network(
    settings: *mut fsv_settings,
    remote_network: *const fsv_endpoint,
    remote_prefix: u64,
    local_network: *const fsv_endpoint,
    local_prefix: u64,
    protocol: fsv_protocol,
    direction: fsv_direction,
    action: fsv_action,
    label: *const c_char,
    label_len: usize,
    error: *mut *mut fsv_error,
) -> fsv_status {
    let run = || {
        // SAFETY: the contract of the header.
        let (settings, remote, local, label) = unsafe {
            (
                handle::borrow_mut(settings)?,
                endpoint(remote_network)?,
                endpoint(local_network)?,
                self::label(label, label_len)?,
            )
        };
        let (protocol, direction) = (self::protocol(protocol)?, rule_direction(direction)?);
        let rule = NetworkRule::remote_network(
            remote,
            remote_prefix,
            local,
            local_prefix,
            protocol,
            direction,
        )?;
        settings.add(filter_rule(rule, action, label)?);
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { guard_with(error, run) }
}

/// Sets the default action.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_set_default_action(
    settings: *mut fsv_settings,
    action: fsv_action,
) -> fsv_status {
    guard(|| {
        // SAFETY: the contract of the header.
        let settings = unsafe { handle::borrow_mut(settings) }?;
        let action = self::action(action)?;
        settings.change(|rules, _| FilterSettings::new(rules, action));
        Ok(())
    })
}

/// Returns the default action.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_default_action(settings: *const fsv_settings) -> fsv_action {
    guard_or(FSV_ACTION_NONE, || {
        // SAFETY: the contract of the header.
        Ok(unsafe { handle::borrow(settings) }?.0.default_action() as fsv_action)
    })
}

/// Returns the number of rules.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_rule_count(settings: *const fsv_settings) -> usize {
    // SAFETY: the contract of the header.
    guard_or(0, || Ok(unsafe { handle::borrow(settings) }?.0.rules().len()))
}

/// Writes what the framework would refuse, one issue a line.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_validate_for_framework(
    settings: *const fsv_settings,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
) -> fsv_status {
    guard(|| {
        // SAFETY: the contract of the header.
        let (settings, buffer) =
            unsafe { (handle::borrow(settings)?, handle::buffer(buffer, capacity, needed)?) };
        let issues = settings.0.validate_for_framework();
        let lines: String = issues.iter().map(|issue| format!("{issue}\n")).collect();
        text::fill(buffer, &lines)
    })
}

/// Writes a settings file.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_write(
    settings: *const fsv_settings,
    buffer: *mut c_char,
    capacity: usize,
    needed: *mut usize,
) -> fsv_status {
    guard(|| {
        // SAFETY: the contract of the header.
        let (settings, buffer) =
            unsafe { (handle::borrow(settings)?, handle::buffer(buffer, capacity, needed)?) };
        text::fill(buffer, &file::write(&settings.0))
    })
}

/// Plans a first stage.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsv_settings_plan(
    settings: *const fsv_settings,
    precedence: fsv_precedence,
    limit: usize,
    first_stage: *mut *mut fsv_settings,
    error: *mut *mut fsv_error,
) -> fsv_status {
    let run = || {
        // SAFETY: the contract of the header.
        let (settings, out) = unsafe { (handle::borrow(settings)?, handle::out(first_stage)?) };
        let most = FilterSettings::MAX_FRAMEWORK_RULES;
        if limit > most {
            let kind = ErrorKind::TooManyRules { count: limit, limit: most };
            return Err(Error::new(kind).into());
        }
        let planned = plan(&settings.0, self::precedence(precedence)?, limit, &[])
            .map_err(|error| Failure::Message(FSV_STATUS_NO_PLAN, error.to_string()))?;
        out.write(handle::give(fsv_settings(Arc::new(planned.first_stage().clone()))));
        Ok(())
    };
    // SAFETY: the contract of the header.
    unsafe { guard_with(error, run) }
}

/// Returns an endpoint, `None` for NULL.
///
/// # Safety
///
/// The contract of the header.
unsafe fn endpoint(given: *const fsv_endpoint) -> Result<Option<Endpoint>, Failure> {
    if given.is_null() {
        return Ok(None);
    }
    // SAFETY: passed on.
    unsafe { needed_endpoint(given) }.map(Some)
}

/// Returns an endpoint.
///
/// # Safety
///
/// The contract of the header.
unsafe fn needed_endpoint(given: *const fsv_endpoint) -> Result<Endpoint, Failure> {
    // SAFETY: passed on.
    let (host, port) = unsafe {
        let given = handle::borrow(given)?;
        (
            handle::text(given.hostname, given.hostname_len, FSV_MAX_HOST_BYTES)?,
            handle::text(given.port, given.port_len, FSV_MAX_HOST_BYTES)?,
        )
    };
    Ok(Endpoint::from_parts(host.parse::<Host>()?, port.parse::<Ports>()?))
}

/// Returns a label, `None` for NULL.
///
/// # Safety
///
/// The contract of the header, for as long as `'a`.
unsafe fn label<'a>(label: *const c_char, len: usize) -> Checked<Option<&'a str>> {
    if label.is_null() && len == 0 {
        return Ok(None);
    }
    // SAFETY: passed on.
    unsafe { handle::text(label, len, FSV_MAX_LABEL_BYTES) }.map(Some)
}

fn filter_rule(
    rule: NetworkRule,
    action: fsv_action,
    label: Option<&str>,
) -> Result<FilterRule, Error> {
    let rule = FilterRule::new(rule, Action::from_raw(action.into())?);
    Ok(match label {
        Some(label) => rule.with_label(label),
        None => rule,
    })
}

/// Returns an action, without a message where it is none.
pub(super) fn action(action: fsv_action) -> Checked<Action> {
    let found = Action::ALL.into_iter().find(|known| *known as fsv_action == action);
    found.ok_or(FSV_STATUS_INVALID_ARGUMENT)
}

/// Returns a precedence.
pub(super) fn precedence(precedence: fsv_precedence) -> Checked<Precedence> {
    match precedence {
        FSV_PRECEDENCE_FIRST_MATCH => Ok(Precedence::FirstMatch),
        FSV_PRECEDENCE_LONGEST_PREFIX => Ok(Precedence::LongestPrefix),
        _ => Err(FSV_STATUS_INVALID_ARGUMENT),
    }
}

fn protocol(protocol: fsv_protocol) -> Result<Protocol, Error> {
    match u8::try_from(protocol) {
        Ok(number) => Ok(Protocol::Number(number).canonical()),
        Err(_) if protocol == FSV_PROTOCOL_ANY => Ok(Protocol::Any),
        Err(_) => Err(Error::new(ErrorKind::UnknownProtocol { word: protocol.to_string() })),
    }
}

fn rule_direction(direction: fsv_direction) -> Result<Direction, Error> {
    super::flow::direction(direction)
        .map_err(|_| Error::new(ErrorKind::UnknownDirection { word: direction.to_string() }))
}

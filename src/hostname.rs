//! Host names: trimming, labels and the domain test (S-40 to S-45).

use crate::error::{Error, ErrorKind};
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// The host name of a host rule.
///
/// A name of two or more labels stands for itself and every name below it (S-40); a single label
/// stands for the host of exactly that name (S-41). Leading and trailing dots and stars carry no
/// meaning, so `*.example.com` matches `example.com` too (S-42). Names are compared byte by byte
/// without ASCII case and are not converted (S-43): write the A-label form (`xn--...`) of an
/// internationalised name.
///
/// Apple does not document what happens to a name that is empty or a URL; both are refused here
/// (S-45), as is every name with another ASCII character than letters, digits, `-`, `_`, `.` and
/// `*`. The name of a flow is not restricted.
///
/// # Examples
///
/// ```
/// use flowsieve::HostName;
///
/// let name = HostName::new("*.Example.com")?;
/// assert!(name.matches("www.example.com."));
/// assert!(name.matches("example.com"));
/// assert!(!name.matches("notexample.com"));
///
/// let single = HostName::new("com")?;
/// assert!(single.matches("com"));
/// assert!(!single.matches("example.com"));
/// # Ok::<(), flowsieve::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName {
    /// As it was written.
    text: Box<str>,
}

impl HostName {
    /// The longest name accepted, in bytes: the limit of DNS, with room for the dots and stars
    /// that are trimmed.
    pub const MAX_LEN: usize = 255;

    /// Checks a host name.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::EmptyHostname`], [`ErrorKind::HostnameTooLong`],
    /// [`ErrorKind::AddressAsHostname`] for IP address text, and [`ErrorKind::InvalidHostname`]
    /// for a URL or text with a port.
    pub fn new(text: &str) -> Result<HostName, Error> {
        HostName::check(text)?;
        Ok(HostName { text: text.into() })
    }

    /// Checks what [`HostName::new`] checks, without making a name.
    pub(crate) fn check(text: &str) -> Result<(), Error> {
        let trimmed = trim(text);
        let address = trimmed.split('%').next().unwrap_or(trimmed);
        if IpAddr::from_str(address).is_ok() || IpAddr::from_str(text).is_ok() {
            return Err(Error::new(ErrorKind::AddressAsHostname { host: text.to_owned() }));
        }
        if let Some(found) = text.chars().find(|c| !may_stand_in_name(*c)) {
            return Err(Error::new(ErrorKind::InvalidHostname { host: text.to_owned(), found }));
        }
        if trimmed.is_empty() {
            return Err(Error::new(ErrorKind::EmptyHostname { host: text.to_owned() }));
        }
        if text.len() > Self::MAX_LEN {
            let (len, limit) = (text.len(), Self::MAX_LEN);
            return Err(Error::new(ErrorKind::HostnameTooLong { len, limit }));
        }
        Ok(())
    }

    /// Returns the name as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the name without leading and trailing dots and stars; never empty.
    pub fn trimmed(&self) -> &str {
        trim(&self.text)
    }

    /// Returns whether the name has one label once trimmed, and so names one host (S-41, S-42).
    pub fn is_single_label(&self) -> bool {
        !self.trimmed().contains('.')
    }

    /// Returns whether the host `name` of a flow is this name, or below it where this name has
    /// two or more labels.
    pub fn matches(&self, name: &str) -> bool {
        let (rule, name) = (self.trimmed().as_bytes(), trim(name).as_bytes());
        let Some(start) = name.len().checked_sub(rule.len()) else { return false };
        let (head, tail) = name.split_at(start);
        tail.eq_ignore_ascii_case(rule)
            && (head.is_empty() || (head.ends_with(b".") && !self.is_single_label()))
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl FromStr for HostName {
    type Err = Error;

    fn from_str(text: &str) -> Result<HostName, Error> {
        HostName::new(text)
    }
}

/// Trims leading and trailing dots and stars (S-42), from a rule's name and a flow's alike.
#[inline]
pub(crate) fn trim(name: &str) -> &str {
    let is_trimmed = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b'.' | b'*'));
    let bytes = name.as_bytes();
    // PERF: as nearly all names are; decide/hosts-10k-addresses-10k/named-hit.
    match is_trimmed(bytes.first()) | is_trimmed(bytes.last()) {
        false => name,
        true => name.trim_matches(['.', '*']),
    }
}

fn may_stand_in_name(c: char) -> bool {
    match c.is_ascii() {
        true => c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*'),
        false => !c.is_whitespace() && !c.is_control(),
    }
}

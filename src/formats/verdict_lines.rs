//! Verdict lines: one decision a line, as JSON.

use crate::decision::Decision;
use crate::formats::settings::to_json;
use crate::settings::FilterSettings;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

/// A decision with what a verdict line says beside it.
///
/// It serialises to `action`, `rule`, `label`, `reason` and `pending`; see [`write()`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict<'a> {
    /// The decision.
    pub decision: Decision,
    /// The label of the deciding rule.
    pub label: Option<&'a str>,
    /// The indices of the rules that make the decision pending.
    pub pending: Vec<usize>,
}

impl<'a> Verdict<'a> {
    /// Looks up the label in the settings that were decided by.
    pub fn new(
        decision: Decision,
        pending: Vec<usize>,
        settings: &'a FilterSettings,
    ) -> Verdict<'a> {
        let rule = decision.rule().and_then(|index| settings.rules().get(index));
        Verdict { decision, label: rule.and_then(|rule| rule.label()), pending }
    }
}

/// Writes a verdict line, without the newline.
///
/// ```
/// use flowsieve::{FilterSettings, Flow, IpProtocol, Direction, Precedence, reference};
/// use flowsieve::formats::verdict_lines::{Verdict, write};
///
/// let settings = FilterSettings::default();
/// let flow = Flow::new(IpProtocol::TCP, Direction::Outbound);
/// let decision = reference::decide(&settings, Precedence::FirstMatch, &flow);
/// assert_eq!(
///     write(&Verdict::new(decision, vec![], &settings)),
///     r#"{"action":"filterData","rule":null,"label":null,"reason":"default","pending":[]}"#
/// );
/// ```
pub fn write(verdict: &Verdict<'_>) -> String {
    to_json(verdict)
}

impl Serialize for Verdict<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(5))?;
        map.serialize_entry("action", &self.decision.action())?;
        map.serialize_entry("rule", &self.decision.rule())?;
        map.serialize_entry("label", &self.label)?;
        map.serialize_entry("reason", self.decision.reason().as_str())?;
        map.serialize_entry("pending", &self.pending)?;
        map.end()
    }
}

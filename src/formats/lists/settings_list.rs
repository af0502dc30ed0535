//! An NEFilterSettings as JSON.

use super::collect::Collector;
use super::document::{Document, Failed};
use super::entry::Found;
use crate::error::{Error, ErrorKind};
use crate::formats::json::Value;
use crate::formats::settings::{ReadOptions, filter_rule};
use crate::rule::Action;

/// Reads each rule as an entry, and returns the default action.
pub(super) fn read(
    document: &Document<'_>,
    out: &mut Collector<'_>,
) -> Result<Option<Action>, Error> {
    let [rules, default_action] = document.root.fields(["rules", "defaultAction"])?;
    let missing = || document.root.error(ErrorKind::MissingKey { expected: "`rules`" });
    let rules = rules.ok_or_else(missing)?;
    let default_action = match default_action {
        None => Action::FilterData,
        Some(value) => value.keyed("defaultAction", Value::parsed)?,
    };
    let mut index = 0;
    document.each(rules, out, |element, out, place| {
        let rule = filter_rule(element, ReadOptions::default());
        let rule = rule.map_err(|error| error.in_rule(index));
        index += 1;
        let rule = Found::Rule(Box::new(rule.map_err(Failed::Entry)?));
        out.found(place, rule).map_err(Failed::List)
    })?;
    Ok(Some(default_action))
}

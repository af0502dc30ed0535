//! Flows that get another action by other settings.

use super::page::{
    action, counted, decider, end_section, end_table, flow_count, grouped, number, section, share,
    table,
};
use super::rules::left_out;
use super::{Against, Change, Report, escape};
use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt::{self, Write};

/// Rows of the table.
const MAX_ROWS: usize = 1000;

/// Writes the section.
pub(crate) fn write(page: &mut String, report: &Report<'_>, against: &Against<'_>) -> fmt::Result {
    section(page, "changes", "Verdict changes")?;
    let (old, new) = (escape(report.name), escape(against.name));
    let flows = flow_count(report);
    let changed: u64 = against.changes.iter().map(|change| change.flows).sum();
    if changed == 0 {
        writeln!(page, "<p>Every flow gets the same action by {old} and by {new}.</p>")?;
        end_section(page);
        return Ok(());
    }
    writeln!(
        page,
        "<p>{} of {} ({}) get another action by {new} than by {old}.</p>",
        counted(changed, "flow", "flows"),
        grouped(flows),
        share(changed, flows),
    )?;
    let mut changes: Vec<&Change> = against.changes.iter().filter(|c| c.flows > 0).collect();
    changes.sort_by_key(|change| Reverse(change.flows));
    let heads =
        [("before", ""), ("by", ""), ("after", ""), ("by", ""), ("flows", "n"), ("such as", "w")];
    table(page, "Changes grouped by what decides, the most flows first", true, &heads)?;
    for change in changes.iter().take(MAX_ROWS) {
        write!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td>{}<td>",
            action(change.before.1),
            decider(report.settings, change.before.0),
            action(change.after.1),
            decider(against.settings, change.after.0),
            number(change.flows),
        )?;
        if !change.examples.is_empty() {
            page.push_str("<ul class=\"plain\">");
            let mut seen = HashSet::new();
            for example in change.examples.iter().filter(|example| seen.insert(*example)) {
                write!(page, "<li><code>{}</code></li>", escape(example))?;
            }
            page.push_str("</ul>");
        }
        page.push_str("</td></tr>\n");
    }
    end_table(page);
    left_out(page, changes.len())?;
    end_section(page);
    Ok(())
}

//! Which rules decided how many flows, and which none.

use super::page::{
    action, counted, end_section, end_table, flow_count, number, section, share_cell, table,
};
use super::{Hits, Report, escape};
use flowsieve::{Action, Decider};
use std::collections::HashSet;
use std::fmt::{self, Write};

/// Rows that a table has at most, so that a page about a million rules can still be opened.
const MAX_ROWS: usize = 1000;

/// Writes the section.
pub(crate) fn write(page: &mut String, report: &Report<'_>) -> fmt::Result {
    section(page, "rules", "Rules")?;
    hits(page, report)?;
    never_hit(page, report)?;
    end_section(page);
    Ok(())
}

fn hits(page: &mut String, report: &Report<'_>) -> fmt::Result {
    let flows = flow_count(report);
    let mut hits: Vec<&Hits> = report.hits.iter().filter(|hits| hits.flows > 0).collect();
    hits.sort_by_key(|hits| (std::cmp::Reverse(hits.flows), hits.decider.rule()));
    if hits.is_empty() {
        page.push_str("<p>No flow was decided.</p>\n");
        return Ok(());
    }
    let heads = [
        ("decided by", ""),
        ("label", ""),
        ("matches", "w"),
        ("action", ""),
        ("flows", "n"),
        ("share", "n"),
        ("most flows to", "w"),
    ];
    table(page, "Hits per rule, the most first", true, &heads)?;
    for hits in hits.iter().take(MAX_ROWS) {
        row(page, report, hits, flows)?;
    }
    end_table(page);
    left_out(page, hits.len())
}

fn row(page: &mut String, report: &Report<'_>, hits: &Hits, flows: u64) -> fmt::Result {
    let rule = hits.decider.rule().and_then(|index| report.settings.rules().get(index));
    let label = rule.and_then(|rule| rule.label()).unwrap_or("");
    let (matches, given) = match (rule, hits.decider) {
        (Some(rule), _) => (rule.network_rule().to_string(), rule.action()),
        (None, Decider::Loopback) => {
            ("loopback flows that no rule matches".to_owned(), Action::Allow)
        }
        (None, _) => ("what no rule matches".to_owned(), report.settings.default_action()),
    };
    write!(
        page,
        "<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td>{}{}<td>",
        hits.decider,
        escape(label),
        escape(matches),
        action(given),
        number(hits.flows),
        share_cell(hits.flows, flows),
    )?;
    if !hits.talkers.is_empty() {
        page.push_str("<ul class=\"plain\">");
        for (talker, flows) in &hits.talkers {
            let flows = counted(*flows, "flow", "flows");
            write!(page, "<li><code>{}</code> {flows}</li>", escape(talker))?;
        }
        page.push_str("</ul>");
    }
    page.push_str("</td></tr>\n");
    Ok(())
}

fn never_hit(page: &mut String, report: &Report<'_>) -> fmt::Result {
    let hit: HashSet<usize> = report
        .hits
        .iter()
        .filter(|hits| hits.flows > 0)
        .filter_map(|hits| hits.decider.rule())
        .collect();
    let rules = report.settings.rules().iter().enumerate();
    let never: Vec<_> = rules.filter(|(index, _)| !hit.contains(index)).collect();
    page.push_str("<h3 id=\"never\">Rules never hit</h3>\n");
    if never.is_empty() {
        page.push_str("<p>Every rule decided a flow.</p>\n");
        return Ok(());
    }
    let (count, all) = (never.len(), report.settings.rules().len());
    let decided = if count == 1 { "1 rule".to_owned() } else { format!("{count} rules") };
    writeln!(page, "<p>{decided} of {all} decided no flow.</p>")?;
    let open = if count <= 30 { " open=\"open\"" } else { "" };
    writeln!(page, "<details{open}><summary>List of rules never hit</summary>")?;
    let heads = [("rule", ""), ("label", ""), ("matches", "w"), ("action", "")];
    table(page, "Rules that decided no flow", true, &heads)?;
    for (index, rule) in never.iter().take(MAX_ROWS) {
        writeln!(
            page,
            "<tr><th scope=\"row\" data-n=\"{index}\">rule {index}</th><td>{}</td><td>{}</td><td>{}</td></tr>",
            escape(rule.label().unwrap_or("")),
            escape(rule.network_rule()),
            action(rule.action()),
        )?;
    }
    end_table(page);
    left_out(page, never.len())?;
    page.push_str("</details>\n");
    Ok(())
}

/// Says how many rows a table has not.
pub(crate) fn left_out(page: &mut String, rows: usize) -> fmt::Result {
    match rows.saturating_sub(MAX_ROWS) {
        0 => Ok(()),
        more => writeln!(page, "<p class=\"note\">{more} more are not listed here.</p>"),
    }
}

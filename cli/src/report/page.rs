//! The page: what is around its sections, and the summary.

use super::{Report, addresses, changes, chart, escape, rules};
use crate::map;
use crate::report::places::place_of;
use flowsieve::{Action, Decider, FilterRule, FilterSettings};
use std::fmt::{self, Write};

/// Draws a report as one HTML file that needs no other.
///
/// It is well-formed XML too, which is how it is tested.
pub(crate) fn html(report: &Report<'_>) -> String {
    let mut page = String::new();
    // A String takes whatever is written.
    let _ = write(&mut page, report);
    page
}

/// Of the page and of the map.
const STYLE: &str = concat!(include_str!("page.css"), include_str!("../map/map.css"));
const SCRIPT: &str = include_str!("page.js");

/// The hashes of the two, SHA-256 in base64: nothing else is obeyed, whatever a label holds.
const STYLE_HASH: &str = "7p0DRDIqrwe/0x/Ss+XyyT4jJl+RkCNn0IyBvIGigpM=";
const SCRIPT_HASH: &str = "RT8/cXers6To87JXHlDF56qsXlpZqYyo4mVJ9FBYguk=";

fn write(page: &mut String, report: &Report<'_>) -> fmt::Result {
    let name = escape(report.name);
    let mut links = vec![("summary", "Summary"), ("rules", "Rules")];
    if report.against.is_some() {
        links.push(("changes", "Verdict changes"));
    }
    links.extend([("latency", "Latency"), ("map", "Map"), ("v6", "IPv6")]);
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'sha256-{STYLE_HASH}'; script-src 'sha256-{SCRIPT_HASH}'; base-uri 'none'; \
         form-action 'none'\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>{name}: flowsieve replay</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the report</a>\n\
         <header>\n<h1>Replay of {name}</h1>\n",
    )?;
    lead(page, report)?;
    page.push_str("<nav aria-label=\"Sections\"><ul>\n");
    for (id, text) in links {
        writeln!(page, "<li><a href=\"#{id}\">{text}</a></li>")?;
    }
    page.push_str("</ul></nav>\n</header>\n<main id=\"main\" tabindex=\"-1\">\n");
    summary(page, report)?;
    rules::write(page, report)?;
    if let Some(against) = &report.against {
        changes::write(page, report, against)?;
    }
    latency(page, report)?;
    addresses::write(page, report)?;
    write!(
        page,
        "</main>\n<footer><p>Made by flowsieve {}. This file loads nothing.</p></footer>\n\
         <p id=\"said\" class=\"hidden\" role=\"status\"></p>\n\
         <script>{SCRIPT}</script>\n</body>\n</html>\n",
        env!("CARGO_PKG_VERSION"),
    )
}

fn lead(page: &mut String, report: &Report<'_>) -> fmt::Result {
    let logs = report.sources.len();
    writeln!(
        page,
        "<p class=\"lead\">{} of {}, decided by {} in {} order; the default action is {}.</p>",
        counted(flow_count(report), "flow", "flows"),
        counted(logs as u64, "log", "logs"),
        counted(report.settings.rules().len() as u64, "rule", "rules"),
        report.precedence,
        action(report.settings.default_action()),
    )
}

fn summary(page: &mut String, report: &Report<'_>) -> fmt::Result {
    let flows = flow_count(report);
    section(page, "summary", "Summary")?;
    page.push_str("<dl class=\"tiles\">\n");
    tile(page, "flows", &grouped(flows), "")?;
    for of in Action::ALL {
        let given = report.verdicts.iter().filter(|verdict| verdict.action == of);
        let given = given.map(|verdict| verdict.flows).sum();
        tile(page, &action(of), &grouped(given), &share(given, flows))?;
    }
    let bad: u64 = report.sources.iter().map(|source| source.bad).sum();
    tile(page, "not final yet", &grouped(report.not_final), &share(report.not_final, flows))?;
    tile(page, "bad records", &grouped(bad), "")?;
    page.push_str("</dl>\n");
    if report.not_final > 0 {
        page.push_str(
            "<p class=\"note\">Not final: the action could still change once the local endpoint \
             or the host name of the flow is known.</p>\n",
        );
    }
    let heads = [("action", ""), ("reason", ""), ("flows", "n"), ("share", "n")];
    table(page, "How many flows got which action, and why", true, &heads)?;
    let mut verdicts: Vec<_> = report.verdicts.iter().filter(|verdict| verdict.flows > 0).collect();
    verdicts.sort_by_key(|verdict| (std::cmp::Reverse(verdict.flows), place_of(verdict.action)));
    for verdict in verdicts {
        writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td>{}{}</tr>",
            action(verdict.action),
            verdict.reason,
            number(verdict.flows),
            share_cell(verdict.flows, flows),
        )?;
    }
    end_table(page);
    let heads = [
        ("log", ""),
        ("format", ""),
        ("records", "n"),
        ("flows", "n"),
        ("not flows", "n"),
        ("bad", "n"),
    ];
    table(page, "What was read", false, &heads)?;
    for source in &report.sources {
        writeln!(
            page,
            "<tr><th scope=\"row\">{}</th><td>{}</td>{}{}{}{}</tr>",
            escape(&source.name),
            escape(&source.format),
            number(source.records),
            number(source.flows),
            number(source.skipped),
            number(source.bad),
        )?;
    }
    end_table(page);
    end_section(page);
    Ok(())
}

fn latency(page: &mut String, report: &Report<'_>) -> fmt::Result {
    section(page, "latency", "Latency")?;
    let latency = &report.latency;
    if latency.total() == 0 {
        page.push_str("<p>It was not measured how long decisions took.</p>\n");
        end_section(page);
        return Ok(());
    }
    writeln!(
        page,
        "<figure>\n<figcaption>How long {} took.</figcaption>\n{}</figure>",
        counted(latency.total(), "decision", "decisions"),
        chart::latency(latency),
    )?;
    let quantiles = chart::QUANTILES.into_iter().chain([("all", 1.0)]);
    table(page, "Decisions that took at most so long", false, &[("share", ""), ("time", "n")])?;
    for (name, share) in quantiles {
        let nanoseconds = latency.quantile(share);
        let time = chart::duration(nanoseconds);
        writeln!(
            page,
            "<tr><th scope=\"row\">{name}</th><td class=\"n\" data-n=\"{nanoseconds}\">{time}</td></tr>"
        )?;
    }
    end_table(page);
    end_section(page);
    Ok(())
}

/// Returns the number of flows that were decided.
pub(crate) fn flow_count(report: &Report<'_>) -> u64 {
    report.verdicts.iter().map(|verdict| verdict.flows).sum()
}

/// Begins a section with its heading.
pub(crate) fn section(page: &mut String, id: &str, title: &str) -> fmt::Result {
    writeln!(page, "<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>")
}

pub(crate) fn end_section(page: &mut String) {
    page.push_str("</section>\n");
}

/// Begins a table: columns are heading and class. It stands in a region that can be scrolled by
/// the keyboard where it is wider than the window.
pub(crate) fn table(
    page: &mut String,
    caption: &str,
    can_sort: bool,
    heads: &[(&str, &str)],
) -> fmt::Result {
    let class = match (can_sort, heads.len() <= NARROW) {
        (true, true) => " class=\"sort tight\"",
        (true, false) => " class=\"sort\"",
        (false, true) => " class=\"tight\"",
        (false, false) => "",
    };
    write!(
        page,
        "<div class=\"scroll\" role=\"region\" aria-label=\"{caption}\" tabindex=\"0\">\n\
         <table{class}>\n<caption>{caption}</caption>\n<thead><tr>"
    )?;
    for (head, class) in heads {
        match *class {
            "" => write!(page, "<th scope=\"col\">{head}</th>")?,
            class => write!(page, "<th scope=\"col\" class=\"{class}\">{head}</th>")?,
        }
    }
    page.push_str("</tr></thead>\n<tbody>\n");
    Ok(())
}

/// Columns up to which a table is no wider than it has to be.
const NARROW: usize = 4;

pub(crate) fn end_table(page: &mut String) {
    page.push_str("</tbody>\n</table>\n</div>\n");
}

fn tile(page: &mut String, name: &str, value: &str, note: &str) -> fmt::Result {
    let note = if note.is_empty() { String::new() } else { format!(" <small>{note}</small>") };
    writeln!(page, "<div><dt>{name}</dt><dd>{value}{note}</dd></div>")
}

/// An action with its colour and its mark, which the map has too.
pub(crate) fn action(action: Action) -> String {
    let mark = match action {
        Action::Allow => '\u{25cf}',
        Action::Drop => '\u{25a0}',
        Action::FilterData => '\u{25b2}',
    };
    format!("<span class=\"a {action}\"><span aria-hidden=\"true\">{mark}</span> {action}</span>")
}

/// A cell with a number.
pub(crate) fn number(number: u64) -> String {
    format!("<td class=\"n\" data-n=\"{number}\">{}</td>", grouped(number))
}

/// A cell with a share, and a bar of its length.
pub(crate) fn share_cell(part: u64, all: u64) -> String {
    let width = if all == 0 { 0.0 } else { 100.0 * part as f64 / all as f64 };
    let share = share(part, all);
    format!("<td class=\"n\" data-n=\"{part}\">{share}{}</td>", bar(&[("part", width)]))
}

/// A bar of parts, each a class and its percent.
pub(crate) fn bar(parts: &[(&str, f64)]) -> String {
    let mut bar = "<svg class=\"bar\" viewBox=\"0 0 100 8\" preserveAspectRatio=\"none\" \
                   aria-hidden=\"true\"><rect class=\"all\" width=\"100\" height=\"8\"/>"
        .to_owned();
    let mut x = 0.0;
    for (class, width) in parts.iter().filter(|(_, width)| *width > 0.0) {
        // What is there is seen, however little.
        let shown = width.max(1.0);
        let from = f64::min(x, 100.0 - shown);
        let _ = write!(
            bar,
            "<rect class=\"{class}\" x=\"{from:.2}\" width=\"{shown:.2}\" height=\"8\"/>"
        );
        x += width;
    }
    bar + "</svg>"
}

/// A part in percent, never rounded to nothing or all.
pub(crate) fn share(part: u64, all: u64) -> String {
    if all == 0 {
        return "0 %".to_owned();
    }
    map::percent(part as f64 / all as f64)
}

/// `1 rule`, `1,000 rules`.
pub(crate) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// A number with its digits in groups of three.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// What decided, by name: `rule 3 (no mail)`, `loopback` or `default`.
pub(crate) fn decider(settings: &FilterSettings, decider: Decider) -> String {
    let rule = decider.rule().and_then(|index| settings.rules().get(index));
    match rule.and_then(FilterRule::label) {
        Some(label) => format!("{decider} ({})", escape(label)),
        None => decider.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use sha2::{Digest, Sha256};

    #[test]
    fn policy_names_the_hashes_of_style_and_script() {
        let hash = |text: &str| STANDARD.encode(Sha256::digest(text));
        assert_eq!(hash(STYLE), STYLE_HASH);
        assert_eq!(hash(SCRIPT), SCRIPT_HASH);
    }

    #[test]
    fn style_and_script_hold_nothing_that_ends_them_or_loads_something() {
        for text in [STYLE, SCRIPT] {
            assert!(!text.contains(['<', '&']));
            for word in ["http:", "https:", "url(", "@import", "fetch", "XMLHttp", "innerHTML"] {
                assert!(!text.contains(word), "{word}");
            }
        }
    }

    #[test]
    fn digits_stand_in_groups() {
        let found = [0, 999, 1000, 12_345, 1_234_567].map(grouped);
        assert_eq!(found, ["0", "999", "1,000", "12,345", "1,234,567"]);
    }
}

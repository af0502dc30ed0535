//! The page.

use super::{Report, escape};
use std::fmt::Write;

/// Draws a report as one HTML file that needs no other.
pub(crate) fn html(report: &Report<'_>) -> String {
    let mut page = String::new();
    let name = escape(report.name);
    // A String takes whatever is written.
    let _ = write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <title>{name}: flowsieve replay</title>\n</head>\n<body>\n<h1>{name}</h1>\n<table>\n\
         <tr><th scope=\"col\">action</th><th scope=\"col\">reason</th><th scope=\"col\">flows</th></tr>\n",
    );
    for verdict in &report.verdicts {
        let (action, reason, flows) = (verdict.action, verdict.reason, verdict.flows);
        let _ = writeln!(page, "<tr><td>{action}</td><td>{reason}</td><td>{flows}</td></tr>");
    }
    page.push_str("</table>\n</body>\n</html>\n");
    page
}

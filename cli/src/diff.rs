//! `flowsieve diff`: the flows to which two settings give different actions.

use crate::args::{DiffArgs, LinesFormat};
use crate::loaded::Loaded;
use crate::output::{DIMMED, HEADING, Output, Painted, Printable, action_style};
use crate::status::{Failure, Status};
use flowsieve::{Action, Decider, Difference, Direction, Hosts, Names, Region, Zone, Zones, diff};
use serde_json::{Value, json};

/// Prints where two settings differ.
///
/// # Errors
///
/// That settings cannot be read, or standard output not written.
pub(crate) fn run(args: &DiffArgs) -> Result<Status, Failure> {
    let old = args.rules.load(&args.old)?;
    let new = args.rules.load(&args.new)?;
    let found = diff(&old.settings, &new.settings, args.rules.precedence());
    let mut output = match args.format {
        LinesFormat::Text => Output::new(false),
        LinesFormat::Jsonl => Output::plain(false),
    };
    let limit = match (args.limit, args.format) {
        (Some(0), _) | (None, LinesFormat::Jsonl) => usize::MAX,
        (Some(limit), _) => limit,
        (None, LinesFormat::Text) => SHOWN,
    };
    for difference in found.regions().take(limit) {
        match args.format {
            LinesFormat::Text => print(&mut output, (&old, &new), &difference)?,
            LinesFormat::Jsonl => {
                output.json(&line((&old, &new), &difference).to_string())?;
            }
        }
    }
    if args.format == LinesFormat::Text {
        let count = found.region_count();
        let more = count.saturating_sub(limit);
        let text = match (count, more) {
            (0, _) => "same: every flow gets the same action".to_owned(),
            (1, _) => "different: 1 region".to_owned(),
            (_, 0) => format!("different: {count} regions"),
            (_, more) => format!("different: {count} regions, of which {more} are not shown"),
        };
        output.line(Painted(HEADING, text))?;
    }
    output.flush()?;
    Ok(if found.is_same() { Status::Fine } else { Status::AnswersDiffer })
}

/// Regions that are printed as text where no limit is given.
const SHOWN: usize = 20;

fn print(
    output: &mut Output,
    (old, new): (&Loaded, &Loaded),
    difference: &Difference,
) -> Result<(), Failure> {
    let region = difference.region().to_string();
    output.line(Painted(HEADING, Printable(&region)))?;
    let sides = [("old", old, difference.before()), ("new", new, difference.after())];
    for (name, loaded, (decider, action)) in sides {
        let action = Painted(action_style(action), action);
        output.line(format_args!("  {name}  {action} by {}", loaded.shown(decider)))?;
    }
    let witness = difference.witness().to_string();
    output.line(Painted(DIMMED, format!("  such as {}", Printable(&witness))))?;
    Ok(())
}

fn line((old, new): (&Loaded, &Loaded), difference: &Difference) -> Value {
    json!({
        "region": region_json(difference.region()),
        "old": side_json(old, difference.before()),
        "new": side_json(new, difference.after()),
        "witness": difference.witness(),
    })
}

fn side_json(loaded: &Loaded, (decider, action): (Decider, Action)) -> Value {
    let mut side = loaded.decider_json(decider);
    if let Some(side) = side.as_object_mut() {
        side.insert("action".to_owned(), json!(action));
    }
    side
}

/// Returns a region as JSON. What is `"any"` is all there is, known or not.
pub(crate) fn region_json(region: &Region) -> Value {
    let protocols = region.protocols();
    let mut protocol: Vec<Value> = protocols.listed.iter().map(|p| json!(p.to_string())).collect();
    if protocols.others {
        protocol.push(json!("other"));
    }
    let directions: Vec<&str> = region
        .directions()
        .iter()
        .map(|direction| match direction {
            Direction::Any => "unknown",
            known => known.as_str(),
        })
        .collect();
    json!({
        "remote": hosts_json(region.remote(), region.is_any_remote()),
        "remotePorts": ports_json(region.remote_ports()),
        "remoteZones": zones_json(region.remote_zones()),
        "local": hosts_json(region.local(), region.is_any_local()),
        "localPorts": ports_json(region.local_ports()),
        "localZones": zones_json(region.local_zones()),
        "protocols": if protocols.all { json!("any") } else { json!(protocol) },
        "directions": if directions.len() == 3 { json!("any") } else { json!(directions) },
        "remoteHostnames": names_json(region.names()),
        "size": region.size(),
    })
}

fn hosts_json(hosts: &[Hosts], is_any: bool) -> Value {
    if is_any {
        return json!("any");
    }
    let words = hosts.iter().flat_map(|hosts| match hosts {
        Hosts::Unknown => vec!["unknown".to_owned()],
        Hosts::Named => vec!["name".to_owned()],
        Hosts::Addresses(..) => hosts.networks().map(|net| net.to_string()).collect(),
    });
    json!(words.collect::<Vec<_>>())
}

fn ports_json(ports: &[(u16, u16)]) -> Value {
    if ports == [(0, u16::MAX)] {
        return json!("any");
    }
    let range = |first: u16, last: u16| match first == last {
        true => first.to_string(),
        false => format!("{first}-{last}"),
    };
    let words = ports.iter().flat_map(|ports| match *ports {
        (0, 0) => vec!["unknown".to_owned()],
        (0, last) => vec!["unknown".to_owned(), range(1, last)],
        (first, last) => vec![range(first, last)],
    });
    json!(words.collect::<Vec<_>>())
}

fn zones_json(zones: &Zones) -> Value {
    if zones.all {
        return json!("any");
    }
    let mut words: Vec<String> = zones.listed.iter().map(Zone::to_string).collect();
    if zones.none {
        words.insert(0, "none".to_owned());
    }
    json!({ "listed": words, "others": zones.others })
}

fn names_json(names: &Names) -> Value {
    if names.all {
        return json!("any");
    }
    let listed = names.listed.iter();
    let listed: Vec<Value> =
        listed.map(|(name, without)| json!({ "name": name, "less": without })).collect();
    json!({ "unknown": names.unknown, "others": names.others, "listed": listed })
}

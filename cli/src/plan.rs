//! `flowsieve plan`: a first stage for the framework, and the proof that it misses nothing.

use crate::args::{Emit, LinesFormat, PlanArgs};
use crate::curve;
use crate::diagnostics;
use crate::diff::region_json;
use crate::emit;
use crate::flow_reader::{self, BadLine};
use crate::input;
use crate::loaded::Loaded;
use crate::output::{DIMMED, HEADING, Output, Painted, Printable, action_style};
use crate::settings_file;
use crate::status::{Failure, Status};
use flowsieve::formats::read_flow;
use flowsieve::{FilterRule, Flow, Plan, Remote, plan, verify_plan};
use serde_json::json;
use std::path::Path;

/// Plans, or verifies a first stage.
///
/// # Errors
///
/// That a file cannot be read or written, or that there is no plan.
pub(crate) fn run(args: &PlanArgs) -> Result<Status, Failure> {
    let loaded = args.rules.load(&args.settings)?;
    if let Some(first) = &args.verify {
        return verify(args, first, &loaded);
    }
    let flows = match &args.sample {
        Some(path) => read_flows(args, path)?,
        None => Vec::new(),
    };
    if args.sample.is_some() && flows.is_empty() {
        return Err(Failure::BadInput("the sample holds no flow".to_owned()));
    }
    let precedence = args.rules.precedence();
    let planned = plan(&loaded.settings, precedence, args.limit, &flows)
        .map_err(|error| settings_file::in_file(&args.settings, error))?;
    warn(&loaded);
    if let Some(path) = &args.svg {
        let svg = curve::svg(planned.curve(), of_what(args));
        std::fs::write(path, svg).map_err(|error| settings_file::in_file(path, error))?;
    }
    match args.emit {
        Some(language) => {
            let mut output = Output::plain(false);
            output
                .line(emit::code(language, planned.first_stage(), "makeFirstStage").trim_end())?;
            output.flush()?;
            diagnostics::text(&format!("{}\n", report(args, &loaded, &planned)));
        }
        None if args.format == LinesFormat::Jsonl => {
            let mut output = Output::plain(false);
            output.json(&line(&loaded, &planned).to_string())?;
            output.flush()?;
        }
        None => {
            let mut output = Output::new(false);
            output.line(report(args, &loaded, &planned))?;
            output.flush()?;
        }
    }
    Ok(Status::Fine)
}

/// Says what keeps a plan from being better.
fn warn(loaded: &Loaded) {
    let is_host = |rule: &&FilterRule| matches!(rule.network_rule().remote(), Remote::Host { .. });
    let hosts = loaded.settings.rules().iter().filter(is_host).count();
    if hosts > 0 {
        let rules = if hosts == 1 { "1 host rule" } else { &format!("{hosts} host rules") };
        diagnostics::warning(&format!(
            "{rules}: the framework knows the name of a flow only where the program connected by \
             name, so each flow that such a rule could decide is sent to the extension (S-44)"
        ));
    }
}

fn of_what(args: &PlanArgs) -> &'static str {
    if args.sample.is_some() { "of the sample" } else { "of the space" }
}

fn report(args: &PlanArgs, loaded: &Loaded, planned: &Plan) -> String {
    let first = planned.first_stage();
    let (first_count, default) = (first.rules().len(), first.default_action());
    let second = &loaded.settings;
    let mut lines = vec![
        format!("first stage   {first_count} rules, default {default}"),
        format!(
            "second stage  {} rules, default {}",
            second.rules().len(),
            second.default_action()
        ),
        format!("to extension  {} {}", curve::percent(planned.share()), of_what(args)),
        String::new(),
        format!("{:>11}  {}", "first stage", "to extension"),
    ];
    for (count, share) in curve::points(planned.curve()) {
        let share = match share.is_finite() {
            true => curve::percent(share),
            false => "-".to_owned(),
        };
        lines.push(format!("{count:>11}  {share}"));
    }
    lines.join("\n")
}

fn line(loaded: &Loaded, planned: &Plan) -> serde_json::Value {
    let points = curve::points(planned.curve());
    let curve = points.map(|(rules, share)| json!({ "rules": rules, "share": share }));
    json!({
        "firstStageRules": planned.first_stage().rules().len(),
        "secondStageRules": loaded.settings.rules().len(),
        "share": planned.share(),
        "curve": curve.collect::<Vec<_>>(),
        "firstStage": planned.first_stage(),
    })
}

fn verify(args: &PlanArgs, first: &Path, loaded: &Loaded) -> Result<Status, Failure> {
    let first = args.rules.load(first)?;
    let found = verify_plan(&first.settings, &loaded.settings, args.rules.precedence());
    let issues = first.settings.validate_for_framework();
    for issue in &issues {
        diagnostics::warning(&format!("not for the framework: {issue}"));
    }
    let mut output = match args.format {
        LinesFormat::Text => Output::new(false),
        LinesFormat::Jsonl => Output::plain(false),
    };
    match (args.format, &found) {
        (LinesFormat::Jsonl, found) => {
            let missed = found.as_ref().map(|found| {
                json!({
                    "region": region_json(found.region()),
                    "exact": found.before().1,
                    "exactBy": loaded.decider_json(found.before().0),
                    "firstStage": found.after().1,
                    "witness": found.witness(),
                })
            });
            output.json(&json!({ "holds": found.is_none(), "missed": missed }).to_string())?;
        }
        (LinesFormat::Text, None) => {
            let text = "holds: every flow gets its exact action or is sent to the extension";
            output.line(Painted(HEADING, text))?;
        }
        (LinesFormat::Text, Some(found)) => {
            output.line(Painted(HEADING, "fails: flows get another action without being sent"))?;
            output.line(Printable(&found.region().to_string()))?;
            let ((exact_by, exact), (_, action)) = (found.before(), found.after());
            let (exact, action) =
                (Painted(action_style(exact), exact), Painted(action_style(action), action));
            output.line(format_args!("  first stage  {action}"))?;
            output.line(format_args!("  exact        {exact} by {}", loaded.shown(exact_by)))?;
            let witness = found.witness().to_string();
            output.line(Painted(DIMMED, format!("  such as {}", Printable(&witness))))?;
        }
    }
    output.flush()?;
    Ok(if found.is_none() { Status::Fine } else { Status::AnswersDiffer })
}

fn read_flows(args: &PlanArgs, path: &Path) -> Result<Vec<Flow<'static>>, Failure> {
    let name = input::name(path);
    let failed = |error| Failure::BadInput(format!("{name}: {error}"));
    let mut lines = flow_reader::open(path).map_err(failed)?;
    let mut flows = Vec::new();
    while let Some(line) = lines.next_line().map_err(failed)? {
        let flow = line.text.and_then(|text| {
            read_flow(text, args.protocol).map(Flow::into_owned).map_err(BadLine::from)
        });
        flows.push(flow.map_err(|bad| {
            Failure::BadInput(format!("{name}:{}:{}: {}", line.number, bad.column, bad.reason))
        })?);
    }
    Ok(flows)
}

impl From<Emit> for emit::Language {
    fn from(emit: Emit) -> emit::Language {
        match emit {
            Emit::Json => emit::Language::Json,
            Emit::Swift => emit::Language::Swift,
            Emit::Objc => emit::Language::ObjectiveC,
        }
    }
}

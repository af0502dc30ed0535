//! `flowsieve export`: settings as lists, as rules of other programs and as code.

use crate::args::{ExportArgs, ExportTo};
use crate::diagnostics;
use crate::emit::{self, Language};
use crate::import::quoted_label;
use crate::input;
use crate::loaded::Loaded;
use crate::output::Output;
use crate::settings_file::in_file;
use crate::status::{Failure, Status};
use flowsieve::FilterSettings;
use flowsieve::formats::lists::{Target, export};

/// Writes settings in another form.
///
/// # Errors
///
/// That the settings cannot be read, or something not be written. Rules that cannot be said in that
/// form are reported, and make the status [`BadInput`](Status::BadInput).
pub(crate) fn run(args: &ExportArgs) -> Result<Status, Failure> {
    let loaded = Loaded::read(&args.settings, args.hostname_in_network)?;
    let settings = &loaded.settings;
    let (text, refused) = match args.to {
        ExportTo::Swift => code(Language::Swift, settings),
        ExportTo::Objc => code(Language::ObjectiveC, settings),
        ExportTo::Pf => list(args, Target::Pf, settings),
        ExportTo::Nft => list(args, Target::Nft, settings),
        ExportTo::Netset => list(args, Target::Netset, settings),
        ExportTo::Lsrules => list(args, Target::LsRules, settings),
        ExportTo::Json => list(args, Target::Json, settings),
    };
    for refusal in &refused {
        say(&loaded, refusal);
    }
    match args.output.as_deref().filter(|path| !input::is_stdin(path)) {
        Some(path) => std::fs::write(path, text).map_err(|error| in_file(path, error))?,
        None => {
            let mut output = Output::plain(false);
            output.line(text.trim_end_matches('\n'))?;
            output.flush()?;
        }
    }
    if !matches!(args.to, ExportTo::Json | ExportTo::Swift | ExportTo::Objc) {
        diagnostics::text(&format!("{}\n", not_said(args, settings)));
    }
    Ok(if refused.is_empty() { Status::Fine } else { Status::BadInput })
}

/// Why something is not written: a rule, or the settings as a whole.
struct Refusal {
    rule: Option<usize>,
    reason: String,
}

fn list(args: &ExportArgs, target: Target, settings: &FilterSettings) -> (String, Vec<Refusal>) {
    let exported = export(settings, target, args.action);
    let refused = exported.refused.into_iter();
    let refused =
        refused.map(|(rule, error)| Refusal { rule: Some(rule), reason: error.kind().to_string() });
    (exported.text, refused.collect())
}

/// Code makes settings of those rules that the framework takes.
fn code(language: Language, settings: &FilterSettings) -> (String, Vec<Refusal>) {
    let mut refused: Vec<Refusal> = Vec::new();
    let issues = settings.validate_for_framework();
    for issue in issues.iter().filter(|issue| issue.rule_index().is_some()) {
        refused.push(Refusal { rule: issue.rule_index(), reason: issue.kind().to_string() });
    }
    let is_written = |index: &usize| !refused.iter().any(|refusal| refusal.rule == Some(*index));
    let rules = settings.rules().iter().enumerate().filter(|(index, _)| is_written(index));
    let rules = rules.map(|(_, rule)| rule.clone()).collect();
    let written = FilterSettings::new(rules, settings.default_action());
    for issue in written.validate_for_framework() {
        refused.push(Refusal { rule: None, reason: issue.kind().to_string() });
    }
    (emit::code(language, &written, "makeFilterSettings"), refused)
}

fn say(loaded: &Loaded, refusal: &Refusal) {
    let Refusal { rule, reason } = refusal;
    match rule.and_then(|rule| Some((rule, loaded.place(rule)?, loaded.rule(rule)?))) {
        Some((index, (line, column), rule)) => {
            let reason = format!("refused: rule {index}{}: {reason}", quoted_label(rule));
            diagnostics::bad_line(&loaded.name, line, column, &reason);
        }
        None => diagnostics::error(&format!("{}: {reason}", loaded.name)),
    }
}

/// What a list cannot say of any of its rules.
fn not_said(args: &ExportArgs, settings: &FilterSettings) -> String {
    let default = settings.default_action();
    match args.to {
        ExportTo::Lsrules => {
            format!("note: a .lsrules file does not say the default action, {default}")
        }
        _ => format!(
            "note: a list of addresses does not say what is done ({}), in which direction, that it \
             is for TCP and UDP, or the default action ({default}): where it is used does",
            args.action
        ),
    }
}

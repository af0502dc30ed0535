//! [`Case`]: a flow with the action that is expected, from TOML or lines of JSON.

use crate::explain::read_flow_or_endpoint;
use crate::flow_reader::LineReader;
use crate::vector::without_place;
use flowsieve::formats::flow_lines;
use flowsieve::{Action, Error, Flow, IpProtocol, Reason};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use toml_edit::{Document, Item, TableLike};

/// A flow with what is expected of its decision.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) place: Place,
    pub(crate) name: Option<String>,
    pub(crate) flow: FlowText,
    pub(crate) expect: Expect,
}

/// Line and column, from 1, the column in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) column: u64,
}

/// A case that cannot be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BadCase {
    pub(crate) place: Place,
    pub(crate) reason: String,
}

/// The text of a flow that has been read once.
#[derive(Debug)]
pub(crate) enum FlowText {
    /// A flow line.
    Line(String),
    /// A remote endpoint, or a log line.
    Short(String),
}

/// What is expected of a decision, in the words of a verdict line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Expect {
    #[serde(serialize_with = "as_word")]
    pub(crate) action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
}

fn as_word<S: serde::Serializer>(action: &Action, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(action.as_str())
}

impl FlowText {
    /// Reads the flow.
    ///
    /// # Errors
    ///
    /// What is wrong with it; nothing where it has been read before.
    pub(crate) fn flow(&self, protocol: IpProtocol) -> Result<Flow<'_>, Error> {
        match self {
            FlowText::Line(line) => flow_lines::read(line),
            FlowText::Short(text) => read_flow_or_endpoint(text.trim(), protocol),
        }
    }
}

/// Reads all cases of a file, in its order; those that cannot be read among them.
///
/// It is lines of JSON if its first character is a brace, and TOML otherwise.
pub(crate) fn read(text: &[u8], protocol: IpProtocol) -> Vec<Result<Case, BadCase>> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    match text.trim_ascii_start().first() {
        Some(b'{') => read_lines(text, protocol),
        _ => read_toml(text, protocol),
    }
}

/// A case as a line of JSON has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CaseLine<'a> {
    name: Option<String>,
    #[serde(borrow)]
    flow: &'a RawValue,
    #[serde(borrow)]
    expect: &'a RawValue,
}

fn read_lines(text: &[u8], protocol: IpProtocol) -> Vec<Result<Case, BadCase>> {
    let mut lines = LineReader::new(text);
    let mut cases = Vec::new();
    // Reading from memory does not fail.
    while let Ok(Some(line)) = lines.next_line() {
        cases.push(match line.text {
            Ok(text) => read_line(text, line.number, protocol),
            Err(bad) => {
                let place = Place { line: line.number, column: bad.column };
                Err(BadCase { place, reason: bad.reason })
            }
        });
    }
    cases
}

fn read_line(line: &str, number: u64, protocol: IpProtocol) -> Result<Case, BadCase> {
    let at = |offset: usize| {
        let before = line.get(..offset).unwrap_or(line);
        Place { line: number, column: before.chars().count() as u64 + 1 }
    };
    let offset =
        |raw: &RawValue| (raw.get().as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
    let case: CaseLine<'_> = serde_json::from_str(line).map_err(|error| {
        let reason = without_place(&error);
        BadCase { place: at(error.column().saturating_sub(1)), reason }
    })?;
    let start = offset(case.flow);
    let flow = match case.flow.get().starts_with('"') {
        true => serde_json::from_str(case.flow.get())
            .map(FlowText::Short)
            .map_err(|error| BadCase { place: at(start), reason: without_place(&error) })?,
        false => FlowText::Line(case.flow.get().to_owned()),
    };
    if let Err(error) = flow.flow(protocol) {
        let within = match flow {
            FlowText::Line(_) => error.column().unwrap_or(1).saturating_sub(1),
            FlowText::Short(_) => 0,
        };
        let Place { line, column } = at(start);
        let place = Place { line, column: column + within };
        return Err(BadCase { place, reason: reason("flow", &error) });
    }
    let expect = read_expect(case.expect.get());
    let expect = expect.map_err(|reason| BadCase { place: at(offset(case.expect)), reason })?;
    Ok(Case { place: at(0), name: case.name, flow, expect })
}

/// What is expected as it stands in a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectText {
    action: String,
    label: Option<String>,
    rule: Option<usize>,
    reason: Option<String>,
}

fn read_expect(json: &str) -> Result<Expect, String> {
    const REASONS: [Reason; 4] = [Reason::Rule, Reason::Default, Reason::Loopback, Reason::Pending];
    let text: ExpectText =
        serde_json::from_str(json).map_err(|error| format!("expect: {}", without_place(&error)))?;
    let action = text.action.parse().map_err(|error| reason("expect", &error))?;
    if let Some(word) = &text.reason
        && !REASONS.iter().any(|reason| reason.as_str() == word)
    {
        return Err(format!(
            "expect: unknown reason `{word}`: expected `rule`, `default`, `loopback` or `pending`"
        ));
    }
    Ok(Expect { action, label: text.label, rule: text.rule, reason: text.reason })
}

/// An error without its place, which is that of a part.
fn reason(part: &str, error: &Error) -> String {
    match error.key() {
        Some(key) => format!("{part}, key `{key}`: {}", error.kind()),
        None => format!("{part}: {}", error.kind()),
    }
}

fn read_toml(text: &[u8], protocol: IpProtocol) -> Vec<Result<Case, BadCase>> {
    let text = match std::str::from_utf8(text) {
        Ok(text) => text,
        Err(error) => {
            let valid = text.get(..error.valid_up_to());
            let valid = valid.and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or("");
            let reason = "not valid UTF-8".to_owned();
            return vec![Err(BadCase { place: place(valid, valid.len()), reason })];
        }
    };
    let toml = Toml { text, protocol };
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(error) => {
            let offset = error.span().map_or(0, |span| span.start);
            return vec![Err(toml.bad(offset, format!("not valid TOML: {}", error.message())))];
        }
    };
    document.iter().flat_map(|(key, item)| toml.cases(document.as_table(), key, item)).collect()
}

/// A TOML text whose cases are read.
struct Toml<'a> {
    text: &'a str,
    protocol: IpProtocol,
}

impl Toml<'_> {
    /// The cases under one key of the document.
    fn cases(
        &self,
        document: &dyn TableLike,
        key: &str,
        item: &Item,
    ) -> Vec<Result<Case, BadCase>> {
        if key != "case" {
            let reason = format!("unknown key `{key}`: expected tables `[[case]]`");
            return vec![Err(self.bad(self.key(document, key), reason))];
        }
        let start = |span: Option<std::ops::Range<usize>>| span.map_or(0, |span| span.start);
        if let Some(tables) = item.as_array_of_tables() {
            return tables.iter().map(|table| self.case(table, start(table.span()))).collect();
        }
        match item.as_array().filter(|array| !array.is_empty()) {
            Some(array) => {
                let case = |value: &toml_edit::Value| match value.as_inline_table() {
                    Some(table) => self.case(table, start(value.span())),
                    None => Err(self.bad(start(value.span()), "a case is a table".to_owned())),
                };
                array.iter().map(case).collect()
            }
            None => {
                let reason = "`case` is an array of tables".to_owned();
                vec![Err(self.bad(start(item.span()), reason))]
            }
        }
    }

    fn case(&self, table: &dyn TableLike, start: usize) -> Result<Case, BadCase> {
        let (mut name, mut flow, mut expect) = (None, None, None);
        for (key, item) in table.iter() {
            match key {
                "name" => name = Some(item),
                "flow" => flow = Some(item),
                "expect" => expect = Some(item),
                _ => {
                    let reason =
                        format!("unknown key `{key}`: expected `name`, `flow` or `expect`");
                    return Err(self.bad(self.key(table, key), reason));
                }
            }
        }
        let at = |item: &Item| item.span().map_or(start, |span| span.start);
        let missing = |key: &str| self.bad(start, format!("missing key `{key}`"));
        let name = name.map(|item| {
            let name = item.as_str().map(str::to_owned);
            name.ok_or_else(|| self.bad(at(item), "name: expected a string".to_owned()))
        });
        let name = name.transpose()?;
        let flow_item = flow.ok_or_else(|| missing("flow"))?;
        let flow = match flow_item.as_str() {
            Some(short) => FlowText::Short(short.to_owned()),
            None => FlowText::Line(json_of(flow_item).to_string()),
        };
        if let Err(error) = flow.flow(self.protocol) {
            let part = error.key().and_then(|key| self.find(flow_item, key));
            return Err(self.bad(part.unwrap_or_else(|| at(flow_item)), reason("flow", &error)));
        }
        let expect = expect.ok_or_else(|| missing("expect"))?;
        let read = read_expect(&json_of(expect).to_string());
        let expect = read.map_err(|reason| self.bad(at(expect), reason))?;
        Ok(Case { place: place(self.text, start), name, flow, expect })
    }

    /// Where the value of a key stands, in a table or in one within it.
    fn find(&self, item: &Item, key: &str) -> Option<usize> {
        let table = item.as_table_like()?;
        if let Some(found) = table.get(key) {
            return found.span().map(|span| span.start);
        }
        table.iter().find_map(|(_, item)| self.find(item, key))
    }

    fn key(&self, table: &dyn TableLike, key: &str) -> usize {
        table.key(key).and_then(|key| key.span()).map_or(0, |span| span.start)
    }

    fn bad(&self, offset: usize, reason: String) -> BadCase {
        BadCase { place: place(self.text, offset), reason }
    }
}

/// The same value in JSON, for the reader of flow lines.
fn json_of(item: &Item) -> Value {
    if let Some(table) = item.as_table_like() {
        let entries = table.iter().map(|(key, item)| (key.to_owned(), json_of(item)));
        return Value::Object(entries.collect::<Map<_, _>>());
    }
    match item.as_value() {
        Some(toml_edit::Value::String(text)) => Value::from(text.value().as_str()),
        Some(toml_edit::Value::Integer(number)) => Value::from(*number.value()),
        Some(toml_edit::Value::Float(number)) => Value::from(*number.value()),
        Some(toml_edit::Value::Boolean(value)) => Value::from(*value.value()),
        Some(toml_edit::Value::Array(array)) => {
            array.iter().map(|value| json_of(&Item::Value(value.clone()))).collect()
        }
        Some(toml_edit::Value::Datetime(date)) => Value::from(date.value().to_string()),
        // Tables have been dealt with.
        Some(toml_edit::Value::InlineTable(_)) | None => Value::Null,
    }
}

fn place(text: &str, offset: usize) -> Place {
    let before = text.get(..offset).unwrap_or(text);
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() as u64 + 1;
    Place { line: before.matches('\n').count() as u64 + 1, column }
}

//! YAML, with the line of every value for those who check it. Aliases and merge keys are filled in; what they
//! multiply is bounded.

use std::collections::HashMap;
use std::rc::Rc;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Number, Value};

/// The most values in a file, aliases filled in.
const MAX_NODES: usize = 50_000;
/// How deep values may nest.
const MAX_DEPTH: usize = 60;

/// A value with where it stands.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// The file, relative to the root of the source.
    pub(crate) file: Rc<str>,
    /// The line, from 1.
    pub(crate) line: u32,
    /// Whether it is a text however it looks: `"1"` as opposed to `1`.
    quoted: bool,
    pub(crate) value: Yaml,
}

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Yaml {
    Null,
    /// A text or number.
    Scalar(String),
    List(Vec<Node>),
    /// Keys with their lines and values, in their order.
    Map(Vec<(String, u32, Node)>),
}

/// Why a file cannot be read.
#[derive(Clone, Debug)]
pub(crate) struct Unreadable {
    pub(crate) line: u32,
    pub(crate) reason: String,
}

impl Node {
    pub(crate) fn map(&self) -> &[(String, u32, Self)] {
        match &self.value {
            Yaml::Map(entries) => entries,
            _ => &[],
        }
    }

    pub(crate) fn list(&self) -> &[Self] {
        match &self.value {
            Yaml::List(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Yaml::Scalar(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.value, Yaml::Null)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.map()
            .iter()
            .find(|(name, ..)| name == key)
            .map(|(.., node)| node)
    }

    /// The value without its lines.
    fn into_value(self) -> Value {
        match self.value {
            Yaml::Null => Value::Null,
            Yaml::Scalar(text) if self.quoted => Value::String(text),
            Yaml::Scalar(text) => scalar(text),
            Yaml::List(items) => items.into_iter().map(Self::into_value).collect(),
            Yaml::Map(entries) => entries
                .into_iter()
                .map(|(name, _, node)| (name, node.into_value()))
                .collect(),
        }
    }

    /// Calls `change` on every text below it.
    pub(crate) fn each_text(&mut self, change: &mut impl FnMut(&mut String, u32)) {
        match &mut self.value {
            Yaml::Null => {}
            Yaml::Scalar(text) => change(text, self.line),
            Yaml::List(items) => items.iter_mut().for_each(|item| item.each_text(change)),
            Yaml::Map(entries) => entries
                .iter_mut()
                .for_each(|(.., node)| node.each_text(change)),
        }
    }
}

/// Reads the one document of a file, strictly: a key that stands twice, a key that is no text, or a tag that is not
/// known is an error.
pub(crate) fn parse(file: &str, text: &str) -> Result<Node, Unreadable> {
    let mut reader = Reader::new(file, text, true);
    let Some(document) = reader.document()? else {
        return Ok(Node {
            file: Rc::from(file),
            line: 1,
            quoted: false,
            value: Yaml::Null,
        });
    };
    match reader.next()? {
        (Event::StreamEnd, _) => Ok(document),
        (_, span) => Err(at(&span, "the file holds more than one document")),
    }
}

/// The documents of a text as plain values, each read when it is asked for. The last of equal keys counts; keys that
/// are no text and tags say nothing here and are passed over. What cannot be read is the last item.
pub(crate) fn documents(text: &str) -> impl Iterator<Item = Result<Value, String>> {
    let mut reader = Some(Reader::new("", text, false));
    std::iter::from_fn(move || {
        let found = reader.as_mut()?.document();
        if !matches!(found, Ok(Some(_))) {
            reader = None;
        }
        match found {
            Ok(document) => Some(Ok(document?.into_value())),
            Err(error) => Some(Err(format!("line {}: {}", error.line, error.reason))),
        }
    })
}

/// What a text without quotes stands for (<https://yaml.org/spec/1.2.2/#103-core-schema>).
fn scalar(text: String) -> Value {
    match text.as_str() {
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)) {
        return Value::String(text);
    }
    let whole = text.parse::<i64>().map(Number::from).ok();
    let number = whole.or_else(|| Number::from_f64(text.parse().ok()?));
    number.map_or(Value::String(text), Value::Number)
}

struct Reader<'t> {
    events: Parser<'t, saphyr_parser::StrInput<'t>>,
    strict: bool,
    file: Rc<str>,
    anchors: HashMap<usize, Node>,
    count: usize,
}

impl<'t> Reader<'t> {
    fn new(file: &str, text: &'t str, strict: bool) -> Self {
        Self {
            events: Parser::new_from_str(text),
            strict,
            file: Rc::from(file),
            anchors: HashMap::new(),
            count: 0,
        }
    }

    /// The next document with its end.
    fn document(&mut self) -> Result<Option<Node>, Unreadable> {
        let mut document = None;
        loop {
            match self.next()? {
                (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(document),
                (Event::StreamStart | Event::DocumentStart(_) | Event::Nothing, _) => {}
                (event, span) => document = Some(self.node(event, &span, 0)?),
            }
        }
    }

    fn next(&mut self) -> Result<(Event<'t>, Span), Unreadable> {
        match self.events.next() {
            Some(Ok(found)) => Ok(found),
            Some(Err(error)) => Err(Unreadable {
                line: line(error.marker().line()),
                reason: error.info().to_owned(),
            }),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Node, Unreadable> {
        self.count += 1;
        if depth > MAX_DEPTH || self.count > MAX_NODES {
            return Err(at(span, "the file holds too much, or nests too deep"));
        }
        let mut quoted = false;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_text = tag.as_ref().is_some_and(|tag| tag.suffix == "str");
                self.known(tag.as_deref(), span)?;
                quoted = style != ScalarStyle::Plain || is_text;
                let is_null = !quoted && ["", "~", "null", "Null", "NULL"].contains(&text.as_ref());
                let text = text.into_owned();
                let scalar = Yaml::Scalar(text);
                (if is_null { Yaml::Null } else { scalar }, anchor)
            }
            Event::SequenceStart(anchor, tag) => {
                self.known(tag.as_deref(), span)?;
                (self.list(depth)?, anchor)
            }
            Event::MappingStart(anchor, tag) => {
                self.known(tag.as_deref(), span)?;
                (self.map(depth)?, anchor)
            }
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => (Yaml::Null, 0),
        };
        let node = Node {
            file: Rc::clone(&self.file),
            line: line(span.start.line()),
            quoted,
            value,
        };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// What an anchor holds, at the line where the anchor holds it.
    fn alias(&mut self, anchor: usize, span: &Span) -> Result<Node, Unreadable> {
        let node = self
            .anchors
            .get(&anchor)
            .ok_or_else(|| at(span, "an alias names what is not complete yet"))?;
        self.count += size(node);
        if self.count > MAX_NODES {
            return Err(at(span, "its aliases multiply to too much"));
        }
        Ok(node.clone())
    }

    fn list(&mut self, depth: usize) -> Result<Yaml, Unreadable> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, _) => return Ok(Yaml::List(items)),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Yaml, Unreadable> {
        let mut own: Vec<(String, u32, Node)> = Vec::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = match self.next()? {
                (Event::MappingEnd | Event::StreamEnd, _) => break,
                found => found,
            };
            let key = self.node(event, &span, depth + 1)?;
            let name = match key.value {
                Yaml::Scalar(text) => text,
                Yaml::Null => "null".to_owned(),
                _ if self.strict => return Err(at(&span, "a key must be a text")),
                _ => String::new(),
            };
            let (event, value_span) = self.next()?;
            let node = self.node(event, &value_span, depth + 1)?;
            if name == "<<" {
                merged.push((node, span));
            } else if self.strict && own.iter().any(|(known, ..)| *known == name) {
                return Err(at(&span, &format!("the key {name:?} stands twice")));
            } else {
                own.push((name, line(span.start.line()), node));
            }
        }
        for (node, span) in merged {
            merge(&mut own, node, &span)?;
        }
        Ok(Yaml::Map(own))
    }

    /// Tags of the core schema say nothing new; others (`!reset`, `!override`) would change what a key means.
    fn known(&self, tag: Option<&saphyr_parser::Tag>, span: &Span) -> Result<(), Unreadable> {
        let Some(tag) = tag.filter(|_| self.strict) else {
            return Ok(());
        };
        let is_core = tag.is_yaml_core_schema()
            && ["str", "int", "float", "bool", "null", "map", "seq"].contains(&tag.suffix.as_str());
        if is_core {
            return Ok(());
        }
        let tag = format!("the tag {}{} is not known", tag.handle, tag.suffix);
        Err(at(span, &tag))
    }
}

/// Adds the keys that a merge key brings; those that are there win.
fn merge(own: &mut Vec<(String, u32, Node)>, node: Node, span: &Span) -> Result<(), Unreadable> {
    match node.value {
        Yaml::Null => {}
        Yaml::Map(entries) => {
            for entry in entries {
                if !own.iter().any(|(known, ..)| *known == entry.0) {
                    own.push(entry);
                }
            }
        }
        Yaml::List(items) if items.iter().all(|item| matches!(item.value, Yaml::Map(_))) => {
            for item in items {
                merge(own, item, span)?;
            }
        }
        _ => return Err(at(span, "a merge key takes mappings")),
    }
    Ok(())
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Yaml::List(items) => items.iter().map(size).sum(),
        Yaml::Map(entries) => entries.iter().map(|(.., node)| size(node)).sum(),
        _ => 0,
    }
}

fn at(span: &Span, reason: &str) -> Unreadable {
    Unreadable {
        line: line(span.start.line()),
        reason: reason.to_owned(),
    }
}

fn line(line: usize) -> u32 {
    u32::try_from(line.max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_aliases_and_merge_keys() {
        let text = "a: &x\n  k: 1\n  l: [one,\n    two]\nb:\n  <<: *x\n  k: 2\nc: *x\n";
        let root = parse("f", text).unwrap();
        let b = root.get("b").unwrap();
        assert_eq!(b.get("k").unwrap().text(), Some("2"));
        assert_eq!(b.get("l").unwrap().list()[1].line, 4);
        assert_eq!(root.get("c").unwrap().get("k").unwrap().line, 2);
    }

    #[test]
    fn documents_are_plain_values() {
        let text = "a: 1\nb: \"1\"\nc: 1.5\nd: yes\ne: True\nf:\ng: !Ref x\nh: -3\ni: 1.2.3\na: 2\n[k]: l\n\
                    m: {<<: {n: 1}, o: &o [0x, .5]}\np: *o\n---\n- second\n---\n[";
        let mut all = documents(text);
        assert_eq!(
            all.next().unwrap().unwrap(),
            serde_json::json!({"a": 2, "b": "1", "c": 1.5, "d": "yes", "e": true, "f": null, "g": "x", "h": -3,
                "i": "1.2.3", "": "l", "m": {"n": 1, "o": ["0x", 0.5]}, "p": ["0x", 0.5]})
        );
        assert_eq!(all.next().unwrap().unwrap(), serde_json::json!(["second"]));
        assert!(all.next().unwrap().unwrap_err().starts_with("line "));
        assert!(all.next().is_none());
        assert!(documents("# nothing").next().is_none());
    }

    #[test]
    fn hostile_files_are_refused_in_bounded_work() {
        let mut bomb = String::from("a0: &a0 [x, x]\n");
        for at in 1..40 {
            bomb.push_str(&format!("a{at}: &a{at} [*a{0}, *a{0}]\n", at - 1));
        }
        let deep = "[".repeat(10_000);
        let nested: String = (0..500)
            .map(|at| format!("{}a:\n", " ".repeat(at)))
            .collect();
        for (text, reason) in [
            (bomb.as_str(), "multiply"),
            (&deep, ""),
            (&nested, "deep"),
            ("a: 1\na: 2", "twice"),
            ("a: !reset x", "tag"),
            ("a: &x [*x]", "not complete"),
            ("a: 1\n---\nb: 2", "more than one"),
            ("{a: b}: c", "key"),
            ("<<: 3", "merge key"),
            ("a: [", ""),
        ] {
            let error = parse("f", text).unwrap_err();
            assert!(error.reason.contains(reason), "{}", error.reason);
        }
        assert!(parse("f", "").unwrap().is_null());
    }
}

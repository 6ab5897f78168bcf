//! A reader of XML that is just enough for `pom.xml` and project files: elements, text and attributes, without
//! entities of its own making, DTDs or recursion, so that hostile input costs nothing.

/// One step through a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Element<'x> {
    /// The names from the root down, joined by `/`.
    pub(crate) path: String,
    /// The raw attributes.
    pub(crate) attributes: &'x str,
    /// The text directly inside, trimmed; empty for containers.
    pub(crate) text: &'x str,
    /// The byte offset of the element's name.
    pub(crate) at: usize,
}

const MAX_DEPTH: usize = 64;

/// Every element of the document in the order of their start tags. Ends quietly where the text stops making sense.
pub(crate) fn elements(text: &str) -> Vec<Element<'_>> {
    let mut found: Vec<Element<'_>> = Vec::new();
    let mut open: Vec<&str> = Vec::new();
    let mut at = 0;
    while let Some(start) = text
        .get(at..)
        .and_then(|rest| memchr::memchr(b'<', rest.as_bytes()))
        .map(|offset| at + offset)
    {
        let rest = &text[start..];
        let skipped = [
            ("<!--", "-->"),
            ("<![CDATA[", "]]>"),
            ("<?", "?>"),
            ("<!", ">"),
        ]
        .iter()
        .filter(|_| rest.starts_with("<!") || rest.starts_with("<?"))
        .find(|(begin, _)| rest.starts_with(begin))
        .map(|(_, end)| rest.find(end).map(|offset| start + offset + end.len()));
        if let Some(next) = skipped {
            let Some(next) = next else { break };
            at = next;
            continue;
        }
        let Some(end) = memchr::memchr(b'>', rest.as_bytes()).map(|offset| start + offset) else {
            break;
        };
        let tag = &text[start + 1..end];
        at = end + 1;
        if let Some(name) = tag.strip_prefix('/') {
            if let Some(position) = open.iter().rposition(|known| *known == name.trim()) {
                open.truncate(position);
            }
            continue;
        }
        let (name, attributes) = tag.split_once(char::is_whitespace).unwrap_or((tag, ""));
        let closed = tag.ends_with('/');
        let name = name.trim_end_matches('/');
        if open.len() >= MAX_DEPTH {
            break;
        }
        open.push(name);
        let inner = text[at..].split('<').next().unwrap_or_default().trim();
        let inner = if closed { "" } else { inner };
        found.push(Element {
            path: open.join("/"),
            attributes: attributes.trim_end_matches('/'),
            text: inner,
            at: start,
        });
        if closed {
            open.pop();
        }
    }
    found
}

/// The value of an attribute.
pub(crate) fn attribute<'x>(element: &Element<'x>, name: &str) -> Option<&'x str> {
    let at = element.attributes.find(&format!("{name}=\""))?;
    element
        .attributes
        .get(at + name.len() + 2..)?
        .split('"')
        .next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_nested_text_and_attributes() {
        let text = "<?xml?><!-- <no/> --><a><b x=\"1\"/><c>\n v </c></a>";
        let found = elements(text);
        assert_eq!(
            found.iter().map(|e| e.path.as_str()).collect::<Vec<_>>(),
            ["a", "a/b", "a/c"]
        );
        assert_eq!(attribute(&found[1], "x"), Some("1"));
        assert_eq!(found[2].text, "v");
    }

    #[test]
    fn survives_what_is_broken() {
        for text in [
            "<",
            "<a",
            "<a></b></a>",
            "<!--",
            "<![CDATA[",
            "<>",
            "</>",
            "<a/>é<",
        ] {
            let _ = elements(text);
        }
        assert!(elements(&"<a>".repeat(100_000)).len() <= MAX_DEPTH);
    }
}

//! The ports of a service.

use super::fields::{Read, plain};
use crate::yaml::Node;

/// One TCP port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) line: u32,
    /// Inside of the container.
    pub(crate) inside: u16,
    /// On the host, where the file says one.
    pub(crate) published: Option<u16>,
}

/// The ports of `ports` or `expose`; those of other protocols are left out.
pub(crate) fn read(node: &Node) -> Read<Vec<Port>> {
    let mut found = Vec::new();
    for item in node.list() {
        found.extend(match item.text() {
            Some(_) => short(item)?,
            None => long(item)?,
        });
    }
    Ok(found)
}

/// `3000`, `8080:3000`, `127.0.0.1:8080:3000/tcp`, `3000-3005`.
fn short(node: &Node) -> Read<Option<Port>> {
    let text = plain(node)?;
    let (text, protocol) = text.split_once('/').unwrap_or((&text, "tcp"));
    let mut parts = text.rsplit(':');
    let inside = number(parts.next().unwrap_or_default())?;
    let published = parts
        .next()
        .filter(|part| !part.is_empty() && !part.contains('.'));
    Ok((protocol == "tcp").then_some(Port {
        line: node.line,
        inside,
        published: published.map(number).transpose()?,
    }))
}

fn long(node: &Node) -> Read<Option<Port>> {
    let text = |key: &str| node.get(key).map(plain).transpose();
    let inside = text("target")?.ok_or("a port needs a target")?;
    let protocol = text("protocol")?.unwrap_or_else(|| "tcp".to_owned());
    let published = text("published")?.filter(|port| !port.is_empty());
    Ok((protocol == "tcp").then_some(Port {
        line: node.line,
        inside: number(&inside)?,
        published: published.as_deref().map(number).transpose()?,
    }))
}

/// The first of a range.
fn number(text: &str) -> Read<u16> {
    let first = text.split('-').next().unwrap_or_default();
    first
        .parse()
        .ok()
        .filter(|port| *port > 0)
        .ok_or_else(|| format!("{text:?} is no port"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn every_form_of_a_port() {
        let all = "[3000, '8080:80', '127.0.0.1:81:82/tcp', '53:53/udp', '90-92:91-93', '[::1]:5:6', ':7', {target: 9, published: '10'}]";
        let found: Vec<(u16, Option<u16>)> = read(&parse("f", all).unwrap())
            .unwrap()
            .into_iter()
            .map(|port| (port.inside, port.published))
            .collect();
        assert_eq!(
            found,
            [
                (3000, None),
                (80, Some(8080)),
                (82, Some(81)),
                (91, Some(90)),
                (6, Some(5)),
                (7, None),
                (9, Some(10))
            ]
        );
        for wrong in ["[x]", "['0']", "['99999']", "[{published: 1}]"] {
            assert!(read(&parse("f", wrong).unwrap()).is_err(), "{wrong}");
        }
    }
}

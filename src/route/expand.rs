//! Texts with placeholders: where a redirect leads, and what becomes of a path.
//!
//! `{NAME}` stands for what the route's path captured, `{host}`, `{path}` and `{query}` for those of the request. All of
//! them are used as they came, percent-encoded: no space, no line's end and no separator of an address can come in. In a
//! query all but `{query}` stand for one value, which ends where the operator ends it: what a path may have and what means
//! something in a query is encoded there. The host of an address is the operator's or the request's own, never a part of a
//! path, so that nobody can be sent elsewhere.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::path::{Captures, Path};
use super::reading::{begins_always, is_plain};

/// What a path or a host may have and readers of a query do not take for itself: some take `;` for `&`, most `+` for a space.
/// `%` is none of it, for what is encoded already means the same in both.
const NOT_IN_VALUES: &AsciiSet = &CONTROLS.add(b'&').add(b';').add(b'=').add(b'+');

/// A text with placeholders that make sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
    purpose: Purpose,
    /// Whether it begins with a scheme and a host.
    is_absolute: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Host,
    Path,
    /// The query, behind this if there is one.
    Query(Option<char>),
    Capture(Box<str>),
}

/// What a text with placeholders is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// The target of a request.
    Rewrite,
    /// The address of a redirect.
    Redirect,
}

/// A text with placeholders that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A placeholder's name is not known.
    #[error("{text}: nothing is called {{{name}}}; known are {known}")]
    Unknown {
        /// The whole text.
        text: Box<str>,
        /// The name.
        name: Box<str>,
        /// Names that stand for something on all paths of the route.
        known: String,
    },
    /// A brace has no partner.
    #[error("{0}: a brace has no partner; write {{NAME}} for a placeholder, and %7B or %7D for a brace")]
    Brace(Box<str>),
    /// A character cannot be in an address.
    #[error("{0}: has a character that an address cannot have; encode it, for example a space as %20")]
    Character(Box<str>),
    /// It is not a path.
    #[error("{0}: not a path; begin with / or {{path}}, and have no #")]
    NotPath(Box<str>),
    /// It is neither a path nor an address.
    #[error("{0}: not an address; begin with http://, https://, / or {{path}}")]
    NotAddress(Box<str>),
    /// The request would decide upon the host.
    #[error(
        "{0}: whoever asks could choose the host; have only text and {{host}} before the first / of the path"
    )]
    OpenHost(Box<str>),
}

impl Template {
    /// Parses a text for a route with these paths.
    pub(super) fn parse(text: &str, purpose: Purpose, paths: &[&Path]) -> Result<Self, TemplateError> {
        let mut pieces = pieces(text, paths)?;
        let is_absolute = match pieces.first() {
            Some(Piece::Path) => false,
            Some(Piece::Text(start)) if start.starts_with('/') && !start.starts_with("//") => false,
            Some(Piece::Text(start)) if purpose == Purpose::Redirect => {
                let is_address = ["http://", "https://"].iter().any(|scheme| start.starts_with(scheme));
                is_address.then_some(true).ok_or_else(|| TemplateError::NotAddress(text.into()))?
            }
            _ if purpose == Purpose::Redirect => return Err(TemplateError::NotAddress(text.into())),
            _ => return Err(TemplateError::NotPath(text.into())),
        };
        if purpose == Purpose::Rewrite && text.contains('#') {
            return Err(TemplateError::NotPath(text.into()));
        }
        if is_absolute && !has_fixed_host(&pieces) {
            return Err(TemplateError::OpenHost(text.into()));
        }
        keep_query(&mut pieces);
        Ok(Self { pieces, purpose, is_absolute })
    }

    /// The text with everything in its place; none if it is the target of a request in which some backends would read a path
    /// that does not begin as the operator wrote it.
    pub(super) fn expand(&self, captures: &Captures<'_>, host: &str, query: Option<&str>) -> Option<String> {
        let mut text = String::with_capacity(64);
        // Whether the query's `?` is still to come, for want of a query.
        let (mut is_in_query, mut is_owed) = (false, false);
        for piece in &self.pieces {
            let value = match piece {
                Piece::Query(before) => {
                    let query = query.filter(|query| !query.is_empty());
                    if let Some(query) = query {
                        text.extend(*before);
                        text.push_str(query);
                    }
                    if *before == Some('?') {
                        (is_in_query, is_owed) = (true, query.is_none());
                    }
                    continue;
                }
                Piece::Text(text) => text,
                Piece::Host => host,
                Piece::Path if captures.path().starts_with('/') => captures.path(),
                // The whole server is asked.
                Piece::Path => "/",
                Piece::Capture(name) => captures.get(name).unwrap_or_default(),
            };
            let begins = is_owed && !value.is_empty() && !value.starts_with('#');
            is_owed &= value.is_empty();
            if begins {
                text.push('?');
            }
            match piece {
                Piece::Text(_) => {
                    text.push_str(value.strip_prefix('&').filter(|_| begins).unwrap_or(value));
                    if let Some(at) = value.rfind(['?', '#']) {
                        is_in_query = value[at..].starts_with('?');
                    }
                }
                _ if is_in_query => text.extend(utf8_percent_encode(value, NOT_IN_VALUES)),
                _ => text.push_str(value),
            }
        }
        match self.purpose {
            Purpose::Rewrite => self.stays_below(&text).then_some(text),
            Purpose::Redirect if self.is_absolute => Some(text),
            // RFC 3986 section 4.2: what begins with two slashes names a host, and browsers take `\` for `/`.
            Purpose::Redirect => Some(format!("/{}", text.trim_start_matches(['/', '\\']))),
        }
    }

    fn stays_below(&self, target: &str) -> bool {
        let path = target.split('?').next().unwrap_or_default();
        is_plain(path) || {
            let start = match &self.pieces[..] {
                // What stands behind it begins with a slash, and what stands below it, too.
                [Piece::Text(start), Piece::Path, ..] => Cow::Owned(start.to_string() + "/"),
                [Piece::Text(start), ..] => Cow::Borrowed(&**start),
                _ => Cow::Borrowed("/"),
            };
            begins_always(path, start.split('?').next().unwrap_or_default())
        }
    }
}

fn pieces(text: &str, paths: &[&Path]) -> Result<Vec<Piece>, TemplateError> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').ok_or_else(|| TemplateError::Brace(text.into()))?;
        push_text(&mut pieces, before, text)?;
        let piece = match name {
            "host" => Piece::Host,
            "path" => Piece::Path,
            "query" => Piece::Query(take_separator(&mut pieces)),
            name if is_known(name, paths) => Piece::Capture(name.into()),
            name => {
                let known = known(paths);
                return Err(TemplateError::Unknown { text: text.into(), name: name.into(), known });
            }
        };
        pieces.push(piece);
        rest = after;
    }
    push_text(&mut pieces, rest, text)?;
    Ok(pieces)
}

fn push_text(pieces: &mut Vec<Piece>, piece: &str, whole: &str) -> Result<(), TemplateError> {
    if piece.contains('}') {
        return Err(TemplateError::Brace(whole.into()));
    }
    if !piece.bytes().all(|byte| {
        byte.is_ascii_graphic() && !matches!(byte, b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'|')
    }) {
        return Err(TemplateError::Character(whole.into()));
    }
    if !piece.is_empty() {
        pieces.push(Piece::Text(piece.into()));
    }
    Ok(())
}

/// What stands right before the query goes where there is no query.
fn take_separator(pieces: &mut [Piece]) -> Option<char> {
    let Some(Piece::Text(before)) = pieces.last_mut() else { return None };
    let separator = before.chars().last().filter(|last| matches!(last, '?' | '&'))?;
    *before = before[..before.len() - 1].into();
    Some(separator)
}

/// A text that says nothing of a query keeps it; a `?` at its end says that there is to be none.
fn keep_query(pieces: &mut Vec<Piece>) {
    let says = |piece: &Piece| match piece {
        Piece::Query(_) => true,
        Piece::Text(text) => text.contains('?'),
        Piece::Host | Piece::Path | Piece::Capture(_) => false,
    };
    if pieces.iter().any(says) {
        if let Some(Piece::Text(last)) = pieces.last_mut()
            && let Some(text) = last.strip_suffix('?')
        {
            *last = text.into();
        }
        return;
    }
    let fragment = pieces.iter().position(|piece| matches!(piece, Piece::Text(text) if text.contains('#')));
    let Some(place) = fragment else { return pieces.push(Piece::Query(Some('?'))) };
    if let Piece::Text(text) = &pieces[place] {
        let (before, after) = text.split_at(text.find('#').unwrap_or_default());
        let parts = [Piece::Text(before.into()), Piece::Query(Some('?')), Piece::Text(after.into())];
        pieces.splice(place..=place, parts);
    }
}

/// Whether an address's host holds nothing of a path: it ends where the path begins.
fn has_fixed_host(pieces: &[Piece]) -> bool {
    let mut has_host = false;
    for (index, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => {
                let text =
                    if index == 0 { text.split_once("://").map_or("", |(_, rest)| rest) } else { text };
                let end = text.find(['/', '?', '#']);
                has_host |= end != Some(0) && !text.is_empty();
                // What stands before it is a user (RFC 3986 section 3.2.1). In a path it is like any other.
                let names_user = text[..end.unwrap_or(text.len())].contains('@');
                if end.is_some() || names_user {
                    return has_host && !names_user;
                }
            }
            Piece::Host => has_host = true,
            Piece::Path => return has_host,
            // Behind a `?`, which it took from the text.
            Piece::Query(Some('?')) => return has_host,
            Piece::Query(_) | Piece::Capture(_) => return false,
        }
    }
    has_host
}

/// The names of placeholders that all of these paths know.
fn known(paths: &[&Path]) -> String {
    let captured = paths.first().map(|path| path.names()).unwrap_or_default();
    let common = captured.into_iter().filter(|name| is_known(name, paths));
    let names: Vec<_> = common.chain(["host", "path", "query"]).map(|name| format!("{{{name}}}")).collect();
    names.join(", ")
}

fn is_known(name: &str, paths: &[&Path]) -> bool {
    paths.iter().all(|path| path.names().contains(&name))
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use proptest::prelude::*;

    use crate::config::{PathMatch, Pattern, Segment};

    use super::super::reading::normal;
    use super::*;

    fn template() -> Path {
        let segments =
            [Segment::Literal("users".into()), Segment::Capture("id".into()), Segment::Rest("rest".into())];
        Path::of(&PathMatch::Template(segments.into()))
    }

    fn parse(text: &str, purpose: Purpose) -> Result<Template, TemplateError> {
        Template::parse(text, purpose, &[&template()])
    }

    fn captures<'p>(of: &'p Path, path: &'p str) -> Captures<'p> {
        Captures::of(Cow::Borrowed(path), of)
    }

    #[test]
    fn placeholders_stand_for_parts_of_the_request() {
        let path = template();
        let captures = captures(&path, "/users/7/a/b");
        for (text, query, expected) in [
            ("/u/{id}/{rest}", None, "/u/7/a/b"),
            ("/u/{id}/{rest}", Some("q=1"), "/u/7/a/b?q=1"),
            ("/u/{id}?id={id}&{query}", Some("q=1"), "/u/7?id=7&q=1"),
            ("/u/{id}?id={id}&{query}", None, "/u/7?id=7"),
            ("/u?", Some("q=1"), "/u"),
            ("/u?{query}", Some("q=1"), "/u?q=1"),
            ("/u?{query}", None, "/u"),
            ("/u?{query}&id={id}", Some("q=1"), "/u?q=1&id=7"),
            ("/u?{query}&id={id}", None, "/u?id=7"),
            ("/u?{query}{id}", None, "/u?7"),
            ("/u?{query}#top", None, "/u#top"),
            ("https://{host}{path}", Some("q=1"), "https://example.com/users/7/a/b?q=1"),
            ("https://new.{host}:8443/{rest}#top", Some("q=1"), "https://new.example.com:8443/a/b?q=1#top"),
            ("https://example.org", Some("q=1"), "https://example.org?q=1"),
            ("https://example.org?from={path}", Some("q=1"), "https://example.org?from=/users/7/a/b"),
        ] {
            let template = parse(text, Purpose::Redirect).expect(text);
            assert_eq!(template.expand(&captures, "example.com", query).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_stands_in_a_query_for_a_part_of_a_request_is_one_value() {
        let path = template();
        let captures = captures(&path, "/users/1&a=b;c+d/%26%2B%3D%3B%25/e");
        for (text, expected) in [
            ("/{id}", "/1&a=b;c+d?q&r=s"),
            ("/{id}?id={id}", "/1&a=b;c+d?id=1%26a%3Db%3Bc%2Bd"),
            ("/?rest={rest}&{query}", "/?rest=%26%2B%3D%3B%25/e&q&r=s"),
            ("/?{query}&rest={rest}&id={id}", "/?q&r=s&rest=%26%2B%3D%3B%25/e&id=1%26a%3Db%3Bc%2Bd"),
            ("/?host={host}&{query}", "/?host=x%26y%3Dz&q&r=s"),
            ("/?path={path}", "/?path=/users/1%26a%3Db%3Bc%2Bd/%26%2B%3D%3B%25/e"),
            ("/?id={id}#{id}", "/?id=1%26a%3Db%3Bc%2Bd#1&a=b;c+d"),
            ("/#/users?id={id}", "/#/users?id=1%26a%3Db%3Bc%2Bd"),
        ] {
            let template = parse(text, Purpose::Redirect).expect(text);
            assert_eq!(
                template.expand(&captures, "x&y=z", Some("q&r=s")).as_deref(),
                Some(expected),
                "{text}"
            );
        }
    }

    #[test]
    fn names_of_groups_and_of_prefixes_are_known_too() {
        let regex =
            Path::of(&PathMatch::Regex(Pattern::new("/v(?<version>[0-9]+)/(?<rest>.*)").expect("one")));
        let prefix = Path::of(&PathMatch::Prefix("/api".into()));
        let template =
            Template::parse("/{rest}", Purpose::Rewrite, &[&regex, &prefix]).expect("both know it");
        for (path, of) in [("/v2/a/b", &regex), ("/api/a/b", &prefix)] {
            assert_eq!(template.expand(&captures(of, path), "", None).as_deref(), Some("/a/b"));
        }
        for path in ["/api", "/api/"] {
            assert_eq!(template.expand(&captures(&prefix, path), "", None).as_deref(), Some("/"));
        }
        let unknown =
            Template::parse("/{version}", Purpose::Rewrite, &[&regex, &prefix]).expect_err("not both");
        assert_eq!(
            unknown.to_string(),
            "/{version}: nothing is called {version}; known are {rest}, {host}, {path}, {query}"
        );
    }

    #[test]
    fn texts_that_make_no_sense_are_refused() {
        type Is = fn(Box<str>) -> TemplateError;
        let cases: [(&str, Purpose, Is); 17] = [
            ("/{id", Purpose::Rewrite, TemplateError::Brace),
            ("/id}", Purpose::Rewrite, TemplateError::Brace),
            ("/a b", Purpose::Rewrite, TemplateError::Character),
            ("/a\r\nX: y", Purpose::Redirect, TemplateError::Character),
            ("a/{id}", Purpose::Rewrite, TemplateError::NotPath),
            ("{id}", Purpose::Rewrite, TemplateError::NotPath),
            ("/a#b", Purpose::Rewrite, TemplateError::NotPath),
            ("https://x/", Purpose::Rewrite, TemplateError::NotPath),
            ("//x/", Purpose::Redirect, TemplateError::NotAddress),
            ("", Purpose::Redirect, TemplateError::NotAddress),
            ("{host}/x", Purpose::Redirect, TemplateError::NotAddress),
            ("https://{id}.example.com/", Purpose::Redirect, TemplateError::OpenHost),
            ("https://example.com{rest}", Purpose::Redirect, TemplateError::OpenHost),
            ("https:///{rest}", Purpose::Redirect, TemplateError::OpenHost),
            ("https://{host}@example.com/", Purpose::Redirect, TemplateError::OpenHost),
            ("https://user@example.com/@", Purpose::Redirect, TemplateError::OpenHost),
            ("https://user@example.com", Purpose::Redirect, TemplateError::OpenHost),
        ];
        for (text, purpose, is) in cases {
            assert_eq!(parse(text, purpose), Err(is(text.into())), "{text}");
        }
    }

    #[test]
    fn a_redirect_without_a_host_leads_to_no_other() {
        let any = Path::any();
        for text in ["{path}", "/{rest}"] {
            let template = Template::parse(text, Purpose::Redirect, &[&any]).expect("a template");
            for path in ["//evil.example/x", "/\\evil.example/x", "///evil.example/x"] {
                let location = template.expand(&captures(&any, path), "", None);
                assert_eq!(location.as_deref(), Some("/evil.example/x"), "{path}");
            }
        }
    }

    #[test]
    fn a_rewritten_path_stays_below_what_the_operator_wrote() {
        let any = Path::any();
        let template = Template::parse("/inner/{rest}", Purpose::Rewrite, &[&any]).expect("a template");
        let target = |path: &str| template.expand(&captures(&any, path), "", None);
        assert_eq!(target("/a%20b").as_deref(), Some("/inner/a%20b"));
        assert_eq!(target("/a//b").as_deref(), Some("/inner/a//b"));
        for path in ["/..%2Fadmin", "/..;/admin", "/x/..%5C..%5C../admin", "/;%2F..%2F..%2Fadmin"] {
            assert_eq!(target(path), None, "{path}");
        }
        let whole = Template::parse("/tenants/a{path}", Purpose::Rewrite, &[&any]).expect("a template");
        let target = |path: &str| whole.expand(&captures(&any, path), "", None);
        assert_eq!(target("/b%20c").as_deref(), Some("/tenants/a/b%20c"));
        for path in ["/..%2Fb/secret", "/..;/b/secret", "/..%2Fab/secret"] {
            assert_eq!(target(path), None, "{path}");
        }
        let part = Template::parse("/tenant-{rest}", Purpose::Rewrite, &[&any]).expect("a template");
        assert_eq!(part.expand(&captures(&any, "/x%2F..%2Fadmin"), "", None), None);
    }

    proptest! {
        #[test]
        fn no_text_is_expanded_to_what_no_header_can_hold(
            text in "(https://)?[a-z{}/?#&.]{0,20}",
            path in "/[!-~\u{80}-\u{ff}]{0,20}",
            query in "[!-~]{0,8}",
        ) {
            let path = path.replace(['?', '#'], "");
            let any = Path::any();
            let captures = Captures::of(normal(&path), &any);
            for purpose in [Purpose::Redirect, Purpose::Rewrite] {
                if let Ok(template) = Template::parse(&text, purpose, &[&any]) {
                    let Some(text) = template.expand(&captures, "example.com", Some(&query)) else { continue };
                    prop_assert!(text.bytes().all(|byte| byte.is_ascii_graphic()), "{}", text);
                    prop_assert!(purpose == Purpose::Rewrite || !text.starts_with("//"));
                }
            }
        }
    }
}

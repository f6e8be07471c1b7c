//! Texts in another format than they are said to be in.

use super::{Misread, Node, Parsed, Value, parse};
use crate::config::fault::Fault;
use crate::config::format::Format;
use crate::config::said::By;

impl Parsed {
    /// The same, of a text in this format; or of one that says nothing in it, and something in another one, only that.
    pub(in crate::config) fn unless_foreign(self, text: &str, format: Format) -> Self {
        let is_table = |tree: &Node| matches!(tree.value, Value::Table(_));
        if self.misread.is_empty() && self.tree.as_ref().is_none_or(is_table) {
            return self;
        }
        match own_format(text, format) {
            Some(own) => Self::nothing(vec![self.first_mistake(own)]),
            None => self,
        }
    }

    fn first_mistake(self, own: Format) -> Misread {
        let foreign = |said| Fault::Foreign { said, own };
        match (self.misread.into_iter().next(), self.tree) {
            (Some(Misread { span, fault }), _) => {
                Misread { span, fault: foreign(fault.said(By::File).message) }
            }
            (None, tree) => {
                let kind = tree.as_ref().map_or("nothing", Node::kind);
                let fault = foreign(format!("expected a table, found {kind}"));
                Misread { span: tree.and_then(|tree| tree.span), fault }
            }
        }
    }
}

/// The format in which a text says something, if it is not this one.
fn own_format(text: &str, format: Format) -> Option<Format> {
    // Nearly all that is nearly JSON is YAML.
    let is_like_json = text.trim_start().starts_with(['{', '[']);
    let says = |other: &Format| {
        let is_full = |tree: Node| matches!(tree.value, Value::Table(table) if !table.is_empty());
        parse(text, 0, *other).whole().is_ok_and(is_full)
    };
    let others = [Format::Json, Format::Toml, Format::Yaml].into_iter().filter(|other| *other != format);
    others.filter(|other| *other != Format::Yaml || !is_like_json).find(says)
}

//! A text in parts that are read for themselves: headers and keys with their values.

use toml_parser::lexer::{Lexer, Token, TokenKind};
use toml_parser::parser::{Event, EventReceiver, ValidateWhitespace, parse_document};
use toml_parser::{Expected, ParseError, Source, Span};

use crate::config::tree::DEEPEST;

/// What a statement looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Nothing, or a remark.
    Blank,
    /// `[…`
    Header,
    /// `… = …`
    Key,
    /// Something else.
    Neither,
}

/// A line, or several if brackets or a text are open at its end.
pub(super) struct Statement {
    tokens: Vec<Token>,
    pub(super) form: Form,
    /// The bracket in it that is not closed, if one is not.
    pub(super) unclosed: Option<Span>,
    /// Where brackets are in each other without end.
    pub(super) too_deep: Option<Span>,
    /// Whether what follows may belong to it.
    pub(super) is_unsure: bool,
    /// Whether there is a text over several lines in it.
    pub(super) has_long_text: bool,
    /// Whether a header may be in it that was to be a line of its own.
    pub(super) may_hold_header: bool,
    /// Whether a key may be, behind its value.
    pub(super) may_hold_key: bool,
}

pub(super) struct Statements<'t> {
    source: Source<'t>,
    lexer: Lexer<'t>,
}

impl<'t> Statements<'t> {
    pub(super) fn of(source: Source<'t>) -> Self {
        Self { source, lexer: source.lex() }
    }

    /// None at the end of the text.
    pub(super) fn next(&mut self) -> Option<Statement> {
        let mut scan = Scan::default();
        for token in self.lexer.by_ref() {
            let is_whole = scan.take(token, self.source);
            scan.tokens.push(token);
            if is_whole {
                break;
            }
        }
        (!scan.tokens.is_empty()).then(|| scan.statement())
    }
}

/// A statement whose end is not reached.
#[derive(Default)]
struct Scan {
    tokens: Vec<Token>,
    form: Option<Form>,
    is_keyless: bool,
    /// The value has begun, if it is in brackets; how it begins otherwise does not matter.
    in_value: bool,
    is_done: bool,
    /// The brackets that are open, each with the number of its line.
    open: Vec<(Token, usize)>,
    line: usize,
    /// The last token that is no blank, and whether a line ended behind it.
    last: Option<TokenKind>,
    starts_line: bool,
    unclosed: Option<Span>,
    too_deep: Option<Span>,
    is_unsure: bool,
    has_long_text: bool,
    may_hold_header: bool,
    may_hold_key: bool,
}

impl Scan {
    /// Whether this is its last token.
    fn take(&mut self, token: Token, source: Source<'_>) -> bool {
        let kind = token.kind();
        match kind {
            TokenKind::Eof => {
                self.unclosed = self.unclosed.or(self.open.last().map(|(open, _)| open.span()));
                return true;
            }
            TokenKind::Newline => {
                self.line += 1;
                self.starts_line = true;
                return self.open.is_empty();
            }
            TokenKind::Whitespace | TokenKind::Comment => return false,
            TokenKind::MlLiteralString | TokenKind::MlBasicString => {
                let text = source.get(token.span()).map_or("", |raw| raw.as_str());
                self.has_long_text |= text.contains('\n');
            }
            _ => {}
        }
        let ends = match self.form {
            None => {
                let is_header = kind == TokenKind::LeftSquareBracket;
                self.is_keyless = kind == TokenKind::Equals;
                self.form = Some(match kind {
                    _ if is_header => Form::Header,
                    TokenKind::Equals => Form::Key,
                    _ => Form::Neither,
                });
                false
            }
            Some(Form::Neither) => {
                if kind == TokenKind::Equals {
                    self.form = Some(Form::Key);
                }
                false
            }
            Some(Form::Key) => self.value(token),
            _ => false,
        };
        (self.last, self.starts_line) = (Some(kind), false);
        ends
    }

    /// Whether brackets were surely not closed, or there are too many of them.
    fn value(&mut self, token: Token) -> bool {
        let kind = token.kind();
        if !self.in_value {
            self.in_value = true;
            self.may_hold_header = self.is_keyless && kind == TokenKind::LeftSquareBracket;
            self.is_done = !matches!(kind, TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket);
        }
        if self.is_done {
            // Something behind brackets that do not fit may belong to what follows.
            self.is_unsure |= self.unclosed.is_some();
            self.may_hold_header |= kind == TokenKind::LeftSquareBracket;
            self.may_hold_key |= kind == TokenKind::Equals;
            return false;
        }
        let innermost = self.open.last().copied();
        match kind {
            TokenKind::Equals => {
                // No list has this.
                self.unclosed = innermost
                    .filter(|(open, line)| open.kind() == TokenKind::LeftSquareBracket && *line < self.line)
                    .map(|(open, _)| open.span());
                return self.unclosed.is_some();
            }
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                let is_element = matches!(
                    self.last,
                    Some(TokenKind::Comma | TokenKind::Equals | TokenKind::LeftSquareBracket)
                );
                if kind == TokenKind::LeftSquareBracket && self.starts_line && !is_element {
                    // A header.
                    self.unclosed = innermost.map(|(open, _)| open.span());
                    return true;
                }
                self.open.push((token, self.line));
                self.too_deep = (self.open.len() > DEEPEST).then(|| token.span());
                return self.too_deep.is_some();
            }
            TokenKind::RightSquareBracket => self.close(TokenKind::LeftSquareBracket),
            TokenKind::RightCurlyBracket => self.close(TokenKind::LeftCurlyBracket),
            _ => {}
        }
        false
    }

    fn close(&mut self, opening: TokenKind) {
        let Some(at) = self.open.iter().rposition(|(open, _)| open.kind() == opening) else { return };
        if let Some((inner, _)) = self.open.get(at + 1) {
            self.unclosed = self.unclosed.or(Some(inner.span()));
        }
        self.open.truncate(at);
        self.is_done = self.open.is_empty();
    }

    fn statement(self) -> Statement {
        Statement {
            form: self.form.unwrap_or(Form::Blank),
            is_unsure: self.is_unsure || !self.open.is_empty(),
            tokens: self.tokens,
            unclosed: self.unclosed,
            too_deep: self.too_deep,
            has_long_text: self.has_long_text,
            may_hold_header: self.may_hold_header,
            may_hold_key: self.may_hold_key,
        }
    }
}

impl Statement {
    /// What the parser makes of it, and the first that is wrong with it.
    pub(super) fn events(&self, source: Source<'_>) -> (Vec<Event>, Option<ParseError>) {
        let mut events = Vec::new();
        let mut error: Option<ParseError> = None;
        let mut receiver = |event: Event| events.push(event);
        let mut receiver = ValidateWhitespace::new(&mut receiver as &mut dyn EventReceiver, source);
        parse_document(&self.tokens, &mut receiver, &mut error);
        (events, error)
    }

    /// Up to where what is wrong in its value is not said of something that follows it.
    pub(super) fn certain_end(&self, error: Option<&ParseError>) -> usize {
        // That something is open is said at the end of the text, whatever is wrong there.
        let error = error.filter(|error| !error.description().starts_with("unclosed"));
        let end = error.and_then(ParseError::unexpected).map_or(usize::MAX, |span| span.start());
        let Some(open) = self.unclosed else { return end };
        // A line that is a header, or that has the key by which it was found out.
        let is_found_out = self.tokens.last().is_some_and(|token| token.kind() == TokenKind::Equals);
        let mut line = None;
        let mut starts_line = false;
        for token in self.tokens.iter().skip_while(|token| token.span() != open).skip(1) {
            match token.kind() {
                TokenKind::Newline => starts_line = true,
                TokenKind::Whitespace => {}
                TokenKind::LeftSquareBracket if starts_line => return end.min(token.span().start()),
                _ if starts_line => {
                    (line, starts_line) = (Some(token.span().start()), false);
                }
                _ => {}
            }
        }
        end.min(line.filter(|_| is_found_out).unwrap_or(usize::MAX))
    }

    pub(super) fn unclosed_error(&self, open: Span) -> ParseError {
        let is_list = self
            .tokens
            .iter()
            .any(|token| token.span() == open && token.kind() == TokenKind::LeftSquareBracket);
        let (said, expected): (_, &'static [Expected]) = match is_list {
            true => ("unclosed array", &[Expected::Literal("]")]),
            false => ("unclosed inline table", &[Expected::Literal("}")]),
        };
        ParseError::new(said).with_expected(expected).with_unexpected(open)
    }

    /// Whether it looks like the rest of something.
    pub(super) fn may_follow(&self, source: Source<'_>) -> bool {
        let is_seen = |token: &&Token| {
            !matches!(
                token.kind(),
                TokenKind::Whitespace | TokenKind::Newline | TokenKind::Eof | TokenKind::Comment
            )
        };
        let first = self.tokens.iter().find(is_seen).map(Token::kind);
        let last = self.tokens.iter().rfind(is_seen).and_then(|token| source.get(token.span()));
        let ends = |text: &str| text.ends_with(['"', '\'', ']', '}']);
        let is_end = self.form == Form::Neither && last.is_some_and(|last| ends(last.as_str()));
        is_end
            || match first {
                Some(TokenKind::Atom | TokenKind::Dot) | None => false,
                // A key may be in quotes.
                Some(TokenKind::LiteralString | TokenKind::BasicString) => self.form == Form::Neither,
                _ => true,
            }
    }

    /// Whether its value is in another line, or nowhere.
    pub(super) fn awaits_value(&self) -> bool {
        let is_blank = |kind: &TokenKind| {
            matches!(kind, TokenKind::Whitespace | TokenKind::Newline | TokenKind::Comment | TokenKind::Eof)
        };
        let last = self.tokens.iter().rev().map(Token::kind).find(|kind| !is_blank(kind));
        last == Some(TokenKind::Equals)
    }

    /// Whether a header is rather a list.
    pub(super) fn is_list(&self) -> bool {
        let mut kinds = self.tokens.iter().map(Token::kind);
        let first = kinds.find(|kind| !matches!(kind, TokenKind::Whitespace | TokenKind::LeftSquareBracket));
        matches!(first, Some(TokenKind::LiteralString | TokenKind::BasicString))
    }
}

//! Rust source as tokens: as much of the lexer as the house rules need.
//!
//! Comments vanish, string literals stay as one token, and everything knows its line, so no rule is fooled
//! by a brace or a path inside a comment or a string.

/// A token and the line it starts on, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    pub kind: Kind,
    pub line: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// An identifier or keyword; raw identifiers without their `r#`.
    Word(String),
    /// The text between the quotes, escapes as written.
    Text(String),
    /// Any other character, one at a time. Numbers, lifetimes and character literals vanish.
    Mark(char),
}

impl Token {
    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.kind, Kind::Word(this) if this == word)
    }

    pub fn is_mark(&self, mark: char) -> bool {
        self.kind == Kind::Mark(mark)
    }

    pub fn word(&self) -> Option<&str> {
        match &self.kind {
            Kind::Word(word) => Some(word),
            _ => None,
        }
    }
}

/// Splits source that compiles; what does not compile may come out as nonsense, but never loops.
pub fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { chars: source.chars().collect(), at: 0, line: 1, tokens: Vec::new() };
    while lexer.at < lexer.chars.len() {
        lexer.step();
    }
    lexer.tokens
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> char {
        self.chars.get(self.at + ahead).copied().unwrap_or('\0')
    }

    fn bump(&mut self) -> char {
        let next = self.peek(0);
        self.line += usize::from(next == '\n');
        self.at += 1;
        next
    }

    fn push(&mut self, kind: Kind, line: usize) {
        self.tokens.push(Token { kind, line });
    }

    fn step(&mut self) {
        let (first, second, line) = (self.peek(0), self.peek(1), self.line);
        match first {
            '/' if second == '/' => {
                while self.at < self.chars.len() && self.peek(0) != '\n' {
                    self.bump();
                }
            }
            '/' if second == '*' => self.block_comment(),
            '"' => self.string(),
            '\'' => self.quote(),
            'a'..='z' | 'A'..='Z' | '_' => self.word(),
            '0'..='9' => {
                while self.peek(0).is_ascii_alphanumeric() || self.peek(0) == '_' {
                    self.bump();
                }
            }
            _ => {
                let mark = self.bump();
                if !mark.is_whitespace() {
                    self.push(Kind::Mark(mark), line);
                }
            }
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                ('/', '*') => depth += 1,
                ('*', '/') => depth -= 1,
                _ => {
                    self.bump();
                    if self.at >= self.chars.len() {
                        return;
                    }
                    continue;
                }
            }
            self.bump();
            self.bump();
            if depth == 0 {
                return;
            }
        }
    }

    /// A word, or the prefix of a string (`b"`, `r#"`, `c"`, `br##"`).
    fn word(&mut self) {
        let line = self.line;
        let mut word = String::new();
        while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
            word.push(self.bump());
        }
        let hashes = (0..).take_while(|ahead| self.peek(*ahead) == '#').count();
        let raw = matches!(word.as_str(), "r" | "br" | "cr");
        if raw && self.peek(hashes) == '"' {
            self.at += hashes;
            self.raw_string(hashes);
        } else if matches!(word.as_str(), "b" | "c") && self.peek(0) == '"' {
            self.string();
        } else if word == "b" && self.peek(0) == '\'' {
            self.quote();
        } else if word == "r" && hashes == 1 {
            self.bump();
            self.word();
        } else {
            self.push(Kind::Word(word), line);
        }
    }

    fn string(&mut self) {
        let line = self.line;
        let mut text = String::new();
        self.bump();
        while self.at < self.chars.len() && self.peek(0) != '"' {
            if self.peek(0) == '\\' {
                text.push(self.bump());
            }
            text.push(self.bump());
        }
        self.bump();
        self.push(Kind::Text(text), line);
    }

    fn raw_string(&mut self, hashes: usize) {
        let line = self.line;
        let mut text = String::new();
        self.bump();
        let closes =
            |lexer: &Lexer| lexer.peek(0) == '"' && (1..=hashes).all(|ahead| lexer.peek(ahead) == '#');
        while self.at < self.chars.len() && !closes(self) {
            text.push(self.bump());
        }
        self.at += 1 + hashes;
        self.push(Kind::Text(text), line);
    }

    /// A character literal or a lifetime; neither matters to any rule.
    fn quote(&mut self) {
        self.bump();
        if self.peek(0) == '\\' {
            self.bump();
            self.bump();
            while self.at < self.chars.len() && self.peek(0) != '\'' {
                self.bump();
            }
            self.bump();
        } else if self.peek(1) == '\'' {
            self.bump();
            self.bump();
        } else {
            while self.peek(0).is_alphanumeric() || self.peek(0) == '_' {
                self.bump();
            }
        }
    }
}

/// The place after the bracket that closes the one at `open`.
pub fn after_closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (at, token) in tokens.iter().enumerate().skip(open) {
        match token.kind {
            Kind::Mark('{' | '(' | '[') => depth += 1,
            Kind::Mark('}' | ')' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return at + 1;
        }
    }
    tokens.len()
}

/// The tokens without items that exist in test builds alone, and the names of modules declared among them
/// that stand in files of their own.
pub fn without_tests(tokens: &[Token]) -> (Vec<Token>, Vec<String>) {
    let (mut kept, mut modules) = (Vec::new(), Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        if !is_test_attribute(tokens, at) {
            kept.push(tokens[at].clone());
            at += 1;
            continue;
        }
        at = after_closing(tokens, at + 1);
        while at + 1 < tokens.len() && tokens[at].is_mark('#') && tokens[at + 1].is_mark('[') {
            at = after_closing(tokens, at + 1);
        }
        let start = at;
        // To the end of the item: a body in braces, or a semicolon.
        while at < tokens.len() && !tokens[at].is_mark('{') && !tokens[at].is_mark(';') {
            let nested = tokens[at].is_mark('(') || tokens[at].is_mark('[');
            at = if nested { after_closing(tokens, at) } else { at + 1 };
        }
        let item = &tokens[start..at];
        if let Some(name) =
            item.iter().position(|token| token.is_word("mod")).and_then(|mod_| item.get(mod_ + 1))
            && tokens.get(at).is_some_and(|token| token.is_mark(';'))
        {
            modules.extend(name.word().map(str::to_owned));
        }
        at = match tokens.get(at) {
            Some(token) if token.is_mark('{') && !item.iter().any(|token| token.is_word("use")) => {
                after_closing(tokens, at)
            }
            // `use a::{b, c};`
            Some(token) if token.is_mark('{') => after_closing(tokens, at) + 1,
            _ => at + 1,
        };
    }
    (kept, modules)
}

/// Whether `#[cfg(test)]` or `#[cfg(all(test, …))]` stands here.
fn is_test_attribute(tokens: &[Token], at: usize) -> bool {
    let word = |ahead: usize, word: &str| tokens.get(at + ahead).is_some_and(|token| token.is_word(word));
    let mark = |ahead: usize, mark: char| tokens.get(at + ahead).is_some_and(|token| token.is_mark(mark));
    mark(0, '#')
        && mark(1, '[')
        && word(2, "cfg")
        && mark(3, '(')
        && (word(4, "test") && mark(5, ')') || word(4, "all") && mark(5, '(') && word(6, "test"))
}

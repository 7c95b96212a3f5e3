//! Patterns over artifact names, and over the names of signers: `*` stands for any characters of one component, `**` for any number of components.

/// Longest pattern, in bytes: longer than any name.
const MAX_PATTERN_LEN: usize = 512;

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Glob(Vec<Token>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Literal(char),
    /// Any run of characters except `/`.
    Star,
    /// Any run of characters.
    DoubleStar,
}

impl Glob {
    /// Parses `pattern`; `Err` says what is wrong with it.
    pub(super) fn parse(pattern: &str) -> Result<Self, &'static str> {
        if pattern.is_empty() {
            return Err("a pattern must not be empty");
        }
        if pattern.len() > MAX_PATTERN_LEN {
            return Err("a pattern has at most 512 bytes");
        }
        if pattern.contains("***") {
            return Err("'*' and '**' are the only wildcards");
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:[]*".contains(c);
        if !pattern.chars().all(allowed) {
            return Err("a pattern holds names and '*' only, no tag or digest");
        }
        // Names of artifacts are in lower case.
        Ok(Self::tokens(&pattern.to_ascii_lowercase()))
    }

    /// The same for texts of any kind, which are compared exactly.
    pub(super) fn text(pattern: &str) -> Result<Self, &'static str> {
        if pattern.is_empty() {
            return Err("a pattern must not be empty");
        }
        if pattern.len() > MAX_PATTERN_LEN {
            return Err("a pattern has at most 512 bytes");
        }
        if pattern.contains("***") {
            return Err("'*' and '**' are the only wildcards");
        }
        if pattern.chars().any(char::is_control) {
            return Err("a pattern holds no control characters");
        }
        Ok(Self::tokens(pattern))
    }

    fn tokens(pattern: &str) -> Self {
        let mut tokens = Vec::new();
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            tokens.push(match character {
                '*' if characters.next_if_eq(&'*').is_some() => Token::DoubleStar,
                '*' => Token::Star,
                literal => Token::Literal(literal),
            });
        }
        Self(tokens)
    }

    /// Whether the whole of `name` matches. Time is pattern length times name length, whatever the pattern.
    pub(super) fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        // reachable[i]: the tokens so far can match the first i characters.
        let mut reachable = vec![false; name.len() + 1];
        if let Some(start) = reachable.first_mut() {
            *start = true;
        }
        for token in &self.0 {
            let mut next = vec![false; name.len() + 1];
            let mut carried = false;
            for (position, slot) in next.iter_mut().enumerate() {
                let before = position
                    .checked_sub(1)
                    .and_then(|i| Some((*name.get(i)?, *reachable.get(i)?)));
                let here = reachable.get(position).copied().unwrap_or_default();
                *slot = match token {
                    Token::Literal(literal) => before.is_some_and(|(c, reached)| reached && c == *literal),
                    Token::Star => here || (carried && before.is_some_and(|(c, _)| c != '/')),
                    Token::DoubleStar => here || carried,
                };
                carried = *slot;
            }
            reachable = next;
        }
        reachable.last().copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn matching_table() {
        let cases = [
            ("demo/echo", "demo/echo", true),
            ("demo/echo", "demo/echo2", false),
            ("demo/*", "demo/echo", true),
            ("demo/*", "demo/", true),
            ("demo/*", "demo/a/b", false),
            ("demo/*", "xdemo/a", false),
            ("demo/**", "demo/a/b", true),
            ("demo/**", "demo", false),
            ("**", "registry.example/a/b", true),
            ("*", "a/b", false),
            ("registry.example/team-*/echo", "registry.example/team-a/echo", true),
            ("registry.example/team-*/echo", "registry.example/team-a/x/echo", false),
            ("registry.example:5000/**/echo", "registry.example:5000/a/b/echo", true),
            ("Registry.example/a", "registry.example/a", true),
            ("*/*/c", "a/b/c", true),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(
                Glob::parse(pattern).unwrap().matches(name),
                expected,
                "{pattern} on {name}"
            );
        }
    }

    #[test]
    fn refuses_bad_patterns() {
        for pattern in ["", "a***", "a b", "a@b", "a?", "\u{e9}", &"a".repeat(513)] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn many_stars_do_not_blow_up() {
        let pattern = Glob::parse(&"*a".repeat(250)).unwrap();
        assert!(!pattern.matches(&"a".repeat(249)));
        assert!(pattern.matches(&"a".repeat(254)));
    }
}

//! A shortest-effort text for the regular expressions that schemas use: literals, classes, groups, counts.

/// A text that matches `pattern`, if the pattern is simple enough; whoever uses it must check that it does.
pub(crate) fn matching(pattern: &str) -> Option<String> {
    let letters: Vec<char> = pattern.chars().collect();
    let mut reader = Reader { letters: &letters, at: 0 };
    let text = reader.sequence()?;
    (reader.at == letters.len()).then_some(text)
}

struct Reader<'a> {
    letters: &'a [char],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.letters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(letter)
    }

    /// The first alternative; the others are read and dropped.
    fn sequence(&mut self) -> Option<String> {
        let mut text = String::new();
        while let Some(letter) = self.peek().filter(|l| *l != ')') {
            self.at += 1;
            let piece = match letter {
                '^' | '$' => continue,
                '|' => {
                    self.sequence()?;
                    break;
                }
                '(' => {
                    if self.peek() == Some('?') {
                        self.at += 1;
                        (self.next()? == ':').then_some(())?;
                    }
                    let group = self.sequence()?;
                    (self.next()? == ')').then_some(group)?
                }
                '[' => self.class()?.to_string(),
                '\\' => escaped(self.next()?)?.to_string(),
                '.' => "a".to_owned(),
                '*' | '+' | '?' | '{' => return None,
                literal => literal.to_string(),
            };
            text.push_str(&piece.repeat(self.count()?));
        }
        Some(text)
    }

    /// How often the piece before is repeated: a few times, so that the example looks like one.
    fn count(&mut self) -> Option<usize> {
        match self.peek() {
            Some('*' | '+') => {
                self.at += 1;
                Some(3)
            }
            Some('?') => {
                self.at += 1;
                Some(1)
            }
            Some('{') => {
                let end = self.letters[self.at..].iter().position(|l| *l == '}')? + self.at;
                let inner: String = self.letters[self.at + 1..end].iter().collect();
                self.at = end + 1;
                let (least, most) = inner.split_once(',').unwrap_or((&inner, &inner));
                let least: usize = least.parse().ok()?;
                let most = if most.is_empty() { usize::MAX } else { most.parse().ok()? };
                Some(least.max(7).min(most))
            }
            _ => Some(1),
        }
    }

    /// The first member of a class; a negated class has none that is easy to name.
    fn class(&mut self) -> Option<char> {
        let first = match self.next()? {
            '^' => return None,
            '\\' => escaped(self.next()?)?,
            letter => letter,
        };
        while self.next()? != ']' {}
        Some(first)
    }
}

fn escaped(letter: char) -> Option<char> {
    match letter {
        'd' => Some('1'),
        'w' => Some('a'),
        's' => Some(' '),
        letter if letter.is_alphanumeric() => None,
        letter => Some(letter),
    }
}

#[cfg(test)]
mod tests {
    use super::matching;

    #[test]
    fn it_answers_the_patterns_that_our_values_use() {
        assert_eq!(matching("^\\+[1-9][0-9]{6,14}$").as_deref(), Some("+10000000"));
        assert_eq!(matching("^[a-z][a-z0-9_-]{0,62}$").as_deref(), Some("aaaaaaaa"));
        assert_eq!(matching("^[A-Z]{3}$").as_deref(), Some("AAA"));
        assert_eq!(matching("^(?:ab|cd)+\\.x?$").as_deref(), Some("ababab.x"));
    }

    #[test]
    fn it_says_so_when_a_pattern_is_too_clever() {
        for clever in ["^(?=a)b$", "^[^a]$", "^\\p{L}$", "(unclosed", "*"] {
            assert_eq!(matching(clever), None, "{clever}");
        }
    }
}

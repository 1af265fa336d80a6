//! Expressions in the syntax of RE2, as Kafka's library reads it (RE2/J 1.8, with its usual flags),
//! said in that of the crate `regex`. The two differ in what they take and, in classes, in what it
//! means; both match in linear time.

use std::fmt::Write as _;

/// The most that a count may ask for.
const REPEAT_MAX: u32 = 1000;
/// Categories of characters have names of this length at most; scripts have longer ones.
const CATEGORY_LEN_MAX: usize = 2;

const POSIX_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// What RE2 takes exception to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SyntaxError {
    #[error("invalid escape sequence")]
    Escape,
    #[error("invalid character class range")]
    ClassRange,
    #[error("missing closing ]")]
    ClassEnd,
    #[error("invalid or unsupported Perl syntax")]
    Perl,
    #[error("invalid named capture")]
    Name,
    #[error("duplicate capture group name")]
    DuplicateName,
    #[error("invalid nested repetition operator")]
    RepeatedRepeat,
    #[error("invalid repeat count")]
    RepeatCount,
}

/// The same expression for the crate `regex`. It judges what RE2 and it agree about: whether
/// groups are closed, and whether there is something to repeat.
pub(super) fn translate(pattern: &str) -> Result<String, SyntaxError> {
    let mut reader = PatternReader { rest: pattern, plain: String::new(), names: Vec::new() };
    let mut repeated = false;
    while let Some(next) = reader.next() {
        let repeats = match next {
            '*' | '+' | '?' => {
                reader.plain.push(next);
                true
            }
            '{' => reader.count()?,
            _ => false,
        };
        if repeats {
            if repeated {
                return Err(SyntaxError::RepeatedRepeat);
            }
            if reader.takes("?") {
                reader.plain.push('?');
            }
        }
        repeated = repeats;
        match next {
            '*' | '+' | '?' | '{' => {}
            '\\' => reader.escape()?,
            '[' => reader.class()?,
            '(' => reader.group()?,
            ')' | '|' | '^' | '$' | '.' => reader.plain.push(next),
            literal => reader.literal(literal),
        }
    }
    Ok(reader.plain)
}

/// What is left of the expression, and what the rest has become.
struct PatternReader<'a> {
    rest: &'a str,
    plain: String,
    /// Of groups.
    names: Vec<&'a str>,
}

impl PatternReader<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.rest.chars().next()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn takes(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// A character that means itself, in a class or outside.
    fn literal(&mut self, literal: char) {
        if literal.is_ascii_alphanumeric() {
            self.plain.push(literal);
        } else {
            let _ = write!(self.plain, "\\x{{{:X}}}", u32::from(literal)); // A string takes it.
        }
    }

    /// Behind a `{`: whether it begins a count. If not, it means itself.
    fn count(&mut self) -> Result<bool, SyntaxError> {
        let counts = self.rest.split_once('}').and_then(|(counts, after)| {
            let (least, most) = match counts.split_once(',') {
                None => (number(counts)?, Some(number(counts)?)),
                Some((least, "")) => (number(least)?, None),
                Some((least, most)) => (number(least)?, Some(number(most)?)),
            };
            Some((least, most, after))
        });
        let Some((least, most, after)) = counts else {
            self.literal('{');
            return Ok(false);
        };
        if least.max(most.unwrap_or(0)) > REPEAT_MAX || most.is_some_and(|most| most < least) {
            return Err(SyntaxError::RepeatCount);
        }
        let most = most.map(|most| most.to_string()).unwrap_or_default();
        let _ = write!(self.plain, "{{{least},{most}}}");
        self.rest = after;
        Ok(true)
    }

    /// Behind a `\`, outside of a class.
    fn escape(&mut self) -> Result<(), SyntaxError> {
        if self.takes("Q") {
            let (quoted, after) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
            self.rest = after;
            quoted.chars().for_each(|literal| self.literal(literal));
            return Ok(());
        }
        for (boundary, plain) in [("A", r"\A"), ("z", r"\z"), ("b", r"(?:\b)"), ("B", r"(?:\B)")] {
            if self.takes(boundary) {
                self.plain.push_str(plain);
                return Ok(());
            }
        }
        if !self.set()? {
            let literal = self.escaped_literal()?;
            self.literal(literal);
        }
        Ok(())
    }

    /// Behind a `\`: a set of characters that has a name, if it is one.
    fn set(&mut self) -> Result<bool, SyntaxError> {
        let Some(kind) = self.rest.chars().next() else { return Err(SyntaxError::Escape) };
        if "dDsSwW".contains(kind) {
            self.rest = &self.rest[1..];
            self.plain.push('\\');
            self.plain.push(kind);
            return Ok(true);
        }
        if kind != 'p' && kind != 'P' {
            return Ok(false);
        }
        self.rest = &self.rest[1..];
        let name = if self.takes("{") {
            let (name, after) = self.rest.split_once('}').ok_or(SyntaxError::ClassRange)?;
            self.rest = after;
            name
        } else {
            let len = self.rest.chars().next().map_or(0, char::len_utf8);
            let (name, after) = self.rest.split_at(len);
            self.rest = after;
            name
        };
        let positive = name.trim_start_matches('^');
        let negations = name.len() - positive.len() + usize::from(kind == 'P');
        if name.len() - positive.len() > 1
            || !positive.starts_with(|c: char| c.is_ascii_uppercase())
        {
            return Err(SyntaxError::ClassRange);
        }
        self.plain.push_str(if negations % 2 == 0 { "\\p{" } else { "\\P{" });
        match positive {
            "Any" => self.plain.push_str("any"),
            // Halves of characters, of which texts here have none; nor of those for private use.
            "Cs" => self.plain.push_str("gc=Co"),
            // A category of others, which RE2 does not know.
            "LC" => return Err(SyntaxError::ClassRange),
            name if name.len() <= CATEGORY_LEN_MAX => {
                self.plain.push_str("gc=");
                self.plain.push_str(name);
            }
            name => {
                self.plain.push_str("sc=");
                self.plain.push_str(name);
            }
        }
        self.plain.push('}');
        Ok(true)
    }

    /// Behind a `\`: a character.
    fn escaped_literal(&mut self) -> Result<char, SyntaxError> {
        let next = self.next().ok_or(SyntaxError::Escape)?;
        let code = match next {
            'a' => 0x07,
            'f' => 0x0C,
            'n' => 0x0A,
            'r' => 0x0D,
            't' => 0x09,
            'v' => 0x0B,
            'x' if self.takes("{") => {
                let (digits, after) = self.rest.split_once('}').ok_or(SyntaxError::Escape)?;
                self.rest = after;
                hexadecimal(digits)?
            }
            'x' => {
                let digits = self.rest.get(..2).ok_or(SyntaxError::Escape)?;
                self.rest = &self.rest[2..];
                hexadecimal(digits)?
            }
            '0'..='7' => {
                let is_octal = |byte: &u8| (b'0'..=b'7').contains(byte);
                let more = self.rest.bytes().take(2).take_while(is_octal).count();
                if next != '0' && more == 0 {
                    return Err(SyntaxError::Escape); // A reference to what a group matched.
                }
                let (digits, after) = self.rest.split_at(more);
                self.rest = after;
                digits
                    .bytes()
                    .fold(u32::from(next) - 0x30, |code, digit| code * 8 + u32::from(digit - b'0'))
            }
            '8' | '9' | 'A'..='Z' | 'a'..='z' => return Err(SyntaxError::Escape),
            other => return Ok(other),
        };
        char::from_u32(code).ok_or(SyntaxError::Escape)
    }

    /// Behind a `(`: what kind of group it is.
    fn group(&mut self) -> Result<(), SyntaxError> {
        self.plain.push('(');
        if !self.takes("?") {
            return Ok(());
        }
        if self.takes("P<") || self.takes("<") {
            let (name, after) = self.rest.split_once('>').ok_or(SyntaxError::Name)?;
            let is_word = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
            if name.is_empty() || !name.bytes().all(is_word) {
                return Err(SyntaxError::Name);
            }
            if self.names.contains(&name) {
                return Err(SyntaxError::DuplicateName);
            }
            self.names.push(name);
            self.rest = after;
            return Ok(());
        }
        let end = self.rest.find([':', ')']).ok_or(SyntaxError::Perl)?;
        let (flags, after) = self.rest.split_at(end);
        let off = flags.split_once('-').map(|(_, off)| off);
        if !flags.bytes().all(|flag| b"imsU-".contains(&flag))
            || off.is_some_and(|off| off.is_empty() || off.contains('-'))
        {
            return Err(SyntaxError::Perl);
        }
        self.rest = &after[1..];
        if flags.is_empty() && after.starts_with(')') {
            self.plain.pop(); // No flag is set.
            return Ok(());
        }
        let _ = write!(self.plain, "?{}{}", once(flags), &after[..1]);
        Ok(())
    }

    /// Behind a `[`. What a class of the crate knows and one of RE2 does not, classes in classes
    /// and the difference of two, is said character by character.
    fn class(&mut self) -> Result<(), SyntaxError> {
        self.plain.push('[');
        if self.takes("^") {
            self.plain.push('^');
        }
        let mut is_first = true;
        loop {
            if self.rest.starts_with(']') && !is_first {
                break;
            }
            is_first = false;
            if self.posix_class()? {
                continue;
            }
            if self.rest.starts_with('\\') {
                let before = self.rest;
                self.rest = &self.rest[1..];
                if self.set()? {
                    continue;
                }
                self.rest = before;
            }
            let low = self.class_character()?;
            self.literal(low);
            if self.rest.starts_with('-') && !self.rest.starts_with("-]") && self.rest.len() > 1 {
                self.rest = &self.rest[1..];
                let high = self.class_character()?;
                if high < low {
                    return Err(SyntaxError::ClassRange);
                }
                self.plain.push('-');
                self.literal(high);
            }
        }
        self.rest = &self.rest[1..];
        self.plain.push(']');
        Ok(())
    }

    /// `[:alpha:]` and the like, if it is one.
    fn posix_class(&mut self) -> Result<bool, SyntaxError> {
        let Some(inside) = self.rest.strip_prefix("[:") else { return Ok(false) };
        let Some((name, after)) = inside.split_once(":]") else { return Ok(false) };
        if !POSIX_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name)) {
            return Err(SyntaxError::ClassRange);
        }
        let _ = write!(self.plain, "[:{name}:]");
        self.rest = after;
        Ok(true)
    }

    fn class_character(&mut self) -> Result<char, SyntaxError> {
        match self.next() {
            None => Err(SyntaxError::ClassEnd),
            Some('\\') => self.escaped_literal(),
            Some(other) => Ok(other),
        }
    }
}

/// A count without zeros in front. One that is too large stays so.
fn number(digits: &str) -> Option<u32> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || digits.len() > 1 && digits.starts_with('0') {
        return None;
    }
    Some(digits.parse().unwrap_or(u32::MAX))
}

fn hexadecimal(digits: &str) -> Result<u32, SyntaxError> {
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(SyntaxError::Escape);
    }
    u32::from_str_radix(digits, 16).map_err(|_| SyntaxError::Escape)
}

/// Flags, each once: repeated ones are an error elsewhere.
fn once(flags: &str) -> String {
    let (on, off) = flags.split_once('-').unwrap_or((flags, ""));
    let without = |flags: &str, others: &str| -> String {
        let mut kept = String::new();
        for flag in flags.chars() {
            if !kept.contains(flag) && !others.contains(flag) {
                kept.push(flag);
            }
        }
        kept
    };
    // What is set and then unset is unset.
    let (on, off) = (without(on, off), without(off, ""));
    if off.is_empty() { on } else { format!("{on}-{off}") }
}

//! Which names a topic may have (Kafka 4.4 `Topic`).

/// The longest name, which with `-` and a partition number still names a folder.
pub const MAX_LEN: usize = 249;
/// The topic of the metadata log, which nobody may create.
pub const CLUSTER_METADATA: &str = "__cluster_metadata";

/// Why a name is not legal, in Kafka's words.
pub fn check(name: &str) -> Result<(), String> {
    let reason = match name {
        "" => "the empty string is not allowed".to_owned(),
        "." => "'.' is not allowed".to_owned(),
        ".." => "'..' is not allowed".to_owned(),
        // Java counts UTF-16 units; beyond ASCII the name is refused in any case.
        _ if name.encode_utf16().count() > MAX_LEN => {
            format!("the length of '{name}' is longer than the max allowed length {MAX_LEN}")
        }
        _ if name.bytes().any(|b| !(b.is_ascii_alphanumeric() || b"._-".contains(&b))) => {
            format!(
                "'{name}' contains one or more characters other than ASCII alphanumerics, '.', \
                 '_' and '-'"
            )
        }
        _ => return Ok(()),
    };
    Err(format!("Topic name is invalid: {reason}"))
}

/// Whether metrics would confuse two names: they differ only in `.` for `_`.
pub fn collide(a: &str, b: &str) -> bool {
    let same = |(a, b): (u8, u8)| a == b || (b"._".contains(&a) && b"._".contains(&b));
    a.len() == b.len() && a.bytes().zip(b.bytes()).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_illegal_name_is_refused_with_kafkas_words() {
        let refused = |name: &str, expect: &str| {
            assert_eq!(check(name), Err(format!("Topic name is invalid: {expect}")));
        };
        refused("", "the empty string is not allowed");
        refused(".", "'.' is not allowed");
        refused("..", "'..' is not allowed");
        let long = "a".repeat(250);
        let words = format!("the length of '{long}' is longer than the max allowed length 249");
        refused(&long, &words);
        for name in ["a b", "é", "a/b", "a\0"] {
            refused(
                name,
                &format!(
                    "'{name}' contains one or more characters other than ASCII alphanumerics, \
                     '.', '_' and '-'"
                ),
            );
        }
        assert_eq!(check(&"a".repeat(249)), Ok(()));
        assert_eq!(check("A.b_c-9"), Ok(()));
    }

    #[test]
    fn names_that_differ_only_in_dots_for_underscores_collide() {
        assert!(collide("a.b_c", "a_b.c"));
        assert!(!collide("a.b", "a-b"));
        assert!(!collide("a.b", "a.bc"));
    }
}

//! Files of bytes that can be read: hexadecimal digits with comments.

/// Returns the bytes that `text` stands for: two digits each, with any white space between them.
/// What follows `#` in a line is a comment.
///
/// # Panics
///
/// If something else stands there.
pub fn bytes(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .lines()
        .flat_map(|line| line.split('#').next().unwrap_or("").bytes())
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let (pairs, rest) = digits.as_chunks::<2>();
    assert!(rest.is_empty(), "an odd number of digits");
    let byte = |pair: &[u8; 2]| {
        let pair = std::str::from_utf8(pair).expect("ASCII");
        u8::from_str_radix(pair, 16).unwrap_or_else(|_| panic!("`{pair}` is no byte"))
    };
    pairs.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_white_space_are_no_bytes() {
        assert_eq!(bytes("# a1\n0a FF 7\t\n f# 00\n\n"), [0x0a, 0xff, 0x7f]);
        assert!(std::panic::catch_unwind(|| bytes("0a f")).is_err());
        assert!(std::panic::catch_unwind(|| bytes("0x")).is_err());
    }
}

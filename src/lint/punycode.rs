//! Host names in ASCII: Punycode (RFC 3492) for the labels of a name.

/// Returns the name with every label in ASCII, those that are not in their `xn--` form.
///
/// `None` for characters of which it is not certain, without the tables of Unicode, that they are
/// in the form that DNS has them in: only letters of common scripts that stand by themselves are
/// taken.
pub(super) fn name_to_ascii(name: &str) -> Option<String> {
    let labels = name.split('.').map(|label| match label.is_ascii() {
        true => Some(label.to_owned()),
        false => label_to_ascii(&label.to_lowercase()),
    });
    Some(labels.collect::<Option<Vec<_>>>()?.join("."))
}

fn label_to_ascii(label: &str) -> Option<String> {
    let is_plain = |c: char| match c {
        '-' | '0'..='9' | 'a'..='z' => true,
        // Latin letters with diacritics, Greek, Cyrillic, Hebrew, Arabic, kana, Han, Hangul.
        '\u{df}'..='\u{f6}'
        | '\u{f8}'..='\u{131}'
        | '\u{134}'..='\u{13e}'
        | '\u{141}'..='\u{148}'
        | '\u{14a}'..='\u{17e}'
        | '\u{3ac}'..='\u{3ce}'
        | '\u{430}'..='\u{45f}'
        | '\u{5d0}'..='\u{5ea}'
        | '\u{620}'..='\u{64a}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{30fc}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}' => true,
        _ => false,
    };
    let encoded = label.chars().all(is_plain).then(|| encode(label))??;
    let ascii = format!("xn--{encoded}");
    (ascii.len() <= 63).then_some(ascii)
}

/// Section 6.3 of RFC 3492. `None` if a number overflows, which no label of DNS does.
fn encode(label: &str) -> Option<String> {
    const BASE: u32 = 36;
    const T_MIN: u32 = 1;
    const T_MAX: u32 = 26;
    let mut output: String = label.chars().filter(char::is_ascii).collect();
    let basic = u32::try_from(output.len()).ok()?;
    if basic > 0 {
        output.push('-');
    }
    let count = u32::try_from(label.chars().count()).ok()?;
    let (mut n, mut delta, mut bias, mut handled) = (128_u32, 0_u32, 72_u32, basic);
    while handled < count {
        let next = label.chars().map(u32::from).filter(|c| *c >= n).min()?;
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for c in label.chars().map(u32::from) {
            if c < n {
                delta = delta.checked_add(1)?;
            }
            if c != n {
                continue;
            }
            let (mut q, mut k) = (delta, BASE);
            loop {
                let t = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
                if q < t {
                    break;
                }
                output.push(digit(t + (q - t) % (BASE - t))?);
                q = (q - t) / (BASE - t);
                k += BASE;
            }
            output.push(digit(q)?);
            bias = adapt(delta, handled + 1, handled == basic);
            delta = 0;
            handled += 1;
        }
        delta = delta.checked_add(1)?;
        n = n.checked_add(1)?;
    }
    Some(output)
}

/// Section 6.1.
fn adapt(delta: u32, count: u32, is_first: bool) -> u32 {
    let mut delta = if is_first { delta / 700 } else { delta / 2 };
    delta += delta / count;
    let mut k = 0;
    while delta > 455 {
        delta /= 35;
        k += 36;
    }
    k + 36 * delta / (delta + 38)
}

/// `a` to `z`, then `0` to `9`.
fn digit(value: u32) -> Option<char> {
    char::from_digit(value, 36).map(|_| match value {
        0..26 => char::from(b'a' + value as u8),
        _ => char::from(b'0' + (value - 26) as u8),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_use_have_the_form_they_are_registered_in() {
        for (name, ascii) in [
            ("b\u{fc}cher.example", "xn--bcher-kva.example"),
            ("www.M\u{dc}NCHEN.de", "www.xn--mnchen-3ya.de"),
            ("stra\u{df}e.de", "xn--strae-oqa.de"),
            ("\u{43f}\u{440}\u{438}\u{43c}\u{435}\u{440}.com", "xn--e1afmkfd.com"),
            ("\u{4f8b}\u{3048}.\u{30c6}\u{30b9}\u{30c8}", "xn--r8jz45g.xn--zckzah"),
            ("*.\u{e9}t\u{e9}.fr.", "*.xn--t-9fab.fr."),
            ("plain.example", "plain.example"),
        ] {
            assert_eq!(name_to_ascii(name).as_deref(), Some(ascii), "{name}");
        }
    }

    #[test]
    fn samples_of_the_standard_are_encoded() {
        // RFC 3492, section 7.1, (B) and (L).
        let chinese = "\u{4ed6}\u{4eec}\u{4e3a}\u{4ec0}\u{4e48}\u{4e0d}\u{8bf4}\u{4e2d}\u{6587}";
        assert_eq!(encode(chinese).as_deref(), Some("ihqwcrb4cv8a8dqg056pqjye"));
        let japanese = "3\u{5e74}b\u{7d44}\u{91d1}\u{516b}\u{5148}\u{751f}";
        assert_eq!(encode(japanese).as_deref(), Some("3b-ww4c5e180e575a65lsy2b"));
    }

    #[test]
    fn characters_with_more_than_one_form_are_left_alone() {
        // A combining diaeresis, a ligature, a full-width letter, a control that is not shown.
        for name in ["bu\u{308}cher.de", "\u{fb01}n.de", "\u{ff41}.de", "a\u{200d}b.de"] {
            assert_eq!(name_to_ascii(name), None, "{name:?}");
        }
        assert_eq!(name_to_ascii(&"\u{e9}".repeat(80)), None);
    }
}

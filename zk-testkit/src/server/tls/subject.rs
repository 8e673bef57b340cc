//! The name of a certificate's subject, written as Java's `X500Principal.getName()` does: RFC 2253.
//!
//! Must not judge certificates: rustls has done that. What cannot be read gives `None`, never a panic.

use std::fmt::Write as _;

/// Tags of DER.
mod tag {
    pub(super) const SEQUENCE: u8 = 0x30;
    pub(super) const SET: u8 = 0x31;
    pub(super) const OID: u8 = 0x06;
    /// The version, which stands before everything else and may be left out.
    pub(super) const VERSION: u8 = 0xa0;
    /// UTF8String, PrintableString, T61String, IA5String.
    pub(super) const TEXTS: [u8; 4] = [12, 19, 20, 22];
}

/// Attribute types that RFC 2253 has a word for, by their OIDs.
const WORDS: [(&[u8], &str); 9] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[9, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

/// What Java writes behind a backslash; RFC 2253 asks it of `#` only at the beginning, and of `=` not at all.
const ESCAPED: &str = ",=+<>#;\"\\";

/// The subject, the last of its parts first.
pub(super) fn name(certificate: &[u8]) -> Option<String> {
    let (mut certificate, _) = take(certificate, tag::SEQUENCE)?;
    let mut fields = enter(&mut certificate, tag::SEQUENCE)?;
    if fields.first() == Some(&tag::VERSION) {
        enter(&mut fields, tag::VERSION)?;
    }
    // serial number, algorithm, issuer, validity
    for _ in 0..4 {
        any(&mut fields)?;
    }
    let mut subject = enter(&mut fields, tag::SEQUENCE)?;
    let mut parts = Vec::new();
    while !subject.is_empty() {
        let mut set = enter(&mut subject, tag::SET)?;
        let mut attributes = Vec::new();
        while !set.is_empty() {
            attributes.push(attribute(enter(&mut set, tag::SEQUENCE)?)?);
        }
        parts.push(attributes.join("+"));
    }
    parts.reverse();
    Some(parts.join(","))
}

fn attribute(mut bytes: &[u8]) -> Option<String> {
    let kind = enter(&mut bytes, tag::OID)?;
    let whole = bytes;
    let (value_tag, value) = any(&mut bytes)?;
    let word = WORDS.iter().find(|(oid, _)| *oid == kind).map(|(_, word)| *word);
    match word.filter(|_| tag::TEXTS.contains(&value_tag)) {
        Some(word) => Some(format!("{word}={}", escaped(&String::from_utf8_lossy(value)))),
        None => {
            let hex = whole.iter().fold(String::new(), |mut hex, byte| {
                let _ = write!(hex, "{byte:02x}"); // writing to a string cannot fail
                hex
            });
            Some(format!("{}=#{hex}", word.map_or_else(|| dotted(kind), str::to_owned)))
        }
    }
}

fn escaped(value: &str) -> String {
    let last = value.chars().count().saturating_sub(1);
    let mut text = String::new();
    for (index, c) in value.chars().enumerate() {
        let is_at_edge = index == 0 || index == last;
        if ESCAPED.contains(c) || c == ' ' && is_at_edge {
            text.push('\\');
        }
        text.push(c);
    }
    text
}

/// An OID in numbers.
fn dotted(oid: &[u8]) -> String {
    let (mut numbers, mut number) = (Vec::new(), 0_u64);
    for byte in oid {
        number = number << 7 | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            if numbers.is_empty() {
                let first = (number / 40).min(2);
                numbers.push(first);
                number -= first * 40;
            }
            numbers.push(number);
            number = 0;
        }
    }
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// The contents of the next value, which must have this tag.
fn enter<'a>(bytes: &mut &'a [u8], tag: u8) -> Option<&'a [u8]> {
    let (contents, rest) = take(bytes, tag)?;
    *bytes = rest;
    Some(contents)
}

fn any<'a>(bytes: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let tag = *bytes.first()?;
    enter(bytes, tag).map(|contents| (tag, contents))
}

/// The contents of the first value, and what is behind it.
fn take(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (found, rest) = bytes.split_first()?;
    let (len, rest) = rest.split_first()?;
    let (len, rest) = match len {
        0..=0x7f => (usize::from(*len), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(len & 0x0f))?;
            (digits.iter().fold(0, |len, digit| len << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    (*found == tag).then_some(())?;
    rest.split_at_checked(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        assert_eq!(escaped(" a,b+\"c\\<d>;e=f "), "\\ a\\,b\\+\\\"c\\\\\\<d\\>\\;e\\=f\\ ");
        assert_eq!(escaped("#a b#"), "\\#a b\\#");
    }

    #[test]
    fn oids_are_numbers() {
        assert_eq!(dotted(&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1]), "1.2.840.113549.1.9.1");
        assert_eq!(dotted(&[0x55, 4, 3]), "2.5.4.3");
    }

    #[test]
    fn what_is_cut_off_has_no_name() {
        for len in 0..20 {
            assert_eq!(
                name(&[0x30, 0x82, 1, 0, 0x30, 0x81, 0xf0, 2, 1, 1, 0x30, 0, 0x30, 0, 0x30, 0, 0x30, 5, 1, 1][..len]),
                None
            );
        }
    }
}

//! How a text message travels (3GPP TS 23.038 §6.2, TS 23.040 §9.2.3.24): providers charge for each
//! segment, and one character outside GSM-7 more than halves what a segment holds.

/// The characters of GSM-7 that take one septet.
const BASIC: &str = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?\
    ¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà";

/// Those that take two, an escape first.
const EXTENDED: &str = "\u{c}^{}\\[~]|€";

/// How the characters of a text are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SmsEncoding {
    /// In septets.
    Gsm7,
    /// In units of 16 bits; characters outside the basic plane take two.
    Ucs2,
}

impl SmsEncoding {
    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gsm7 => "GSM-7",
            Self::Ucs2 => "UCS-2",
        }
    }

    /// How many units a text has that is one segment, and each segment of one that is several: those
    /// lose some to the header that joins them.
    #[must_use]
    pub fn capacity(self) -> (usize, usize) {
        match self {
            Self::Gsm7 => (160, 153),
            Self::Ucs2 => (70, 67),
        }
    }
}

/// What a text takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SmsSize {
    /// How it is written: in GSM-7 if that has all its characters.
    pub encoding: SmsEncoding,
    /// Its characters.
    pub characters: usize,
    /// Septets or 16-bit units.
    pub units: usize,
    /// So many messages it is sent as, and charged for.
    pub segments: usize,
}

fn septets(c: char) -> Option<usize> {
    match c {
        c if BASIC.contains(c) => Some(1),
        c if EXTENDED.contains(c) => Some(2),
        _ => None,
    }
}

impl SmsSize {
    /// What this text takes.
    #[must_use]
    pub fn of(text: &str) -> Self {
        let in_septets: Option<Vec<usize>> = text.chars().map(septets).collect();
        let (encoding, units) = match in_septets {
            Some(units) => (SmsEncoding::Gsm7, units),
            None => (
                SmsEncoding::Ucs2,
                text.chars().map(char::len_utf16).collect(),
            ),
        };
        Self {
            encoding,
            characters: units.len(),
            units: units.iter().sum(),
            segments: segments(&units, encoding),
        }
    }

    /// Whether it is one segment of GSM-7, as all of ours are to be (PRD §4.3).
    #[must_use]
    pub fn is_one_of_gsm7(self) -> bool {
        self.encoding == SmsEncoding::Gsm7 && self.segments == 1
    }
}

/// A character is never torn in two, so a segment may be left with a unit to spare.
fn segments(units: &[usize], encoding: SmsEncoding) -> usize {
    let (single, joined) = encoding.capacity();
    if units.iter().sum::<usize>() <= single {
        return 1;
    }
    let (mut segments, mut filled) = (1, 0);
    for unit in units {
        if filled + unit > joined {
            segments += 1;
            filled = 0;
        }
        filled += unit;
    }
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_takes_what_the_standard_says() {
        let of = |text: &str| {
            let size = SmsSize::of(text);
            let told = (size.characters, size.units, size.segments);
            (size.encoding, told)
        };
        let (gsm, ucs) = (SmsEncoding::Gsm7, SmsEncoding::Ucs2);
        for (text, encoding, told) in [
            (String::new(), gsm, (0, 0, 1)),
            ("x".repeat(160), gsm, (160, 160, 1)),
            ("x".repeat(161), gsm, (161, 161, 2)),
            ("x".repeat(306), gsm, (306, 306, 2)),
            ("x".repeat(307), gsm, (307, 307, 3)),
            ("20 €".into(), gsm, (4, 5, 1)),
            ("€".repeat(80), gsm, (80, 160, 1)),
            // Of 153 septets, 76 of these take 152, and the last one is left over.
            ("€".repeat(153), gsm, (153, 306, 3)),
            ("ä".repeat(160), gsm, (160, 160, 1)),
            ("ç".into(), ucs, (1, 1, 1)),
            ("中".repeat(70), ucs, (70, 70, 1)),
            ("中".repeat(71), ucs, (71, 71, 2)),
            ("🎉".repeat(35), ucs, (35, 70, 1)),
            ("🎉".repeat(36), ucs, (36, 72, 2)),
            // 33 of these take 66 of 67.
            ("🎉".repeat(67), ucs, (67, 134, 3)),
        ] {
            assert_eq!(of(&text), (encoding, told), "{text}");
        }
    }

    #[test]
    fn gsm_7_has_128_places_and_none_twice() {
        let all: Vec<char> = BASIC.chars().chain(EXTENDED.chars()).collect();
        let different: std::collections::HashSet<_> = all.iter().collect();
        // One of the 128 is the escape.
        assert_eq!((BASIC.chars().count(), different.len()), (127, all.len()));
    }
}

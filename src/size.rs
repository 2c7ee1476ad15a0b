//! How many bytes something has, as people write it in the config: `64MiB`, `1GiB`, `500MB`, `0`.

use serde::{Deserialize, Deserializer, de::Error as _};

const UNITS: [(&str, u64); 9] = [
    ("", 1),
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Reads one.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let digits = text.chars().take_while(char::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start();
    let factor = UNITS
        .iter()
        .find(|(name, _)| unit.eq_ignore_ascii_case(name));
    let number: Option<u64> = number.parse().ok();
    let bytes = number
        .zip(factor)
        .and_then(|(number, (_, factor))| number.checked_mul(*factor));
    bytes.ok_or_else(|| {
        format!("`{text}` is no size; write a number and a unit: \"64MiB\", \"1GiB\", \"500MB\", or \"0\"")
    })
}

/// For `#[serde(deserialize_with)]`.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// For people: `64 MiB`, `1.5 GiB`.
pub(crate) fn shown(bytes: u64) -> String {
    let (unit, factor) = match bytes {
        0..0x400 => return format!("{bytes} bytes"),
        0x400..0x10_0000 => ("KiB", 1 << 10),
        0x10_0000..0x4000_0000 => ("MiB", 1 << 20),
        _ => ("GiB", 1_u64 << 30),
    };
    let tenths = (u128::from(bytes) * 10 / u128::from(factor)) as u64;
    match tenths % 10 {
        0 => format!("{} {unit}", tenths / 10),
        rest => format!("{}.{rest} {unit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_number_and_a_unit() {
        let sizes =
            ["0", "512", "64MiB", "64 mib", "1GiB", "500MB", "7B"].map(|text| parse(text).ok());
        let wanted = [0, 512, 64 << 20, 64 << 20, 1 << 30, 500_000_000, 7];
        assert_eq!(sizes, wanted.map(Some));
        for wrong in [
            "",
            "MiB",
            "-1MiB",
            "1.5GiB",
            "64 megs",
            "99999999999TiB",
            "1 2",
        ] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_size_for_people_is_cut_never_rounded_up() {
        let shown = [0, 1023, 1024, (64 << 20) - 1, 64 << 20, 3 << 29].map(shown);
        let wanted = [
            "0 bytes",
            "1023 bytes",
            "1 KiB",
            "63.9 MiB",
            "64 MiB",
            "1.5 GiB",
        ];
        assert_eq!(shown, wanted);
    }
}

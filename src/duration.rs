//! How long something lasts, as people write it in the config: `90s`, `5m`, `1h 30m`, `6h`, `1d`, `2w`, `1y`.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

/// Longer than any wait or retention can mean, and short enough for every calendar.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Reads one.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) => Err(format!("`{text}` is longer than 100 years")),
        Err(_) => Err(format!(
            "`{text}` is no duration; write a number and a unit: \"30s\", \"5m\", \"6h\", \"1d\", \"90d\", \"1y\""
        )),
    }
}

/// For `#[serde(deserialize_with)]`.
pub(crate) fn read<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// For `#[serde(deserialize_with)]` of a key that may be missing.
pub(crate) fn read_some<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    read(from).map(Some)
}

//! The values a config file is made of, each read from its own small spelling.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error as _};

use crate::duration;

/// A backoff of more steps than this is a slip of the pen.
const MOST_STEPS: usize = 1000;

/// A 5xx refusal: the end, or one more temporary failure?
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Permanent {
    /// Error at once (`"error"`).
    #[default]
    Error,
    /// It counts like a 4xx (`"retry"`).
    Retry,
}

/// Reads `1m,5m,15m,1h*3,6h,1d`: the waits after the first, second … failure; `*3` repeats a step.
fn parse_backoff(text: &str) -> Result<Vec<Duration>, String> {
    let mut steps = Vec::new();
    for step in text.split(',') {
        let (wait, times) = match step.split_once('*') {
            None => (step, 1),
            Some((wait, times)) => {
                let times = times.trim().parse::<usize>().ok().filter(|&n| n > 0);
                let times = times.ok_or_else(|| {
                    format!(
                        "`{}`: after `*` stands how many times, as in \"1h*3\"",
                        step.trim()
                    )
                })?;
                (wait, times)
            }
        };
        let wait = duration::parse(wait.trim())?;
        if times > MOST_STEPS - steps.len() {
            return Err(format!("a backoff has at most {MOST_STEPS} steps"));
        }
        steps.extend(std::iter::repeat_n(wait, times));
    }
    Ok(steps)
}

/// For `#[serde(deserialize_with)]`.
pub(super) fn backoff<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Duration>, D::Error> {
    parse_backoff(&String::deserialize(from)?).map_err(D::Error::custom)
}

/// For `#[serde(deserialize_with)]`: none of them is empty, and none matches everything.
pub(super) fn patterns<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    let patterns = Vec::<String>::deserialize(from)?;
    let all = |pattern: &&String| pattern.chars().all(|c| c == '*' || c.is_whitespace());
    match patterns.iter().find(all) {
        Some(pattern) => Err(D::Error::custom(format!(
            "`{pattern}` would make all causes one; write some of their words, as in \"*greylist*\""
        ))),
        None => Ok(patterns),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_step_may_be_repeated_and_may_be_nothing() {
        let seconds = |text| {
            parse_backoff(text).map(|steps| steps.iter().map(Duration::as_secs).collect::<Vec<_>>())
        };
        assert_eq!(
            seconds("1m,5m,15m,1h*3,6h,1d"),
            Ok(vec![60, 300, 900, 3600, 3600, 3600, 21600, 86400])
        );
        assert_eq!(seconds("0s"), Ok(vec![0]));
        assert_eq!(seconds(" 1s * 2 , 1h 30m"), Ok(vec![1, 1, 5400]));
        for wrong in [
            "", "1m,", "5", "1h*", "1h*0", "1h*-1", "*3", "1h*1001", "-1m", "999y",
        ] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}

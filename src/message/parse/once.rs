//! JSON in which no name stands twice in one object: of two, serde would take the last, and the application may have meant the first
//! (RFC 8259 4: what a reader then does is unpredictable).

use std::{cell::RefCell, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, map::Entry};

/// Reads a line, and tells the place of the first name that stands twice, as in `receivers[0].to`.
pub(super) fn read(line: &str) -> serde_json::Result<(Value, Option<String>)> {
    let twice = RefCell::new(None);
    let mut json = serde_json::Deserializer::from_str(line);
    let value = Once(&twice).deserialize(&mut json)?;
    json.end()?;
    let place = twice.into_inner();
    Ok((
        value,
        place.map(|place| place.trim_start_matches('.').to_owned()),
    ))
}

/// Where a name was found to stand twice, as seen from the value that is being read: `.to`, then `[0].to`, then `.receivers[0].to`.
type Place = RefCell<Option<String>>;

#[derive(Clone, Copy)]
struct Once<'a>(&'a Place);

impl Once<'_> {
    /// Reads a value inside this one; what was found in there lies behind `step`.
    fn inside<T, E>(
        self,
        read: impl FnOnce(Self) -> Result<T, E>,
        step: impl FnOnce() -> String,
    ) -> Result<T, E> {
        let known = self.0.borrow().is_some();
        let value = read(self)?;
        if !known && let Some(place) = self.0.borrow_mut().as_mut() {
            place.insert_str(0, &step());
        }
        Ok(value)
    }
}

impl<'de> DeserializeSeed<'de> for Once<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any valid JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        loop {
            let at = list.len();
            let item = self.inside(
                |inside| items.next_element_seed(inside),
                || format!("[{at}]"),
            )?;
            match item {
                Some(item) => list.push(item),
                None => return Ok(Value::Array(list)),
            }
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = self.inside(
                |inside| members.next_value_seed(inside),
                || format!(".{name}"),
            )?;
            match map.entry(name) {
                Entry::Vacant(free) => {
                    free.insert(value);
                }
                Entry::Occupied(taken) => {
                    self.0
                        .borrow_mut()
                        .get_or_insert_with(|| format!(".{}", taken.key()));
                }
            }
        }
        Ok(Value::Object(map))
    }
}

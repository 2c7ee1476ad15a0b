//! Who a user is: name, language, addresses.

use std::collections::HashMap;

use serde_json::Value;

use super::fields::{Fields, Who};

pub(super) const USER: &str = "devilry_account.user";
pub(super) const EMAIL: &str = "devilry_account.useremail";
pub(super) const NAME: &str = "devilry_account.username";

/// Every user of the dump. A user may be named in both ways within one dump, and before their own row comes.
#[derive(Default)]
pub(super) struct People {
    numbers: HashMap<Box<str>, i64>,
    users: HashMap<Who, User>,
}

#[derive(Default)]
struct User {
    /// The short name, else the primary user name.
    name: Option<Box<str>>,
    language: Option<Box<str>>,
    notified: Vec<Box<str>>,
    primary: Option<Box<str>>,
}

impl People {
    /// Takes what a row says.
    pub(super) fn learn(
        &mut self,
        model: &str,
        pk: Option<&Value>,
        fields: &mut Fields,
    ) -> Result<(), String> {
        match model {
            USER => {
                let name: Box<str> = fields.text("shortname")?.into();
                if name.is_empty() {
                    return Err("has no shortname".to_owned());
                }
                let language = fields.text("languagecode")?;
                let language = (!language.is_empty()).then(|| language.into());
                let number = pk.and_then(Value::as_i64);
                if let Some(number) = number {
                    self.numbers.insert(name.clone(), number);
                }
                let who = number.map_or_else(|| Who::Name(name.clone()), Who::Number);
                let user = self.users.entry(who).or_default();
                (user.name, user.language) = (Some(name), language);
            }
            EMAIL => {
                let address: Box<str> = fields.text("email")?.trim().into();
                let notified = fields.flag("use_for_notifications")?;
                let primary = fields.flag("is_primary")?;
                let user = self.owner(fields)?;
                if address.is_empty() {
                    return Ok(());
                }
                if primary {
                    user.primary = Some(address.clone());
                }
                if notified && !user.notified.contains(&address) {
                    user.notified.push(address);
                }
            }
            NAME => {
                let name = fields.text("username")?;
                let primary = fields.flag("is_primary")?;
                let user = self.owner(fields)?;
                if !name.is_empty() && (primary || user.name.is_none()) {
                    user.name.get_or_insert_with(|| name.into());
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn owner(&mut self, fields: &mut Fields) -> Result<&mut User, String> {
        let who = fields.who("user")?.ok_or("has no user")?;
        Ok(self.users.entry(who).or_default())
    }

    /// All that was said of a user, under either way of naming one.
    fn said(&self, who: &Who) -> impl Iterator<Item = &User> {
        let other = match who {
            Who::Name(name) => self.numbers.get(name).copied().map(Who::Number),
            Who::Number(_) => {
                let name = self.users.get(who).and_then(|user| user.name.clone());
                name.map(Who::Name)
            }
        };
        let mut both = [Some(who.clone()), other];
        // The row that has a number knows most.
        both.sort_by_key(|who| !matches!(who, Some(Who::Number(_))));
        both.into_iter()
            .flatten()
            .filter_map(|who| self.users.get(&who))
    }

    /// Where a user's mail goes: to every address that is for notifications, else to the primary one; empty when the dump knows none.
    pub(super) fn addresses(&self, who: &Who) -> Vec<String> {
        let mut addresses: Vec<String> = Vec::new();
        for address in self.said(who).flat_map(|user| &user.notified) {
            if !addresses.iter().any(|there| **there == **address) {
                addresses.push(address.to_string());
            }
        }
        if addresses.is_empty() {
            let primary = self.said(who).find_map(|user| user.primary.as_deref());
            addresses.extend(primary.map(str::to_owned));
        }
        addresses
    }

    /// The short name; where the dump does not tell it, what stands for the user in it.
    pub(super) fn name(&self, who: &Who) -> String {
        let known = self.said(who).find_map(|user| user.name.as_deref());
        match (known, who) {
            (Some(name), _) => name.to_owned(),
            (None, Who::Name(name)) => name.to_string(),
            (None, Who::Number(number)) => number.to_string(),
        }
    }

    pub(super) fn language(&self, who: &Who) -> Option<&str> {
        self.said(who).find_map(|user| user.language.as_deref())
    }
}

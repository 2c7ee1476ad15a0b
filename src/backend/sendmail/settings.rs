//! What a sendmail backend is told: the program, its arguments, and what may stand in them.

use std::{path::PathBuf, time::Duration};

const SENDER: &str = "{sender}";
const RECIPIENT: &str = "{recipient}";

/// Everything there is to say about a sendmail backend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SendmailSettings {
    /// The backend's name, for tracebacks.
    pub name: String,
    /// The program: a path, or a name that is looked for in PATH.
    pub program: PathBuf,
    /// Its arguments; `{sender}` and `{recipient}` in them stand for the addresses of the envelope. No shell reads them.
    pub args: Vec<String>,
    /// The header From of messages that have none.
    pub from: Option<String>,
    /// How many of them may run at once.
    pub connections: usize,
    /// How long one may take. Impatience makes unknown ends.
    pub timeout: Duration,
}

impl SendmailSettings {
    /// The defaults; each is what a config file that leaves the key out means.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            program: PathBuf::from("/usr/sbin/sendmail"),
            // -i: a line with only a dot does not end the message. --: what follows is no option.
            args: ["-i", "-f", SENDER, "--", RECIPIENT]
                .map(str::to_owned)
                .to_vec(),
            from: None,
            connections: 4,
            timeout: Duration::from_secs(10 * 60),
        }
    }

    /// Says what is wrong, if anything is; the key comes first.
    pub fn check(&self) -> Result<(), String> {
        if self.program.as_os_str().is_empty() {
            return Err("program is empty; leave it out for /usr/sbin/sendmail".to_owned());
        }
        if !self.args.iter().any(|arg| arg.contains(RECIPIENT)) {
            return Err(format!(
                "args: {RECIPIENT} is missing, so that nobody would get the message"
            ));
        }
        for arg in &self.args {
            let mut known = arg.replace(SENDER, "");
            known = known.replace(RECIPIENT, "");
            if known.contains(['{', '}', '\0']) {
                return Err(format!(
                    "args: `{arg}`: only {SENDER} and {RECIPIENT} can stand in braces"
                ));
            }
        }
        if self.connections == 0 {
            return Err("connections must be at least 1".to_owned());
        }
        if self.timeout.is_zero() {
            return Err("timeout must be longer than nothing, such as \"10m\"".to_owned());
        }
        Ok(())
    }

    /// The arguments for this envelope. In one go: an address with `{recipient}` in it is only an address.
    pub(super) fn arguments(&self, sender: &str, recipient: &str) -> Vec<String> {
        let filled = |arg: &String| {
            let mut filled = String::new();
            let mut rest = arg.as_str();
            while let Some(at) = rest.find('{') {
                filled.push_str(&rest[..at]);
                rest = &rest[at..];
                if let Some(after) = rest.strip_prefix(SENDER) {
                    filled.push_str(sender);
                    rest = after;
                } else if let Some(after) = rest.strip_prefix(RECIPIENT) {
                    filled.push_str(recipient);
                    rest = after;
                } else {
                    break;
                }
            }
            filled.push_str(rest);
            filled
        };
        self.args.iter().map(filled).collect()
    }
}

use std::{
    fs, io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, bail};
use tempfile::TempDir;

use super::{script, server::Server};
use crate::{
    config::{Config, Kind},
    store::Store,
};

const CONFIG: &str = "config.toml";
const STORE: &str = "postroom.db";

/// A demonstration: a folder with a config and a store, and the mail server that the config names. Dropped, the server stops, and a temporary folder goes.
pub struct Demo {
    config: Config,
    store: Arc<Store>,
    server: Server,
    folder: Folder,
}

enum Folder {
    Temporary(TempDir),
    Kept(PathBuf),
}

impl Folder {
    fn path(&self) -> &Path {
        match self {
            Self::Temporary(folder) => folder.path(),
            Self::Kept(folder) => folder,
        }
    }
}

impl Demo {
    /// A new one with an empty store, in a temporary folder.
    pub fn temporary() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("postroom-demo-")
            .tempdir()
            .context("a temporary folder for the demo could not be made")?;
        Self::begin(Folder::Temporary(folder))
    }

    /// A new one with an empty store, in this folder, which is made; refused when something is in it.
    pub fn create(folder: &Path) -> anyhow::Result<Self> {
        let shown = folder.display();
        match fs::read_dir(folder) {
            Ok(mut there) => {
                if there.next().is_some() {
                    bail!("{shown} is not empty: name a folder that is, or one to be made");
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                fs::create_dir_all(folder).with_context(|| format!("{shown} could not be made"))?;
            }
            Err(error) => return Err(error).with_context(|| format!("{shown} cannot be used")),
        }
        Self::begin(Folder::Kept(folder.to_owned()))
    }

    /// One that [`Demo::create`] left: its server listens again on the port in its config.
    pub fn open(folder: &Path) -> anyhow::Result<Self> {
        let config = Config::load(Some(&folder.join(CONFIG)))?;
        let shown = folder.display();
        let Some(Kind::Smtp(smtp)) = config.backends.get("email").map(|backend| &backend.kind)
        else {
            bail!(
                "{shown} is not a folder of the demo: its config has no [backends.email] of kind smtp"
            );
        };
        if smtp.host != Ipv4Addr::LOCALHOST.to_string() {
            bail!(
                "{shown} is not a folder of the demo: its mail server is {}",
                smtp.host
            );
        }
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, smtp.port));
        let server = Server::start_at(addr, script()).with_context(|| {
            format!("the demo's mail server cannot listen on {addr}; is it running already?")
        })?;
        Ok(Self {
            store: Arc::new(Store::open(&folder.join(STORE))?.merging(&config.causes.merge)?),
            server,
            folder: Folder::Kept(folder.to_owned()),
            config,
        })
    }

    fn begin(folder: Folder) -> anyhow::Result<Self> {
        let server =
            Server::start(script()).context("the demo's mail server could not be started")?;
        let path = folder.path().join(CONFIG);
        let text = config(server.port());
        fs::write(&path, &text)
            .with_context(|| format!("{} could not be written", path.display()))?;
        Ok(Self {
            config: Config::parse(&text, &path)?,
            store: Arc::new(Store::create(&folder.path().join(STORE))?),
            server,
            folder,
        })
    }

    /// What its config file says.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Its config file.
    pub fn config_path(&self) -> PathBuf {
        self.folder.path().join(CONFIG)
    }

    /// Its store.
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Its mail server.
    pub fn server(&self) -> &Server {
        &self.server
    }
}

fn config(port: u16) -> String {
    format!(
        r#"# A demonstration: the mail server is a part of `postroom demo`, and every address is made up.

[store]
path = "{STORE}"

[delivery]
default_backend = "email"

[backends.email]
kind = "smtp"
host = "127.0.0.1"
port = {port}
tls = "none"
from = "Devilry <no-reply@uni.example>"

# Nobody listens there: this is what an outage looks like.
[backends.campus]
kind = "smtp"
host = "127.0.0.1"
port = 1
tls = "none"
from = "Campus <campus@uni.example>"

[types]
assignment_published = "New assignment"
comment_delivery = "Comment or delivery"
deadline_moved = "Deadline moved"
feedback = "Feedback"
invoice = "Invoice"
newsletter = "Newsletter"
order_shipped = "Order shipped"
password_reset = "Password reset"
security_alert = "Security alert"
"#
    )
}

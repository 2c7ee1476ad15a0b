//! The Debian package: everything that its metadata names can be made, and what it installs works.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod support;

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use postroom::config::Config;
use support::skipped;
use toml::Table;

const HOUSE: &str = env!("CARGO_MANIFEST_DIR");
const PROGRAM: &str = env!("CARGO_BIN_EXE_postroom");

fn run(command: &mut Command) -> String {
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{command:?}: {ran:?}");
    String::from_utf8(ran.stdout).unwrap()
}

/// `[package.metadata.deb]`, once what it needs has been made.
fn metadata() -> &'static Table {
    static PREPARED: OnceLock<Table> = OnceLock::new();
    PREPARED.get_or_init(|| {
        run(Command::new("assets/debian/prepare")
            .arg(PROGRAM)
            .current_dir(HOUSE));
        let manifest = fs::read_to_string(Path::new(HOUSE).join("Cargo.toml")).unwrap();
        let manifest: Table = manifest.parse().unwrap();
        manifest["package"]["metadata"]["deb"]
            .as_table()
            .unwrap()
            .clone()
    })
}

/// What each asset is made of, and where it goes.
fn assets() -> Vec<(PathBuf, &'static str)> {
    let list = metadata()["assets"].as_array().unwrap();
    list.iter()
        .map(|asset| {
            let of = |n: usize| asset[n].as_str().unwrap();
            (Path::new(HOUSE).join(of(0)), of(1))
        })
        .collect()
}

#[test]
fn everything_that_the_package_installs_is_made() {
    for (source, _) in assets() {
        let name = source.file_name().unwrap().to_str().unwrap();
        if source.ends_with("release/postroom") {
            continue;
        }
        let Some((_, ending)) = name.split_once('*') else {
            assert!(source.is_file(), "{}", source.display());
            continue;
        };
        let files = fs::read_dir(source.parent().unwrap()).unwrap();
        let found = files
            .filter(|file| {
                let name = file.as_ref().unwrap().file_name();
                name.to_str().unwrap().ends_with(ending)
            })
            .count();
        assert!(found > 1, "{}", source.display());
    }
    let config = Path::new(HOUSE).join("target/package/config.toml");
    let config = Config::load(Some(&config)).unwrap();
    assert_eq!(
        config.store_path(None).unwrap(),
        Path::new("/var/lib/postroom/postroom.db")
    );
}

#[test]
fn the_scripts_of_the_package_can_be_read_by_a_shell() {
    let scripts = Path::new(HOUSE).join(metadata()["maintainer-scripts"].as_str().unwrap());
    for script in ["postinst", "postrm", "prerm", "prepare"] {
        run(Command::new("sh").arg("-n").arg(scripts.join(script)));
    }
}

/// What `postinst` does, each program that it calls noted in a line: in a folder of the test's own, and with other programs of these names.
fn configured(version: &str, programs: &[(&str, &str)], folder: &Path) -> String {
    let script = Path::new(HOUSE).join("assets/debian/postinst");
    let script = fs::read_to_string(script)
        .unwrap()
        .replace("/var/lib/", &format!("{}/", folder.display()))
        .replace("/run/systemd/system", &folder.display().to_string());
    fs::write(folder.join("postinst"), script).unwrap();
    for (name, does) in programs {
        let program = folder.join(name);
        fs::write(
            &program,
            format!("#!/bin/sh\necho {name} \"$@\" >>done\n{does}\n"),
        )
        .unwrap();
        fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap());
    run(Command::new("sh")
        .args(["postinst", "configure", version])
        .current_dir(folder)
        .env("PATH", path));
    fs::read_to_string(folder.join("done")).unwrap()
}

#[test]
fn installed_by_root_nothing_is_done_by_root_where_the_user_postroom_may_have_put_links() {
    let folder = tempfile::tempdir().unwrap();
    let victim = folder.path().join("victim");
    fs::write(&victim, "").unwrap();
    fs::set_permissions(&victim, Permissions::from_mode(0o600)).unwrap();
    let done = configured(
        "",
        &[
            ("systemd-sysusers", ""),
            ("systemctl", "[ \"$2\" != is-active ]"),
            ("install", "mkdir postroom"),
            // What it would run as postroom it does not run; whoever has that user's rights is faster.
            (
                "runuser",
                "[ -e postroom/postroom.db ] || ln -s ../victim postroom/postroom.db",
            ),
        ],
        folder.path(),
    );
    assert!(done.contains("init"), "{done}");
    assert!(done.contains("chmod 640"), "{done}");
    let mode = fs::metadata(&victim).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{done}");
}

#[test]
fn an_upgrade_waits_for_the_pass_of_the_timer_and_starts_the_timer_again() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("postroom")).unwrap();
    let done = configured(
        "0.1",
        &[
            ("systemd-sysusers", ""),
            (
                "systemctl",
                "[ \"$2\" != is-active ] || [ \"$3\" = postroom-deliver.timer ]",
            ),
            ("runuser", ""),
        ],
        folder.path(),
    );
    let at = |what: &str| done.find(what).unwrap_or_else(|| panic!("{what}: {done}"));
    let stopped = at("systemctl stop postroom-deliver.timer postroom-deliver.service\n");
    assert!(stopped < at("migrate\n"), "{done}");
    assert!(
        at("migrate\n") < at("systemctl start postroom-deliver.timer\n"),
        "{done}"
    );
}

#[test]
fn the_units_are_sound_and_may_do_the_same() {
    let units = Path::new(HOUSE).join("assets/systemd");
    let read = |name: &str| fs::read_to_string(units.join(name)).unwrap();
    let (run, deliver) = (read("postroom.service"), read("postroom-deliver.service"));
    let hardening = |unit: &str| -> Vec<String> {
        let (_, lines) = unit.split_once("ProtectSystem=").unwrap();
        let lines = lines.split("[Install]").next().unwrap().lines();
        lines
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(str::to_owned)
            .collect()
    };
    assert_eq!(hardening(&run), hardening(&deliver));
    assert!(hardening(&run).len() > 15);

    let folder = tempfile::tempdir().unwrap();
    let names = [
        "postroom.service",
        "postroom-deliver.service",
        "postroom-deliver.timer",
    ];
    for name in names {
        let unit = read(name).replace("/usr/local/bin/postroom", PROGRAM);
        fs::write(folder.path().join(name), unit).unwrap();
    }
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(names)
        .current_dir(folder.path())
        .output();
    match verified {
        Ok(ran) => assert!(ran.status.success() && ran.stderr.is_empty(), "{ran:?}"),
        Err(error) => skipped(&format!("systemd-analyze verify: {error}")),
    }
}

#[test]
fn the_package_can_be_built_and_what_is_in_it_runs() {
    let deb = Command::new("cargo").args(["deb", "--version"]).output();
    let dpkg = Command::new("dpkg-deb").arg("--version").output();
    if dpkg.is_err() || !deb.is_ok_and(|ran| ran.status.success()) {
        return skipped("the package itself: it takes cargo-deb and dpkg-deb");
    }
    metadata();
    let folder = tempfile::tempdir().unwrap();
    let package = folder.path().join("postroom.deb");
    // As in the README, but with the program that is tested.
    let build = folder.path().join("build");
    fs::create_dir_all(build.join("release")).unwrap();
    fs::copy(PROGRAM, build.join("release/postroom")).unwrap();
    run(Command::new("cargo")
        .args(["deb", "--no-build", "--no-strip", "--fast", "--output"])
        .arg(&package)
        .env("CARGO_TARGET_DIR", build)
        .current_dir(HOUSE));
    let root = folder.path().join("root");
    run(Command::new("dpkg-deb").arg("-x").args([&package, &root]));
    let control = folder.path().join("control");
    run(Command::new("dpkg-deb")
        .arg("-e")
        .args([&package, &control]));
    assert_eq!(
        fs::read_to_string(control.join("conffiles"))
            .unwrap()
            .trim(),
        "/etc/postroom/config.toml"
    );
    for script in ["postinst", "postrm", "prerm"] {
        assert!(control.join(script).is_file(), "{script}");
    }
    for file in [
        "usr/share/bash-completion/completions/postroom",
        "usr/share/fish/vendor_completions.d/postroom.fish",
        "usr/share/zsh/vendor-completions/_postroom",
        "usr/share/man/man1/postroom.1.gz",
        "usr/share/man/man1/postroom-list.1.gz",
        "usr/lib/sysusers.d/postroom.conf",
        "usr/lib/systemd/system/postroom.service",
        "usr/lib/systemd/system/postroom-deliver.service",
        "usr/lib/systemd/system/postroom-deliver.timer",
        "usr/share/doc/postroom/copyright",
    ] {
        assert!(root.join(file).is_file(), "{file}");
    }
    let unit = fs::read_to_string(root.join("usr/lib/systemd/system/postroom.service")).unwrap();
    assert!(
        unit.contains("\nExecStart=/usr/bin/postroom run\n"),
        "{unit}"
    );
    let program = root.join("usr/bin/postroom");
    let said = run(Command::new(&program).arg("--version"));
    assert!(said.contains("schema"), "{said}");
    run(Command::new(&program)
        .arg("init")
        .arg("--config")
        .arg(root.join("etc/postroom/config.toml"))
        .arg("--store")
        .arg(folder.path().join("postroom.db")));
}

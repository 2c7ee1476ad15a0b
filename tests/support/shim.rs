//! Compiles the disk that forgets, fails and is slow (`tests/storage/disk.c`). A bench takes in this file alone.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

/// The compiled shim; `None` where there is no compiler, or nothing can be preloaded.
pub fn shim() -> Option<&'static Path> {
    static SHIM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let compile = || {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let (to, half) = (
            folder.join("disk.so"),
            folder.join(format!("disk-{}.so", std::process::id())),
        );
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/storage/disk.c");
        let ran = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()))
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .args([&half, &source])
            .args(["-ldl", "-lpthread"])
            .output()
            .ok()?;
        assert!(ran.status.success(), "{ran:?}");
        fs::rename(half, &to).ok()?;
        Some(to)
    };
    SHIM.get_or_init(|| cfg!(target_os = "linux").then(compile)?)
        .as_deref()
}

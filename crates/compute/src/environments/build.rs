//! Builds one environment.

use std::{env, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use super::{EnvSpec, EnvironmentError, failed, uv::run};

/// Builds the environment of `spec` in `target`, which isn't there yet. What uv keeps is in `home`.
pub(super) fn build(
    uv: &Path,
    spec: &EnvSpec,
    home: &Path,
    target: &Path,
) -> Result<(), EnvironmentError> {
    let mut venv = uv_command(uv, home);
    // Movable, since it is renamed when it is whole.
    venv.args(["venv", "--quiet", "--relocatable", "--no-project", "--python", &spec.python]);
    run(venv.arg(target), &format!("make an environment of Python `{}`", spec.python))?;
    if !spec.requirements.is_empty() {
        let list = target.join("requirements.txt");
        fs::write(&list, spec.requirements.join("\n") + "\n").map_err(failed(&list))?;
        let mut install = uv_command(uv, home);
        // Compiled now, since nobody can write there later.
        install.args(["pip", "install", "--quiet", "--compile-bytecode"]);
        // Wheels alone: to build anything else, its own code would run here, outside of sandboxes.
        install.args(["--only-binary", ":all:", "--python"]);
        install.arg(target.join("bin/python")).arg("--requirement").arg(&list);
        run(&mut install, "install the requirements")?;
    }
    open_to_all(target)
}

/// uv, with its cache and the Pythons that it fetches below `home`, unless the user put them elsewhere.
fn uv_command(uv: &Path, home: &Path) -> Command {
    let mut command = Command::new(uv);
    for (name, folder) in [("UV_CACHE_DIR", "uv-cache"), ("UV_PYTHON_INSTALL_DIR", "pythons")] {
        if env::var_os(name).is_none() {
            command.env(name, home.join(folder));
        }
    }
    if env::var_os("UV_TORCH_BACKEND").is_none() {
        command.env("UV_TORCH_BACKEND", "cpu");
    }
    command
}

/// Lets every user read `folder` and what is below: sandboxes run as users of their own, whatever
/// mask of modes the server was started with.
fn open_to_all(folder: &Path) -> Result<(), EnvironmentError> {
    let mut waiting = vec![folder.to_owned()];
    while let Some(path) = waiting.pop() {
        let kind = fs::symlink_metadata(&path).map_err(failed(&path))?;
        if kind.is_symlink() {
            continue;
        }
        let mode = kind.permissions().mode();
        let executable = if mode & 0o100 == 0 { 0 } else { 0o111 };
        let open = mode | 0o444 | executable;
        if open != mode {
            let set = fs::set_permissions(&path, fs::Permissions::from_mode(open));
            set.map_err(failed(&path))?;
        }
        if kind.is_dir() {
            for entry in fs::read_dir(&path).map_err(failed(&path))? {
                waiting.push(entry.map_err(failed(&path))?.path());
            }
        }
    }
    Ok(())
}

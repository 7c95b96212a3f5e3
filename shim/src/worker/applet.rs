//! [`Applet`]: the few programs that can be run by exec in a container that has nothing but a module: for probes and for
//! looking around.

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::setup::Setup;

/// A built-in program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Applet {
    Cat,
    Echo,
    Env,
    False,
    Ls,
    Sleep,
    True,
}

impl Applet {
    /// The applet of that name, with or without a folder before it.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name.rsplit('/').next()? {
            "cat" => Self::Cat,
            "echo" => Self::Echo,
            "env" => Self::Env,
            "false" => Self::False,
            "ls" => Self::Ls,
            "sleep" => Self::Sleep,
            "true" => Self::True,
            _ => return None,
        })
    }

    /// Runs it in the container's root, with its output going to `out` and complaints to `complaints`. The exit code.
    pub(crate) fn run(self, setup: &Setup, out: &mut dyn Write, complaints: &mut dyn Write) -> u8 {
        let arguments = setup.args.get(1..).unwrap_or_default();
        let folder = Path::new(if setup.cwd.is_empty() { "/" } else { &setup.cwd });
        let result = match self {
            Self::True => Ok(()),
            Self::False => return 1,
            Self::Echo => writeln!(out, "{}", arguments.join(" ")),
            Self::Env => setup
                .env
                .iter()
                .try_for_each(|(name, value)| writeln!(out, "{name}={value}")),
            Self::Sleep => sleep(arguments),
            Self::Cat => arguments.iter().try_for_each(|name| {
                let mut file = fs_err::File::open(folder.join(name))?;
                io::copy(&mut file, out).map(drop)
            }),
            Self::Ls => list(folder, arguments, out),
        };
        match result {
            Ok(()) => 0,
            Err(error) => {
                // Nobody reads the complaint; the code still tells.
                let _ = writeln!(complaints, "{error}");
                1
            }
        }
    }
}

fn sleep(arguments: &[String]) -> io::Result<()> {
    let seconds = arguments.first().and_then(|text| text.parse::<f64>().ok());
    let duration = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let duration = duration.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "sleep takes seconds"))?;
    std::thread::sleep(duration);
    Ok(())
}

fn list(folder: &Path, arguments: &[String], out: &mut dyn Write) -> io::Result<()> {
    let here = [".".to_owned()];
    let named = arguments.iter().filter(|name| !name.starts_with('-'));
    let named: Vec<_> = named.collect();
    let targets: Vec<&String> = if named.is_empty() { here.iter().collect() } else { named };
    for target in targets {
        let mut names: Vec<_> = fs_err::read_dir(folder.join(target))?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<io::Result<_>>()?;
        names.sort_unstable();
        for name in names {
            writeln!(out, "{name}")?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_may_have_folders_before_them() {
        assert_eq!(Applet::named("/bin/ls"), Some(Applet::Ls));
        assert_eq!(Applet::named("true"), Some(Applet::True));
        assert_eq!(Applet::named("sh"), None);
        assert_eq!(Applet::named(""), None);
    }
}

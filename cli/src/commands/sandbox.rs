//! What the operator grants a guest, and the limits it gets: options that `run` and `serve` share.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use dunlin_node::{Grant, Module, Opened, OutboundHost, Sandbox, SandboxLimits};

use super::Site;
use crate::report::Failure;

/// A secret longer than this is none, in bytes.
const MAX_SECRET: u64 = 64 << 10;

/// Grants and limits.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sandbox")]
pub(crate) struct SandboxArgs {
    /// A model that the guest may open under NAME, besides those its artifact lists
    #[arg(long = "model", value_name = "NAME=REF|FILE", value_parser = pair)]
    models: Vec<(String, String)>,
    /// An environment variable of the guest; with a NAME alone, as it is here
    #[arg(long = "env", value_name = "NAME[=VALUE]")]
    env: Vec<String>,
    /// An environment variable whose value is the content of a file, without a line break at its end
    #[arg(long = "secret", value_name = "NAME=FILE", value_parser = pair)]
    secrets: Vec<(String, String)>,
    /// A host that the guest may send HTTP requests to (`api.example`, `*.example:8443`, `private:10.0.0.7:80`)
    #[arg(long = "allow-host", value_name = "HOST")]
    hosts: Vec<OutboundHost>,
    /// A folder that the guest may read, or with :rw also write
    #[arg(long = "dir", value_name = "HOST[::GUEST][:rw]")]
    dirs: Vec<String>,
    /// Most memory of one instance (bytes, or with K, M, G)
    #[arg(long, value_name = "SIZE", value_parser = size)]
    memory: Option<u64>,
    /// Longest time of one run or request (such as 500ms, 30s, 5m)
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
}

impl SandboxArgs {
    /// Opens the models that were named, and adds everything to what the artifact brings.
    pub(crate) async fn resolve(self, site: &Site, allow_unsigned: bool, module: Module) -> Result<Sandbox, Failure> {
        let mut grant = Grant {
            hosts: self.hosts,
            ..Grant::default()
        };
        for text in &self.env {
            grant.env.push(variable(text)?);
        }
        for (name, file) in &self.secrets {
            grant.env.push((name.clone(), secret(Path::new(file))?));
        }
        for (name, target) in self.models {
            match site.target(&target, allow_unsigned).await? {
                Opened::Model(model) => grant.models.push((name, model)),
                Opened::Module(_) => return Err(Failure::usage(format!("`{target}` is a module, not a model"))),
            }
        }
        for text in &self.dirs {
            grant.dirs.push(folder(text)?);
        }
        let limits = SandboxLimits {
            memory_bytes: self.memory,
            timeout: self.timeout,
        };
        Ok(Sandbox { module, grant, limits })
    }
}

/// `NAME=VALUE`, or `NAME` for the value that this process has.
fn variable(text: &str) -> Result<(String, String), Failure> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, Some(value.to_owned())),
        None => (text, dunlin_node::environment::variable(text)),
    };
    match value {
        Some(value) if !name.is_empty() => Ok((name.to_owned(), value)),
        Some(_) => Err(Failure::usage(format!("--env {text}: write NAME=VALUE"))),
        None => Err(Failure::not_found(format!(
            "--env {text}: no such variable is set here"
        ))),
    }
}

/// The text of a secret's file.
fn secret(path: &Path) -> Result<String, Failure> {
    let size = fs_err::metadata(path)?.len();
    if size > MAX_SECRET {
        return Err(Failure::usage(format!(
            "{} has {size} bytes; a secret has at most {MAX_SECRET}",
            path.display()
        )));
    }
    let mut text = fs_err::read_to_string(path)?;
    if text.ends_with('\n') {
        text.pop();
    }
    Ok(text)
}

fn folder(text: &str) -> Result<dunlin_node::Folder, Failure> {
    let (paths, read_only) = match text.strip_suffix(":rw") {
        Some(paths) => (paths, false),
        None => (text, true),
    };
    let (host, guest) = paths.split_once("::").unwrap_or((paths, paths));
    let host = PathBuf::from(host);
    if !host.is_dir() {
        return Err(Failure::not_found(format!(
            "--dir {text}: there is no folder {}",
            host.display()
        )));
    }
    Ok(dunlin_node::Folder {
        host,
        guest: guest.to_owned(),
        read_only,
    })
}

/// `NAME=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// A number of bytes, with an optional binary suffix.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let lower = lower.strip_suffix('b').unwrap_or(&lower);
    let lower = lower.strip_suffix('i').unwrap_or(lower);
    let (digits, shift) = match lower.as_bytes().last() {
        Some(b'k') => (&lower[..lower.len() - 1], 10),
        Some(b'm') => (&lower[..lower.len() - 1], 20),
        Some(b'g') => (&lower[..lower.len() - 1], 30),
        _ => (lower, 0),
    };
    let count: u64 = digits
        .parse()
        .map_err(|_| format!("`{text}` is no size: write 64M or 1G"))?;
    count
        .checked_mul(1 << shift)
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| format!("`{text}` is out of range"))
}

/// A time with a unit, or nothing at all: `0s`.
pub(crate) fn age(text: &str) -> Result<Duration, String> {
    if text.trim_end_matches(|c: char| c.is_ascii_alphabetic()) == "0" {
        return Ok(Duration::ZERO);
    }
    duration(text)
}

/// A time with a unit.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no time: write 500ms, 30s or 5m");
    let at = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (digits, unit) = text.split_at(at);
    let count: u64 = digits.parse().map_err(|_| wrong())?;
    let duration = match unit {
        "ms" => Duration::from_millis(count),
        "s" => Duration::from_secs(count),
        "m" => Duration::from_secs(count.checked_mul(60).ok_or_else(wrong)?),
        "h" => Duration::from_secs(count.checked_mul(3600).ok_or_else(wrong)?),
        _ => return Err(wrong()),
    };
    if duration.is_zero() { Err(wrong()) } else { Ok(duration) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_binary() {
        assert_eq!(size("65536"), Ok(65536));
        assert_eq!(size("64M"), Ok(64 << 20));
        assert_eq!(size("1GiB"), Ok(1 << 30));
        for wrong in ["", "M", "-1", "0", "1.5G", "99999999999G", "12x"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times_need_a_unit() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        for wrong in ["", "5", "s", "0s", "5d", "99999999999999999999s"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}

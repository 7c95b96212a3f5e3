//! containerd's image verifier (`io.containerd.image-verifier.v1.bindir`): called as `dunlin-image-verifier -name NAME -digest DIGEST`, it says by
//! its exit code whether the trust policy admits the image, and on standard output why. Nothing is downloaded but signatures.

use std::{ffi::OsString, io::Read as _, process::ExitCode, sync::Arc};

use dunlin_models::{Digest, Reference, registry::NoProgress};
use dunlin_node::{Environment, Node, NodeConfig, RegistryOptions, TrustOptions, error_chain, trust};

use crate::{output, setup};

/// The name under which this binary is the verifier.
pub(crate) const NAME: &str = "dunlin-image-verifier";
/// A descriptor on standard input larger than this is none, in bytes.
const MAX_DESCRIPTOR: u64 = 1 << 20;

/// What containerd asks.
#[derive(Debug, PartialEq, Eq)]
struct Question {
    name: String,
    digest: String,
}

/// Answers: 0 admits, anything else refuses.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let executor = match setup::executor() {
        Ok(executor) => executor,
        Err(error) => return refuse(&error.to_string()),
    };
    match executor.block_on(answer(arguments)) {
        Ok(verdict) => {
            let _ = output::line(&verdict);
            ExitCode::SUCCESS
        }
        Err(reason) => refuse(&reason),
    }
}

fn refuse(reason: &str) -> ExitCode {
    let _ = output::line(reason);
    ExitCode::FAILURE
}

async fn answer(arguments: impl Iterator<Item = OsString>) -> Result<String, String> {
    let question = parse(arguments)?;
    // The descriptor repeats what the flags say; it is read so that containerd can write it.
    let mut descriptor = Vec::new();
    let _ = std::io::stdin()
        .lock()
        .take(MAX_DESCRIPTOR)
        .read_to_end(&mut descriptor);
    let reference: Reference = question
        .name
        .parse()
        .map_err(|error| format!("{}: {}", question.name, error_chain(&error)))?;
    let digest: Digest = question
        .digest
        .parse()
        .map_err(|error| format!("{}: {}", question.digest, error_chain(&error)))?;
    let environment = Environment::from_process().map_err(|error| error_chain(&error))?;
    let config = NodeConfig::read(&environment.config).map_err(|error| error_chain(&error))?;
    let verifier =
        trust::verifier(&TrustOptions::default(), &environment.policy).map_err(|error| error_chain(&error))?;
    let verifier = verifier.with_cache(&environment.verdict_dir());
    let node = Node::new(
        environment,
        config,
        verifier,
        RegistryOptions::default(),
        Arc::new(NoProgress),
    );
    let verified = node
        .verify_remote(&reference, Some(digest))
        .await
        .map_err(|error| error_chain(&error))?;
    Ok(format!("{reference}@{digest}: {}", verified.verdict()))
}

/// Flags as Go writes them: one dash or two, the value behind it or after `=`. Unknown ones are refused: they may ask for
/// something that must not be passed over.
fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Question, String> {
    let (mut name, mut digest) = (None, None);
    while let Some(argument) = arguments.next() {
        let argument = text(argument)?;
        let flag = argument.trim_start_matches('-');
        if flag.len() == argument.len() {
            return Err(format!("{argument}: not a flag"));
        }
        let (flag, value) = match flag.split_once('=') {
            Some((flag, value)) => (flag, value.to_owned()),
            None => (
                flag,
                text(arguments.next().ok_or_else(|| format!("-{flag} has no value"))?)?,
            ),
        };
        match flag {
            "name" => name = Some(value),
            "digest" => digest = Some(value),
            "stdin-media-type" if value == "application/vnd.oci.descriptor.v1+json" => {}
            _ => return Err(format!("-{flag} {value}: not understood")),
        }
    }
    match (name, digest) {
        (Some(name), Some(digest)) => Ok(Question { name, digest }),
        _ => Err("-name and -digest are needed".to_owned()),
    }
}

fn text(argument: OsString) -> Result<String, String> {
    argument
        .into_string()
        .map_err(|_| "an argument is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Result<Question, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn flags_are_read_as_go_writes_them() {
        let expected = Ok(Question {
            name: "r.example/a:1".to_owned(),
            digest: "sha256:x".to_owned(),
        });
        assert_eq!(asked("-name r.example/a:1 -digest sha256:x"), expected);
        assert_eq!(
            asked("--name=r.example/a:1 -stdin-media-type application/vnd.oci.descriptor.v1+json -digest=sha256:x"),
            expected
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for line in [
            "",
            "-name a",
            "-name",
            "name a -digest b",
            "-name a -digest b -skip true",
            "-name a -digest b -stdin-media-type text/plain",
        ] {
            assert!(asked(line).is_err(), "{line}");
        }
    }
}

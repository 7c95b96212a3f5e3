//! What the host provides, by name: so that an error can list every missing import with its reason. Types are compared by
//! wasmtime afterwards.

use super::{LinkOptions, MissingImport};
use crate::nn::{inference, wit, witx};

/// Interfaces of WASI 0.2; any 0.2.x of them is served.
const WASI_02: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:sockets/udp-create-socket",
];
/// Interfaces of WASI 0.3; any 0.3.x of them is served.
const WASI_03: &[&str] = &[
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/types",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/system-clock",
    "wasi:clocks/types",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:http/client",
    "wasi:http/types",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/types",
];
const NN_INTERFACES: &[&str] = &["errors", "graph", "inference", "tensor"];

/// A package that is there only where models are granted.
struct NnPackage {
    prefix: &'static str,
    version: &'static str,
    interfaces: &'static [&'static str],
}

const NN_PACKAGES: [NnPackage; 2] = [
    NnPackage {
        prefix: wit::PACKAGE,
        version: wit::VERSION,
        interfaces: NN_INTERFACES,
    },
    NnPackage {
        prefix: inference::PACKAGE,
        version: inference::VERSION,
        interfaces: inference::INTERFACES,
    },
];

/// Why a component's import is missing; `None` when the host provides it.
pub(super) fn check_component(import: &str, options: LinkOptions) -> Option<MissingImport> {
    let missing = |reason: &str| {
        Some(MissingImport {
            name: import.to_owned(),
            reason: reason.to_owned(),
        })
    };
    let (interface, version) = import.split_once('@').unwrap_or((import, ""));
    for package in &NN_PACKAGES {
        let Some(name) = interface.strip_prefix(package.prefix) else {
            continue;
        };
        let known = package.interfaces.contains(&name);
        return match (known, version == package.version, options.models) {
            (true, true, true) => None,
            (true, true, false) => missing("no model was granted"),
            (true, false, _) => missing(&format!("this host has version {} of it", package.version)),
            (false, ..) => missing("the package has no such interface"),
        };
    }
    let (in_02, in_03) = (WASI_02.contains(&interface), WASI_03.contains(&interface));
    match (in_02, in_03) {
        (true, _) if version.starts_with("0.2.") => None,
        (_, true) if version.starts_with("0.3.") => None,
        (true, true) => missing("this host has versions 0.2 and 0.3 of it"),
        (true, false) => missing("this host has version 0.2 of it"),
        (false, true) => missing("this host has version 0.3 of it"),
        (false, false) => missing("this host does not provide it"),
    }
}

/// A core module's import that is not there.
pub(super) fn missing_core(module: &str, name: &str, options: LinkOptions) -> MissingImport {
    let reason = match module {
        "wasi_snapshot_preview1" => "it is no function of WASI preview 1",
        "wasi_unstable" => "this host has preview 1 of WASI, not its predecessor",
        witx::MODULE if !options.models => "no model was granted",
        witx::MODULE => "it is no function of wasi-nn",
        _ => "this host does not provide it",
    };
    MissingImport {
        name: format!("{module}::{name}"),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn check(import: &str, models: bool) -> Option<String> {
        check_component(import, LinkOptions { models }).map(|missing| missing.to_string())
    }

    #[test]
    fn reasons_tell_what_is_wrong() {
        let graph = "wasi:nn/graph@0.2.0-rc-2024-10-28";
        assert_eq!(check(graph, true), None);
        assert_eq!(
            check(graph, false).unwrap(),
            format!("imports `{graph}` but no model was granted")
        );
        assert!(
            check("wasi:nn/graph@0.2.0-rc-2024-08-19", true)
                .unwrap()
                .contains("2024-10-28")
        );
        assert_eq!(check("wasi:io/poll@0.2.0", false), None);
        assert!(check("wasi:io/poll@0.3.0", false).unwrap().contains("0.2"));
        assert_eq!(check("wasi:http/client@0.3.0", false), None);
        assert!(check("wasi:cli/stdin@0.4.0", false).unwrap().contains("0.3"));
        assert!(check("acme:host/log", false).unwrap().contains("does not provide"));
    }
}

//! crane, skopeo and oras-py, both ways.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use dunlin_tests::{Machine, Output, Peer, Publisher, RegistryKind, RegistryServer};

const REFUSED: i32 = 4;
const BOTH: [RegistryKind; 2] = [RegistryKind::Debian, RegistryKind::Referrers];

/// A push and a pull with the library, which has no command of its own.
const ORAS_PY: &str = "
import sys, oras.client
verb, reference, *rest = sys.argv[1:]
client = oras.client.OrasClient(insecure=True)
if verb == 'push':
    client.push(target=reference, files=rest)
else:
    client.pull(target=reference, outdir=rest[0])
";

fn pull(machine: &Machine, key: &str, reference: &str) -> Output {
    machine.dunlin(&["pull", "--plain-http", "--key", key, reference])
}

/// The tag that lists the signatures of a digest where there is no referrers API.
fn signatures_tag(digest: &str) -> String {
    digest.replace(':', "-")
}

#[test]
fn crane_validates_and_copies_what_we_push() {
    let (Some(crane), Some(publisher)) = (Peer::built("crane", "crane"), Publisher::new()) else {
        return;
    };
    for kind in RegistryKind::ALL {
        let Some(registry) = RegistryServer::of(kind) else {
            return;
        };
        for name in Publisher::ARTIFACTS {
            let reference = publisher.push(name, &registry);
            drop(crane.run(&["validate", "--insecure", "--remote", &reference]).ok());
            let copy = registry.reference(&format!("crane/{name}:1"));
            drop(crane.run(&["copy", "--insecure", &reference, &copy]).ok());
            let digest = crane.run(&["digest", "--insecure", &copy]).ok();
            assert_eq!(digest.stdout.trim(), publisher.digest(name), "{kind:?}");
            // It copies no referrers: what arrives is the artifact without its signature.
            drop(pull(&publisher.customer(), "ours.pub", &copy).exits(REFUSED));
        }
    }
}

#[test]
fn copying_the_signatures_tag_copies_the_signatures() {
    let Some(publisher) = Publisher::new() else { return };
    let (Some(crane), Some(skopeo)) = (Peer::built("crane", "crane"), Peer::installed("skopeo")) else {
        return;
    };
    let (Some(from), Some(to)) = (RegistryServer::start(), RegistryServer::start()) else {
        return;
    };
    drop(publisher.push("hello", &from));
    let tags = ["1".to_owned(), signatures_tag(&publisher.digest("hello"))];
    for tag in &tags {
        let source = from.reference(&format!("team/hello:{tag}"));
        let target = to.reference(&format!("crane/hello:{tag}"));
        drop(crane.run(&["copy", "--insecure", &source, &target]).ok());
        let target = to.reference(&format!("skopeo/hello:{tag}"));
        drop(skopeo_copy(&skopeo, &docker(&source), &docker(&target)).ok());
    }
    for copier in ["crane", "skopeo"] {
        let reference = to.reference(&format!("{copier}/hello:1"));
        drop(pull(&publisher.customer(), "rogue.pub", &reference).exits(REFUSED));
        drop(pull(&publisher.customer(), "ours.pub", &reference).ok());
    }
}

/// A registry's artifact in skopeo's words.
fn docker(reference: &str) -> String {
    format!("docker://{reference}")
}

fn skopeo_copy(skopeo: &Peer, source: &str, target: &str) -> Output {
    let plain = ["--src-tls-verify=false", "--dest-tls-verify=false"];
    skopeo.run(&["copy", "--all", "--quiet", plain[0], plain[1], source, target])
}

#[test]
fn skopeo_copies_modules_and_models_unchanged() {
    let (Some(skopeo), Some(publisher)) = (Peer::installed("skopeo"), Publisher::new()) else {
        return;
    };
    for kind in BOTH {
        let Some(registry) = RegistryServer::of(kind) else {
            return;
        };
        for name in ["hello", "add"] {
            let reference = publisher.push(name, &registry);
            let layout = format!("oci:{}:{name}", skopeo.path("layout").display());
            drop(skopeo_copy(&skopeo, &docker(&reference), &layout).ok());
            let copy = registry.reference(&format!("skopeo/{name}:1"));
            drop(skopeo_copy(&skopeo, &layout, &docker(&copy)).ok());
            let machine = Machine::new();
            let pulled = ["pull", "--plain-http", "--allow-unsigned", "--output", "json", &copy];
            let pulled = machine.dunlin(&pulled).ok().json();
            assert_eq!(pulled["digest"], publisher.digest(name), "{kind:?}");
        }
    }
}

/// skopeo 1.9 drops the `artifactType` of an index when it copies, which makes another digest of it.
#[test]
fn a_bundle_that_skopeo_rewrote_is_not_the_one_that_was_signed() {
    let (Some(skopeo), Some(publisher)) = (Peer::installed("skopeo"), Publisher::new()) else {
        return;
    };
    let Some(registry) = RegistryServer::start() else {
        return;
    };
    let reference = publisher.push("app", &registry);
    let copy = registry.reference("team/copied:1");
    drop(skopeo_copy(&skopeo, &docker(&reference), &docker(&copy)).ok());
    let customer = publisher.customer();
    let pulled = pull(&customer, "ours.pub", &copy);
    if pulled.code == 0 {
        // A newer skopeo keeps the index as it is; then the signature in the same repository counts.
        let digest = customer.dunlin(&["ls", "--output", "json"]).ok().json()[0]["digest"].clone();
        assert_eq!(digest, publisher.digest("app"));
    } else {
        drop(pulled.exits(REFUSED));
    }
}

#[test]
fn oras_py_pulls_what_we_push() {
    let (Some(python), Some(publisher)) = (Peer::built("oras-py", "python"), Publisher::new()) else {
        return;
    };
    for kind in BOTH {
        let Some(registry) = RegistryServer::of(kind) else {
            return;
        };
        for (name, file, original) in [
            ("hello", "command_hello.wasm", publisher.hello()),
            ("add", "model.onnx", publisher.model()),
        ] {
            let reference = publisher.push(name, &registry);
            let folder = format!("{name}-{kind:?}");
            drop(python.run(&["-c", ORAS_PY, "pull", &reference, &folder]).ok());
            let pulled = fs_err::read(python.path(&folder).join(file)).unwrap();
            assert_eq!(pulled, fs_err::read(original).unwrap(), "{kind:?} {name}");
        }
    }
}

#[test]
fn we_take_what_oras_py_pushes() {
    let (Some(python), Some(publisher)) = (Peer::built("oras-py", "python"), Publisher::new()) else {
        return;
    };
    fs_err::copy(publisher.model(), python.path("model.onnx")).unwrap();
    fs_err::copy(publisher.hello(), python.path("hello.wasm")).unwrap();
    for kind in BOTH {
        let Some(registry) = RegistryServer::of(kind) else {
            return;
        };
        let take = |name: &str, file: &str| {
            let reference = registry.reference(&format!("theirs/{name}:1"));
            drop(python.run(&["-c", ORAS_PY, "push", &reference, file]).ok());
            let machine = Machine::new();
            machine.key("ours");
            drop(pull(&machine, "ours.pub", &reference).exits(REFUSED));
            let pull = ["pull", "--plain-http", "--allow-unsigned", &reference];
            drop(machine.dunlin(&pull).ok());
            (machine, reference)
        };
        let (machine, reference) = take("module", "hello.wasm:application/wasm");
        let ran = machine.dunlin(&["run", "--allow-unsigned", &reference]).ok();
        assert!(ran.stdout.contains("hello from"), "{kind:?}: {ran:#?}");
        let (machine, reference) = take("model", "model.onnx");
        let inspect = ["inspect", "--allow-unsigned", "--output", "json", &reference];
        let seen = machine.dunlin(&inspect).ok().json();
        assert_eq!(seen["models"][0]["engine"], "tract", "{kind:?}: {seen}");
    }
}

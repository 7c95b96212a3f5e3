//! `dunlin registry serve`: a store as a registry, read by everybody's clients, and what it does not give away. `pull --peer`:
//! the way around the registry.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use dunlin_tests::{CountingProxy, Edit, Machine, Peer, Publisher, RegistryServer, Server, Weights};
use serde_json::Value;

const REFUSED: i32 = 4;
const NETWORK: i32 = 6;
const USAGE: i32 = 2;

/// A node that serves what it pulled of the publisher's artifacts, and the registry that it pulled from.
struct Site {
    publisher: Publisher,
    registry: RegistryServer,
    node: Machine,
    server: Server,
}

fn site() -> Option<Site> {
    let (publisher, registry) = (Publisher::new()?, RegistryServer::start()?);
    let node = publisher.customer();
    for name in Publisher::ARTIFACTS {
        let remote = publisher.push(name, &registry);
        drop(
            node.dunlin(&["pull", "--plain-http", "--key", "ours.pub", &remote])
                .ok(),
        );
    }
    let server = Server::registry(&node, &["--key", "ours.pub"]);
    Some(Site {
        publisher,
        registry,
        node,
        server,
    })
}

impl Site {
    fn reference(&self, name: &str) -> String {
        format!("{}/team/{name}:1", self.server.address())
    }

    /// Sends `request` as it is, and returns the whole answer.
    fn raw(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(self.server.address()).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        // A server that closes at once may do so with a reset.
        drop(stream.read_to_end(&mut answer));
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn status(&self, target: &str) -> u16 {
        let answer = self.raw(&format!(
            "GET {target} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        ));
        let status = answer.split_whitespace().nth(1);
        status.unwrap_or_default().parse().unwrap_or(0)
    }
}

#[test]
fn oras_crane_and_skopeo_pull_from_a_node() {
    let (Some(oras), Some(crane)) = (Peer::built("oras", "oras"), Peer::built("crane", "crane")) else {
        return;
    };
    let Some(skopeo) = Peer::installed("skopeo") else {
        return;
    };
    let Some(site) = site() else { return };
    for name in Publisher::ARTIFACTS {
        let reference = site.reference(name);
        let digest = site.publisher.digest(name);
        let folder = format!("{name}-files");
        drop(oras.run(&["pull", "--plain-http", &reference, "-o", &folder]).ok());
        drop(crane.run(&["validate", "--insecure", "--remote", &reference]).ok());
        let seen = crane.run(&["digest", "--insecure", &reference]).ok();
        assert_eq!(seen.stdout.trim(), digest);
        let source = format!("docker://{reference}");
        let target = format!("oci:{}:x", skopeo.path(name).display());
        let copy = ["copy", "--all", "--quiet", "--src-tls-verify=false", &source, &target];
        drop(skopeo.run(&copy).ok());
    }
    let model = oras.path("add-files").join("model.onnx");
    let expected = fs_err::read(site.publisher.model()).unwrap();
    assert!(fs_err::read(model).unwrap() == expected);
    let discovered = oras
        .run(&["discover", "--plain-http", "--format", "json", &site.reference("app")])
        .ok()
        .json();
    assert_eq!(discovered["referrers"].as_array().unwrap().len(), 1, "{discovered}");
    let listed = crane
        .run(&["ls", "--insecure", &format!("{}/team/app", site.server.address())])
        .ok();
    assert_eq!(listed.stdout.trim(), "1");
    // The signature comes along: the copy is as good as the original.
    let customer = site.publisher.customer();
    let pull = |key: &str| customer.dunlin(&["pull", "--plain-http", "--key", key, &site.reference("app")]);
    drop(pull("rogue.pub").exits(REFUSED));
    drop(pull("ours.pub").ok());
    let copied = site.registry.reference("copied/app:1");
    let from = site.reference("app");
    drop(
        oras.run(&["cp", "-r", "--from-plain-http", "--to-plain-http", &from, &copied])
            .ok(),
    );
    drop(
        customer
            .dunlin(&["pull", "--plain-http", "--key", "ours.pub", &copied])
            .ok(),
    );
}

#[test]
fn only_what_the_policy_admits_is_served() {
    let Some(mut site) = site() else { return };
    let loose = Weights::new(4, 1, 4096).safetensors();
    site.node.write("loose.safetensors", loose);
    drop(
        site.node
            .dunlin(&["pack", "--tag", "team/loose:1", "loose.safetensors"])
            .ok(),
    );
    let loose = |server: &Server| server.get("/v2/team/loose/manifests/1").0;
    assert_eq!(loose(&site.server), 404);
    assert_eq!(site.server.get("/v2/team/hello/manifests/1").0, 200);
    drop(site.node.dunlin(&["sign", "--key", "rogue.key", "team/loose:1"]).ok());
    assert_eq!(loose(&site.server), 404, "signed by nobody who is trusted");
    // What is untagged is no longer served, by whatever name.
    let digest = site.publisher.digest("hello");
    let blob = format!("/v2/team/hello/manifests/{digest}");
    assert_eq!(site.server.get(&blob).0, 200);
    let name = site.registry.reference("team/hello:1");
    drop(site.node.dunlin(&["rm", &name]).ok());
    assert_eq!(site.server.get(&blob).0, 404);
    site.server.terminate();
    assert_eq!(site.server.wait(), 0);
    // A node without a policy trusts nobody, and serves nothing.
    let trusting_nobody = Server::registry(&site.node, &[]);
    assert_eq!(trusting_nobody.get("/v2/").0, 200);
    assert_eq!(trusting_nobody.get("/v2/team/app/manifests/1").0, 404);
    let taken = site
        .node
        .dunlin(&["registry", "serve", "--addr", trusting_nobody.address()])
        .exits(7);
    taken.did_not_crash().says("hint:");
}

#[test]
fn nothing_else_of_the_disk_is_served() {
    let Some(site) = site() else { return };
    site.node.write("data/store/blobs/secret", "secret");
    for target in [
        "/v2/team/app/blobs/../../../index.json",
        "/v2/team/app/blobs/sha256:../secret",
        "/v2/../../../../../../etc/passwd",
        "/../data/store/index.json",
        "/v2/team/app/manifests/%2e%2e%2f%2e%2e%2findex.json",
        "//etc/passwd",
        "/v2/team/app/manifests/2",
        "/v2/team/unknown/manifests/1",
        "/v2/_catalog",
        "/index.json",
    ] {
        assert_eq!(site.status(target), 404, "{target}");
    }
    let post = "POST /v2/team/app/blobs/uploads/ HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
    assert!(site.raw(post).starts_with("HTTP/1.1 405"), "{}", site.raw(post));
    // What is no request ends its own connection only.
    for garbage in [
        "\0\0\0\0\r\n\r\n",
        "GET",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
    ] {
        let mut stream = TcpStream::connect(site.server.address()).unwrap();
        stream.write_all(garbage.as_bytes()).unwrap();
        drop(stream);
    }
    let long = format!(
        "GET /v2/{}/manifests/1 HTTP/1.1\r\nhost: x\r\n\r\n",
        "a/".repeat(200_000)
    );
    let answer = site.raw(&long);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:.80}");
    assert_eq!(site.status("/v2/"), 200);
}

/// A model of some size in a registry behind a counting proxy, and a node that has it and serves it.
struct Fleet {
    publisher: Machine,
    proxy: CountingProxy,
    registry: RegistryServer,
    // Served from until the end.
    _node: Machine,
    server: Server,
    size: u64,
}

fn fleet() -> Option<Fleet> {
    let registry = RegistryServer::start()?;
    let proxy = CountingProxy::start(&registry.host());
    let (publisher, node) = (Machine::new(), Machine::new());
    publisher.key("ours");
    publisher.key("rogue");
    fs_err::copy(publisher.path("ours.pub"), node.path("ours.pub")).unwrap();
    let file = Weights::new(3, 20, 256 << 10).edited(Edit::Header, 0).safetensors();
    publisher.write("model.safetensors", &file);
    drop(
        publisher
            .dunlin(&["pack", "--tag", "demo/m:1", "model.safetensors"])
            .ok(),
    );
    drop(publisher.dunlin(&["sign", "--key", "ours.key", "demo/m:1"]).ok());
    let remote = registry.reference("team/m:1");
    drop(publisher.dunlin(&["push", "--plain-http", "demo/m:1", &remote]).ok());
    let reference = format!("{}/team/m:1", proxy.host());
    drop(
        node.dunlin(&["pull", "--plain-http", "--key", "ours.pub", &reference])
            .ok(),
    );
    let server = Server::registry(&node, &["--key", "ours.pub"]);
    Some(Fleet {
        publisher,
        proxy,
        registry,
        _node: node,
        server,
        size: file.len() as u64,
    })
}

impl Fleet {
    fn peer(&self) -> String {
        format!("http://{}", self.server.address())
    }

    fn reference(&self) -> String {
        format!("{}/team/m:1", self.proxy.host())
    }

    fn newcomer(&self) -> Machine {
        let machine = Machine::new();
        for key in ["ours.pub", "rogue.pub"] {
            fs_err::copy(self.publisher.path(key), machine.path(key)).unwrap();
        }
        machine
    }
}

#[test]
fn peers_spare_the_registry() {
    let Some(fleet) = fleet() else { return };
    let reference = fleet.reference();
    let pull = ["pull", "--plain-http", "--key", "ours.pub", &reference];
    // By flag.
    let before = fleet.proxy.received();
    let peer = fleet.peer();
    let by_flag = fleet.newcomer();
    let pulled: Value = by_flag
        .dunlin(&[&pull[..], &["--peer", &peer, "--output", "json"]].concat())
        .ok()
        .json();
    assert!(pulled["pulled_bytes"].as_u64().unwrap() >= fleet.size);
    let received = fleet.proxy.received() - before;
    assert!(received < 64 << 10, "{received} bytes came from the registry");
    // By configuration; a peer that is not there comes first.
    let before = fleet.proxy.received();
    let configured = fleet.newcomer();
    let text = format!(
        "[[registry]]\nhost = \"{}\"\nplain_http = true\npeers = [\"http://127.0.0.1:1\", \"{peer}\"]\n",
        fleet.proxy.host()
    );
    configured.write("node.toml", text);
    let pull = ["pull", "--config", "node.toml", "--key", "ours.pub", &reference];
    drop(configured.dunlin(&pull).ok());
    let received = fleet.proxy.received() - before;
    assert!(received < 64 << 10, "{received} bytes came from the registry");
    let ftp = configured.dunlin(&["pull", "--peer", "ftp://x", &reference]);
    drop(ftp.exits(USAGE));
}

#[test]
fn peers_stand_in_for_a_registry_that_is_gone() {
    let Some(fleet) = fleet() else { return };
    let (reference, peer) = (fleet.reference(), fleet.peer());
    let Fleet {
        registry,
        proxy,
        publisher,
        _node,
        server,
        size,
    } = fleet;
    drop((registry, proxy));
    let machine = Machine::new();
    for key in ["ours.pub", "rogue.pub"] {
        fs_err::copy(publisher.path(key), machine.path(key)).unwrap();
    }
    let pull = |key: &str| {
        machine.dunlin(&[
            "pull",
            "--plain-http",
            "--key",
            key,
            "--peer",
            &peer,
            "--output",
            "json",
            &reference,
        ])
    };
    drop(pull("rogue.pub").exits(REFUSED));
    let pulled = pull("ours.pub").ok().json();
    assert!(pulled["pulled_bytes"].as_u64().unwrap() >= size);
    drop(machine.dunlin(&["verify", "--key", "ours.pub", &reference]).ok());
    drop(server);
    let alone = Machine::new();
    fs_err::copy(publisher.path("ours.pub"), alone.path("ours.pub")).unwrap();
    let gone = alone.dunlin(&["pull", "--plain-http", "--key", "ours.pub", "--peer", &peer, &reference]);
    gone.exits(NETWORK).did_not_crash();
}

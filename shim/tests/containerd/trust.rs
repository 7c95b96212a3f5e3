//! Trust at create: without the policy's word nothing of an image is run, and the refusal is in the error that a pod's events
//! show.

use std::fs;

use crate::{
    leftovers,
    node::{BUSYBOX, HELLO, node_with, until},
};

const STRICT: &str = "allow_unsigned = false\n";

#[test]
fn without_a_policy_nothing_webassembly_starts() {
    let Some(node) = node_with(std::path::Path::new("/usr/bin"), STRICT) else {
        return;
    };
    let done = node.run(&["--rm"], HELLO, "c", &[]);
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("refuses the image"), "{done:?}");
    // Linux containers of a pod are containerd's to admit.
    node.run(&["--rm"], BUSYBOX, "b", &["/bin/true"]).ok();
    until("the shims have ended", || {
        leftovers::processes(node.folder.path()).is_empty()
    });
    assert!(leftovers::cgroups(&node.namespace).is_empty());
    assert!(!node.folder.path().join("code").exists(), "nothing was compiled");
}

#[test]
fn an_unreadable_policy_admits_nothing() {
    let Some(node) = node_with(std::path::Path::new("/usr/bin"), "allow_unsigned = true\n") else {
        return;
    };
    fs::write(node.folder.path().join("policy.yaml"), "apiVersion: what\n").unwrap();
    let done = node.run(&["--rm"], HELLO, "c", &[]);
    assert_ne!(done.code, 0);
    assert!(done.stderr.contains("cannot be used"), "{done:?}");
}

#[test]
fn a_configuration_that_is_not_understood_starts_nothing() {
    let Some(node) = node_with(std::path::Path::new("/usr/bin"), "allow_unsinged = true\n") else {
        return;
    };
    let done = node.run(&["--rm"], HELLO, "c", &[]);
    assert_ne!(done.code, 0, "{done:?}");
}

//! A real registry behind TLS, passwords and tokens: who may push and pull, and what is said to the others.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use dunlin_tests::{Guard, Login, Machine, Output, PASSWORD, Publisher, RegistryServer, USER, docker_config};

const NETWORK: i32 = 6;

/// `dunlin` as somebody whose docker configuration is the folder `config` of the machine, where there is one.
fn dunlin(machine: &Machine, arguments: &[&str]) -> Output {
    Output::of(machine.command(arguments).env("DOCKER_CONFIG", machine.path("config")))
}

fn login(machine: &Machine, registry: &RegistryServer, password: &str) {
    docker_config(&machine.path("config"), &registry.host(), USER, password);
}

#[test]
fn a_private_authority_is_trusted_when_it_is_named() {
    let guard = Guard {
        tls: true,
        login: Login::Nobody,
    };
    let (Some(publisher), Some(registry)) = (Publisher::new(), RegistryServer::guarded(guard)) else {
        return;
    };
    let authority = registry.authority().to_string_lossy().into_owned();
    let remote = registry.reference("team/app:1");
    let push = |options: &[&str]| {
        dunlin(
            publisher.machine(),
            &[&["push", "demo/app:1", &remote], options].concat(),
        )
    };
    push(&[]).exits(NETWORK).did_not_crash().says("hint:");
    // Plain HTTP is no way around TLS.
    drop(push(&["--plain-http"]).exits(NETWORK));
    drop(push(&["--ca-file", &authority]).ok());
    let customer = publisher.customer();
    let pull = |options: &[&str]| {
        let command = ["pull", "--key", "ours.pub", &remote];
        dunlin(&customer, &[&command[..], options].concat())
    };
    drop(pull(&[]).exits(NETWORK));
    drop(pull(&["--ca-file", &authority]).ok());
}

/// Pushes and pulls with the right password; refused with a wrong one and without any.
fn passwords_count(guard: Guard) {
    let (Some(publisher), Some(registry)) = (Publisher::new(), RegistryServer::guarded(guard)) else {
        return;
    };
    let authority = guard.tls.then(|| registry.authority().to_string_lossy().into_owned());
    let way = match &authority {
        Some(authority) => vec!["--ca-file", authority],
        None => vec!["--plain-http"],
    };
    let remote = registry.reference("team/app:1");
    let push = || {
        dunlin(
            publisher.machine(),
            &[&["push", "demo/app:1", &remote], &way[..]].concat(),
        )
    };
    push().exits(NETWORK).did_not_crash().says("hint:");
    login(publisher.machine(), &registry, "wrong");
    let refused = push().exits(NETWORK);
    refused.did_not_crash();
    assert!(!refused.stderr.contains("wrong"), "the password is shown: {refused:#?}");
    login(publisher.machine(), &registry, PASSWORD);
    let pushed = push().ok();
    assert!(!pushed.stderr.contains(PASSWORD), "the password is shown: {pushed:#?}");
    let customer = publisher.customer();
    let pull = || {
        let command = ["-vv", "pull", "--key", "ours.pub", &remote];
        dunlin(&customer, &[&command[..], &way[..]].concat())
    };
    drop(pull().exits(NETWORK));
    login(&customer, &registry, PASSWORD);
    let pulled = pull().ok();
    assert!(!pulled.stderr.contains(PASSWORD), "the password is shown: {pulled:#?}");
}

#[test]
fn a_registry_with_passwords() {
    passwords_count(Guard {
        tls: false,
        login: Login::Password,
    });
}

#[test]
fn a_registry_with_tokens() {
    passwords_count(Guard {
        tls: false,
        login: Login::Token,
    });
}

#[test]
fn a_registry_with_tls_and_passwords() {
    passwords_count(Guard {
        tls: true,
        login: Login::Password,
    });
}

#[test]
fn a_registry_with_tls_and_tokens() {
    passwords_count(Guard {
        tls: true,
        login: Login::Token,
    });
}

/// Whoever can change what the registry says could send the password anywhere, for all to read.
#[test]
fn no_password_goes_to_a_realm_without_tls() {
    let guard = Guard {
        tls: true,
        login: Login::TokenInClear,
    };
    let (Some(publisher), Some(registry)) = (Publisher::new(), RegistryServer::guarded(guard)) else {
        return;
    };
    login(publisher.machine(), &registry, PASSWORD);
    let authority = registry.authority().to_string_lossy().into_owned();
    let remote = registry.reference("team/app:1");
    let push = ["push", "--ca-file", &authority, "demo/app:1", &remote];
    let refused = dunlin(publisher.machine(), &push).exits(NETWORK);
    refused.did_not_crash().says("does not use TLS");
    assert_eq!(registry.realm_logins(), 0);
}

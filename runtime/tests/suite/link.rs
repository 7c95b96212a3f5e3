//! Linking: errors that name everything that is missing, before anything runs.

use dunlin_runtime::{CommandApp, Grants, HttpApp, HttpConfig, Limits, LinkError, LinkOptions};

use crate::support::{compile, compile_wat, engine, guest, scheduler};

/// A command component with these imports.
fn component_importing(imports: &str) -> String {
    format!(
        r#"(component {imports}
        (core module $m (func (export "run") (result i32) i32.const 0))
        (core instance $i (instantiate $m))
        (func $run (result (result)) (canon lift (core func $i "run")))
        (instance $e (export "run" (func $run)))
        (export "wasi:cli/run@0.2.0" (instance $e)))"#
    )
}

fn link(wat: &str, options: LinkOptions) -> Result<CommandApp, LinkError> {
    let engine = engine();
    let code = compile_wat(&engine, wat);
    CommandApp::new(&engine, code, &options)
}

#[test]
fn every_missing_import_is_named() {
    let wat = component_importing(
        r#"(import "acme:one/log" (instance)) (import "acme:two/log@1.2.3" (func)) (import "wasi:io/poll@0.2.1" (instance))
           (import "wasi:io/poll@0.3.0" (instance))"#,
    );
    let error = link(&wat, LinkOptions::default()).unwrap_err();
    let text = error.to_string();
    for part in [
        "`acme:one/log`",
        "`acme:two/log@1.2.3`",
        "`wasi:io/poll@0.3.0` but this host has version 0.2",
    ] {
        assert!(text.contains(part), "{text}");
    }
    let LinkError::Missing { imports, .. } = error else {
        panic!("{text}")
    };
    assert_eq!(imports.len(), 3, "{text}");
}

#[test]
fn missing_core_imports_are_named_whatever_their_kind() {
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "no_such" (func))
        (import "wasi_ephemeral_nn" "load" (func (param i32 i32 i32 i32 i32) (result i32)))
        (import "env" "memory" (memory 1))
        (func (export "_start")))"#;
    let text = link(wat, LinkOptions::default()).unwrap_err().to_string();
    for part in [
        "`wasi_snapshot_preview1::no_such`",
        "`wasi_ephemeral_nn::load`",
        "`env::memory`",
    ] {
        assert!(text.contains(part), "{text}");
    }
    assert!(!text.contains("fd_write"), "{text}");
}

#[test]
fn a_function_of_the_wrong_type_is_a_mismatch() {
    let wat = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i64))) (func (export "_start")))"#;
    assert!(matches!(
        link(wat, LinkOptions::default()),
        Err(LinkError::Mismatch { .. })
    ));
    let wat = component_importing(
        r#"(import "wasi:cli/exit@0.2.0" (instance (export "exit" (func (param "status" string)))))"#,
    );
    assert!(matches!(
        link(&wat, LinkOptions::default()),
        Err(LinkError::Mismatch { .. })
    ));
}

#[test]
fn models_that_were_not_granted_are_missed_at_the_link() {
    let wat = component_importing(r#"(import "wasi:nn/graph@0.2.0-rc-2024-10-28" (instance))"#);
    let error = link(&wat, LinkOptions::default()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("imports `wasi:nn/graph@0.2.0-rc-2024-10-28` but no model was granted")
    );
    assert!(error.hint().unwrap().contains("grant"));
    assert!(link(&wat, LinkOptions { models: true }).is_ok());
}

#[test]
fn a_real_guest_without_its_grant_is_refused() {
    let Some(wasm) = guest("nn_add") else { return };
    let engine = engine();
    let code = compile(&engine, &wasm);
    let error = CommandApp::new(&engine, code.clone(), &LinkOptions::default()).unwrap_err();
    let LinkError::Missing { imports, .. } = &error else {
        panic!("{error}")
    };
    assert!(
        imports.iter().all(|import| import.name.starts_with("wasi:nn/")),
        "{error}"
    );
    assert!(CommandApp::new(&engine, code, &LinkOptions { models: true }).is_ok());
}

#[test]
fn guests_are_run_as_what_they_are() {
    let engine = engine();
    let library = compile_wat(&engine, r#"(module (func (export "f")))"#);
    let error = CommandApp::new(&engine, library, &LinkOptions::default()).unwrap_err();
    assert!(matches!(error, LinkError::WrongWorld { .. }));
    let command = compile_wat(&engine, &component_importing(""));
    let served = HttpApp::new(
        &engine,
        command,
        Grants::default(),
        Limits::default(),
        HttpConfig::default(),
        scheduler(),
    );
    let error = served.unwrap_err();
    assert!(error.to_string().contains("world `command`"), "{error}");
}

#[test]
fn an_http_guest_that_starts_too_large_is_refused() {
    let Some(wasm) = guest("http_hello") else { return };
    let engine = engine();
    let limits = Limits {
        memory_bytes: 65_536,
        ..Limits::default()
    };
    let error = HttpApp::new(
        &engine,
        compile(&engine, &wasm),
        Grants::default(),
        limits,
        HttpConfig::default(),
        scheduler(),
    )
    .unwrap_err();
    assert!(
        matches!(error, LinkError::InitialMemory { limit: 65_536, .. }),
        "{error}"
    );
}

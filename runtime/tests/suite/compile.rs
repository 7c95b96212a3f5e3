//! Compilation and the code cache: what is refused, what is reused, and what a damaged file leads to.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use dunlin_runtime::{Code, CompileError, Engine, EngineConfig, EngineError, OpenCodeError, WasmKind, World};

use crate::support::{compile_wat, digest, engine};

const MODULE: &str = r#"(module (func (export "_start")))"#;
const COMPONENT: &str = r#"(component
    (core module $m (func (export "run") (result i32) i32.const 0))
    (core instance $i (instantiate $m))
    (func $run (result (result)) (canon lift (core func $i "run")))
    (instance $e (export "run" (func $run)))
    (export "wasi:cli/run@0.2.0" (instance $e)))"#;

fn cached(dir: &Path) -> Engine {
    Engine::new(EngineConfig {
        cache_dir: Some(dir.to_owned()),
        ..EngineConfig::default()
    })
    .unwrap()
}

/// Compiles `wat` in a new engine over `dir` and gives the cached file with it.
fn compile_into(dir: &Path, wat: &str) -> (Code, PathBuf) {
    let engine = cached(dir);
    let code = compile_wat(&engine, wat);
    let folder = fs_err::read_dir(dir).unwrap().next().unwrap().unwrap().path();
    let file = folder.join(format!("{}.cwasm", code.digest()));
    (code, file)
}

#[test]
fn code_tells_what_it_is() {
    let engine = engine();
    let module = compile_wat(&engine, MODULE);
    assert_eq!((module.kind(), module.world()), (WasmKind::CoreModule, World::Command));
    assert_eq!(module.exports(), ["_start"]);
    let component = compile_wat(&engine, COMPONENT);
    assert_eq!(
        (component.kind(), component.world()),
        (WasmKind::Component, World::Command)
    );
    assert_eq!(component.exports(), ["wasi:cli/run@0.2.0"]);
    assert!(component.imports().is_empty());
    let memory = compile_wat(&engine, "(module (memory 3))");
    assert_eq!(memory.initial_memory_bytes(), Some(3 * 65_536));
}

#[test]
fn only_webassembly_with_its_own_digest_is_compiled() {
    let engine = engine();
    let wasm = Engine::wat_to_wasm(MODULE.as_bytes()).unwrap();
    let error = engine
        .compile(MODULE.as_bytes(), &digest(MODULE.as_bytes()))
        .unwrap_err();
    assert!(matches!(error, CompileError::NotWasm { text: true, .. }));
    assert!(matches!(
        engine.compile(b"", &digest(b"")),
        Err(CompileError::NotWasm { text: false, .. })
    ));
    assert!(matches!(
        engine.compile(&wasm, &digest(b"x")),
        Err(CompileError::DigestMismatch { .. })
    ));
    assert!(matches!(
        engine.compile(&wasm, "../../x"),
        Err(CompileError::DigestMismatch { .. })
    ));
    for cut in 8..wasm.len() {
        let part = &wasm[..cut];
        // A module may end after any whole section; everything else is refused, and nothing panics.
        if let Err(error) = engine.compile(part, &digest(part)) {
            assert!(matches!(error, CompileError::Invalid { .. }), "{error}");
        }
    }
    let mut bad = wasm;
    bad.extend_from_slice(&[0xff; 9]);
    assert!(matches!(
        engine.compile(&bad, &digest(&bad)),
        Err(CompileError::Invalid { .. })
    ));
}

#[test]
fn precompiled_code_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for wat in [MODULE, COMPONENT] {
        let (_, file) = compile_into(dir.path(), wat);
        let native = fs_err::read(&file).unwrap();
        let error = engine().compile(&native, &digest(&native)).unwrap_err();
        assert!(matches!(error, CompileError::Precompiled { .. }), "{error}");
        assert!(error.hint().unwrap().contains(".wasm"));
        fs_err::remove_file(file).unwrap();
    }
}

#[test]
fn a_second_engine_maps_what_the_first_one_wrote() {
    for wat in [MODULE, COMPONENT] {
        let dir = tempfile::tempdir().unwrap();
        let (_, file) = compile_into(dir.path(), wat);
        let first = fs_err::metadata(&file).unwrap();
        assert_eq!(first.permissions().mode() & 0o777, 0o600);
        let (code, _) = compile_into(dir.path(), wat);
        assert_eq!(fs_err::metadata(&file).unwrap().ino(), first.ino(), "compiled again");
        assert_eq!(code.world(), World::Command);
    }
}

#[test]
fn damaged_files_are_compiled_again() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("truncated", |file| {
            let bytes = fs_err::read(file).unwrap();
            fs_err::write(file, &bytes[..bytes.len() / 2]).unwrap();
        }),
        ("emptied", |file| fs_err::write(file, b"").unwrap()),
        ("one bit flipped", |file| {
            let mut bytes = fs_err::read(file).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs_err::write(file, bytes).unwrap();
        }),
        ("sum missing", |file| fs_err::remove_file(sum_of(file)).unwrap()),
        ("sum of another file", |file| {
            fs_err::write(sum_of(file), digest(b"x")).unwrap()
        }),
        ("writable by others", |file| {
            fs_err::set_permissions(file, std::fs::Permissions::from_mode(0o666)).unwrap();
        }),
    ];
    for (what, damage) in damages {
        let dir = tempfile::tempdir().unwrap();
        let (_, file) = compile_into(dir.path(), COMPONENT);
        let (good, before) = (fs_err::read(&file).unwrap(), fs_err::metadata(&file).unwrap().ino());
        damage(&file);
        let (code, _) = compile_into(dir.path(), COMPONENT);
        assert_eq!(code.world(), World::Command, "{what}");
        let after = fs_err::metadata(&file).unwrap();
        assert!(
            after.ino() != before && after.permissions().mode() & 0o777 == 0o600,
            "{what}: not written again"
        );
        assert_eq!(
            fs_err::read(sum_of(&file)).unwrap(),
            digest(&fs_err::read(&file).unwrap()).as_bytes(),
            "{what}"
        );
        assert_eq!(fs_err::read(&file).unwrap().len(), good.len(), "{what}");
    }
}

#[test]
fn code_of_the_wrong_kind_under_a_digest_is_compiled_again() {
    let dir = tempfile::tempdir().unwrap();
    let (_, module) = compile_into(dir.path(), MODULE);
    let (_, component) = compile_into(dir.path(), COMPONENT);
    fs_err::copy(&module, &component).unwrap();
    fs_err::copy(sum_of(&module), sum_of(&component)).unwrap();
    let (code, _) = compile_into(dir.path(), COMPONENT);
    assert_eq!(code.kind(), WasmKind::Component);
}

#[test]
fn a_cache_folder_that_others_may_write_to_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs_err::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let config = EngineConfig {
        cache_dir: Some(dir.path().to_owned()),
        ..EngineConfig::default()
    };
    let error = Engine::new(config).unwrap_err();
    assert!(matches!(error, EngineError::CacheDirNotPrivate { .. }));
    assert!(error.hint().unwrap().contains("chmod 700"));
}

#[test]
fn a_tick_that_would_never_rest_is_refused() {
    let config = EngineConfig {
        epoch_tick: std::time::Duration::ZERO,
        ..EngineConfig::default()
    };
    assert!(matches!(
        Engine::new(config),
        Err(EngineError::TickTooShort { nanos: 0 })
    ));
}

#[test]
fn an_unwritable_cache_costs_a_warning_only() {
    let dir = tempfile::tempdir().unwrap();
    let engine = cached(dir.path());
    fs_err::remove_dir_all(dir.path()).unwrap();
    assert_eq!(compile_wat(&engine, MODULE).world(), World::Command);
}

#[test]
fn cached_code_is_opened_by_path_while_it_is_what_was_written() {
    let dir = tempfile::tempdir().unwrap();
    for (wat, kind) in [(MODULE, WasmKind::CoreModule), (COMPONENT, WasmKind::Component)] {
        let engine = cached(dir.path());
        let code = compile_wat(&engine, wat);
        let file = engine.cached_file(code.digest()).unwrap();
        // Another engine without a cache of its own, as a process without a compiler has it.
        let opened = crate::support::engine().open_cached(&file, code.digest()).unwrap();
        assert_eq!((opened.kind(), opened.digest()), (kind, code.digest()));
        assert!(engine.cached_file("../../etc/passwd").is_none());

        let refused = |file: &Path| engine.open_cached(file, code.digest()).unwrap_err();
        assert!(matches!(
            refused(&dir.path().join("none")),
            OpenCodeError::Missing { .. }
        ));
        let mut bytes = fs_err::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        // The old file is mapped and must stay as it is.
        let replace = |bytes: &[u8]| fs_err::remove_file(&file).and_then(|()| fs_err::write(&file, bytes));
        replace(&bytes).unwrap();
        assert!(matches!(refused(&file), OpenCodeError::Sum { .. }));
        fs_err::write(sum_of(&file), digest(b"not compiled code")).unwrap();
        replace(b"not compiled code").unwrap();
        assert!(matches!(refused(&file), OpenCodeError::Unfit { .. }));
        fs_err::set_permissions(&file, std::fs::Permissions::from_mode(0o666)).unwrap();
        let error = refused(&file);
        assert!(matches!(error, OpenCodeError::File { .. }) && error.hint().is_some());
    }
}

fn sum_of(file: &Path) -> PathBuf {
    file.with_extension("cwasm.sha256")
}

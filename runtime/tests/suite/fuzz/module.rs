//! The core module: all twelve functions of `wasi_ephemeral_nn`. No call may trap, and every answer is one of the numbers
//! that there are; otherwise the exit code is 1.

use super::numbers::{FUNCTIONS, NAME_BYTES, NAMES, SHUFFLE};

/// Functions, and what their arguments should look like when they are not of pure chance.
const CALLS: &[(&str, &[Arg])] = {
    use Arg::{Any, Handle, Model, Name, NameLen, Pointer, Small, Tensor};
    &[
        ("load", &[Model, Small(2), Small(8), Small(5), Pointer]),
        ("load_by_name", &[Name, NameLen, Pointer]),
        ("load_by_name_with_config", &[Name, NameLen, Pointer, Small(9), Pointer]),
        ("init_execution_context", &[Handle, Pointer]),
        ("set_input", &[Handle, Small(3), Tensor]),
        ("set_input", &[Handle, Small(3), Tensor]),
        ("set_input", &[Handle, Small(3), Pointer]),
        ("compute", &[Handle]),
        ("compute", &[Handle]),
        ("compute_single", &[Handle]),
        ("get_output", &[Handle, Small(2), Pointer, Any, Pointer]),
        ("get_output_single", &[Handle, Small(2), Pointer, Any, Pointer]),
        ("fini_single", &[Handle]),
        ("unload", &[Handle]),
        ("finalize_execution_context", &[Handle]),
    ]
};

#[derive(Clone, Copy)]
enum Arg {
    Any,
    Handle,
    Pointer,
    Small(u32),
    Name,
    NameLen,
    /// A record of a tensor that fits the model.
    Tensor,
    /// Parts of a model that the provider takes.
    Model,
}

/// Number of a function's parameters, by name.
fn arity(name: &str) -> usize {
    CALLS
        .iter()
        .find(|(call, _)| *call == name)
        .map_or(0, |(_, args)| args.len())
}

const TENSOR: u32 = 8192;
const MODEL: u32 = 8448;

fn argument(arg: Arg) -> String {
    let likely = match arg {
        Arg::Any => "(call $any)".to_owned(),
        // Numbers only grow: most of those that are alive are among the last.
        Arg::Handle => "(i32.sub (global.get $top) (call $below (i32.const 12)))".to_owned(),
        Arg::Pointer => "(i32.mul (call $below (i32.const 1000)) (i32.const 4))".to_owned(),
        Arg::Small(limit) => format!("(call $below (i32.const {limit}))"),
        Arg::Name => format!("(i32.const {NAMES})"),
        Arg::NameLen => "(i32.const 3)".to_owned(),
        Arg::Tensor => format!("(i32.const {TENSOR})"),
        Arg::Model => format!("(i32.const {MODEL})"),
    };
    format!("(if (result i32) (call $coin (i32.const 12)) (then (call $any)) (else {likely}))")
}

/// The text of the module.
pub(super) fn text(calls: u32) -> String {
    let mut names: Vec<&str> = CALLS.iter().map(|(name, _)| *name).collect();
    names.dedup();
    let imports: String = names
        .iter()
        .map(|name| {
            let params = "i32 ".repeat(arity(name));
            format!("(import \"wasi_ephemeral_nn\" \"{name}\" (func ${name} (param {params}) (result i32)))\n")
        })
        .collect();
    let arms: String = (0..)
        .zip(CALLS)
        .map(|(index, (name, args))| {
            let args: String = args.iter().map(|arg| argument(*arg)).collect();
            format!("(if (i32.eq (local.get $which) (i32.const {index})) (then (call $check (call ${name} {args}))))\n")
        })
        .collect();
    let count = CALLS.len();
    format!(
        r#"(module
        (import "wasi_snapshot_preview1" "args_get" (func $args_get (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        {imports}
        (memory (export "memory") 2)
        (data (i32.const {NAMES}) "{NAME_BYTES}")
        ;; One dimension of 1, type F32, four bytes.
        (data (i32.const {TENSOR}) "\40\20\00\00\01\00\00\00\01\00\00\00\44\20\00\00\04\00\00\00")
        (data (i32.const 8256) "\01\00\00\00")
        (data (i32.const {MODEL}) "\09\10\00\00\20\00\00\00")
        (global $top (mut i32) (i32.const 0))
        {FUNCTIONS}
        {SHUFFLE}
        (func $check (param $errno i32)
            (if (i32.gt_u (local.get $errno) (i32.const 8)) (then (call $exit (i32.const 1)))))
        (func $track (param $at i32)
            (if (i32.lt_u (i32.load (local.get $at)) (i32.const 0x1000000))
                (then (if (i32.gt_s (i32.load (local.get $at)) (global.get $top))
                    (then (global.set $top (i32.load (local.get $at))))))))
        (func $step (local $which i32)
            (local.set $which (call $below (i32.const {count})))
            {arms})
        (func (export "_start") (local $left i32)
            (drop (call $args_get (i32.const 16384) (i32.const 16400)))
            (call $seed (i32.const 16400))
            (local.set $left (i32.const {calls}))
            (loop $calls
                (if (call $coin (i32.const 16)) (then (call $shuffle (i32.const 0) (i32.const 1024))))
                (if (call $coin (i32.const 4)) (then (call $fresh)))
                (call $step)
                (local.set $left (i32.sub (local.get $left) (i32.const 1)))
                (br_if $calls (local.get $left))))
        ;; A model, a context and its inputs, rightly made: what chance alone does not find.
        (func $fresh
            (drop (call $load_by_name (i32.const {NAMES}) (i32.const 3) (i32.const 12000)))
            (call $track (i32.const 12000))
            (drop (call $init_execution_context (i32.load (i32.const 12000)) (i32.const 12004)))
            (call $track (i32.const 12004))
            (drop (call $set_input (i32.load (i32.const 12004)) (i32.const 0) (i32.const {TENSOR})))
            (drop (call $set_input (i32.load (i32.const 12004)) (i32.const 1) (i32.const {TENSOR})))))"#
    )
}

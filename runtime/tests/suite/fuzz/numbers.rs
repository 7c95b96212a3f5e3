//! The guest's own chance, in WebAssembly: every run is decided by its seed alone.

/// Globals and functions that both kinds of guest have: `$next` gives 64 bits, `$any` an i32 of the interesting sort,
/// `$below` one below its argument. The seed stands as 16 hex digits at the address given to `$seed`.
pub(super) const FUNCTIONS: &str = r#"
    (global $state (mut i64) (i64.const 1))
    (func $seed (param $at i32) (local $i i32)
        (loop $digits
            (global.set $state (i64.or
                (i64.shl (global.get $state) (i64.const 4))
                (i64.extend_i32_u (i32.and (i32.const 15)
                    (i32.add (i32.load8_u (i32.add (local.get $at) (local.get $i)))
                        (i32.mul (i32.const 9) (i32.shr_u (i32.load8_u (i32.add (local.get $at) (local.get $i))) (i32.const 6))))))))
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $digits (i32.lt_u (local.get $i) (i32.const 16))))
        (global.set $state (i64.xor (global.get $state) (i64.const 0x9e3779b97f4a7c15)))
        (if (i64.eqz (global.get $state)) (then (global.set $state (i64.const 1)))))
    (func $next (result i64)
        (global.set $state (i64.xor (global.get $state) (i64.shl (global.get $state) (i64.const 13))))
        (global.set $state (i64.xor (global.get $state) (i64.shr_u (global.get $state) (i64.const 7))))
        (global.set $state (i64.xor (global.get $state) (i64.shl (global.get $state) (i64.const 17))))
        (global.get $state))
    (func $below (param $limit i32) (result i32)
        (i32.wrap_i64 (i64.rem_u (i64.shr_u (call $next) (i64.const 16)) (i64.extend_i32_u (local.get $limit)))))
    (func $any (result i32) (local $kind i32)
        (local.set $kind (call $below (i32.const 8)))
        (if (i32.eqz (local.get $kind)) (then (return (call $below (i32.const 16)))))
        (if (i32.eq (local.get $kind) (i32.const 1)) (then (return (i32.sub (i32.const 0) (call $below (i32.const 64))))))
        (if (i32.eq (local.get $kind) (i32.const 2))
            (then (return (i32.sub (i32.mul (memory.size) (i32.const 65536)) (call $below (i32.const 64))))))
        (if (i32.eq (local.get $kind) (i32.const 3))
            (then (return (i32.shl (i32.const 1) (call $below (i32.const 32))))))
        (if (i32.eq (local.get $kind) (i32.const 4)) (then (return (i32.wrap_i64 (call $next)))))
        (i32.mul (call $below (i32.const 512)) (i32.const 4)))
    (func $coin (param $of i32) (result i32) (i32.eqz (call $below (local.get $of))))"#;

/// Memory from 0: words of chance, over and over. From [`NAMES`]: names.
pub(super) const SHUFFLE: &str = r#"
    (func $shuffle (param $from i32) (param $to i32)
        (loop $words
            (if (call $coin (i32.const 3))
                (then (i32.store (local.get $from) (call $any)))
                (else (i32.store (local.get $from) (call $below (i32.const 24)))))
            (local.set $from (i32.add (local.get $from) (i32.const 4)))
            (br_if $words (i32.lt_u (local.get $from) (local.get $to)))))"#;

/// Where names lie: `add`, `A`, `B`, `C`, and bytes that are no text.
pub(super) const NAMES: u32 = 4096;
/// The names themselves.
pub(super) const NAME_BYTES: &str = r#"addABC\ff\fe add is a model as the test's provider knows it"#;

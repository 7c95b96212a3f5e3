//! A component that calls every function of `wasi:nn` with arguments of chance: `nn_chance_wit SEED`. The functions are
//! imported as they lie below the component model's types, so that handles, pointers, lengths and enums may be wrong.
//! A trap is the host's right; ending normally is another.

#[allow(
    dead_code,
    unsafe_code,
    missing_docs,
    reason = "generated: what describes the imports"
)]
mod bindings {
    wit_bindgen::generate!({
        world: "ml",
        path: "../../../../examples/guests/rust/embed/wit/deps/wasi-nn",
    });
}

use chance::{CALLS, Chance, NONE};

#[link(wasm_import_module = "wasi:nn/tensor@0.2.0-rc-2024-10-28")]
#[allow(unsafe_code, reason = "the point of this guest")]
unsafe extern "C" {
    #[link_name = "[constructor]tensor"]
    safe fn tensor_new(dims: i32, dims_len: i32, ty: i32, data: i32, data_len: i32) -> i32;
    #[link_name = "[method]tensor.dimensions"]
    safe fn tensor_dimensions(this: i32, result: i32);
    #[link_name = "[method]tensor.ty"]
    safe fn tensor_ty(this: i32) -> i32;
    #[link_name = "[method]tensor.data"]
    safe fn tensor_data(this: i32, result: i32);
    #[link_name = "[resource-drop]tensor"]
    safe fn tensor_drop(this: i32);
}

#[link(wasm_import_module = "wasi:nn/errors@0.2.0-rc-2024-10-28")]
#[allow(unsafe_code, reason = "the point of this guest")]
unsafe extern "C" {
    #[link_name = "[method]error.code"]
    safe fn error_code(this: i32) -> i32;
    #[link_name = "[method]error.data"]
    safe fn error_data(this: i32, result: i32);
    #[link_name = "[resource-drop]error"]
    safe fn error_drop(this: i32);
}

#[link(wasm_import_module = "wasi:nn/graph@0.2.0-rc-2024-10-28")]
#[allow(unsafe_code, reason = "the point of this guest")]
unsafe extern "C" {
    #[link_name = "load"]
    safe fn graph_load(builders: i32, count: i32, encoding: i32, target: i32, result: i32);
    #[link_name = "load-by-name"]
    safe fn graph_load_by_name(name: i32, name_len: i32, result: i32);
    #[link_name = "[method]graph.init-execution-context"]
    safe fn graph_init(this: i32, result: i32);
    #[link_name = "[resource-drop]graph"]
    safe fn graph_drop(this: i32);
}

#[link(wasm_import_module = "wasi:nn/inference@0.2.0-rc-2024-10-28")]
#[allow(unsafe_code, reason = "the point of this guest")]
unsafe extern "C" {
    #[link_name = "[method]graph-execution-context.compute"]
    safe fn context_compute(this: i32, inputs: i32, count: i32, result: i32);
    #[link_name = "[resource-drop]graph-execution-context"]
    safe fn context_drop(this: i32);
}

fn main() {
    let chance = Chance::from_arguments();
    for _ in 0..CALLS {
        if chance.rarely(3) {
            rightly(&chance);
        }
        if chance.rarely(8) {
            chance.shuffle();
        }
        step(&chance);
    }
}

const TENSOR: usize = 0;
const GRAPH: usize = 1;
const CONTEXT: usize = 2;
const ERROR: usize = 3;

/// A tensor of one float under each of two names, a context of the model, and a compute.
fn rightly(chance: &Chance) {
    let (name, result) = ("add", chance.address() + 3072);
    graph_load_by_name(i32::try_from(name.as_ptr().addr()).unwrap_or(0), 3, result);
    if chance.result_word(0) & 1 == 1 {
        return chance.keep(ERROR, chance.result_word(4));
    }
    let graph = chance.result_word(4);
    graph_init(graph, result);
    graph_drop(graph);
    if chance.result_word(0) & 1 == 1 {
        return chance.keep(ERROR, chance.result_word(4));
    }
    let context = chance.result_word(4);
    let dims = chance.write(&[1, 0]);
    let tensors = [(); 2].map(|()| tensor_new(dims, 1, 1, dims, 4));
    let names = ["A", "B"].map(|name| i32::try_from(name.as_ptr().addr()).unwrap_or(0));
    let inputs = chance.write(&[names[0], 1, tensors[0], names[1], 1, tensors[1]]);
    context_compute(context, inputs, 2, result);
    if chance.result_word(0) & 1 == 1 {
        chance.keep(ERROR, chance.result_word(4));
    }
    if chance.rarely(2) {
        context_drop(context);
    } else {
        chance.keep(CONTEXT, context);
    }
}

/// Calls `function` with a handle of that kind, where there is one.
fn with(chance: &Chance, kind: usize, function: impl FnOnce(i32)) {
    match chance.handle(kind) {
        NONE => {}
        handle => function(handle),
    }
}

fn step(chance: &Chance) {
    let result = chance.result();
    let (name, name_len) = chance.name();
    match chance.below(14) {
        0 | 1 => {
            let dims = chance.mostly(chance.below(3));
            let (ty, len) = (chance.mostly(chance.below(7)), chance.mostly(chance.below(9)));
            chance.keep(TENSOR, tensor_new(chance.place(), dims, ty, chance.place(), len));
        }
        2 => with(chance, TENSOR, |this| tensor_dimensions(this, result)),
        3 => with(chance, TENSOR, |this| {
            let _ = tensor_ty(this);
        }),
        4 => with(chance, TENSOR, |this| tensor_data(this, result)),
        5 => dropped(chance, TENSOR, |this| tensor_drop(this)),
        6 => with(chance, ERROR, |this| {
            let _ = error_code(this);
        }),
        7 => with(chance, ERROR, |this| error_data(this, result)),
        8 => dropped(chance, ERROR, |this| error_drop(this)),
        9 => {
            let count = chance.mostly(chance.below(2));
            let (encoding, target) = (chance.mostly(chance.below(7)), chance.mostly(chance.below(3)));
            // Whole words, so that the list in the list is small.
            let parts = chance.write(&[chance.address(), chance.below(64)]);
            graph_load(parts, count, encoding, target, chance.address() + 3072);
            chance.keep_result(GRAPH, ERROR);
        }
        10 => {
            graph_load_by_name(name, name_len, chance.address() + 3072);
            chance.keep_result(GRAPH, ERROR);
        }
        11 => with(chance, GRAPH, |this| {
            graph_init(this, chance.address() + 3072);
            chance.keep_result(CONTEXT, ERROR);
        }),
        12 => with(chance, CONTEXT, |this| compute(chance, this, (name, name_len))),
        _ if chance.rarely(2) => dropped(chance, GRAPH, |this| graph_drop(this)),
        _ => dropped(chance, CONTEXT, |this| context_drop(this)),
    }
}

fn compute(chance: &Chance, context: i32, (name, name_len): (i32, i32)) {
    let one = chance.last_use(TENSOR);
    let other = chance.last_use(TENSOR);
    let count = i32::from(one != NONE) + i32::from(one != NONE && other != NONE && other != one);
    let inputs = chance.write(&[name, name_len, one, name, name_len, other]);
    context_compute(context, inputs, chance.mostly(count), chance.address() + 3072);
    if chance.result_word(0) & 1 == 1 {
        chance.keep(ERROR, chance.result_word(4));
    }
}

fn dropped(chance: &Chance, kind: usize, function: impl FnOnce(i32)) {
    match chance.last_use(kind) {
        NONE => {}
        handle => function(handle),
    }
}

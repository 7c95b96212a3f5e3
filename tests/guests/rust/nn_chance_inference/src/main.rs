//! A component that calls every function of `dunlin:inference` with arguments of chance: `nn_chance_inference SEED`. The
//! functions are imported as they lie below the component model's types, so that handles, pointers, lengths and enums may
//! be wrong. A trap is the host's right; ending normally is another.

mod raw;

#[allow(
    dead_code,
    unsafe_code,
    missing_docs,
    reason = "generated: what describes the imports"
)]
mod bindings {
    wit_bindgen::generate!({
        world: "imports",
        path: "../../../../runtime/wit",
        generate_all,
    });
}

use chance::{CALLS, Chance, NONE};

fn main() {
    let chance = Chance::from_arguments();
    for _ in 0..CALLS {
        if chance.rarely(3) {
            rightly(&chance);
        }
        if chance.rarely(8) {
            chance.shuffle();
        }
        match chance.below(3) {
            0 => tensors(&chance),
            1 => models(&chance),
            _ => text(&chance),
        }
    }
}

const TENSOR: usize = 0;
const MODEL: usize = 1;
/// There is never one.
const GENERATION: usize = 2;
/// Results that are no handles.
const NOTHING: usize = 9;

/// The model, two tensors of one float, and a compute.
fn rightly(chance: &Chance) {
    let result = chance.address() + 3072;
    let at = |name: &str| i32::try_from(name.as_ptr().addr()).unwrap_or(0);
    raw::model_open(at("add"), 3, result);
    if chance.result_word(0) & 1 == 1 {
        return;
    }
    let model = chance.result_word(4);
    let tensors = [(); 2].map(|()| {
        let shape = chance.write(&[1, 0]);
        raw::tensor_from_bytes(2, shape, 1, shape, 4, result);
        if chance.result_word(0) & 1 == 1 {
            NONE
        } else {
            chance.result_word(4)
        }
    });
    if !tensors.contains(&NONE) {
        let inputs = chance.write(&[at("A"), 1, tensors[0], at("B"), 1, tensors[1]]);
        raw::model_run(model, inputs, 2, 0, 0, 0, result);
    }
    for tensor in tensors.into_iter().filter(|tensor| *tensor != NONE) {
        chance.keep(TENSOR, tensor);
    }
    if chance.rarely(2) {
        raw::model_drop(model);
    } else {
        chance.keep(MODEL, model);
    }
}

/// Calls `function` with a handle of that kind, where there is one.
fn with(chance: &Chance, kind: usize, function: impl FnOnce(i32)) {
    match chance.handle(kind) {
        NONE => {}
        handle => function(handle),
    }
}

fn dropped(chance: &Chance, kind: usize, function: impl FnOnce(i32)) {
    match chance.last_use(kind) {
        NONE => {}
        handle => function(handle),
    }
}

fn tensors(chance: &Chance) {
    let (result, own) = (chance.result(), chance.address() + 3072);
    let small = || chance.mostly_long(chance.below(4));
    match chance.below(9) {
        0 | 1 => {
            let (ty, dims) = (chance.mostly(chance.below(13)), chance.mostly(chance.below(3)));
            raw::tensor_from_bytes(
                ty,
                chance.place(),
                dims,
                chance.place(),
                chance.mostly(chance.below(9)),
                own,
            );
            chance.keep_result(TENSOR, NOTHING);
        }
        2 => with(chance, TENSOR, |this| {
            let _ = raw::tensor_element_type(this);
        }),
        3 => with(chance, TENSOR, |this| raw::tensor_shape(this, result)),
        4 => with(chance, TENSOR, |this| {
            let _ = raw::tensor_byte_length(this);
        }),
        5 => with(chance, TENSOR, |this| raw::tensor_read(this, small(), small(), result)),
        6 => with(chance, TENSOR, |this| raw::tensor_read_all(this, result)),
        7 => with(chance, TENSOR, |this| {
            if chance.rarely(2) {
                raw::tensor_slice(this, small(), small(), own);
            } else {
                raw::tensor_reshape(this, chance.place(), chance.mostly(chance.below(3)), own);
            }
            chance.keep_result(TENSOR, NOTHING);
        }),
        _ => dropped(chance, TENSOR, |this| raw::tensor_drop(this)),
    }
}

fn models(chance: &Chance) {
    let (result, own) = (chance.result(), chance.address() + 3072);
    let (name, name_len) = chance.name();
    match chance.below(8) {
        0 => {
            raw::model_open(name, name_len, own);
            chance.keep_result(MODEL, NOTHING);
        }
        1 => with(chance, MODEL, |this| raw::model_digest(this, result)),
        2 => with(chance, MODEL, |this| raw::model_inputs(this, result)),
        3 => with(chance, MODEL, |this| raw::model_outputs(this, result)),
        4 => with(chance, MODEL, |this| raw::model_metadata(this, result)),
        5 | 6 => with(chance, MODEL, |this| run(chance, this, (name, name_len))),
        _ => dropped(chance, MODEL, |this| raw::model_drop(this)),
    }
}

fn run(chance: &Chance, model: i32, (name, name_len): (i32, i32)) {
    let (one, other) = (chance.handle(TENSOR), chance.handle(TENSOR));
    let count = i32::from(one != NONE) + i32::from(one != NONE && other != NONE);
    let inputs = chance.write(&[name, name_len, one, name, name_len, other]);
    let (some, wanted) = (chance.mostly(chance.below(2)), chance.mostly(chance.below(2)));
    let result = chance.address() + 3072;
    raw::model_run(model, inputs, chance.mostly(count), some, inputs, wanted, result);
}

fn text(chance: &Chance) {
    let result = chance.result();
    let ((model, model_len), (name, name_len)) = (chance.name(), chance.name());
    let messages = chance.write(&[chance.mostly(chance.below(4)), name, name_len]);
    let texts = messages + 4;
    let count = chance.mostly(chance.below(2));
    match chance.below(8) {
        0 => with(chance, GENERATION, |this| raw::generation_next(this, result)),
        1 => with(chance, GENERATION, |this| raw::generation_usage(this, result)),
        2 => dropped(chance, GENERATION, |this| raw::generation_drop(this)),
        3 => raw::apply_template(model, model_len, messages, count, result),
        4 => {
            let some = || chance.mostly(chance.below(2));
            let (float, long) = (f32::from_bits(chance.any().cast_unsigned()), chance.mostly_long(7));
            let (max, top, seed) = (some(), some(), some());
            raw::generate(
                model,
                model_len,
                messages,
                count,
                max,
                1,
                some(),
                float,
                some(),
                float,
                top,
                1,
                seed,
                long,
                texts,
                count,
                result,
            );
        }
        5 => raw::embed(model, model_len, texts, count, result),
        6 => raw::tokenize(model, model_len, name, name_len, result),
        _ => raw::count(model, model_len, name, name_len, result),
    }
}

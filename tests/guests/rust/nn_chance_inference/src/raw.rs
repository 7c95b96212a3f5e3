//! The functions of `dunlin:inference` as core functions, by the component model's canonical ABI.

#[link(wasm_import_module = "dunlin:inference/tensors@0.1.0")]
#[allow(unsafe_code, reason = "the point of this guest")]
unsafe extern "C" {
    #[link_name = "[static]tensor.from-bytes"]
    pub(crate) safe fn tensor_from_bytes(ty: i32, shape: i32, dims: i32, data: i32, len: i32, result: i32);
    #[link_name = "[method]tensor.element-type"]
    pub(crate) safe fn tensor_element_type(this: i32) -> i32;
    #[link_name = "[method]tensor.shape"]
    pub(crate) safe fn tensor_shape(this: i32, result: i32);
    #[link_name = "[method]tensor.byte-length"]
    pub(crate) safe fn tensor_byte_length(this: i32) -> i64;
    #[link_name = "[method]tensor.read"]
    pub(crate) safe fn tensor_read(this: i32, offset: i64, length: i64, result: i32);
    #[link_name = "[method]tensor.read-all"]
    pub(crate) safe fn tensor_read_all(this: i32, result: i32);
    #[link_name = "[method]tensor.slice"]
    pub(crate) safe fn tensor_slice(this: i32, start: i64, count: i64, result: i32);
    #[link_name = "[method]tensor.reshape"]
    pub(crate) safe fn tensor_reshape(this: i32, shape: i32, dims: i32, result: i32);
    #[link_name = "[resource-drop]tensor"]
    pub(crate) safe fn tensor_drop(this: i32);
}

#[link(wasm_import_module = "dunlin:inference/models@0.1.0")]
#[allow(unsafe_code, reason = "the point of this guest")]
unsafe extern "C" {
    #[link_name = "[static]model.open"]
    pub(crate) safe fn model_open(name: i32, name_len: i32, result: i32);
    #[link_name = "[method]model.digest"]
    pub(crate) safe fn model_digest(this: i32, result: i32);
    #[link_name = "[method]model.inputs"]
    pub(crate) safe fn model_inputs(this: i32, result: i32);
    #[link_name = "[method]model.outputs"]
    pub(crate) safe fn model_outputs(this: i32, result: i32);
    #[link_name = "[method]model.metadata"]
    pub(crate) safe fn model_metadata(this: i32, result: i32);
    #[link_name = "[method]model.run"]
    pub(crate) safe fn model_run(this: i32, inputs: i32, count: i32, some: i32, wanted: i32, len: i32, result: i32);
    #[link_name = "[resource-drop]model"]
    pub(crate) safe fn model_drop(this: i32);
}

#[link(wasm_import_module = "dunlin:inference/text@0.1.0")]
#[allow(unsafe_code, reason = "the point of this guest")]
unsafe extern "C" {
    #[link_name = "[method]generation.next"]
    pub(crate) safe fn generation_next(this: i32, result: i32);
    #[link_name = "[method]generation.usage"]
    pub(crate) safe fn generation_usage(this: i32, result: i32);
    #[link_name = "[resource-drop]generation"]
    pub(crate) safe fn generation_drop(this: i32);
    #[link_name = "apply-template"]
    pub(crate) safe fn apply_template(model: i32, model_len: i32, messages: i32, count: i32, result: i32);
    #[link_name = "generate"]
    pub(crate) safe fn generate(
        model: i32,
        model_len: i32,
        messages: i32,
        count: i32,
        has_max_tokens: i32,
        max_tokens: i32,
        has_temperature: i32,
        temperature: f32,
        has_top_p: i32,
        top_p: f32,
        has_top_k: i32,
        top_k: i32,
        has_seed: i32,
        seed: i64,
        stop: i32,
        stop_len: i32,
        result: i32,
    );
    #[link_name = "embed"]
    pub(crate) safe fn embed(model: i32, model_len: i32, texts: i32, count: i32, result: i32);
    #[link_name = "tokenize"]
    pub(crate) safe fn tokenize(model: i32, model_len: i32, text: i32, text_len: i32, result: i32);
    #[link_name = "count"]
    pub(crate) safe fn count(model: i32, model_len: i32, text: i32, text_len: i32, result: i32);
}

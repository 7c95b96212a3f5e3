//! `dunlin:inference/text`: no engine of this host runs a language model, so every call is `unsupported`, and there is never
//! a generation.

use wasmtime::component::{ComponentType, Lift, Linker, Lower, Resource, ResourceType};

use super::{
    super::{NnError, NnView},
    error::Error,
    interface,
};

/// `text.generation`.
struct GenerationResource;

#[derive(Clone, Copy, Debug, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "made by lifting, which takes the case's number from the guest")]
enum Role {
    #[component(name = "system")]
    System,
    #[component(name = "user")]
    User,
    #[component(name = "assistant")]
    Assistant,
    #[component(name = "tool")]
    Tool,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
#[allow(dead_code, reason = "the shape of a call that is refused")]
struct Message {
    role: Role,
    content: String,
}

#[derive(Clone, Debug, ComponentType, Lift)]
#[component(record)]
#[allow(dead_code, reason = "the shape of a call that is refused")]
struct Sampling {
    #[component(name = "max-tokens")]
    max_tokens: Option<u32>,
    temperature: Option<f32>,
    #[component(name = "top-p")]
    top_p: Option<f32>,
    #[component(name = "top-k")]
    top_k: Option<u32>,
    seed: Option<u64>,
    stop: Vec<String>,
}

#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(enum)]
#[repr(u8)]
#[allow(dead_code, reason = "the shape of an answer that is never given")]
enum Finish {
    #[component(name = "stop")]
    Stop,
    #[component(name = "length")]
    Length,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(variant)]
#[allow(dead_code, reason = "the shape of an answer that is never given")]
enum Chunk {
    #[component(name = "text")]
    Text(String),
    #[component(name = "end")]
    End(Finish),
}

#[derive(Clone, Copy, Debug, ComponentType, Lower)]
#[component(record)]
struct Usage {
    #[component(name = "prompt-tokens")]
    prompt_tokens: u32,
    #[component(name = "completion-tokens")]
    completion_tokens: u32,
}

type Refused<T> = wasmtime::Result<(Result<T, Error>,)>;

pub(super) fn add_to_linker<T: NnView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let mut text = linker.instance(&interface("text"))?;
    text.resource("generation", ResourceType::host::<GenerationResource>(), |_, _| Ok(()))?;
    text.func_wrap("[method]generation.next", |_, (_,): (Resource<GenerationResource>,)| {
        unsupported::<Option<Chunk>>()
    })?;
    text.func_wrap(
        "[method]generation.usage",
        |_, (_,): (Resource<GenerationResource>,)| {
            Ok((Usage {
                prompt_tokens: 0,
                completion_tokens: 0,
            },))
        },
    )?;
    text.func_wrap("apply-template", |_, (_, _): (String, Vec<Message>)| {
        unsupported::<String>()
    })?;
    text.func_wrap("generate", |_, (_, _, _): (String, Vec<Message>, Sampling)| {
        unsupported::<Resource<GenerationResource>>()
    })?;
    text.func_wrap("embed", |_, (_, _): (String, Vec<String>)| {
        unsupported::<Vec<Vec<f32>>>()
    })?;
    text.func_wrap("tokenize", |_, (_, _): (String, String)| unsupported::<Vec<u32>>())?;
    text.func_wrap("count", |_, (_, _): (String, String)| unsupported::<u32>())
}

fn unsupported<T>() -> Refused<T> {
    Ok((Err(NnError::NotLanguageModel.into()),))
}

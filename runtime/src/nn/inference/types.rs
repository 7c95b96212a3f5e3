//! The package's types as component types. Names and order are those of the WIT file: the component model compares them.

use dunlin_host_gpu::{Dim, ElementType as CoreType, TensorSpec};
use wasmtime::component::{ComponentType, Lift, Lower};

/// `tensors.tensor`.
pub(super) struct TensorResource;
/// `models.model`.
pub(super) struct ModelResource;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ComponentType, Lift, Lower)]
#[component(enum)]
#[repr(u8)]
pub(super) enum ElementType {
    #[component(name = "f16")]
    F16,
    #[component(name = "bf16")]
    Bf16,
    #[component(name = "f32")]
    F32,
    #[component(name = "f64")]
    F64,
    #[component(name = "s8")]
    S8,
    #[component(name = "u8")]
    U8,
    #[component(name = "s16")]
    S16,
    #[component(name = "u16")]
    U16,
    #[component(name = "s32")]
    S32,
    #[component(name = "u32")]
    U32,
    #[component(name = "s64")]
    S64,
    #[component(name = "u64")]
    U64,
    #[component(name = "bool")]
    Bool,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(record)]
pub(super) struct Spec {
    name: String,
    #[component(name = "element-type")]
    element_type: ElementType,
    shape: Option<Vec<Dimension>>,
}

#[derive(Clone, Debug, ComponentType, Lower)]
#[component(variant)]
pub(super) enum Dimension {
    #[component(name = "fixed")]
    Fixed(u64),
    #[component(name = "named")]
    Named(String),
}

impl From<ElementType> for CoreType {
    fn from(element_type: ElementType) -> Self {
        match element_type {
            ElementType::F16 => Self::F16,
            ElementType::Bf16 => Self::Bf16,
            ElementType::F32 => Self::F32,
            ElementType::F64 => Self::F64,
            ElementType::S8 => Self::I8,
            ElementType::U8 => Self::U8,
            ElementType::S16 => Self::I16,
            ElementType::U16 => Self::U16,
            ElementType::S32 => Self::I32,
            ElementType::U32 => Self::U32,
            ElementType::S64 => Self::I64,
            ElementType::U64 => Self::U64,
            ElementType::Bool => Self::Bool,
        }
    }
}

impl From<CoreType> for ElementType {
    fn from(element_type: CoreType) -> Self {
        match element_type {
            CoreType::F16 => Self::F16,
            CoreType::Bf16 => Self::Bf16,
            CoreType::F32 => Self::F32,
            CoreType::F64 => Self::F64,
            CoreType::I8 => Self::S8,
            CoreType::U8 => Self::U8,
            CoreType::I16 => Self::S16,
            CoreType::U16 => Self::U16,
            CoreType::I32 => Self::S32,
            CoreType::U32 => Self::U32,
            CoreType::I64 => Self::S64,
            CoreType::U64 => Self::U64,
            CoreType::Bool => Self::Bool,
        }
    }
}

impl From<&TensorSpec> for Spec {
    fn from(spec: &TensorSpec) -> Self {
        let dimension = |dim: &Dim| match dim {
            Dim::Fixed(size) => Dimension::Fixed(*size as u64),
            Dim::Symbol(name) => Dimension::Named(name.clone()),
        };
        Self {
            name: spec.name.clone(),
            element_type: spec.element_type.into(),
            shape: spec.dims.as_ref().map(|dims| dims.iter().map(dimension).collect()),
        }
    }
}

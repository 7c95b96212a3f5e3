//! [`Weights`]: constants shared by the plans of one graph. The optimiser packs weights anew for each plan, as a rule to
//! the very same bytes; the first copy is kept and the others are dropped.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tract_onnx::{
    prelude::{DatumType, Tensor, TractResult, TypedModel},
    tract_core::ops::konst::Const,
};

/// Constants below this size are not worth the comparison.
const MIN_SHARED_BYTES: u64 = 4 << 10;

/// The constants of the plans that are alive.
#[derive(Debug, Default)]
pub(super) struct Weights {
    known: Mutex<HashMap<Form, Vec<Known>>>,
}

/// What equal constants have in common at least.
type Form = (DatumType, Vec<usize>);

#[derive(Debug)]
struct Known {
    tensor: Weak<Tensor>,
    bytes: u64,
}

impl Weights {
    /// Replaces each constant of `model` by the equal one that another plan holds already.
    pub(super) fn share(&self, model: &mut TypedModel) -> TractResult<()> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for node in model.nodes_mut() {
            let Some(constant) = node.op_as::<Const>() else {
                continue;
            };
            let (tensor, exotic) = (Arc::clone(constant.val()), node.outputs[0].fact.exotic_fact.clone());
            let bytes = node.outputs[0]
                .fact
                .mem_size()
                .to_i64()
                .ok()
                .and_then(|bytes| u64::try_from(bytes).ok());
            let Some(bytes) = bytes.filter(|&bytes| bytes >= MIN_SHARED_BYTES) else {
                continue;
            };
            let alike = known.entry((tensor.datum_type(), tensor.shape().to_vec())).or_default();
            alike.retain(|known| known.tensor.strong_count() > 0);
            let equal = alike
                .iter()
                .filter_map(|known| known.tensor.upgrade())
                .find(|known| Arc::ptr_eq(known, &tensor) || **known == *tensor);
            match equal {
                Some(equal) => {
                    node.outputs[0].fact.konst = Some(Arc::clone(&equal));
                    node.op = Box::new(Const::new_with_opt_exotic_fact(equal, exotic)?);
                }
                None => alike.push(Known {
                    tensor: Arc::downgrade(&tensor),
                    bytes,
                }),
            }
        }
        Ok(())
    }

    /// Bytes of the constants that are alive.
    pub(super) fn bytes(&self) -> u64 {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let alive = known.values().flatten().filter(|known| known.tensor.strong_count() > 0);
        alive.map(|known| known.bytes).fold(0, u64::saturating_add)
    }
}

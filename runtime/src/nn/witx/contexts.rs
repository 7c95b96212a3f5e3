//! [`Contexts`]: what the witx dialect keeps for each execution context: inputs and outputs by index, as numbers of the
//! session's tensors. Inputs stay for the next compute, outputs until then.

use std::collections::{BTreeMap, HashMap};

use crate::nn::{
    NnError, Session,
    session::{Input, Naming, Outputs},
};

/// Contexts by number.
#[derive(Default)]
pub(crate) struct Contexts(HashMap<u32, Slots>);

/// One context's tensors.
struct Slots {
    graph: u32,
    inputs: BTreeMap<u32, u32>,
    outputs: Option<Vec<u32>>,
}

impl Contexts {
    /// Notes a new context of `graph`.
    pub(super) fn insert(&mut self, context: u32, graph: u32) {
        self.0.insert(
            context,
            Slots {
                graph,
                inputs: BTreeMap::new(),
                outputs: None,
            },
        );
    }

    /// Checks that the context exists, and that its graph was not unloaded.
    pub(super) fn check_loaded(&self, session: &Session, context: u32) -> Result<(), NnError> {
        let slots = self.get(context)?;
        session.graph(slots.graph).map(drop).map_err(|_gone| NnError::Unloaded)
    }

    /// Drops the input at `index`, if there is one: its successor may need its room.
    pub(super) fn clear_input(&mut self, session: &mut Session, context: u32, index: u32) -> Result<(), NnError> {
        match self.get_mut(context)?.inputs.remove(&index) {
            Some(tensor) => session.drop_tensor(tensor),
            None => Ok(()),
        }
    }

    pub(super) fn set_input(&mut self, context: u32, index: u32, tensor: u32) -> Result<(), NnError> {
        self.get_mut(context)?.inputs.insert(index, tensor);
        Ok(())
    }

    /// The inputs under the names that the model gives them, and no outputs any more.
    pub(super) fn begin(&mut self, session: &mut Session, context: u32) -> Result<Vec<(String, Input)>, NnError> {
        self.check_loaded(session, context)?;
        let slots = self.get_mut(context)?;
        for tensor in slots.outputs.take().into_iter().flatten() {
            session.drop_tensor(tensor)?;
        }
        let specs = &session.graph_of_context(context)?.graph.signature().inputs;
        let named = slots.inputs.iter().filter_map(|(&index, &tensor)| {
            let spec = specs.get(usize::try_from(index).ok()?)?;
            Some((spec.name.clone(), Input::Lent(tensor)))
        });
        Ok(named.collect())
    }

    /// Keeps outputs in the order in which the model names them.
    pub(super) fn finish(&mut self, session: &mut Session, context: u32, outputs: Outputs) -> Result<(), NnError> {
        let mut named = session.finish(outputs, Naming::WasiNn)?;
        let specs = &session.graph_of_context(context)?.graph.signature().outputs;
        named.sort_by_key(|(name, _)| specs.iter().position(|spec| spec.name == *name));
        self.get_mut(context)?.outputs = Some(named.into_iter().map(|(_, tensor)| tensor).collect());
        Ok(())
    }

    /// The tensor of the output at `index`.
    pub(super) fn output(&self, context: u32, index: u32) -> Result<u32, NnError> {
        let outputs = self.get(context)?.outputs.as_ref().ok_or(NnError::NothingComputed)?;
        let at = usize::try_from(index).ok();
        at.and_then(|at| outputs.get(at)).copied().ok_or(NnError::BadNumber {
            what: "output",
            number: index,
        })
    }

    /// Forgets a context and drops its tensors.
    pub(super) fn remove(&mut self, session: &mut Session, context: u32) -> Result<(), NnError> {
        session.drop_context(context)?;
        let Some(slots) = self.0.remove(&context) else {
            return Ok(());
        };
        let outputs = slots.outputs.into_iter().flatten();
        slots
            .inputs
            .into_values()
            .chain(outputs)
            .try_for_each(|tensor| session.drop_tensor(tensor))
    }

    fn get(&self, context: u32) -> Result<&Slots, NnError> {
        self.0.get(&context).ok_or(UNKNOWN)
    }

    fn get_mut(&mut self, context: u32) -> Result<&mut Slots, NnError> {
        self.0.get_mut(&context).ok_or(UNKNOWN)
    }
}

const UNKNOWN: NnError = NnError::BadHandle {
    what: "execution context",
};

//! [`PlanCache`]: the plans of one graph, one per combination of input shapes, least recently used out first.

use std::{
    collections::VecDeque,
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{plan::Plan, template::Key};

/// Shapes remembered as seen once. A stream of ever new shapes must not grow this.
const SEEN_KEYS: usize = 64;

#[derive(Debug)]
pub(super) struct PlanCache {
    capacity: NonZeroUsize,
    entries: Mutex<Entries>,
    building: Mutex<()>,
}

#[derive(Debug, Default)]
struct Entries {
    /// Most recently used first.
    plans: VecDeque<(Key, Arc<Plan>)>,
    seen: VecDeque<Key>,
}

impl PlanCache {
    pub(super) fn new(capacity: NonZeroUsize) -> Self {
        Self {
            capacity,
            entries: Mutex::default(),
            building: Mutex::default(),
        }
    }

    /// The plan for `key`. Where there is a `general` plan, the first compute with a shape uses it once `check` has found
    /// that the sizes fit, and only the second is worth a plan of its own.
    pub(super) fn get<E>(
        &self,
        key: &Key,
        general: Option<&Arc<Plan>>,
        check: impl FnOnce() -> Result<(), E>,
        build: impl FnOnce() -> Result<Plan, E>,
    ) -> Result<Arc<Plan>, E> {
        if let Some(plan) = self.entries().hit(key) {
            return Ok(plan);
        }
        if let Some(general) = general
            && !self.entries().seen.contains(key)
        {
            check()?;
            self.entries().note(key);
            return Ok(Arc::clone(general));
        }
        // One build at a time per graph: builds of the same shape would be wasted, builds of others fight for the cores.
        let _building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = self.entries().hit(key) {
            return Ok(plan);
        }
        let plan = Arc::new(build()?);
        let mut entries = self.entries();
        entries.plans.push_front((key.clone(), Arc::clone(&plan)));
        entries.plans.truncate(self.capacity.get());
        Ok(plan)
    }

    fn entries(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    fn hit(&mut self, key: &Key) -> Option<Arc<Plan>> {
        let index = self.plans.iter().position(|(known, _)| known == key)?;
        let entry = self.plans.remove(index)?;
        let plan = Arc::clone(&entry.1);
        self.plans.push_front(entry);
        Some(plan)
    }

    fn note(&mut self, key: &Key) {
        self.seen.push_front(key.clone());
        self.seen.truncate(SEEN_KEYS);
    }
}

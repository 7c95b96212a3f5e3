//! Tensors of a session: paid for, filled with one copy, kept under a number, given back to the slabs.

use std::sync::Arc;

use dunlin_host_gpu::{ElementType, Reservation, Tensor, TensorError};

use super::Session;
use crate::nn::{
    error::NnError,
    slab::{Recycle, Slabs},
};

/// A tensor and the bytes that it is charged for. Computes share it with the table, so that its charge lasts as long as
/// somebody uses it.
pub(crate) struct HeldTensor {
    pub(super) tensor: Tensor,
    _recycle: Option<Recycle>,
    _charge: Reservation,
}

/// A tensor that is paid for and not yet there.
pub(crate) struct TensorGrant {
    element_type: ElementType,
    shape: Vec<usize>,
    charge: Reservation,
    slabs: Slabs,
}

impl TensorGrant {
    /// The one copy from the guest's memory. `bytes` has the length that was paid for.
    pub(crate) fn fill(self, bytes: &[u8]) -> Result<HeldTensor, NnError> {
        let data = Arc::new(self.slabs.copy(bytes)?);
        let recycle = Recycle::new(&data, &self.slabs);
        Ok(HeldTensor {
            tensor: Tensor::new(self.element_type, self.shape, data)?,
            _recycle: recycle,
            _charge: self.charge,
        })
    }
}

impl Session {
    /// Checks and pays for a tensor of `len` bytes. Nothing of the size of the tensor is allocated.
    pub(crate) fn pay_for_tensor(
        &self,
        element_type: ElementType,
        dims: &[u32],
        len: usize,
    ) -> Result<TensorGrant, NnError> {
        let shape = dims.iter().map(|&dim| usize::try_from(dim).unwrap_or(usize::MAX));
        self.pay_for_shape(element_type, shape.collect(), len)
    }

    /// As [`pay_for_tensor`](Self::pay_for_tensor).
    pub(crate) fn pay_for_shape(
        &self,
        element_type: ElementType,
        shape: Vec<usize>,
        len: usize,
    ) -> Result<TensorGrant, NnError> {
        let expected = Tensor::byte_len(element_type, &shape)?;
        if expected != len {
            return Err(TensorError::Length {
                element_type,
                shape,
                expected,
                given: len,
            }
            .into());
        }
        self.counted(self.pay(element_type, shape, len))
    }

    fn pay(&self, element_type: ElementType, shape: Vec<usize>, len: usize) -> Result<TensorGrant, NnError> {
        self.tensors.check_room(1)?;
        Ok(TensorGrant {
            element_type,
            shape,
            charge: self.tensor_budget.reserve(len as u64)?,
            slabs: self.slabs.clone(),
        })
    }

    /// Keeps a tensor that a grant was filled with.
    pub(crate) fn keep_tensor(&mut self, held: HeldTensor) -> Result<u32, NnError> {
        self.counters.tensor_bytes_in.add(held.tensor.data().len() as u64);
        let kept = self.tensors.insert(Arc::new(held));
        self.counted(kept)
    }

    pub(crate) fn tensor(&self, handle: u32) -> Result<&Tensor, NnError> {
        self.tensors.get(handle).map(|held| &held.tensor)
    }

    /// The bytes of a tensor, to be copied to the guest once.
    pub(crate) fn read_tensor(&self, handle: u32) -> Result<&Arc<Vec<u8>>, NnError> {
        let data = self.tensor(handle)?.data();
        self.counters.tensor_bytes_out.add(data.len() as u64);
        Ok(data)
    }

    /// A copy of `length` bytes from `offset`, for the guest.
    pub(crate) fn read_range(&self, handle: u32, offset: u64, length: u64) -> Result<Vec<u8>, NnError> {
        let data = self.tensor(handle)?.data();
        let end = offset.saturating_add(length);
        let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
        let bytes = range.and_then(|(start, end)| data.get(start..end));
        let bytes = bytes.ok_or(NnError::OutOfTensor {
            offset,
            end,
            len: data.len(),
        })?;
        self.counters.tensor_bytes_out.add(length);
        Ok(bytes.to_vec())
    }

    /// A new tensor of `count` elements from `start` along the outermost dimension.
    pub(crate) fn slice_tensor(&mut self, handle: u32, start: u64, count: u64) -> Result<u32, NnError> {
        let whole = self.tensor(handle)?.clone();
        let (outer, inner) = whole.shape().split_first().ok_or(NnError::NoDimension)?;
        let rows = usize::try_from(start).ok().zip(usize::try_from(count).ok());
        let rows = rows.filter(|(start, count)| start.checked_add(*count).is_some_and(|end| end <= *outer));
        let (start, count) = rows.ok_or(NnError::OutOfTensor {
            offset: start,
            end: start.saturating_add(count),
            len: *outer,
        })?;
        let row_bytes = Tensor::byte_len(whole.element_type(), inner)?;
        let mut shape = vec![count];
        shape.extend_from_slice(inner);
        let bytes = whole
            .data()
            .get(start * row_bytes..(start + count) * row_bytes)
            .unwrap_or_default();
        let grant = self.pay_for_shape(whole.element_type(), shape, bytes.len())?;
        let held = grant.fill(bytes)?;
        let kept = self.tensors.insert(Arc::new(held));
        self.counted(kept)
    }

    /// A new tensor with the same bytes in another shape.
    pub(crate) fn reshape_tensor(&mut self, handle: u32, shape: Vec<usize>) -> Result<u32, NnError> {
        let (element_type, _, data) = self.tensor(handle)?.clone().into_parts();
        let held = self.hold(Tensor::new(element_type, shape, data)?);
        let kept = held.and_then(|held| self.tensors.insert(held));
        self.counted(kept)
    }

    pub(crate) fn drop_tensor(&mut self, handle: u32) -> Result<(), NnError> {
        self.tensors.remove(handle).map(drop)
    }

    /// Pays for a tensor that the host has made, an output.
    pub(super) fn hold(&self, tensor: Tensor) -> Result<Arc<HeldTensor>, NnError> {
        let charge = self.tensor_budget.reserve(tensor.data().len() as u64)?;
        let recycle = Recycle::new(tensor.data(), &self.slabs);
        Ok(Arc::new(HeldTensor {
            tensor,
            _recycle: recycle,
            _charge: charge,
        }))
    }
}

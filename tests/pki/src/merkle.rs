//! The Merkle tree of RFC 6962: roots and inclusion paths over a handful of leaves.

use crate::key::sha256;

/// Hash of a leaf.
pub(crate) fn leaf(data: &[u8]) -> [u8; 32] {
    sha256(&[&[0u8], data].concat())
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    sha256(&[&[1u8][..], left, right].concat())
}

/// The largest power of two smaller than `count`, which is at least 2.
fn split(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// Root over hashes of leaves, of which there is at least one.
pub(crate) fn root(leaves: &[[u8; 32]]) -> [u8; 32] {
    match leaves {
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            node(&root(left), &root(right))
        }
    }
}

/// Inclusion path of the leaf at `index`, nearest sibling first.
pub(crate) fn path(leaves: &[[u8; 32]], index: usize) -> Vec<[u8; 32]> {
    if leaves.len() <= 1 {
        return Vec::new();
    }
    let middle = split(leaves.len());
    let (left, right) = leaves.split_at(middle);
    let (mut path, sibling) = if index < middle {
        (self::path(left, index), root(right))
    } else {
        (self::path(right, index - middle), root(left))
    };
    path.push(sibling);
    path
}

//! `require`: signatures, model signatures and attestations, and how many of them.

use super::super::policy::{Leaf, Requirement, What};
use super::super::yaml::{Node, Value};
use super::{Reader, field, join};

/// Deepest nesting of `any`, `all` and `threshold` in one another.
const MAX_NESTING: usize = 4;
/// Most signatures that a rule asks for: bounds the checks per artifact.
const MAX_LEAVES: usize = 64;

impl Reader<'_> {
    pub(super) fn requirement(
        &mut self,
        node: &Node,
        path: &str,
        leaves: &mut Vec<Leaf>,
        depth: usize,
    ) -> Option<Requirement> {
        const FORMS: [&str; 7] = [
            "key",
            "keyless",
            "modelSigning",
            "attestation",
            "any",
            "all",
            "threshold",
        ];
        if depth > MAX_NESTING + 1 {
            return self.fault(node, path, format!("requirements nest at most {MAX_NESTING} deep"));
        }
        let fields = self.fields(node, path, &FORMS)?;
        let [(form, value)] = fields else {
            return self.fault(node, path, format!("expected exactly one of {}", FORMS.join(", ")));
        };
        let path = join(path, form);
        match form.as_str() {
            "key" | "keyless" => {
                let (check, signer) = self.signer(form, value, &path)?;
                self.leaf(value, &path, leaves, check, signer, What::Signature)
            }
            "modelSigning" => {
                let (check, signer) = self.by(value, &path)?;
                self.leaf(value, &path, leaves, check, signer, What::ModelSigning)
            }
            "attestation" => {
                let (check, signer, wanted) = self.attestation(value, &path)?;
                self.leaf(value, &path, leaves, check, signer, What::Attestation(wanted))
            }
            "any" => at_least(|_| 1, self.entries(value, &path, leaves, depth)?),
            "all" => at_least(<[_]>::len, self.entries(value, &path, leaves, depth)?),
            "threshold" => self.threshold(value, &path, leaves, depth),
            // Already reported as unknown.
            _ => None,
        }
    }

    fn leaf(
        &mut self,
        node: &Node,
        path: &str,
        leaves: &mut Vec<Leaf>,
        check: usize,
        signer: Option<super::super::keyless::KeylessPattern>,
        what: What,
    ) -> Option<Requirement> {
        let same = |leaf: &Leaf| {
            let plain = matches!((&leaf.what, &what), (What::Signature, What::Signature));
            plain && leaf.check == check && leaf.signer == signer
        };
        if leaves.iter().any(same) {
            let who = if signer.is_some() { "signer" } else { "key" };
            return self.fault(node, path, format!("the rule names this {who} twice"));
        }
        if leaves.len() >= MAX_LEAVES {
            return self.fault(node, path, format!("a rule asks for at most {MAX_LEAVES} signatures"));
        }
        leaves.push(Leaf { check, signer, what });
        Some(Requirement::Leaf(leaves.len() - 1))
    }

    fn entries(&mut self, node: &Node, path: &str, leaves: &mut Vec<Leaf>, depth: usize) -> Option<Vec<Requirement>> {
        let list = self.list(node, path)?;
        let read = |(position, node)| self.requirement(node, &format!("{path}[{position}]"), leaves, depth + 1);
        let entries: Vec<_> = list.iter().enumerate().map(read).collect();
        entries.into_iter().collect()
    }

    fn threshold(&mut self, node: &Node, path: &str, leaves: &mut Vec<Leaf>, depth: usize) -> Option<Requirement> {
        let fields = self.fields(node, path, &["count", "of"])?;
        let of = self.required(node, fields, path, "of")?;
        let of = self.entries(of, &join(path, "of"), leaves, depth);
        let Some(count) = field(fields, "count") else {
            return self.fault(node, &join(path, "count"), "missing");
        };
        let path = join(path, "count");
        let Value::Count(number) = count.value else {
            return self.fault(count, &path, "must be a whole number");
        };
        let of = of?;
        match usize::try_from(number) {
            Ok(number) if (1..=of.len()).contains(&number) => Some(Requirement::AtLeast {
                count: number,
                of,
                distinct: true,
            }),
            _ => self.fault(
                count,
                &path,
                format!("must be between 1 and {}, the number of entries", of.len()),
            ),
        }
    }
}

#[allow(clippy::unnecessary_wraps, reason = "as the other forms of requirements")]
fn at_least(count: impl Fn(&[Requirement]) -> usize, of: Vec<Requirement>) -> Option<Requirement> {
    Some(Requirement::AtLeast {
        count: count(&of),
        of,
        distinct: false,
    })
}

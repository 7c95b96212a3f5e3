//! What a WebAssembly binary is, and what a component imports and exports: listed in the config, so that a host can tell
//! from the manifest whether it can run it.

use wasmparser::{Parser, Payload, Validator, WasmFeatures};

use crate::artifact::{WasmComponent, WasmOs};

/// Validates `bytes` and lists the imports and exports of a component, of the outermost level only.
pub(super) fn inspect(bytes: &[u8]) -> wasmparser::Result<(WasmOs, Option<WasmComponent>)> {
    // Which features a node enables is the node's business; here, only nonsense is refused.
    Validator::new_with_features(WasmFeatures::all()).validate_all(bytes)?;
    if !Parser::is_component(bytes) {
        return Ok((WasmOs::Wasip1, None));
    }
    let mut component = WasmComponent::default();
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 0 => {
                for import in section {
                    component.imports.push(import?.name.name.to_owned());
                }
            }
            Payload::ComponentExportSection(section) if depth == 0 => {
                for export in section {
                    component.exports.push(export?.name.name.to_owned());
                }
            }
            _ => {}
        }
    }
    Ok((WasmOs::Wasip2, Some(component)))
}

//! `dunlin pin`: artifacts that stay, whatever becomes of their tags.

use clap::Args;
use dunlin_models::Reference;
use serde::Serialize;

use super::Site;
use crate::{
    args::{GlobalArgs, RegistryArgs},
    output,
    report::Failure,
};

/// Arguments of `dunlin pin`.
#[derive(Debug, Args)]
pub(crate) struct PinArgs {
    /// Names in the store; without any, the pins are listed
    #[arg(value_name = "REF")]
    references: Vec<Reference>,
    /// Take the pins away
    #[arg(long, requires = "references")]
    remove: bool,
}

#[derive(Serialize)]
struct Pin {
    name: String,
    digest: String,
}

pub(crate) fn run(global: &GlobalArgs, arguments: &PinArgs) -> Result<(), Failure> {
    let site = Site::untrusting(global, &RegistryArgs::default())?;
    let store = site.node.store()?;
    for reference in &arguments.references {
        if arguments.remove {
            store.unpin(reference)?;
        } else {
            store.pin(reference)?;
        }
    }
    let pins: Vec<Pin> = store
        .pins()?
        .into_iter()
        .map(|(name, descriptor)| Pin {
            name,
            digest: descriptor.digest.to_string(),
        })
        .collect();
    output::result(global.output, &pins, |pins| {
        let heading = vec!["NAME".to_owned(), "DIGEST".to_owned()];
        let rows = pins.iter().map(|pin| vec![pin.name.clone(), pin.digest.clone()]);
        output::table(&std::iter::once(heading).chain(rows).collect::<Vec<_>>())
    })?;
    Ok(())
}

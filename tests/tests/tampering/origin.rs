//! [`Origin`]: what the publisher has made, once for all cases.

use std::{path::Path, sync::OnceLock};

use dunlin_tests::{Machine, Shelf, cached};

/// Shelves with one artifact each, and the key that customers trust.
pub(crate) struct Origin {
    /// A bundle of a module and a model that nobody has signed.
    pub(crate) unsigned: Shelf,
    /// The same, signed by the publisher, on 2026-02-02.
    pub(crate) signed: Shelf,
    /// The same, signed by somebody else.
    pub(crate) rogue: Shelf,
    /// Another artifact that the publisher has signed, on 2026-01-01.
    pub(crate) older: Shelf,
    /// The first one again, signed by the publisher in 2096.
    pub(crate) future: Shelf,
    /// The publisher's key, as PEM.
    pub(crate) public_key: Vec<u8>,
}

impl Origin {
    /// The one of this process, or `None` where guests and fixtures are not built.
    pub(crate) fn get() -> Option<&'static Self> {
        static ORIGIN: OnceLock<Option<Origin>> = OnceLock::new();
        ORIGIN.get_or_init(Self::make).as_ref()
    }

    fn make() -> Option<Self> {
        let (app, hello) = (cached("guests/nn_add.wasm")?, cached("guests/command_hello.wasm")?);
        let model = cached("fixtures/add/model.onnx")?;
        let publisher = Machine::new();
        publisher.key("ours");
        pack(&publisher, &app, &model);
        let unsigned = shelf(&publisher, "unsigned");
        sign(&publisher, "ours.key", "2026-02-02T00:00:00Z");
        let signed = shelf(&publisher, "signed");
        pack(&publisher, &hello, &model);
        sign(&publisher, "ours.key", "2026-01-01T00:00:00Z");
        let older = shelf(&publisher, "older");
        let hasty = Machine::new();
        for file in ["ours.key", "ours.pub"] {
            fs_err::copy(publisher.path(file), hasty.path(file)).unwrap();
        }
        pack(&hasty, &app, &model);
        sign(&hasty, "ours.key", "2096-01-01T00:00:00Z");
        let future = shelf(&hasty, "future");
        let stranger = Machine::new();
        stranger.key("rogue");
        pack(&stranger, &app, &model);
        sign(&stranger, "rogue.key", "2026-02-02T00:00:00Z");
        let rogue = shelf(&stranger, "rogue");
        assert_eq!(rogue.tagged(), signed.tagged(), "packing is reproducible");
        let public_key = fs_err::read(publisher.path("ours.pub")).unwrap();
        Some(Self {
            unsigned,
            signed,
            rogue,
            older,
            future,
            public_key,
        })
    }
}

const NAME: &str = "team/app:1";

fn pack(machine: &Machine, module: &Path, model: &Path) {
    let (module, model) = (module.to_str().unwrap(), model.to_str().unwrap());
    drop(machine.dunlin(&["pack", "--tag", "team/add:1", model]).ok());
    let bundle = ["pack", "--tag", NAME, "--bundle", "--model", "add=team/add:1", module];
    drop(machine.dunlin(&bundle).ok());
}

fn sign(machine: &Machine, key: &str, at: &str) {
    let at = format!("dev.dunlin.signed-at={at}");
    drop(machine.dunlin(&["sign", "--key", key, "--annotation", &at, NAME]).ok());
}

fn shelf(machine: &Machine, folder: &str) -> Shelf {
    drop(machine.dunlin(&["export", "--layout", folder, NAME]).ok());
    Shelf::of_layout(&machine.path(folder), NAME)
}

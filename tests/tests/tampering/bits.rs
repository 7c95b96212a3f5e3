//! One bit of one object is another one.

use dunlin_tests::Shelf;
use serde_json::Value;

use crate::{REFUSED, origin::Origin, scene::Scene};

/// The parts of the signed bundle.
struct Parts {
    module: String,
    model: String,
    signature: String,
}

fn parts(shelf: &Shelf) -> Parts {
    let bundle = shelf.document(shelf.tagged());
    let digest = |at: usize| text(&bundle["manifests"][at]["digest"]);
    Parts {
        module: digest(0),
        model: digest(1),
        signature: shelf.referrers(shelf.tagged()).pop().unwrap(),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn flip(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
}

/// A bit of what `choose` names is flipped, under the digest that it had.
fn damaged(choose: impl FnOnce(&Shelf, &Parts) -> String, text: &str) {
    let Some(origin) = Origin::get() else { return };
    let mut shelf = origin.signed.clone();
    let digest = choose(&shelf, &parts(&shelf));
    shelf.rot(&digest, |bytes| flip(bytes));
    Scene::of(origin, shelf).finds_damage(&digest, text);
}

/// A bit of what `choose` names is flipped, and with it nothing is left that proves the publisher's signature.
fn unproven(choose: impl FnOnce(&Shelf, &Parts) -> String, text: &str) {
    let Some(origin) = Origin::get() else { return };
    let mut shelf = origin.signed.clone();
    let digest = choose(&shelf, &parts(&shelf));
    shelf.rot(&digest, |bytes| flip(bytes));
    Scene::of(origin, shelf).refuses(REFUSED, text);
}

fn of(shelf: &Shelf, manifest: &str, pointer: &str) -> String {
    text(shelf.document(manifest).pointer(pointer).unwrap())
}

#[test]
fn bit_of_the_bundles_index() {
    // Under the tag stand other bytes now, which nobody has signed.
    let Some(origin) = Origin::get() else { return };
    let mut shelf = origin.signed.clone();
    let tagged = shelf.tagged().to_owned();
    let mut bytes = shelf.bytes(&tagged).to_vec();
    flip(&mut bytes);
    let digest = shelf.put(bytes);
    shelf.tag(&digest);
    Scene::of(origin, shelf).refuses(REFUSED, "no signature");
}

#[test]
fn bit_of_the_modules_manifest() {
    damaged(|_, parts| parts.module.clone(), "the digest");
}

#[test]
fn bit_of_the_modules_config() {
    damaged(|shelf, parts| of(shelf, &parts.module, "/config/digest"), "the digest");
}

#[test]
fn bit_of_the_module() {
    damaged(
        |shelf, parts| of(shelf, &parts.module, "/layers/0/digest"),
        "the digest",
    );
}

#[test]
fn bit_of_the_models_manifest() {
    damaged(|_, parts| parts.model.clone(), "the digest");
}

#[test]
fn bit_of_the_models_config() {
    damaged(|shelf, parts| of(shelf, &parts.model, "/config/digest"), "the digest");
}

#[test]
fn bit_of_the_weights() {
    damaged(|shelf, parts| of(shelf, &parts.model, "/layers/0/digest"), "the digest");
}

#[test]
fn bit_of_the_signatures_manifest() {
    unproven(|_, parts| parts.signature.clone(), "another digest");
}

#[test]
fn bit_of_the_signatures_bundle() {
    unproven(
        |shelf, parts| of(shelf, &parts.signature, "/layers/0/digest"),
        "the digest",
    );
}

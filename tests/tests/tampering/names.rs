//! Names that lead to something else than they did, and times that are not what they say.

use crate::{CORRUPT, REFUSED, origin::Origin, scene::Scene};
use dunlin_tests::{Machine, Reply, Shelf};

/// A policy of one rule for everything, with these lines in it.
fn policy(machine: &Machine, spec: &str, rule: &str) {
    let text = format!(
        "apiVersion: dunlin.dev/v1alpha1\nkind: TrustPolicy\nmetadata: {{ name: t }}\nspec:\n{spec}  rules:\n    - name: all\n      match: [\"**\"]\n{rule}      require: {{ key: {{ file: ours.pub }} }}\n"
    );
    machine.write("policy.yaml", text);
}

/// Both artifacts, with the tag on the one that `tagged` chooses.
fn both(origin: &Origin, tagged: &Shelf) -> Shelf {
    let mut shelf = origin.signed.clone();
    for source in [&origin.older, &origin.unsigned] {
        for digest in source.digests() {
            shelf.put(source.bytes(digest));
        }
    }
    shelf.tag(tagged.tagged());
    shelf
}

#[test]
fn tag_moved_to_something_unsigned() {
    let Some(origin) = Origin::get() else { return };
    let mut shelf = origin.signed.clone();
    let digest = shelf.put(
        shelf
            .bytes(shelf.tagged())
            .iter()
            .copied()
            .chain([b' '])
            .collect::<Vec<u8>>(),
    );
    shelf.tag(&digest);
    Scene::of(origin, shelf).refuses(REFUSED, "no signature");
}

#[test]
fn tag_moved_back_to_an_older_version() {
    let Some(origin) = Origin::get() else { return };
    let (new, old) = (both(origin, &origin.signed), both(origin, &origin.older));
    let (newest, served) = (
        new.tagged().to_owned(),
        std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)),
    );
    let moved = std::sync::Arc::clone(&served);
    let old_tag = old.bytes(old.tagged()).to_vec();
    let scene = Scene::answering(origin, new, move |ask| {
        let by_tag = ask.target.ends_with("/manifests/1") && moved.load(std::sync::atomic::Ordering::Acquire);
        by_tag.then(|| {
            let kind = "application/vnd.oci.image.index.v1+json".to_owned();
            Reply::Whole(200, vec![("content-type", kind)], old_tag.clone())
        })
    });
    drop(scene.pull().ok());
    served.store(true, std::sync::atomic::Ordering::Release);
    scene
        .pull()
        .exits(REFUSED)
        .did_not_crash()
        .says("what was accepted before");
    let listed = scene.customer.dunlin(&["ls", "--output", "json"]).ok().json();
    let entry = listed
        .as_array()
        .unwrap()
        .iter()
        .find(|entry| entry["name"] == scene.reference().as_str());
    assert_eq!(entry.unwrap()["digest"], newest.as_str(), "the tag moved: {listed}");
}

#[test]
fn digest_answered_with_another_artifact() {
    let Some(origin) = Origin::get() else { return };
    let shelf = both(origin, &origin.signed);
    let (asked, other) = (origin.signed.tagged().to_owned(), origin.older.clone());
    let wanted = asked.clone();
    let scene = Scene::answering(origin, shelf, move |ask| {
        let kind = "application/vnd.oci.image.index.v1+json".to_owned();
        ask.wants(&wanted)
            .then(|| Reply::Whole(200, vec![("content-type", kind)], other.bytes(other.tagged()).to_vec()))
    });
    let reference = format!("{}/team/app@{asked}", scene.registry.host());
    let output = scene
        .customer
        .dunlin(&["pull", "--plain-http", "--key", "ours.pub", &reference]);
    scene.leaves_nothing(&output.exits(CORRUPT), "instead of");
}

#[test]
fn digest_that_the_policy_does_not_list() {
    let Some(origin) = Origin::get() else { return };
    let scene = Scene::of(origin, both(origin, &origin.older));
    policy(
        &scene.customer,
        "",
        &format!("      digests: [\"{}\"]\n", origin.signed.tagged()),
    );
    let output = scene.pull_by(&[]).exits(REFUSED);
    scene.leaves_nothing(&output, "does not list");
}

#[test]
fn signature_too_old_for_the_policy() {
    let Some(origin) = Origin::get() else { return };
    let scene = Scene::of(origin, origin.signed.clone());
    policy(&scene.customer, "  freshness: { maxAge: 1h }\n", "");
    let output = scene.pull_by(&[]).exits(REFUSED);
    scene.leaves_nothing(&output, "longer ago than the policy allows");
}

#[test]
fn signature_from_the_future() {
    let Some(origin) = Origin::get() else { return };
    let scene = Scene::of(origin, origin.future.clone());
    scene.refuses(REFUSED, "is in the future");
}

#[test]
fn repository_that_no_rule_names() {
    let Some(origin) = Origin::get() else { return };
    let scene = Scene::of(origin, origin.signed.clone());
    let text = "apiVersion: dunlin.dev/v1alpha1\nkind: TrustPolicy\nmetadata: { name: t }\nspec:\n  rules:\n    - name: theirs\n      match: [\"registry.example/**\"]\n      require: { key: { file: ours.pub } }\n";
    scene.customer.write("policy.yaml", text);
    let output = scene.pull_by(&[]).exits(REFUSED);
    scene.leaves_nothing(&output, "no rule");
}

#[test]
fn policy_with_a_word_that_is_unknown() {
    let Some(origin) = Origin::get() else { return };
    let scene = Scene::of(origin, origin.signed.clone());
    policy(&scene.customer, "  allowEverything: true\n", "");
    let output = scene.pull_by(&[]);
    assert_ne!(output.code, 0, "{output:#?}");
    scene.leaves_nothing(&output, "allowEverything");
}

//! Manifests that carry signatures: which of their layers are some, and of which form.

use dunlin_sigstore::legacy;

use super::source::SignatureForm;
use crate::descriptor::Descriptor;
use crate::digest::Digest;
use crate::manifest::Manifest;
use crate::media_type;

/// The layers of `manifest` that are signatures or attestations.
pub(crate) fn signature_layers(manifest: &Manifest) -> impl Iterator<Item = &Descriptor> {
    manifest.layers.iter().filter(|layer| {
        let kind = layer.media_type.as_str();
        media_type::is_sigstore_bundle(kind) || kind == legacy::PAYLOAD_MEDIA_TYPE || kind == media_type::DSSE
    })
}

/// The signature in a layer with these bytes, or why it is none.
pub(crate) fn signature_form(layer: &Descriptor, bytes: Vec<u8>) -> Result<SignatureForm, String> {
    if layer.media_type == media_type::DSSE {
        return Ok(SignatureForm::Envelope(bytes));
    }
    if layer.media_type != legacy::PAYLOAD_MEDIA_TYPE {
        return Ok(SignatureForm::Bundle(bytes));
    }
    let signature = layer.annotations.get(legacy::SIGNATURE_ANNOTATION);
    let signature = signature.ok_or_else(|| format!("it has no annotation {}", legacy::SIGNATURE_ANNOTATION))?;
    Ok(SignatureForm::SimpleSigning {
        payload: bytes,
        signature: signature.clone(),
        annotations: layer.annotations.clone(),
    })
}

/// The tags under which cosign kept signatures and attestations of `subject` before version 3.
pub(crate) fn legacy_tags(subject: &Digest) -> [String; 2] {
    let tag = subject.referrers_tag();
    [format!("{tag}.sig"), format!("{tag}.att")]
}

/// The legacy tag of `subject` that `referrer` was found under, if it was.
pub(crate) fn legacy_tag<'a>(subject: &Digest, referrer: &'a Descriptor) -> Option<&'a str> {
    let tag = referrer.annotations.get(crate::annotation::LEGACY_TAG)?;
    legacy_tags(subject).contains(tag).then_some(tag.as_str())
}

/// What a name like `NAME:sha256-<hex>.sig` is about, and its legacy tag.
pub(crate) fn legacy_subject(name: &str) -> Option<(Digest, &str)> {
    let tag = name.rsplit(':').next().unwrap_or(name);
    let list = tag.strip_suffix(".sig").or_else(|| tag.strip_suffix(".att"))?;
    let subject = format!("sha256:{}", list.strip_prefix("sha256-")?).parse().ok()?;
    Some((subject, tag))
}

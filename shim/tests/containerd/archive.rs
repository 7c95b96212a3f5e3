//! Container images made in memory: one layer, one config, one manifest, in an OCI layout inside a tar file that `ctr images
//! import` takes.

use sha2::{Digest as _, Sha256};

const BLOCK: usize = 512;

/// An image to be.
pub(crate) struct Image<'a> {
    pub(crate) name: &'a str,
    pub(crate) entrypoint: &'a [&'a str],
    /// Paths and contents; a content that starts with `->` is a link.
    pub(crate) files: Vec<(&'a str, Vec<u8>)>,
}

impl Image<'_> {
    /// The archive, and the manifest's digest.
    pub(crate) fn archive(&self) -> (Vec<u8>, String) {
        let mut layer = Vec::new();
        for (path, content) in &self.files {
            match content.strip_prefix(b"->") {
                Some(target) => entry(&mut layer, path, b'2', std::str::from_utf8(target).unwrap(), &[]),
                None => entry(&mut layer, path, b'0', "", content),
            }
        }
        finish(&mut layer);
        let config = serde_json::json!({
            "architecture": "amd64", "os": "linux",
            "config": { "Entrypoint": self.entrypoint, "Env": ["PATH=/bin", "GREETING=hi"] },
            "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        })
        .to_string();
        let manifest = serde_json::json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": described("application/vnd.oci.image.config.v1+json", config.as_bytes()),
            "layers": [described("application/vnd.oci.image.layer.v1.tar", &layer)],
        })
        .to_string();
        let mut listed = described("application/vnd.oci.image.manifest.v1+json", manifest.as_bytes());
        listed["annotations"] = serde_json::json!({ "io.containerd.image.name": self.name });
        listed["platform"] = serde_json::json!({ "architecture": "amd64", "os": "linux" });
        let index = serde_json::json!({
            "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": [listed],
        })
        .to_string();
        let mut archive = Vec::new();
        entry(
            &mut archive,
            "oci-layout",
            b'0',
            "",
            br#"{"imageLayoutVersion":"1.0.0"}"#,
        );
        entry(&mut archive, "index.json", b'0', "", index.as_bytes());
        for blob in [&layer, config.as_bytes(), manifest.as_bytes()] {
            let path = format!("blobs/sha256/{}", digest(blob).trim_start_matches("sha256:"));
            entry(&mut archive, &path, b'0', "", blob);
        }
        finish(&mut archive);
        (archive, digest(manifest.as_bytes()))
    }
}

pub(crate) fn digest(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

fn described(media_type: &str, bytes: &[u8]) -> serde_json::Value {
    serde_json::json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

/// One ustar entry.
fn entry(out: &mut Vec<u8>, path: &str, kind: u8, link: &str, content: &[u8]) {
    let mut header = [0; BLOCK];
    header[..path.len()].copy_from_slice(path.as_bytes());
    header[100..108].copy_from_slice(b"0000755\0");
    header[108..116].copy_from_slice(b"0000000\0");
    header[116..124].copy_from_slice(b"0000000\0");
    header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
    header[136..148].copy_from_slice(b"00000000000\0");
    header[148..156].copy_from_slice(b"        ");
    header[156] = kind;
    header[157..157 + link.len()].copy_from_slice(link.as_bytes());
    header[257..263].copy_from_slice(b"ustar\0");
    header[263..265].copy_from_slice(b"00");
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    out.extend_from_slice(&header);
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(BLOCK), 0);
}

fn finish(out: &mut Vec<u8>) {
    out.resize(out.len() + 2 * BLOCK, 0);
}

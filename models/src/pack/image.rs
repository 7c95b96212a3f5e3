//! Packing container images: a module, and perhaps models, in tar layers. For runtimes that refuse artifacts, and for
//! volumes made of images.

use std::io::{Read as _, Seek as _, SeekFrom};

use super::{ModelFileSpec, ModuleSpec, PackError, encode, put_manifest};
use crate::artifact::{ImageConfig, ImageRootFs, ImageStart, ModelLink, is_safe};
use crate::descriptor::Descriptor;
use crate::manifest::Manifest;
use crate::media_type;
use crate::store::archive::tape::{file_header, padding};
use crate::store::{Ingest, Store, StoreError};

const READ_BYTES: usize = 1 << 20;
/// `created` of images whose maker gives no time.
const UNDATED: &str = "1970-01-01T00:00:00Z";

/// What goes into a container image.
#[derive(Debug, Clone, Default)]
pub struct ImageSpec {
    /// The module, which becomes the entry point under its title, or `/app.wasm`.
    pub module: ModuleSpec,
    /// Files of models, each in a layer of its own.
    pub files: Vec<ModelFileSpec>,
}

/// Stores a container image and returns its manifest. Equal specs and files give equal digests. `progress` gets the
/// number of bytes of each step.
///
/// # Errors
/// When the binary is not WebAssembly, a path is unsafe or used twice, a file cannot be read, or the store fails.
pub fn pack_image(store: &Store, mut spec: ImageSpec, progress: &dyn Fn(u64)) -> Result<Descriptor, PackError> {
    spec.complete()?;
    let ImageSpec { mut module, files } = spec;
    if module.title.is_empty() {
        "app.wasm".clone_into(&mut module.title);
    }
    let title = module.title.clone();
    if !is_safe(&title) {
        return Err(PackError::Path { path: title });
    }
    let (os, _) = super::module::check(&module)?;
    let size = u64::try_from(module.wasm.len()).unwrap_or(u64::MAX);
    let mut layers = vec![layer(store, &title, size, &mut module.wasm.as_slice(), progress)?];
    let mut paths = vec![title.clone()];
    for file in files {
        if !is_safe(&file.path) || paths.contains(&file.path) {
            return Err(PackError::Path { path: file.path });
        }
        let mut source = fs_err::File::open(&file.source).map_err(PackError::Read)?;
        let size = source.seek(SeekFrom::End(0)).map_err(PackError::Read)?;
        source.seek(SeekFrom::Start(0)).map_err(PackError::Read)?;
        layers.push(layer(store, &file.path, size, &mut source, progress)?);
        paths.push(file.path);
    }
    let config = ImageConfig {
        created: Some(module.created.clone().unwrap_or_else(|| UNDATED.to_owned())),
        architecture: "wasm".to_owned(),
        os: os.as_str().to_owned(),
        config: ImageStart {
            entrypoint: vec![format!("/{title}")],
            cmd: Vec::new(),
        },
        rootfs: ImageRootFs {
            kind: "layers".to_owned(),
            diff_ids: layers.iter().map(|layer| layer.digest).collect(),
        },
    };
    let config = store.put_bytes(media_type::IMAGE_CONFIG, &encode("image config", &config)?)?;
    let mut manifest = Manifest::new(config, layers);
    super::module::annotate(&mut manifest, &module)?;
    ModelLink::inside(&manifest, manifest.config.digest).map_err(|source| PackError::Links(Box::new(source)))?;
    put_manifest(store, &manifest)
}

/// A layer with one file.
fn layer(
    store: &Store,
    path: &str,
    size: u64,
    content: &mut dyn std::io::Read,
    progress: &dyn Fn(u64),
) -> Result<Descriptor, PackError> {
    let mut ingest: Ingest = store.ingest(u64::MAX)?;
    let header = file_header(path, size).map_err(PackError::Read)?;
    ingest.write(header.as_bytes())?;
    let mut content = content.take(size);
    let mut buffer = vec![0; READ_BYTES];
    let mut written = 0_u64;
    loop {
        let read = content.read(&mut buffer).map_err(PackError::Read)?;
        if read == 0 {
            break;
        }
        ingest.write(buffer.get(..read).unwrap_or_default())?;
        let read = u64::try_from(read).unwrap_or_default();
        written += read;
        progress(read);
    }
    if written != size {
        let error = StoreError::io("read file to store")(std::io::ErrorKind::UnexpectedEof.into());
        return Err(error.into());
    }
    ingest.write(&padding(size))?;
    ingest.write(&[0; 1024])?;
    Ok(ingest.finish_any(media_type::IMAGE_LAYER)?)
}

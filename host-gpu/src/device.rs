//! [`Device`]: where a graph computes, and how users write it (`auto`, `cpu`, `cuda:0`). Parsing a device says nothing of
//! whether this build or this machine can use it; [`Device::ensure_available`] does.

use std::{fmt, str::FromStr};

/// Where graphs compute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Device {
    /// The host's processors.
    #[default]
    Cpu,
    /// The CUDA device with this ordinal.
    Cuda(u32),
}

impl Device {
    /// Whether graphs can run there with this build.
    ///
    /// # Errors
    /// [`DeviceError::NoCuda`] for a CUDA device: this build has no CUDA backend.
    pub fn ensure_available(self) -> Result<(), DeviceError> {
        match self {
            Self::Cpu => Ok(()),
            Self::Cuda(_) => Err(DeviceError::NoCuda { device: self }),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(ordinal) => write!(f, "cuda:{ordinal}"),
        }
    }
}

impl FromStr for Device {
    type Err = DeviceError;

    /// Reads `auto` (the best device of this build: the CPU), `cpu`, `cuda` (`cuda:0`) or `cuda:N`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "auto" | "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .filter(|ordinal| ordinal.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|ordinal| ordinal.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| DeviceError::Unknown {
                    text: text.chars().take(64).collect(),
                }),
        }
    }
}

/// Why a device cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The text names no device.
    #[error("`{text}` is not a device")]
    Unknown {
        /// What was given, cut to 64 characters.
        text: String,
    },
    /// CUDA was asked for, and there is no CUDA backend.
    #[error("device {device}: no CUDA backend in this build")]
    NoCuda {
        /// The device asked for.
        device: Device,
    },
}

impl DeviceError {
    /// One line telling the user what to do about it.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Unknown { .. } => "use `auto` or `cpu`".to_owned(),
            Self::NoCuda { .. } => "use `cpu` or `auto`".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn devices_parse_as_users_write_them() {
        assert_eq!("auto".parse::<Device>().unwrap(), Device::Cpu);
        assert_eq!("cpu".parse::<Device>().unwrap(), Device::Cpu);
        assert_eq!("cuda".parse::<Device>().unwrap(), Device::Cuda(0));
        assert_eq!("cuda:3".parse::<Device>().unwrap(), Device::Cuda(3));
        assert_eq!(Device::Cuda(3).to_string(), "cuda:3");
        for text in ["", "gpu", "cuda:", "cuda:-1", "cuda:+1", "cuda:99999999999", "CPU"] {
            assert!(
                matches!(text.parse::<Device>(), Err(DeviceError::Unknown { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn cuda_is_refused_by_name() {
        let error = Device::Cuda(1).ensure_available().unwrap_err();
        assert_eq!(error.to_string(), "device cuda:1: no CUDA backend in this build");
        assert!(error.hint().unwrap().contains("cpu"));
    }
}

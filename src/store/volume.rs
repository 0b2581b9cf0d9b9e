//! The volume of an embedded store.

use std::{io, path::Path};

/// Size and free space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Size in bytes.
    pub size: u64,
    /// Bytes that the server can still use, without those reserved for root.
    pub free: u64,
}

impl Volume {
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let is = rustix::fs::statvfs(folder)?;
        Ok(Self { size: is.f_blocks.saturating_mul(is.f_frsize), free: is.f_bavail.saturating_mul(is.f_frsize) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_has_a_size() {
        let volume = Volume::of(&std::env::temp_dir()).unwrap();
        assert!(volume.size > 0 && volume.free <= volume.size, "{volume:?}");
        assert!(Volume::of(Path::new("/nowhere")).is_err());
    }
}

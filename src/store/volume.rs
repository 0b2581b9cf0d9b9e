//! The volume under an embedded store.

use std::{io, path::Path};

/// What is there, and what is left of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Volume {
    /// Bytes in all.
    pub size: u64,
    /// Bytes that the server may still use: without what the file system keeps for root.
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

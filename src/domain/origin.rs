//! Where a ping comes from, as is known while it is handled; of it only what the privacy rules allow is stored.

use std::net::IpAddr;

use super::country::Country;

/// Where a ping comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The client's address.
    pub address: IpAddr,
    /// The country of the address, if it is known.
    pub country: Option<Country>,
}

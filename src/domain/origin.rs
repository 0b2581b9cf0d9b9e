//! Where a ping comes from, as is known while it is handled; of it only what the privacy rules allow is stored.

use std::net::IpAddr;

use super::country::Country;

/// Where a ping comes from.
#[derive(Debug, Clone, Copy)]
pub struct Origin {
    /// The client's address; one of IPv4 within IPv6 as one of IPv4.
    pub address: IpAddr,
    /// The country of the address, if it is known.
    pub country: Option<Country>,
}

impl Origin {
    /// Of an address in any form.
    #[must_use]
    pub fn new(address: IpAddr, country: Option<Country>) -> Self {
        Self { address: address.to_canonical(), country }
    }
}

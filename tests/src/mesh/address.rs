//! Loopback addresses for pods, gateways and cells.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use anyhow::{Result, bail};

/// The address within a block whose bound port marks the block as taken.
const CLAIM: (u8, u8, u16) = (255, 254, 9009);

/// A block `127.N.0.0/16` that no other run on this machine uses at the same time.
#[derive(Debug)]
pub struct Addresses {
    block: u8,
    next: AtomicU16,
    _claim: TcpListener,
}

impl Addresses {
    /// Takes a block.
    ///
    /// # Errors
    /// When every block is taken.
    pub fn take() -> Result<Self> {
        // Other programs use 127.0.0.0/16.
        for block in 1..=u8::MAX {
            if let Ok(claim) = TcpListener::bind((Ipv4Addr::new(127, block, CLAIM.0, CLAIM.1), CLAIM.2)) {
                return Ok(Self { block, next: AtomicU16::new(0), _claim: claim });
            }
        }
        bail!(
            "no block of loopback addresses is free: port {} of 127.1.{}.{} cannot be bound",
            CLAIM.2,
            CLAIM.0,
            CLAIM.1
        )
    }

    /// A new address.
    #[must_use]
    pub fn next(&self) -> Ipv4Addr {
        let [high, low] = self.next.fetch_add(1, Ordering::Relaxed).wrapping_add(1).to_be_bytes();
        Ipv4Addr::new(127, self.block, high, low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_runs_share_no_address() {
        let (one, other) = (Addresses::take().unwrap(), Addresses::take().unwrap());
        assert_ne!(one.next(), one.next());
        assert_ne!(one.block, other.block);
    }
}

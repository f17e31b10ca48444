//! How many connections there are, in all and of one address.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, PoisonError};

/// Seats for connections.
#[derive(Debug)]
pub(crate) struct Seats {
    most: usize,
    most_of_one: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// A seat, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    seats: Arc<Seats>,
    address: IpAddr,
}

impl Seats {
    pub(crate) fn new(most: u32, most_of_one: u32) -> Arc<Self> {
        Arc::new(Self { most: most as usize, most_of_one: most_of_one as usize, taken: Mutex::default() })
    }

    /// A seat for this address; `None` when all, or all of its own, are taken.
    pub(crate) fn take(self: &Arc<Self>, address: IpAddr) -> Option<Seat> {
        let address = whose(address);
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.all >= self.most {
            return None;
        }
        let own = taken.by_address.entry(address).or_default();
        if *own >= self.most_of_one {
            return None;
        }
        *own += 1;
        taken.all += 1;
        Some(Seat { seats: Arc::clone(self), address })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Entry::Occupied(mut own) = taken.by_address.entry(self.address) {
            *own.get_mut() -= 1;
            if *own.get() == 0 {
                own.remove();
            }
        }
    }
}

/// One customer of a network has 2^64 addresses of IPv6: the first half tells them apart.
fn whose(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> IpAddr {
        address.parse().unwrap()
    }

    #[test]
    fn one_address_does_not_take_every_seat() {
        let seats = Seats::new(3, 2);
        let held = [seats.take(at("192.0.2.1")), seats.take(at("::ffff:192.0.2.1"))];
        assert!(held.iter().all(Option::is_some));
        assert!(seats.take(at("192.0.2.1")).is_none(), "its own are taken");
        let other = seats.take(at("192.0.2.2"));
        assert!(other.is_some());
        assert!(seats.take(at("192.0.2.3")).is_none(), "all are taken");
        drop(held);
        assert!(seats.take(at("192.0.2.1")).is_some(), "a seat is given back");
        drop(other);
        assert!(seats.taken.lock().unwrap().by_address.is_empty(), "nobody is remembered who is gone");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let seats = Seats::new(9, 1);
        let _held = seats.take(at("2001:db8::1")).unwrap();
        assert!(seats.take(at("2001:db8::2")).is_none());
        assert!(seats.take(at("2001:db8:0:1::1")).is_some());
    }
}

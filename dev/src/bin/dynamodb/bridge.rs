//! The address at which a container reaches this machine.
//!
//! On Linux `sam local` maps `host.docker.internal` to the address of Docker's bridge, so a container cannot reach a
//! listener on 127.0.0.1 alone, and everyone can reach one on 0.0.0.0. Elsewhere Docker Desktop forwards the name to
//! 127.0.0.1 itself.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};

/// Returns this machine's address on Docker's default bridge, or `None` without one.
pub(crate) fn address() -> Option<IpAddr> {
    let network = docker_network(&std::fs::read_to_string("/proc/net/route").ok()?)?;
    // Connecting a UDP socket sends nothing. It makes the kernel choose the address that it would send from.
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::from(u32::from(network) | 2), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Returns the network of `docker0` in the kernel's routing table, whose numbers are in hexadecimal and in memory
/// order.
fn docker_network(routes: &str) -> Option<Ipv4Addr> {
    routes.lines().find_map(|line| {
        let mut columns = line.split_whitespace();
        let destination = columns.next().filter(|name| *name == "docker0").and(columns.next())?;
        let number = u32::from_str_radix(destination, 16).ok()?;
        Some(Ipv4Addr::from(number.to_ne_bytes()))
    })
}

//! The addresses of this host.

use std::io;
use std::net::IpAddr;

use wigwag::Interface;

/// The interfaces that are up, each address an entry.
///
/// # Errors
/// When the system does not tell.
pub fn local_interfaces() -> io::Result<Vec<Interface>> {
    let interfaces = if_addrs::get_if_addrs()?;
    Ok(interfaces.into_iter().map(|interface| Interface::new(interface.name.clone(), interface.ip())).collect())
}

/// The addresses that a server can be reached at: all of [`local_interfaces`] but IPv6 link-local ones, which want a
/// scope, and loopback unless `loopback` is wanted.
///
/// # Errors
/// When the system does not tell.
pub fn local_addresses(loopback: bool) -> io::Result<Vec<IpAddr>> {
    let is_wanted = |address: &IpAddr| {
        let is_link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        !is_link_local && !address.is_unspecified() && (loopback || !address.is_loopback())
    };
    Ok(local_interfaces()?.into_iter().map(|interface| interface.address).filter(is_wanted).collect())
}

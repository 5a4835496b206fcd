//! Which addresses a request may go to: the public internet, and the networks that the endpoint names.
//!
//! Whoever may write an endpoint's URL, or the DNS behind it, could otherwise make cardwatch knock at what only
//! machines of this network reach: metadata services, databases, consoles. So addresses are judged, not names,
//! and each is judged when a connection is made to it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Why an address may not be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forbidden {
    /// `0.0.0.0/8`, `::`: no address of anybody, and on many systems this machine.
    Unspecified,
    /// This machine.
    Loopback,
    /// RFC 1918, `fc00::/7` and the site-local addresses before it.
    Private,
    /// `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// `100.64.0.0/10`, between a provider and its customers.
    CarrierGrade,
    /// A service that tells a cloud's machine its credentials.
    Metadata,
    /// More than one receiver.
    Multicast,
    /// For examples in documents.
    Documentation,
    /// For measuring devices.
    Benchmarking,
    /// Assigned to protocols, reserved, or not given to anybody yet.
    Reserved,
}

impl fmt::Display for Forbidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Forbidden::Unspecified => "an unspecified address",
            Forbidden::Loopback => "a loopback address",
            Forbidden::Private => "a private address",
            Forbidden::LinkLocal => "a link-local address",
            Forbidden::CarrierGrade => "an address of carrier-grade NAT",
            Forbidden::Metadata => "the address of a cloud's metadata service",
            Forbidden::Multicast => "a multicast address",
            Forbidden::Documentation => "an address for documentation",
            Forbidden::Benchmarking => "an address for benchmarking",
            Forbidden::Reserved => "a reserved address",
        })
    }
}

/// Metadata services. Most lie in networks that are forbidden anyhow; they stand here because a network that is
/// let through must not let them through with it.
const METADATA: [IpAddr; 10] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)), // AWS, Azure, Google and most others
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 2)),   // AWS ECS
    IpAddr::V4(Ipv4Addr::new(169, 254, 170, 23)),  // AWS EKS
    IpAddr::V4(Ipv4Addr::new(169, 254, 42, 42)),   // Scaleway
    IpAddr::V4(Ipv4Addr::new(100, 100, 100, 200)), // Alibaba
    IpAddr::V4(Ipv4Addr::new(168, 63, 129, 16)),   // Azure's wire server: a public address
    IpAddr::V4(Ipv4Addr::new(192, 0, 0, 192)),     // Oracle
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)), // AWS
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23)), // AWS EKS
    IpAddr::V6(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)), // Google
];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

/// The special-purpose networks of IPv4 (IANA's registry), and those the registry does not call global.
const V4: [(Ipv4Net, Forbidden); 17] = [
    (v4(0, 0, 0, 0, 8), Forbidden::Unspecified),
    (v4(10, 0, 0, 0, 8), Forbidden::Private),
    (v4(100, 64, 0, 0, 10), Forbidden::CarrierGrade),
    (v4(127, 0, 0, 0, 8), Forbidden::Loopback),
    (v4(169, 254, 0, 0, 16), Forbidden::LinkLocal),
    (v4(172, 16, 0, 0, 12), Forbidden::Private),
    (v4(192, 0, 0, 0, 24), Forbidden::Reserved),
    (v4(192, 0, 2, 0, 24), Forbidden::Documentation),
    (v4(192, 31, 196, 0, 24), Forbidden::Reserved),
    (v4(192, 52, 193, 0, 24), Forbidden::Reserved),
    (v4(192, 88, 99, 0, 24), Forbidden::Reserved),
    (v4(192, 168, 0, 0, 16), Forbidden::Private),
    (v4(198, 18, 0, 0, 15), Forbidden::Benchmarking),
    (v4(198, 51, 100, 0, 24), Forbidden::Documentation),
    (v4(203, 0, 113, 0, 24), Forbidden::Documentation),
    (v4(224, 0, 0, 0, 4), Forbidden::Multicast),
    // With the broadcast address.
    (v4(240, 0, 0, 0, 4), Forbidden::Reserved),
];

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix)
}

/// All that is given to anybody; what lies outside is reserved.
const GLOBAL: Ipv6Net = v6(0x2000, 0, 0, 3);

/// Networks outside [`GLOBAL`] that have a better name than reserved, and those inside that are not global.
const V6: [(Ipv6Net, Forbidden); 10] = [
    (v6(0x100, 0, 0, 64), Forbidden::Reserved),
    (v6(0x2001, 2, 0, 48), Forbidden::Benchmarking),
    (v6(0x2001, 0xdb8, 0, 32), Forbidden::Documentation),
    // Protocols. Teredo lies in it and is judged by what stands in it.
    (v6(0x2001, 0, 0, 23), Forbidden::Reserved),
    (v6(0x3fff, 0, 0, 20), Forbidden::Documentation),
    (v6(0xfc00, 0, 0, 7), Forbidden::Private),
    (v6(0xfe80, 0, 0, 10), Forbidden::LinkLocal),
    (v6(0xfec0, 0, 0, 10), Forbidden::Private),
    (v6(0xff00, 0, 0, 8), Forbidden::Multicast),
    // NAT64 of a network's own: what stands behind it is that network's secret.
    (v6(0x64, 0xff9b, 1, 48), Forbidden::Private),
];

/// Why nobody's request may go to `address`, unless its endpoint names the network.
pub fn forbidden(address: IpAddr) -> Option<Forbidden> {
    if METADATA.contains(&address) {
        return Some(Forbidden::Metadata);
    }
    match address {
        IpAddr::V4(address) => V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, why)| *why),
        IpAddr::V6(address) => forbidden_v6(address),
    }
}

fn forbidden_v6(address: Ipv6Addr) -> Option<Forbidden> {
    let inner = embedded(address).into_iter().flatten().find_map(|inner| forbidden(inner.into()));
    match form(address) {
        // `::` and `::1` read as compatible forms too, but are better known.
        Some(why @ (Forbidden::Unspecified | Forbidden::Loopback)) => Some(why),
        form => inner.or(form),
    }
}

/// Why `address` is forbidden whatever IPv4 address stands in it.
fn form(address: Ipv6Addr) -> Option<Forbidden> {
    if address.is_unspecified() {
        return Some(Forbidden::Unspecified);
    }
    if address.is_loopback() {
        return Some(Forbidden::Loopback);
    }
    if mapped(address) || nat64(address) || teredo(address) {
        return None;
    }
    let listed = V6.iter().find(|(network, _)| network.contains(&address)).map(|(_, why)| *why);
    listed.or_else(|| (!GLOBAL.contains(&address)).then_some(Forbidden::Reserved))
}

fn mapped(address: Ipv6Addr) -> bool {
    address.to_ipv4_mapped().is_some()
}

fn nat64(address: Ipv6Addr) -> bool {
    address.segments()[..6] == [0x64, 0xff9b, 0, 0, 0, 0]
}

fn teredo(address: Ipv6Addr) -> bool {
    address.segments()[..2] == [0x2001, 0]
}

/// The IPv4 addresses that packets to `address` may come to: every form that writes one into an IPv6 address.
fn embedded(address: Ipv6Addr) -> [Option<Ipv4Addr>; 2] {
    let bits = u128::from(address);
    // The 32 bits that begin at bit `from`, counted from the left.
    #[allow(clippy::cast_possible_truncation, reason = "32 bits are what is asked for")]
    let at = |from: u32| Ipv4Addr::from_bits((bits >> (96 - from)) as u32);
    let segments = address.segments();
    if teredo(address) {
        // The server, and the client, whose bits are turned over.
        return [Some(at(32)), Some(Ipv4Addr::from_bits(!at(96).to_bits()))];
    }
    let six_to_four = (segments[0] == 0x2002).then(|| at(16));
    let low = match segments {
        // Compatible (deprecated), mapped, translated (SIIT).
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] => true,
        // ISATAP, under whichever prefix.
        [_, _, _, _, 0 | 0x200, 0x5efe, ..] => true,
        _ => nat64(address),
    };
    [six_to_four, low.then(|| at(96))]
}

/// What one endpoint's requests may go to.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Vec<IpNet>,
}

/// A text does not name a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Not an address with a prefix.
    #[error("`{0}` is not a network: write one such as 10.20.0.0/16 or fd12:3456::/48")]
    Text(String),
    /// Bits are set behind the prefix.
    #[error("`{0}` names an address inside a network: write {1} for the network or {2} for the address")]
    Bits(String, IpNet, IpNet),
}

impl Guard {
    /// Lets the public internet through, and these networks: `10.20.0.0/16`, or one address.
    ///
    /// # Errors
    /// The first text that is not a network.
    pub fn new<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Guard, NetworkError> {
        let allowed: Result<Vec<IpNet>, NetworkError> = networks.into_iter().map(network).collect();
        Ok(Guard { allowed: allowed? })
    }

    /// Whether a request may go to `address`. A metadata service is let through only by a network of its one
    /// address.
    ///
    /// # Errors
    /// Why it may not.
    pub fn check(&self, address: IpAddr) -> Result<(), Forbidden> {
        let Some(why) = forbidden(address) else { return Ok(()) };
        let exact = why == Forbidden::Metadata;
        let named = self.allowed.iter().any(|network| {
            network.contains(&address) && (!exact || network.prefix_len() == network.max_prefix_len())
        });
        match address {
            _ if named => Ok(()),
            IpAddr::V4(_) => Err(why),
            IpAddr::V6(_) if METADATA.contains(&address) => Err(why),
            // A form is let through where all that stands in it is.
            IpAddr::V6(outer) => {
                let mut inner = embedded(outer).into_iter().flatten();
                let passes = inner.all(|inner| self.check(inner.into()).is_ok()) && form(outer).is_none();
                if passes { Ok(()) } else { Err(why) }
            }
        }
    }

    /// Whether requests may go to a name that has these addresses. One forbidden among them refuses them all: a
    /// mixed answer is what an attack looks like, and nobody's mistake is helped by guessing.
    ///
    /// # Errors
    /// The first address that is forbidden, and why.
    pub fn check_all(&self, addresses: &[IpAddr]) -> Result<(), (IpAddr, Forbidden)> {
        addresses.iter().try_for_each(|address| self.check(*address).map_err(|why| (*address, why)))
    }
}

fn network(text: &str) -> Result<IpNet, NetworkError> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Ok(address.into());
    }
    let network: IpNet = text.parse().map_err(|_| NetworkError::Text(text.chars().take(64).collect()))?;
    if network.trunc() == network {
        Ok(network)
    } else {
        Err(NetworkError::Bits(text.to_owned(), network.trunc(), network.addr().into()))
    }
}

#[cfg(test)]
mod tests;

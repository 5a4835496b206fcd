use proptest::prelude::*;

use super::*;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_public_internet_is_let_through() {
    for text in [
        "1.1.1.1",
        "8.8.8.8",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "168.63.129.17",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "2001:200::1",
        "2003::1",
        "2620:fe::fe",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
        "2002:808:808::1",
        "2001:0:808:808::f7f7:f7f7",
        "2a00:1450::5efe:808:808",
    ] {
        assert_eq!(forbidden(ip(text)), None, "{text}");
    }
}

#[test]
fn everything_else_is_not() {
    use Forbidden::{
        Benchmarking, CarrierGrade, Documentation, LinkLocal, Loopback, Metadata, Multicast, Private,
        Reserved, Unspecified,
    };
    for (why, texts) in [
        (Unspecified, &["0.0.0.0", "0.1.2.3", "0.255.255.255", "::", "::ffff:0.0.0.0"][..]),
        (
            Loopback,
            &["127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1", "::127.0.0.1", "::ffff:0:7f00:1"],
        ),
        (
            Private,
            &["10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0", "192.168.255.255"],
        ),
        (Private, &["fc00::", "fdff:ffff::1", "fec0::1", "64:ff9b:1::808:808", "64:ff9b::192.168.1.1"]),
        (
            Private,
            &[
                "2002:a00:1::1",
                "2001:0:a00:1::f7f7:f7f7",
                "2001:0:808:808::f5ff:fffe",
                "2a00:1450::5efe:a00:1",
            ],
        ),
        (LinkLocal, &["169.254.0.1", "169.254.255.255", "fe80::1", "febf:ffff::1"]),
        (CarrierGrade, &["100.64.0.0", "100.127.255.255", "::ffff:100.64.0.1"]),
        (Metadata, &["169.254.169.254", "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254"]),
        (
            Metadata,
            &["::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::", "fd20:ce::254"],
        ),
        (Multicast, &["224.0.0.1", "239.255.255.255", "ff02::1", "ffff::"]),
        (
            Documentation,
            &["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1", "3fff:fff::1"],
        ),
        (Benchmarking, &["198.18.0.0", "198.19.255.255", "2001:2::1"]),
        (
            Reserved,
            &[
                "192.0.0.1",
                "192.88.99.1",
                "240.0.0.1",
                "255.255.255.255",
                "100::1",
                "2001:10::1",
                "2001:20::1",
            ],
        ),
        (
            Reserved,
            &[
                "2001:1::1",
                "4000::1",
                "5f00::1",
                "8000::1",
                "e000::1",
                "64:ff9b:2::1",
                "::8.8.8.8",
                "fe00::1",
            ],
        ),
        (Reserved, &["::ffff:0:808:808"]),
    ] {
        for text in texts {
            assert_eq!(forbidden(ip(text)), Some(why), "{text}");
        }
    }
}

#[test]
fn one_forbidden_address_refuses_the_name() {
    let guard = Guard::default();
    assert_eq!(guard.check_all(&[ip("8.8.8.8"), ip("2606:4700::1")]), Ok(()));
    assert_eq!(guard.check(ip("::1")), Err(Forbidden::Loopback), "and says what the address is");
    let mixed = [ip("8.8.8.8"), ip("10.0.0.1"), ip("1.1.1.1")];
    assert_eq!(guard.check_all(&mixed), Err((ip("10.0.0.1"), Forbidden::Private)));
}

#[test]
fn a_network_that_is_named_is_let_through_and_no_other() {
    let guard = Guard::new(["10.20.0.0/16", "fd12::/32", "127.0.0.1"]).unwrap();
    for good in
        ["10.20.0.1", "10.20.255.255", "::ffff:10.20.0.1", "64:ff9b::10.20.0.1", "fd12::1", "127.0.0.1"]
    {
        assert_eq!(guard.check(ip(good)), Ok(()), "{good}");
    }
    for bad in ["10.21.0.1", "10.19.255.255", "fd13::1", "127.0.0.2", "::1", "169.254.169.254"] {
        assert!(guard.check(ip(bad)).is_err(), "{bad}");
    }
}

#[test]
fn a_metadata_service_is_let_through_by_its_one_address_only() {
    let wide = Guard::new(["0.0.0.0/0", "::/0"]).unwrap();
    assert_eq!(wide.check(ip("169.254.1.1")), Ok(()));
    for address in METADATA {
        assert_eq!(wide.check(address), Err(Forbidden::Metadata), "{address}");
    }
    assert_eq!(wide.check(ip("64:ff9b::169.254.169.254")), Err(Forbidden::Metadata));
    let exact = Guard::new(["169.254.169.254/32"]).unwrap();
    assert_eq!(exact.check(ip("169.254.169.254")), Ok(()));
}

#[test]
fn what_is_not_a_network_is_refused_with_what_to_write() {
    for (text, says) in [
        ("10.0.0.0/33", "write one such as 10.20.0.0/16"),
        ("intranet", "write one such as 10.20.0.0/16"),
        ("", "write one such as 10.20.0.0/16"),
        ("10.1.2.3/8", "write 10.0.0.0/8 for the network or 10.1.2.3/32 for the address"),
        ("fd12::1/32", "write fd12::/32 for the network or fd12::1/128 for the address"),
    ] {
        let error = Guard::new([text]).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

/// The registries once more, naively: what is global is known by the standard library where it is stable.
fn naive_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 198 && (b == 18 || b == 19))
        || [(192, 0, 0), (192, 88, 99), (192, 31, 196), (192, 52, 193)].contains(&(a, b, c))
        || METADATA.contains(&address.into())
}

/// Addresses near the edges of networks as often as any others.
fn any_v4() -> impl Strategy<Value = Ipv4Addr> {
    let near = (0..V4.len(), any::<bool>(), -2i64..3).prop_map(|(at, last, by)| {
        let network = V4[at].0;
        let edge = if last { network.broadcast() } else { network.network() };
        Ipv4Addr::from_bits(
            u32::try_from((i64::from(edge.to_bits()) + by).clamp(0, u32::MAX.into())).unwrap(),
        )
    });
    let inside = (0..V4.len(), any::<u32>()).prop_map(|(at, bits)| {
        let network = V4[at].0;
        Ipv4Addr::from_bits(network.network().to_bits() | (bits & network.hostmask().to_bits()))
    });
    prop_oneof![any::<u32>().prop_map(Ipv4Addr::from_bits), near, inside]
}

/// Every way to write an IPv4 address into an IPv6 one.
fn embeddings(inner: Ipv4Addr, other: u64) -> Vec<Ipv6Addr> {
    let [high, low] = [(inner.to_bits() >> 16) as u16, inner.to_bits() as u16];
    let [b, c] = [(other >> 32) as u16, (other >> 16) as u16];
    let prefix = 0x2a00 | (other & 0xff) as u16;
    vec![
        inner.to_ipv6_mapped(),
        Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
        Ipv6Addr::new(0x64, 0xff9b, 1, b, c, 0, high, low),
        Ipv6Addr::new(0x2002, high, low, b, c, 0, 0, 1),
        Ipv6Addr::new(0x2001, 0, high, low, 0, b, !0x0808, !0x0808),
        Ipv6Addr::new(0x2001, 0, 0x0808, 0x0808, 0, b, !high, !low),
        Ipv6Addr::new(prefix, b, c, 0, 0, 0x5efe, high, low),
        Ipv6Addr::new(prefix, b, c, 0, 0x200, 0x5efe, high, low),
    ]
}

proptest! {
    #[test]
    fn the_table_is_the_naive_list(address in any_v4()) {
        prop_assert_eq!(forbidden(address.into()).is_some(), naive_v4(address), "{}", address);
    }

    #[test]
    fn every_embedding_of_a_forbidden_address_is_forbidden(address in any_v4(), other in any::<u64>()) {
        for outer in embeddings(address, other) {
            if naive_v4(address) {
                prop_assert!(forbidden(outer.into()).is_some(), "{} in {}", address, outer);
            }
            // Naming all of IPv6 opens no way around what IPv4 forbids a metadata service.
            if METADATA.contains(&address.into()) {
                let wide = Guard::new(["::/0", "0.0.0.0/0"]).unwrap();
                prop_assert!(wide.check(outer.into()).is_err(), "{} in {}", address, outer);
            }
        }
    }

    #[test]
    fn what_lies_outside_the_global_networks_is_forbidden_unless_it_stands_for_a_public_one(bits in any::<u128>()) {
        let address = Ipv6Addr::from_bits(bits);
        let global = address.segments()[0] & 0xe000 == 0x2000;
        let stands_for = address.to_ipv4_mapped().is_some() || nat64(address);
        prop_assert!(global || stands_for || forbidden(address.into()).is_some(), "{}", address);
    }
}

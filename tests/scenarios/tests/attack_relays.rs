//! What must not be learned of who uses relays only, and whom a relay must not be made to speak to.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use wigwag::{IceCandidate, TransportPolicy};
use wigwag_net::{Nat, Verdict};
use wigwag_scenarios::{Lab, SERVERS, for_each_seed};
use wigwag_stun::{AttributeType, Message};

const SECOND: Duration = Duration::from_secs(1);
const TURN: &[&str] = &["turn:203.0.113.1"];
/// The offerer's own, and its NAT's.
const SECRETS: [[u8; 4]; 2] = [[10, 0, 1, 2], [192, 0, 2, 1]];
/// Where the answerer is heard of.
const ANSWERER: [IpAddr; 2] =
    [IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)), IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 2, 2))];

/// Whether an address is among these bytes, as it is or XORed with STUN's magic cookie.
fn names(bytes: &[u8], address: [u8; 4]) -> bool {
    let xored = u32::from_be_bytes(address) ^ wigwag_stun::MAGIC_COOKIE;
    bytes.windows(4).any(|window| window == address || window == xored.to_be_bytes())
}

/// All that the offerer shows of itself and all that arrives at the answerer, with this policy: what names one of the secrets.
fn leaks(seed: u64, policy: TransportPolicy) -> Vec<String> {
    let is_offerer = |side: usize| side == 0;
    let mut lab = Lab::with(seed, [Nat::FULL_CONE; 2], [TURN; 2], |side, config| {
        config.ice_transport_policy = if is_offerer(side) { policy } else { TransportPolicy::All };
    });
    let found = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&found);
    let server = SERVERS[0].parse::<SocketAddr>().unwrap().ip();
    lab.simulation.network.set_filter(move |sent| {
        let mut found = seen.lock().unwrap();
        let (from, to) = (sent.path.local.ip(), sent.path.remote.ip());
        // (The offerer's server is told, of course.)
        if SECRETS.iter().any(|secret| from == IpAddr::from(*secret)) && to != server {
            found.push(format!("a datagram to {to}"));
        }
        let hears = ANSWERER.contains(&to);
        if hears && SECRETS.iter().any(|secret| names(sent.bytes, *secret) || from == IpAddr::from(*secret)) {
            found.push(format!("a datagram from {from}, {:02X?}", sent.bytes.get(..2)));
        }
        Verdict::Pass
    });
    let secret_texts = SECRETS.map(|secret| IpAddr::from(secret).to_string());
    let look = |text: String| {
        if secret_texts.iter().any(|secret| text.contains(secret)) {
            found.lock().unwrap().push(text);
        }
    };
    // Nobody takes the candidates away yet.
    lab.run_for(3 * SECOND).unwrap();
    let candidates = lab.peer(0).candidates.clone();
    assert!(candidates.iter().any(|it| it.candidate.contains(" typ relay")), "{candidates:?}");
    candidates.into_iter().for_each(|it| look(format!("{it:?}")));
    assert!(lab.connect(30 * SECOND));
    lab.transfer(20, 2000, 20 * SECOND).unwrap();
    let pc = &mut lab.peer(0).pc;
    look(pc.create_offer().unwrap().sdp);
    look(format!("{:?}", pc.stats()));
    if policy == TransportPolicy::Relay {
        let path = lab.peer(0).pc.selected_path().unwrap();
        assert_eq!(path.local.ip(), server, "its path begins at the relay");
    }
    found.lock().unwrap().clone()
}

/// With relays only, neither a description nor a candidate nor a datagram tells the peer an address of ours; with all candidates it does, so the search finds
/// what there is.
#[test]
fn attack_addresses_behind_relays() {
    for_each_seed(3, |seed| {
        assert!(leaks(seed, TransportPolicy::All).len() > 3);
        let found = leaks(seed, TransportPolicy::Relay);
        assert!(found.is_empty(), "{found:?}");
    });
}

/// The peer names hosts that only the relay can reach, in every spelling: no permission is asked for them. (CVE-2020-26262: `::ffff:127.0.0.1` and
/// `0.0.0.0` got through where `127.0.0.1` did not.)
#[test]
fn attack_relays_to_internal_hosts() {
    const SPELLINGS: &[&str] = &[
        "127.0.0.1",
        "127.255.255.254",
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "239.255.255.250",
        "::1",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "0:0:0:0:0:ffff:127.0.0.1",
        "::FFFF:0.0.0.0",
        "::ffff:224.0.0.1",
        "::127.0.0.1",
        "64:ff9b::127.0.0.1",
        "ff02::1",
        "::ffff:255.255.255.255",
        "127.1",
        "0177.0.0.1",
        "2130706433",
        "0x7f.1",
    ];
    let is_internal = |address: IpAddr| {
        let address = address.to_canonical();
        let is_broadcast = matches!(address, IpAddr::V4(it) if it.is_broadcast());
        address.is_loopback() || address.is_unspecified() || address.is_multicast() || is_broadcast
    };
    for_each_seed(1, |seed| {
        let mut lab = Lab::with(seed, [Nat::SYMMETRIC; 2], [TURN; 2], |_, config| {
            config.ice_transport_policy = TransportPolicy::Relay;
        });
        let named = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&named);
        lab.simulation.network.set_filter(move |sent| {
            if let Ok(message) = Message::parse(sent.bytes)
                && let Some(peer) = message.xor_address(AttributeType::XOR_PEER_ADDRESS)
            {
                seen.lock().unwrap().push(peer.ip());
            }
            Verdict::Pass
        });
        lab.run_for(2 * SECOND).unwrap();
        let now = lab.simulation.now();
        let mut taken = 0;
        for (n, spelling) in SPELLINGS.iter().enumerate() {
            let candidate = format!("candidate:e{n} 1 udp {} {spelling} 80 typ host", 2_130_706_431 - n);
            let candidate = IceCandidate { candidate, sdp_m_line_index: Some(0), ..IceCandidate::default() };
            taken += usize::from(lab.peer(0).pc.add_ice_candidate(now, &candidate).is_ok());
        }
        assert!(taken > 10, "addresses are read, and then judged");
        assert!(lab.connect(30 * SECOND));
        lab.transfer(5, 1000, 20 * SECOND).unwrap();
        let named = named.lock().unwrap();
        assert!(!named.is_empty(), "the relay is used, and for somebody");
        let internal: Vec<_> = named.iter().filter(|it| is_internal(**it)).collect();
        assert!(internal.is_empty(), "{internal:?}");
    });
}

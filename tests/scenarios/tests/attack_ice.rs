//! Attacks on ICE: by strangers, by a peer that would have the victim talk to others, and on consent.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rand::RngExt;
use wigwag::{ConnectionState, IceCandidate, UdpPath, random};
use wigwag_scenarios::adversary::{Answers, Attack, Duel, Man};
use wigwag_scenarios::{ADDRESSES, Peer, World, config, for_each_seed, memory};
use wigwag_stun::{AttributeType, Class, MessageBuilder, Method, TransactionId};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const BYSTANDER: &str = "10.9.9.9";

fn from(remote: impl Into<SocketAddr>) -> UdpPath {
    UdpPath { local: ADDRESSES[0].parse().unwrap(), remote: remote.into() }
}

fn network(duel: &mut Duel) -> Man {
    Man::new(&mut duel.simulation.network)
}

/// Datagrams, and their bytes, that went to anybody but the adversary.
fn to_others(man: &Man) -> (usize, usize) {
    let [victim, adversary] = ADDRESSES.map(|it| it.parse::<SocketAddr>().unwrap());
    let to_them = man.seen().into_iter().filter(|it| it.path.local == victim && it.path.remote != adversary);
    to_them.fold((0, 0), |(count, bytes), it| (count + 1, bytes + it.bytes.len()))
}

/// Checks with every wrong credential, answers that nobody asked for, and what is no STUN at all, at each millisecond of the set-up: a stranger hears
/// nothing, and the connection comes up as it would.
#[test]
fn attack_wrong_credentials() {
    for_each_seed(1, |seed| {
        let mut quiet = Duel::new(seed, Attack::default());
        quiet.connect();
        let expected = quiet.now();
        let mut duel = Duel::new(seed, Attack::default());
        let man = network(&mut duel);
        let stranger = from(([10, 0, 6, 6], 666));
        let (right, fragments) = {
            let ice = &duel.adversary().ice;
            (ice.victims.pwd.clone(), (ice.victims.ufrag.clone(), ice.ours.ufrag.clone()))
        };
        for _ in 0..120 {
            let mut forged = Vec::new();
            let ice = &mut duel.adversary().ice;
            for pwd in ["", "wrong", &right[..right.len() - 1], &ice.ours.pwd.clone(), &right.to_uppercase()] {
                forged.push(ice.check(pwd, |message| message.use_candidate()));
            }
            // Without integrity; and with it, for a name of nobody, of half, and none.
            for name in [format!("{}:{}", fragments.0, fragments.1), "nobody:x".into(), fragments.0.clone(), ":".into()]
            {
                for signs in [false, true] {
                    let mut memory = [0; 300];
                    let id = TransactionId([seed as u8; 12]);
                    let mut message = MessageBuilder::new(&mut memory, Class::Request, Method::BINDING, id);
                    message.username(&name);
                    message.priority(1);
                    if signs && !name.contains(&fragments.1) {
                        message.message_integrity(right.as_bytes(), wigwag::default_provider());
                    }
                    message.fingerprint();
                    let len = message.finish().unwrap();
                    forged.push(memory[..len].to_vec());
                }
            }
            for class in [Class::Success, Class::Error, Class::Indication] {
                let mut memory = [0; 300];
                let mut message = MessageBuilder::new(&mut memory, class, Method::BINDING, TransactionId([9; 12]));
                message.xor_mapped_address(([10, 0, 6, 6], 1).into());
                message.attribute(AttributeType(0x7FFF), &[1; 40]);
                message.message_integrity(right.as_bytes(), wigwag::default_provider());
                let len = message.finish().unwrap();
                forged.push(memory[..len].to_vec());
            }
            for datagram in forged {
                duel.hit_from(stranger, &datagram);
                // And in the adversary's own name, so that no stranger can spoil what it does.
                duel.hit(&datagram);
            }
            duel.run_for(Duration::from_millis(1));
        }
        duel.connect();
        assert!(duel.now() <= expected + Duration::from_millis(120 + 120), "it was held up");
        assert_eq!(to_others(&man), (0, 0), "a stranger was answered");
        duel.still_works();
    });
}

/// Right checks of which any bit is another, or the end is missing: nothing of them counts. (All but the type of the attribute behind the integrity,
/// FINGERPRINT: whoever changes that has taken it out, and the check is authentic still.)
#[test]
fn attack_mutated_checks() {
    for_each_seed(1, |seed| {
        let mut duel = Duel::new(seed, Attack::default());
        duel.connect();
        let man = network(&mut duel);
        let stranger = from(([10, 0, 6, 6], 666));
        let check = duel.adversary().ice.right_check();
        let fingerprint = (check.len() - 8) * 8;
        for bit in (0..fingerprint).chain(fingerprint + 16..check.len() * 8) {
            let mut forged = check.clone();
            forged[bit / 8] ^= 1 << (bit % 8);
            duel.hit_from(stranger, &forged);
        }
        for len in 0..check.len() {
            duel.hit_from(stranger, &check[..len]);
        }
        duel.run_for(SECOND);
        assert_eq!(to_others(&man), (0, 0));
        duel.still_works();
    });
}

/// An answer with ten thousand candidates, and ten thousand more that trickle in: all ports of a bystander, or as many bystanders. What they hear is
/// little, and the one right candidate still works.
#[test]
fn attack_candidates_that_name_a_victim() {
    for_each_seed(1, |seed| {
        for many_hosts in [false, true] {
            let name = |n: u16| -> (IpAddr, u16) {
                match many_hosts {
                    true => (IpAddr::from([10, 9, (n >> 8) as u8, n as u8]), 53),
                    false => (BYSTANDER.parse().unwrap(), n + 1),
                }
            };
            let line = |n: u16| {
                let (address, port) = name(n);
                format!("candidate:b{n} 1 udp {} {address} {port} typ host", 2_130_706_431 - u32::from(n))
            };
            let bomb = |sdp: String| -> String {
                let more: String = (0..10_000).map(|n| format!("a={}\r\n", line(n))).collect();
                sdp + &more
            };
            let before = memory::live();
            let mut duel = Duel::with(seed, config(seed, 1), Attack::default(), bomb);
            let held = memory::live() - before;
            assert!(held < 3 << 20, "{held} bytes"); // the text itself is 600 kB, and is kept
            duel.adversary().ice.answers = Answers::None;
            for n in 10_000..20_000 {
                let candidate = line(n);
                let now = duel.now();
                let candidate = IceCandidate { candidate, sdp_m_line_index: Some(0), ..IceCandidate::default() };
                duel.victim().pc.add_ice_candidate(now, &candidate).unwrap();
            }
            let man = network(&mut duel);
            duel.run_for(MINUTE);
            let (datagrams, bytes) = to_others(&man);
            println!(
                "seed {seed}: {datagrams} datagrams, {bytes} bytes in a minute to {}",
                if many_hosts { "many" } else { "one" }
            );
            // Of one address 16 ports, each asked for half a minute; of all, 100 pairs: RFC 8445 sections 6.1.2.5 and 14.
            let most = if many_hosts { 100 * 9 } else { 16 * 9 };
            assert!(datagrams < most, "{datagrams} datagrams to who never asked for one");

            // Those who come by themselves are heard, whatever else is in the list: the peer's own check finds its way in.
            let mut duel = Duel::with(seed, config(seed, 1), Attack::default(), bomb);
            let check = duel.adversary().ice.right_check();
            duel.hit(&check);
            duel.connect();
            duel.still_works();
        }
    });
}

/// The adversary knows the password, and writes five thousand other senders' addresses over its checks, before there is a path and when there is one: the
/// pairs are bounded, so is what is held, and what a bystander hears is hardly more than was sent in its name.
#[test]
fn attack_checks_in_others_names() {
    for_each_seed(1, |seed| {
        for (is_up, one_host) in [(true, true), (true, false), (false, true), (false, false)] {
            let mut duel = Duel::new(seed, Attack::default());
            match is_up {
                true => duel.connect(),
                false => duel.adversary().ice.answers = Answers::None,
            }
            let man = network(&mut duel);
            let (mut sent, mut random) = ((0, 0), random::seeded([seed as u8; 32]));
            // The simulated network keeps something for each address that it has heard of.
            let hosts = if one_host { 1 } else { 50 };
            let mut before = 0;
            for n in 0..5000_u16 {
                let check = duel.adversary().ice.right_check();
                duel.hit_from(from(([10, 9, 9, (n % hosts) as u8], 1 + random.random_range(0..60_000))), &check);
                sent = (sent.0 + 1, sent.1 + check.len());
                duel.run_for(Duration::from_millis(1));
                if n == hosts {
                    before = memory::live() - man.weight();
                }
            }
            let held = memory::live() - man.weight() - before;
            duel.run_for(MINUTE);
            let heard = to_others(&man);
            println!("seed {seed}, up {is_up}: {sent:?} in others' names, {heard:?} to them, {held} bytes held");
            assert!(heard.0 < sent.0 * 6 / 5 && heard.1 < sent.1 * 6 / 5, "{sent:?} became {heard:?}");
            assert!(held < 100_000, "{held} bytes");
            if is_up {
                duel.still_works();
            }
        }
    });
}

/// Every check is answered with an error: no storm. And when the answers are right at last, it comes up.
#[test]
fn attack_errors_for_all_checks() {
    for_each_seed(1, |seed| {
        for code in [300, 400, 401, 420, 438, 487, 500, 699] {
            let mut duel = Duel::new(seed, Attack::default());
            duel.adversary().ice.answers = Answers::Error(code);
            duel.adversary().ice.successes = 1; // and no check of its own
            duel.adversary().handshakes = false;
            duel.run_for(20 * SECOND);
            let checks = duel.adversary().ice.checks;
            println!("{code}: {checks} checks in 20 s");
            // Ta is 50 ms; the first ten come at once.
            assert!(checks <= 20 * 20 + 10, "{checks} checks in 20 s, all answered with {code}");
            let adversary = duel.adversary();
            (adversary.ice.answers, adversary.ice.successes, adversary.handshakes) = (Answers::Right, 0, true);
            let check = duel.adversary().ice.right_check();
            duel.hit(&check);
            duel.connect();
            duel.still_works();
        }
    });
}

/// The peer claims a role by its checks, and the other, with every tie-breaker, a thousand times a second.
#[test]
fn attack_roles_that_flap() {
    for_each_seed(1, |seed| {
        let mut duel = Duel::new(seed, Attack::default());
        duel.connect();
        let mut random = random::seeded([seed as u8; 32]);
        let pwd = duel.adversary().ice.victims.pwd.clone();
        let before = duel.adversary().datagrams;
        for n in 0..5000_u32 {
            let tie = [0, u64::MAX, random.random()][n as usize % 3];
            let check = duel.adversary().ice.check(&pwd, |message| {
                match n % 2 {
                    0 => message.ice_controlling(tie),
                    _ => message.ice_controlled(tie),
                }
                message.use_candidate();
            });
            duel.hit(&check);
            duel.run_for(Duration::from_millis(1));
        }
        let said = duel.adversary().datagrams - before;
        assert!(said < 2 * 5000, "{said} datagrams");
        assert_eq!(duel.victim().states, [ConnectionState::Connecting, ConnectionState::Connected]);
        duel.still_works();
    });
}

/// Only the answers to the checks of one side are lost, and everything else arrives: that side is silent within 30 s (RFC 7675 section 5.1), and
/// a restart brings it back.
#[test]
fn attack_consent_replies_dropped() {
    for_each_seed(2, |seed| {
        let mut world = World::call(seed, [config(seed, 1), config(seed, 2)], |sdp| sdp);
        world.connect(MINUTE).unwrap();
        world.start_media();
        world.transfer(5, 1000, MINUTE).unwrap();
        let [victim, peer] = ADDRESSES.map(|it| it.parse::<SocketAddr>().unwrap());
        let man = Man::new(&mut world.simulation.network);
        man.plan(move |seen| {
            let is_answer = seen.path.local == peer && seen.bytes.len() > 20 && seen.bytes[..2] == [1, 1];
            if is_answer { Vec::new() } else { vec![seen.bytes.clone()] }
        });
        let (channel, began) = (world.channel, world.now());
        world.offerer().say(channel, 100_000, 1000);
        world.simulation.run_for(MINUTE).unwrap();
        let last = man.seen().iter().filter(|it| it.path.local == victim).map(|it| it.at).max().unwrap();
        println!("seed {seed}: silent after {:?}", last - began);
        assert!(last - began <= 30 * SECOND, "it talks on for {:?}", last - began);
        assert_eq!(world.offerer().pc.connection_state(), ConnectionState::Failed);
        man.plan(|seen| vec![seen.bytes.clone()]);
        world.restart_ice();
        world.run_until(MINUTE, Peer::is_connected).unwrap();
    });
}

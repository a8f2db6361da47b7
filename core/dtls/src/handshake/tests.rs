//! Handshakes without a network: what no other implementation at hand would send.

use std::time::Duration;

use wigwag_crypto::{Group, KeyType, default_provider};
use wigwag_proto::{WallClock, random};

use super::*;
use crate::wire::hello::{ClientHello, Offered, RETRY_RANDOM, ServerHello};
use crate::wire::registry::{DTLS_13, GROUPS, SUITES_13};

fn core(seed: u8, versions: Versions) -> Core {
    core_with(seed, versions, KeyType::EcdsaP256)
}

fn core_with(seed: u8, versions: Versions, key_type: KeyType) -> Core {
    let mut random = random::seeded([seed; 32]);
    let certificate = Certificate::generate_with(default_provider(), key_type, &mut random, WallClock(1)).unwrap();
    let mut config = Config::new(certificate, default_provider());
    config.versions = versions;
    Core::new(&config, random, Flight::new(65_507, Duration::from_secs(1)))
}

/// Hands the flight of one to the other.
fn deliver(from: &mut Core, to: &mut Core, mut state: State) -> Result<State, Abort> {
    for (epoch, payload) in from.flight.handshake_payloads() {
        let fragment = message::Fragment::parse(&mut Reader(&payload)).unwrap();
        let message = Message { kind: fragment.kind, seq: fragment.seq, epoch, body: fragment.part.to_vec() };
        assert!(epoch >= state.epoch());
        state = step(to, state, &message)?;
    }
    Ok(state)
}

/// A client whose hello has no share that the server knows, and is then asked for `groups`' first.
fn client_without_a_share(client: &mut Core, groups: &[u16]) -> State {
    let State::AwaitServerHello(mut offer) = client.begin(Role::Client).unwrap() else { panic!() };
    // What it had sent a share of, as far as it knows.
    let other = if groups.contains(&29) { Group::P256 } else { Group::X25519 };
    offer.agreements = vec![client.fresh_key(other).unwrap()];
    client.flight.clear();
    client.transcript.forget();
    client.next_seq = 0;
    let offered = Offered {
        random: offer.random,
        cookie_12: &[],
        cookie_13: None,
        suites: SUITES_13.map(|(number, _)| number).to_vec(),
        versions: vec![DTLS_13],
        dtls12: false,
        groups: groups.to_vec(),
        schemes: registry::schemes(default_provider(), false),
        srtp: vec![7],
        shares: vec![(0x6399, vec![7; 100])],
    };
    let body = offered.write();
    client.send(0, message::CLIENT_HELLO, &body);
    State::AwaitServerHello(offer)
}

#[test]
fn a_server_asks_for_another_share() {
    for (number, group) in GROUPS {
        let (mut client, mut server) = (core(1, Versions::Dtls13), core(2, Versions::Any));
        client.post_quantum = PostQuantum::Offer;
        let waiting = client_without_a_share(&mut client, &[0x6399, number]);
        let state = server.begin(Role::Server).unwrap();
        let state = deliver(&mut client, &mut server, state).unwrap();
        assert!(matches!(state, State::AwaitClientHello(Some(_))), "{group:?} {state:?}");
        let waiting = deliver(&mut server, &mut client, waiting).unwrap();
        let state = deliver(&mut client, &mut server, state).unwrap();
        let waiting = deliver(&mut server, &mut client, waiting).unwrap();
        assert!(matches!(waiting, State::Connected13));
        let state = deliver(&mut client, &mut server, state).unwrap();
        assert!(matches!(state, State::Connected13));
        assert_eq!(client.srtp, server.srtp);
        assert!(client.srtp.is_some());
    }
}

#[test]
fn a_client_that_does_not_do_what_it_is_asked() {
    let (mut client, mut server) = (core(1, Versions::Dtls13), core(2, Versions::Any));
    client_without_a_share(&mut client, &[24]);
    let state = server.begin(Role::Server).unwrap();
    let state = deliver(&mut client, &mut server, state).unwrap();
    let Err(abort) = deliver(&mut client, &mut server, state) else { panic!() };
    assert_eq!(abort.alert, ILLEGAL_PARAMETER);
}

#[test]
fn a_retry_must_make_sense() {
    let answer = |share: Option<&[u8]>, suite, version| {
        let mut client = core(1, Versions::Any);
        let state = client.begin(Role::Client).unwrap();
        let hello = ServerHello {
            version: registry::DTLS_12,
            random: RETRY_RANDOM,
            suite,
            selected_version: version,
            share,
            ..ServerHello::default()
        };
        let body = hello.write();
        let message = Message { kind: message::SERVER_HELLO, seq: 0, epoch: 0, body };
        let once = step(&mut client, state, &message).map_err(|abort| abort.alert)?;
        step(&mut client, once, &message).map_err(|abort| abort.alert).map(|_| ())
    };
    assert_eq!(answer(Some(&[0, 23]), 0x1301, Some(DTLS_13)), Err(UNEXPECTED_MESSAGE), "good once, not twice");
    assert_eq!(answer(Some(&[0, 29]), 0x1301, Some(DTLS_13)), Err(ILLEGAL_PARAMETER), "that share was there");
    assert_eq!(answer(Some(&[0, 99]), 0x1301, Some(DTLS_13)), Err(ILLEGAL_PARAMETER), "no group of ours");
    assert_eq!(answer(None, 0x1301, Some(DTLS_13)), Err(ILLEGAL_PARAMETER), "nothing changes");
    assert_eq!(answer(Some(&[0, 23]), 0xC02B, Some(DTLS_13)), Err(ILLEGAL_PARAMETER), "a suite of DTLS 1.2");
    assert_eq!(answer(Some(&[0, 23]), 0x1301, None), Err(ILLEGAL_PARAMETER), "DTLS 1.2 has no such thing");
    assert_eq!(answer(Some(&[0]), 0x1301, Some(DTLS_13)), Err(DECODE_ERROR));
}

/// Runs a handshake; the sizes of the flights, without the records around them.
fn run(client: &mut Core, server: &mut Core) -> Result<Vec<usize>, Abort> {
    let mut states = [client.begin(Role::Client)?, server.begin(Role::Server)?].map(Some);
    let mut sizes = Vec::new();
    for turn in 0..4 {
        let (from, to) = if turn % 2 == 0 { (&mut *client, &mut *server) } else { (&mut *server, &mut *client) };
        sizes.push(from.flight.handshake_payloads().iter().map(|(_, payload)| payload.len()).sum());
        let state = &mut states[1 - turn % 2];
        *state = Some(deliver(from, to, state.take().unwrap())?);
    }
    assert!(states.iter().all(|state| state.as_ref().is_some_and(State::is_connected)));
    Ok(sizes)
}

/// No choice costs a round trip, whatever the other side knows.
#[test]
fn post_quantum_keys_cost_no_round_trip() {
    use PostQuantum::*;
    for ours in [Accept, Offer, Off] {
        for theirs in [Accept, Offer, Off] {
            let (mut client, mut server) = (core(1, Versions::Any), core(2, Versions::Any));
            (client.post_quantum, server.post_quantum) = (ours, theirs);
            let sizes = run(&mut client, &mut server).unwrap();
            assert_eq!(client.srtp, server.srtp);
            // An encapsulation key there, and a ciphertext back.
            assert_eq!(sizes[0] > 1184, ours == Offer, "{sizes:?}");
            assert_eq!(sizes[1] > 1088 + 500, ours == Offer && theirs != Off, "{sizes:?}");
        }
    }
}

#[test]
fn certificates_of_every_kind() {
    const KINDS: [KeyType; 3] = [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Ed25519];
    for versions in [Versions::Dtls12, Versions::Dtls13] {
        for ours in KINDS {
            for theirs in KINDS {
                let (mut client, mut server) = (core_with(1, versions, ours), core_with(2, versions, theirs));
                run(&mut client, &mut server).unwrap();
                assert!(client.srtp.is_some() && client.srtp == server.srtp, "{versions:?} {ours:?} {theirs:?}");
            }
        }
    }
}

#[test]
fn the_retry_random_is_the_hash_of_its_name() {
    assert_eq!(default_provider().sha256(&[b"HelloRetryRequest"]), RETRY_RANDOM);
}

/// Plays a handshake up to its message number `at`, and gives the receiver another one instead: the alert it says.
fn another_instead(versions: Versions, at: usize, kind: u8) -> Option<(u8, Result<(), u8>)> {
    let (mut client, mut server) = (core(1, versions), core(2, versions));
    let mut states = [client.begin(Role::Client).unwrap(), server.begin(Role::Server).unwrap()];
    let mut count = 0;
    for turn in 0..4 {
        let (from, to, state) = match turn % 2 {
            0 => (&mut client, &mut server, &mut states[1]),
            _ => (&mut server, &mut client, &mut states[0]),
        };
        for (epoch, payload) in from.flight.handshake_payloads() {
            let fragment = message::Fragment::parse(&mut Reader(&payload)).unwrap();
            let mut message = Message { kind: fragment.kind, seq: fragment.seq, epoch, body: fragment.part.to_vec() };
            let was = std::mem::replace(state, State::Broken);
            if count == at {
                message.kind = kind;
                return Some((fragment.kind, step(to, was, &message).map(|_| ()).map_err(|abort| abort.alert)));
            }
            *state = step(to, was, &message).unwrap();
            count += 1;
        }
    }
    None
}

/// Every message but the one that is due ends the handshake, in every state of either role and version.
#[test]
fn messages_out_of_order() {
    use message::*;
    for versions in [Versions::Dtls12, Versions::Dtls13] {
        for at in 0.. {
            let mut seen = 0;
            for kind in (0..32).chain([MESSAGE_HASH, 255]) {
                let Some((due, outcome)) = another_instead(versions, at, kind) else { break };
                seen += 1;
                // A request for a certificate may be left out, and the first answer be a HelloVerifyRequest.
                let instead = match (due, versions) {
                    (CERTIFICATE_REQUEST, Versions::Dtls12) => SERVER_HELLO_DONE,
                    (CERTIFICATE_REQUEST, _) => CERTIFICATE,
                    (SERVER_HELLO, _) => HELLO_VERIFY_REQUEST,
                    _ => due,
                };
                if kind == instead && kind != due {
                    continue;
                }
                match outcome {
                    Ok(()) => assert_eq!(kind, due),
                    Err(alert) => assert_eq!((alert, kind == due), (UNEXPECTED_MESSAGE, false), "{versions:?} {due}"),
                }
            }
            if seen == 0 {
                assert!(at >= 9, "{at}");
                break;
            }
        }
    }
}

#[test]
fn a_changed_message_is_noticed() {
    for versions in [Versions::Dtls12, Versions::Dtls13] {
        for role in [Role::Client, Role::Server] {
            for at in 0..10 {
                let (mut client, mut server) = (core(1, versions), core(2, versions));
                let mut states = [client.begin(Role::Client).unwrap(), server.begin(Role::Server).unwrap()];
                let (mut count, mut failed) = (0, false);
                for turn in 0..4 {
                    let (from, to, state) = match turn % 2 {
                        0 => (&mut client, &mut server, &mut states[1]),
                        _ => (&mut server, &mut client, &mut states[0]),
                    };
                    for (epoch, payload) in from.flight.handshake_payloads() {
                        let fragment = message::Fragment::parse(&mut Reader(&payload)).unwrap();
                        let mut body = fragment.part.to_vec();
                        if (turn % 2 == 0) == (role == Role::Client) {
                            if let (true, Some(byte)) = (count == at, body.last_mut()) {
                                *byte ^= 1;
                                failed = true;
                            }
                            count += 1;
                        }
                        let was = std::mem::replace(state, State::Broken);
                        let message = Message { kind: fragment.kind, seq: fragment.seq, epoch, body };
                        match step(to, was, &message) {
                            Ok(next) => *state = next,
                            Err(_) => break,
                        }
                    }
                }
                let connected = states.iter().all(State::is_connected);
                assert_eq!(connected, !failed, "{versions:?} {role:?} {at}");
            }
        }
    }
}

#[test]
fn a_hello_names_what_we_have() {
    let mut client = core(1, Versions::Any);
    client.begin(Role::Client).unwrap();
    let (_, payload) = client.flight.handshake_payloads().remove(0);
    let hello = ClientHello::parse(&payload[message::HEADER..]).unwrap();
    assert!(hello.session_id.is_empty());
    assert_eq!(hello.share(29).map(<[u8]>::len), Some(32));
    assert_eq!(hello.versions, Some(&[0xFE, 0xFC, 0xFE, 0xFD][..]));
}

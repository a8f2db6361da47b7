//! An [`Endpoint`]: what connections tell it, and datagrams of anybody.

use std::collections::BTreeMap;

use wigwag::{ConnectionId, Endpoint, EndpointEvent, Key, UdpPath};
use wigwag_stun::TransactionId;

use crate::count_steps;
use crate::script::Script;

fn key(script: &mut Script<'_>) -> Key {
    match script.byte() % 3 {
        0 => Key::Transaction(TransactionId([script.byte() & 7; 12])),
        1 => Key::Path(path(script)),
        _ => Key::Fragment([b'a' + (script.byte() & 7); wigwag_ice::UFRAG_LEN]),
    }
}

fn path(script: &mut Script<'_>) -> UdpPath {
    let byte = script.byte();
    let address = |n: u8| format!("10.0.0.{}:{}", n & 3, 1000 + u16::from(n >> 2 & 3)).parse().unwrap();
    UdpPath { local: address(byte), remote: address(byte >> 4) }
}

pub fn run(data: &[u8]) {
    let mut script = Script(data);
    let mut endpoint = Endpoint::default();
    // Who has which key, as far as it was told.
    let mut owners = BTreeMap::new();
    while let Some(step) = script.next() {
        count_steps(1);
        let id = ConnectionId(u64::from(step >> 4 & 3));
        match step & 7 {
            0 => {
                let key = key(&mut script);
                let displaced = endpoint.handle_event(id, EndpointEvent::Learned(key));
                let before = owners.insert(key, id).filter(|before| *before != id);
                assert!(displaced.is_none() || before == displaced.map(|it| it.connection));
            }
            1 => {
                let key = key(&mut script);
                assert_eq!(endpoint.handle_event(id, EndpointEvent::Claimed(key)), None, "a claim displaces nobody");
                owners.entry(key).or_insert(id);
            }
            2 => {
                let key = key(&mut script);
                endpoint.handle_event(id, EndpointEvent::Forgotten(key));
                owners.retain(|known, owner| (*known, *owner) != (key, id));
            }
            3 => {
                endpoint.remove(id);
                owners.retain(|_, owner| *owner != id);
            }
            _ => {
                let path = path(&mut script);
                let found = endpoint.route(path, script.bytes(255));
                assert!(found.is_none_or(|id| owners.values().any(|owner| *owner == id)), "routed to who has no key");
            }
        }
        assert!(endpoint.len() == owners.len() && endpoint.is_empty() == owners.is_empty());
        let _ = endpoint.unrouted();
    }
}

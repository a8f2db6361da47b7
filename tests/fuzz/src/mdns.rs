//! Multicast DNS: anybody on the link may write, and in any form.

use std::net::{IpAddr, SocketAddr};

use wigwag_ice::mdns::{GROUP_V4, GROUP_V6, LocalName, Mdns, PORT};
use wigwag_proto::{Instant, TransmitBuffer, UdpPath, random};

use crate::bounds::{Memory, deadline_moved};
use crate::count_steps;
use crate::script::Script;

/// 32 sockets, names and questions, and 256 messages.
pub const MEMORY: usize = 256 << 10;
/// More datagrams in a row without time passing are an endless output.
const MAX_PACKETS: usize = 1000;

struct Run {
    mdns: Mdns,
    now: Instant,
    names: [LocalName; 3],
    /// Names in messages are compressed and changed like this: what was sent last.
    last: Vec<u8>,
}

pub fn run(data: &[u8]) {
    let mut script = Script(data);
    let mut memory = Memory::within(MEMORY);
    let mut random = random::seeded([4; 32]);
    let names = [(); 3].map(|()| Mdns::random_name(&mut random));
    let mut run = Run { mdns: Mdns::default(), now: Instant(1_000_000), names, last: Vec::new() };
    run.mdns.add_socket(run.now, GROUP_V4, [10, 0, 0, 1].into());
    let mut steps = 0;
    while let Some(step) = script.next() {
        run.step(step, &mut script);
        memory.check();
        steps += 1;
    }
    count_steps(steps);
    drop(run);
    memory.is_given_back();
}

impl Run {
    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let now = self.now;
        let name = self.names[script.below(3)];
        match step & 0x0F {
            0..=2 => self.hear(script.bytes(255), script),
            3..=5 => {
                let mut changed = self.last.clone();
                let (at, mask) = (script.below(changed.len()), script.byte());
                changed.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= mask);
                if mask == 0 {
                    changed.extend(script.bytes(40));
                }
                self.hear(&changed, script);
            }
            6 => _ = self.mdns.publish(now, name, address(script)),
            7 => self.mdns.withdraw(now, name),
            8 => _ = self.mdns.resolve(now, name),
            9 => {
                let group = if script.flag() { GROUP_V6 } else { GROUP_V4 };
                self.mdns.add_socket(now, group, address(script));
            }
            10 => self.mdns.remove_socket(GROUP_V6),
            11 => self.now += script.duration(),
            12 => {
                self.now = self.mdns.poll_timeout().unwrap_or(now).max(now);
                self.mdns.handle_timeout(self.now);
                deadline_moved(self.now, self.mdns.poll_timeout());
            }
            13 | 14 => self.transmit(),
            _ => {
                while self.mdns.poll_event().is_some() {}
                let _ = (self.mdns.stats(), self.mdns.is_idle());
                let _ = String::from_utf8_lossy(script.bytes(60)).parse::<LocalName>();
            }
        }
    }

    fn hear(&mut self, bytes: &[u8], script: &mut Script<'_>) {
        let port = if script.flag() { PORT } else { 4444 };
        let path = UdpPath { local: GROUP_V4, remote: SocketAddr::new(address(script), port) };
        self.mdns.handle_packet(self.now, path, bytes);
    }

    fn transmit(&mut self) {
        let mut memory = [0; 1500];
        let mut out = TransmitBuffer::new(&mut memory, 1);
        for count in 0.. {
            assert!(count < MAX_PACKETS, "an endless output");
            let promised = self.mdns.can_transmit();
            let transmit = self.mdns.poll_transmit(self.now, &mut out);
            // The time that passed since may have brought more.
            assert!(!promised || transmit.is_some(), "can_transmit");
            let Some(transmit) = transmit else { return };
            self.last = out.bytes(&transmit).to_vec();
        }
    }
}

fn address(script: &mut Script<'_>) -> IpAddr {
    match script.byte() {
        n @ 0..=127 => [10, 0, 0, n].into(),
        n => [0x2001, 0xDB8, 0, 0, 0, 0, 0, u16::from(n)].into(),
    }
}

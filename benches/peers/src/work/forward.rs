//! A server, one client that publishes video and N that receive it: what each forwarded packet costs the server.
//!
//! Time is virtual and goes in steps of [`STEP`], one packet each. A round is [`ROUND`] of them: the publisher's packets are made first,
//! then the server works through them (only that is measured), then what it said besides RTP is taken to the clients, whose answers it gets
//! in the next round. Its RTP is thrown away, once the warm-up has shown that all of it arrives whole.

use std::hint::black_box;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::allocations;
use crate::clock::cpu_seconds;
use crate::forward::client::Client;
use crate::forward::{Connection, Outgoing, is_rtp};
use crate::stack::Now;

/// Between two packets: 250 a second, 2.4 Mbit/s.
const STEP: Duration = Duration::from_millis(4);
/// Packets of a video frame, 30 frames a second.
const FRAME: u64 = 8;
const FRAME_TICKS: u64 = 3000;
/// Bytes of RTP payload, so that the publisher's datagrams have 1,200.
const PAYLOAD: usize = 1156;
/// Packets between two looks at the clock.
const ROUND: u64 = 64;
/// Packets that are forwarded before anything is measured: two seconds are in every history then.
const WARM_UP: u64 = 640;

/// The server, and the world around it.
struct World<C: Connection> {
    /// The first is the publisher's.
    server: Vec<C>,
    deadlines: Vec<Option<Now>>,
    out: Outgoing<C::Packet>,
    clients: Vec<Client>,
    now: Now,
    published: u64,
    datagram_bytes: usize,
}

/// A datagram that arrives: when, on which connection, what.
type Arrival = (Now, usize, BytesMut);

impl<C: Connection> World<C> {
    fn new(receivers: usize) -> Self {
        let payload: Bytes =
            [0x90, 0x80, 0x12, 0x34].into_iter().chain((4..PAYLOAD).map(|i| (i * 31 % 251) as u8)).collect();
        let (mut server, mut clients) = (Vec::new(), Vec::new());
        for n in 0..=receivers {
            let (mut client, offer) = Client::new(n, n == 0, payload.clone());
            let (connection, answer) = C::answer(n, &offer, n > 0);
            client.accept(&answer);
            server.push(connection);
            clients.push(client);
        }
        let deadlines = vec![Some(Now::ZERO); receivers + 1];
        let (out, now) = (Outgoing::new(), Now::ZERO);
        let mut world = Self { server, deadlines, out, clients, now, published: 0, datagram_bytes: 0 };
        world.connect();
        world
    }

    fn connect(&mut self) {
        while !(self.server.iter().all(C::is_ready) && self.clients.iter().all(Client::is_connected)) {
            assert!(self.now < Duration::from_secs(30), "{}: no connection after half a minute", C::NAME);
            self.now += Duration::from_millis(5);
            self.talk();
        }
        // Whatever the last flights leave to be said.
        for _ in 0..20 {
            self.now += Duration::from_millis(5);
            self.talk();
        }
    }

    /// Signalling and handshakes only.
    fn talk(&mut self) {
        let arrivals = self.visit_clients();
        self.serve(arrivals);
        self.hear();
    }

    /// The clients' time passes, and what they send arrives now.
    fn visit_clients(&mut self) -> Vec<Arrival> {
        let now = self.now;
        self.clients.iter_mut().for_each(|client| client.at(now));
        let taken = self.clients.iter_mut().enumerate();
        taken.flat_map(|(n, client)| client.datagrams.drain(..).map(move |datagram| (now, n, datagram))).collect()
    }

    /// The publisher's next packets, one each [`STEP`], behind what all clients have to say.
    fn publish(&mut self) -> Vec<Arrival> {
        let mut arrivals = self.visit_clients();
        for _ in 0..ROUND {
            self.now += STEP;
            self.published += 1;
            let (now, frame) = (self.now, self.published / FRAME);
            let marker = self.published % FRAME == FRAME - 1;
            self.clients[0].publish(now, self.published, (frame * FRAME_TICKS) as u32, marker);
            for datagram in self.clients[0].datagrams.drain(..) {
                if is_rtp(&datagram) {
                    self.datagram_bytes = datagram.len();
                }
                arrivals.push((now, 0, datagram));
            }
        }
        arrivals
    }

    /// The server's side of it.
    fn serve(&mut self, arrivals: Vec<Arrival>) {
        let mut packets = Vec::new();
        for (now, n, datagram) in arrivals {
            self.out.from = n;
            self.server[n].receive(now, datagram, &mut self.out);
            self.poll(now, n);
            std::mem::swap(&mut packets, &mut self.out.packets);
            for packet in packets.drain(..) {
                for to in 1..self.server.len() {
                    self.out.from = to;
                    self.server[to].forward(now, &packet, &mut self.out);
                    self.poll(now, to);
                }
            }
            self.fire(now);
        }
    }

    fn poll(&mut self, now: Now, n: usize) {
        self.deadlines[n] = self.server[n].poll(now, &mut self.out);
    }

    fn fire(&mut self, now: Now) {
        for n in 0..self.server.len() {
            if self.deadlines[n].is_some_and(|deadline| deadline <= now) {
                self.out.from = n;
                self.server[n].handle_timeout(now, &mut self.out);
                self.poll(now, n);
            }
        }
    }

    /// The clients get what the server said, and time passes for the server even if nobody spoke.
    fn hear(&mut self) {
        self.fire(self.now);
        for (n, datagram) in self.out.datagrams.drain(..) {
            self.clients[n].receive(self.now, &datagram);
        }
    }

    /// Gives the seconds and the allocations of the server's side.
    fn round(&mut self) -> (f64, u64) {
        let arrivals = self.publish();
        let (start, before) = (cpu_seconds(), allocations::calls());
        let mut arrivals = Some(arrivals);
        the_servers_side(&mut || self.serve(arrivals.take().unwrap_or_default()));
        let (took, allocated) = (cpu_seconds() - start, allocations::calls() - before);
        self.hear();
        (took, allocated)
    }

    /// All that is forwarded arrives, whole; afterwards RTP is thrown away.
    fn warm_up(&mut self) {
        while self.published < WARM_UP {
            let arrivals = self.publish();
            self.serve(arrivals);
            self.hear();
        }
        for client in &self.clients[1..] {
            assert_eq!(client.received, self.published, "{}: packets were not forwarded", C::NAME);
        }
        self.out.keep_rtp = false;
        (self.out.rtp, self.out.rtp_bytes) = (0, 0);
    }

    /// Every packet left for everybody, measured or not.
    fn check(&self, published: u64) {
        let expected = published * (self.server.len() - 1) as u64;
        assert_eq!(self.out.rtp, expected, "{}: packets were not forwarded", C::NAME);
    }
}

/// A name that callgrind finds, to count only what happens inside.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn the_servers_side(work: &mut dyn FnMut()) {
    black_box(work)();
}

/// Measures for this many seconds of the server's processor time, and prints what came out.
pub fn run<C: Connection>(receivers: usize, seconds: f64) {
    let mut world = World::<C>::new(receivers);
    world.warm_up();
    let before = world.published;
    let (mut used, mut allocations) = (0.0, 0);
    while used < seconds {
        let (took, allocated) = world.round();
        used += took;
        allocations += allocated;
    }
    world.check(world.published - before);
    let forwarded = world.out.rtp as f64;
    println!(
        "{{\"stack\": \"{}\", \"receivers\": {receivers}, \"ns\": {:.1}, \"allocations\": {:.3}, \"bytes_in\": {}, \
         \"bytes_out\": {:.1}, \"forwarded\": {forwarded}}}",
        C::NAME,
        used / forwarded * 1e9,
        allocations as f64 / forwarded,
        world.datagram_bytes,
        world.out.rtp_bytes as f64 / forwarded,
    );
}

/// Forwards this many packets, for a tool that counts the instructions inside [`the_servers_side`].
pub fn packets<C: Connection>(receivers: usize, packets: u64) {
    let mut world = World::<C>::new(receivers);
    world.warm_up();
    let before = world.published;
    while world.out.rtp < packets {
        world.round();
    }
    world.check(world.published - before);
    println!("{{\"stack\": \"{}\", \"receivers\": {receivers}, \"forwarded\": {}}}", C::NAME, world.out.rtp);
}

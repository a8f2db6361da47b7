//! What happens to a datagram on a link, in one direction.

use std::collections::VecDeque;

use wigwag_proto::Instant;

use crate::line::{Line, is_limited};
use crate::link::{BurstLoss, EcnTreatment, Link};
use crate::packet::{Arrivals, Fate, Packet};
use crate::queue::{Backlog, CE, Discipline, ECT_0, ECT_1, NOT_ECT, Verdict, Waiting};
use crate::seed::{Dice, stream};
use crate::trace::Running;

/// What became of a datagram that was put on a link.
pub(crate) enum Passage {
    Lost(Packet),
    TooBig(Packet),
    QueueFull(Packet),
    /// It arrives.
    Passed(Packet, Arrivals),
    /// It waits. If the line is idle, somebody must [serve](Road::serve) it then.
    Waits(Option<Instant>),
}

/// What a line takes next out of its backlog.
pub(crate) enum Served {
    Passed(Packet, Arrivals),
    Dropped(Packet),
    /// Nothing now; again then, if there is a backlog.
    Nothing(Option<Instant>),
}

/// What a road changes in the counters of the network.
#[derive(Default)]
pub(crate) struct Counts {
    pub marked: u64,
    pub bleached: u64,
    pub corrupted: u64,
}

/// A link with what is under way.
pub(crate) struct Road {
    /// As it was set for this road; `None`: the network's default.
    pub link: Option<Link>,
    dice: Dice,
    /// Of their own, so that marking does not shift the others.
    marking_dice: Dice,
    in_burst: bool,
    line: Line,
    /// Drop-tail: when each packet that waits leaves, and its length.
    queue: VecDeque<(u64, usize)>,
    queued: usize,
    /// The other disciplines: the packets that wait, and the link as it was when the last one came.
    backlog: Option<Box<(Backlog, Link)>>,
    /// Somebody will call `serve`.
    is_awaited: bool,
    last_arrival: Instant,
    pub counts: Counts,
}

impl Road {
    pub fn new(seed: u64, name: &str) -> Self {
        Self {
            link: None,
            dice: Dice(stream(seed, name.as_bytes())),
            marking_dice: Dice(stream(seed, format!("{name} marks").as_bytes())),
            in_burst: false,
            line: Line::default(),
            queue: VecDeque::new(),
            queued: 0,
            backlog: None,
            is_awaited: false,
            last_arrival: Instant::default(),
            counts: Counts::default(),
        }
    }

    /// Puts a packet on the road, with the link as it is now.
    pub fn enter(&mut self, now: Instant, link: &Link, traces: &[Running], packet: Packet) -> Passage {
        // The same number for each datagram, whatever becomes of it.
        let [loss, burst, burst_loss, jitter, reorder, copies, corrupt, bit] = self.dice.roll();
        let [spread] = self.dice.roll();
        let fate = Fate { jitter, reorder, copies, corrupt, bit, spread };
        let is_dropped_for_ecn = link.ecn == EcnTreatment::Dropped && packet.ecn & 3 != NOT_ECT;
        let in_burst = self.lost_in_burst(link.burst_loss, burst, burst_loss);
        if loss < link.loss || in_burst || is_dropped_for_ecn {
            return Passage::Lost(packet);
        }
        let len = packet.len();
        if len > link.mtu {
            return Passage::TooBig(packet);
        }
        if !is_limited(link) {
            return self.leave(now, link, &fate, packet);
        }
        let since = now.as_micros().saturating_mul(1000);
        let backlog = self.backlog.as_deref().is_some_and(|(backlog, _)| !backlog.is_empty());
        if link.discipline == Discipline::DropTail && !backlog {
            let Some(departure) = self.departure(since, link, traces, len) else {
                return Passage::QueueFull(packet);
            };
            return self.leave(departure, link, &fate, packet);
        }
        let (backlog, latest) = &mut **self.backlog.get_or_insert_default();
        *latest = *link;
        if !backlog.is_empty() && backlog.bytes() + len > link.queue {
            return Passage::QueueFull(packet);
        }
        backlog.push(&link.discipline, Waiting { packet, fate, since, len });
        let is_awaited = std::mem::replace(&mut self.is_awaited, true);
        Passage::Waits((!is_awaited).then(|| micros(self.line.free_at()).max(now)))
    }

    /// Takes the next packet out of the backlog, if the line is free. To be called until it says `Nothing`.
    pub fn serve(&mut self, now: Instant, traces: &[Running]) -> Served {
        let Some(mut taken) = self.backlog.take() else {
            self.is_awaited = false;
            return Served::Nothing(None);
        };
        let (backlog, link) = &mut *taken;
        let served = self.serve_from(backlog, link, now, traces);
        self.backlog = Some(taken);
        served
    }

    fn serve_from(&mut self, backlog: &mut Backlog, link: &Link, now: Instant, traces: &[Running]) -> Served {
        let free_at = micros(self.line.free_at());
        if free_at > now {
            return Served::Nothing(Some(free_at));
        }
        // On time to the nanosecond, although time goes in steps of a microsecond.
        let nanos = now.as_micros().saturating_mul(1000);
        let moment = if free_at == now { self.line.free_at() } else { nanos };
        let (waiting, is_marked) = match backlog.pop(&link.discipline, moment, link.mtu) {
            None => {
                self.is_awaited = false;
                return Served::Nothing(None);
            }
            Some(Verdict::Drop(waiting)) => return Served::Dropped(waiting.packet),
            Some(Verdict::Send(waiting)) => (waiting, false),
            Some(Verdict::Mark(waiting)) => (waiting, true),
        };
        let Waiting { mut packet, fate, since, len } = waiting;
        if is_marked && packet.ecn & 3 != CE {
            packet.ecn |= CE;
            self.counts.marked += u64::from(!packet.is_ghost);
        }
        let departure = micros(self.line.carry(moment.max(since), len, link, traces));
        match self.leave(departure, link, &fate, packet) {
            Passage::Passed(packet, arrivals) => Served::Passed(packet, arrivals),
            _ => Served::Nothing(None),
        }
    }

    fn lost_in_burst(&mut self, model: Option<BurstLoss>, change: f64, loss: f64) -> bool {
        let Some(model) = model else {
            self.in_burst = false;
            return false;
        };
        self.in_burst = if self.in_burst { change >= model.end } else { change < model.begin };
        self.in_burst && loss < model.loss
    }

    /// When the last bit leaves a drop-tail queue; `None` if there is no room in it.
    fn departure(&mut self, now: u64, link: &Link, traces: &[Running], packet_len: usize) -> Option<Instant> {
        while let Some((_, len)) = self.queue.front().filter(|(departure, _)| *departure <= now) {
            self.queued -= len;
            self.queue.pop_front();
        }
        // An idle line takes a packet whatever the queue is.
        if !self.queue.is_empty() && self.queued + packet_len > link.queue {
            return None;
        }
        let departure = self.line.carry(now, packet_len, link, traces);
        self.queue.push_back((departure, packet_len));
        self.queued += packet_len;
        Some(micros(departure))
    }

    /// The packet has left the queue.
    fn leave(&mut self, departure: Instant, link: &Link, fate: &Fate, mut packet: Packet) -> Passage {
        let arrivals = fate.arrivals(link, departure, &mut self.last_arrival);
        self.treat_ecn(link, &mut packet);
        if !packet.is_ghost && packet.segment.is_none() && fate.corrupts(link, &mut packet.bytes) {
            self.counts.corrupted += 1;
        }
        Passage::Passed(packet, arrivals)
    }

    fn treat_ecn(&mut self, link: &Link, packet: &mut Packet) {
        let before = packet.ecn & 3;
        let mut ecn = before;
        if link.marking > 0.0 {
            let [marking] = self.marking_dice.roll();
            if marking < link.marking && matches!(ecn, ECT_0 | ECT_1) {
                ecn = CE;
            }
        }
        match link.ecn {
            EcnTreatment::Kept | EcnTreatment::Dropped => {}
            EcnTreatment::Bleached => ecn = NOT_ECT,
            EcnTreatment::Ect0 if ecn == ECT_1 => ecn = ECT_0,
            EcnTreatment::Ect0 => {}
            EcnTreatment::AllMarked => ecn = CE,
        }
        if ecn == before || packet.is_ghost {
            return;
        }
        self.counts.marked += u64::from(ecn == CE);
        self.counts.bleached += u64::from(ecn == NOT_ECT);
        packet.ecn = packet.ecn & !3 | ecn;
    }
}

fn micros(nanos: u64) -> Instant {
    Instant::from_micros(nanos.div_ceil(1000))
}

//! What a description costs: a small text makes neither much memory nor much work. Work is measured in what is allocated, which is
//! the same on every machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{address, config, negotiate};
use wigwag::{Event, Instant, MediaKind, PeerConnection, SessionDescription, TransceiverInit};

const NOW: Instant = Instant(1_000_000);

struct Counting;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static ALL: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does the work; only numbers are added.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size(), Relaxed);
        ALL.fetch_add(layout.size(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// One test at a time, for all count.
static ALONE: Mutex<()> = Mutex::new(());

/// As many sections as can be; the session says for all of them what none can use, and each says it again for all its codecs.
fn huge() -> String {
    let mids: Vec<String> = (0..wigwag::sdp::MAX_MEDIA).map(|mid| mid.to_string()).collect();
    let mut connection = PeerConnection::new(config(9, 1)).unwrap();
    connection.add_udp_socket(NOW, address(0)).unwrap();
    let fingerprint = connection.local_fingerprint();
    let mut sdp = format!(
        "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=ice-ufrag:abcd\r\n\
         a=ice-pwd:abcdefghijklmnopqrstuv\r\na=fingerprint:{fingerprint}\r\na=setup:actpass\r\n",
        mids.join(" ")
    );
    for n in 0..250 {
        write!(sdp, "a=extmap:{} {}\r\n", n + 1, "x".repeat(200)).unwrap();
    }
    for n in 0..60 {
        write!(sdp, "a=group:BUNDLE {}\r\n", format!("{n}x ").repeat(1000)).unwrap();
    }
    for (n, mid) in mids.iter().enumerate() {
        write!(
            sdp,
            "m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8 9\r\na=mid:{mid}\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\n"
        )
        .unwrap();
        write!(sdp, "a=rtcp-fb:* {}\r\na=ssrc:{} cname:x\r\n", "y".repeat(60), 1000 + n).unwrap();
    }
    assert!(sdp.len() < wigwag::sdp::MAX_SIZE);
    sdp
}

#[test]
fn a_thousand_sections_cost_what_they_weigh() {
    let _alone = ALONE.lock().unwrap();
    let sdp = huge();
    let mut bob = PeerConnection::new(config(9, 2)).unwrap();
    bob.add_udp_socket(NOW, address(1)).unwrap();
    let (live, all) = (LIVE.load(Relaxed), ALL.load(Relaxed));
    bob.set_remote_description(NOW, SessionDescription::offer(sdp.clone())).unwrap();
    let (held, made) = (LIVE.load(Relaxed) - live, ALL.load(Relaxed) - all);
    assert!(held < 12 * sdp.len() && made < 40 * sdp.len(), "{held} and {made} bytes for {}", sdp.len());
    bob.set_local_description_implicitly(NOW).unwrap();
    assert_eq!(bob.transceivers().filter(|it| it.can_receive()).count(), wigwag::sdp::MAX_MEDIA);
    let (held, made) = (LIVE.load(Relaxed) - live, ALL.load(Relaxed) - all);
    assert!(held < 30 * sdp.len() && made < 120 * sdp.len(), "{held} and {made} bytes for {}", sdp.len());
}

/// Tracks come and go all day, in m-lines that are used again: what went leaves nothing behind.
#[test]
fn tracks_that_come_and_go_leave_nothing() {
    let _alone = ALONE.lock().unwrap();
    let [mut alice, mut bob] = [1, 2].map(|n| {
        let mut connection = PeerConnection::new(config(9, n)).unwrap();
        connection.add_udp_socket(NOW, address(usize::from(n) - 1)).unwrap();
        connection
    });
    alice.add_transceiver(MediaKind::Audio, TransceiverInit::default()).unwrap();
    let mut cycle = || {
        let kinds = [MediaKind::Video, MediaKind::Audio];
        let ids = kinds.map(|kind| alice.add_transceiver(kind, TransceiverInit::default()).unwrap());
        negotiate(NOW, &mut alice, &mut bob);
        ids.iter().for_each(|id| alice.stop_transceiver(*id).unwrap());
        negotiate(NOW, &mut alice, &mut bob);
        let told = |side: &mut PeerConnection| {
            std::iter::from_fn(|| side.poll_event()).filter(|it| matches!(it, Event::TrackRemoved(_))).count()
        };
        assert_eq!((told(&mut alice), told(&mut bob)), (0, 2));
        alice.transceivers().count() + bob.transceivers().count()
    };
    let mut live = 0;
    for n in 0..200 {
        assert_eq!(cycle(), 2);
        if n == 99 {
            live = LIVE.load(Relaxed);
        }
    }
    let grown = LIVE.load(Relaxed).saturating_sub(live);
    assert!(grown < 4096, "{grown} bytes more after a hundred rounds");
}

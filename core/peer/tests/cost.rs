//! What a description costs: a small text makes neither much memory nor much work. Work is measured in what is allocated, which is
//! the same on every machine.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::fmt::Write;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use common::{address, config};
use wigwag::{Instant, PeerConnection, SessionDescription};

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

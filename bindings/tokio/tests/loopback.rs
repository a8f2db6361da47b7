//! Connections over real sockets on loopback, with back-pressure, closing and dropping.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::Duration;

use tokio::time::timeout;
use wigwag_tokio::{
    ChannelInit, Config, ConnectionState, DataChannel, Endpoint, Event, Message, PeerConnection, SendError, random_seed,
};

const SOON: Duration = Duration::from_secs(10);

fn endpoint() -> Endpoint {
    Endpoint::bind(&["127.0.0.1".parse().unwrap()], 0).unwrap()
}

/// `offerer` makes a channel, `answerer` accepts it.
async fn join(offerer: &PeerConnection, answerer: &PeerConnection) -> (DataChannel, DataChannel) {
    let init = ChannelInit { protocol: "test".to_owned(), ..ChannelInit::default() };
    let ours = offerer.create_data_channel("data", init).unwrap();
    offerer.set_local_description(offerer.create_offer().unwrap()).unwrap();
    timeout(SOON, offerer.gathered()).await.expect("gathering ends");
    answerer.set_remote_description(offerer.local_description().unwrap()).unwrap();
    answerer.set_local_description(answerer.create_answer().unwrap()).unwrap();
    timeout(SOON, answerer.gathered()).await.expect("gathering ends");
    offerer.set_remote_description(answerer.local_description().unwrap()).unwrap();
    timeout(SOON, ours.opened()).await.expect("the channel opens").unwrap();
    let theirs = timeout(SOON, answerer.accept()).await.expect("the channel arrives").unwrap();
    (ours, theirs)
}

async fn receive(channel: &DataChannel) -> Option<Message> {
    timeout(SOON, channel.receive()).await.expect("a message or the end")
}

#[tokio::test]
async fn messages_both_ways() {
    let (here, there) = (endpoint(), endpoint());
    let (alice, bob) = (here.connection().unwrap(), there.connection().unwrap());
    let (ours, theirs) = join(&alice, &bob).await;
    assert_eq!((ours.label(), ours.protocol()), ("data", "test"));
    assert_eq!((theirs.label(), theirs.protocol()), ("data", "test"));
    for message in [Message::text("hello"), Message::text(""), Message::binary(vec![7; 256 << 10]), Message::binary("")]
    {
        ours.send(message.clone()).await.unwrap();
        let heard = receive(&theirs).await.unwrap();
        assert!(heard == message);
        theirs.send(heard).await.unwrap();
        assert!(receive(&ours).await.unwrap() == message);
    }
    assert!(alice.connected().await.is_ok());
    // Data may be there before ICE has settled.
    assert!(bob.connected().await.is_ok());
}

/// Interfaces are discovered, sockets bound on request. Loopback counts here: there may be nothing else.
#[tokio::test]
async fn a_connection_with_sockets_of_its_own() {
    let connection = || {
        let mut config = Config::new(random_seed().unwrap());
        config.ice.include_loopback = true;
        PeerConnection::new(config).unwrap()
    };
    let (alice, bob) = (connection(), connection());
    let (ours, theirs) = join(&alice, &bob).await;
    ours.send(Message::text("hello")).await.unwrap();
    assert_eq!(receive(&theirs).await.unwrap().as_str(), Some("hello"));
}

#[tokio::test]
async fn who_does_not_receive_stops_the_sender() {
    let (here, there) = (endpoint(), endpoint());
    let (alice, bob) = (here.connection().unwrap(), there.connection().unwrap());
    let (ours, theirs) = join(&alice, &bob).await;
    let message = Message::binary(vec![1; 64 << 10]);
    let mut accepted = 0;
    while let Ok(sent) = timeout(Duration::from_millis(500), ours.send(message.clone())).await {
        sent.unwrap();
        accepted += 1;
        assert!(accepted < 1000, "64 MB were accepted, and nobody has received any");
    }
    for _ in 0..accepted {
        assert_eq!(receive(&theirs).await.unwrap().data.len(), 64 << 10);
    }
    ours.send(message).await.unwrap();
    assert!(receive(&theirs).await.is_some());
}

#[tokio::test]
async fn a_channel_that_is_dropped_is_closed_after_it_was_flushed() {
    let (here, there) = (endpoint(), endpoint());
    let (alice, bob) = (here.connection().unwrap(), there.connection().unwrap());
    let (ours, theirs) = join(&alice, &bob).await;
    for n in 0..100 {
        ours.send(Message::text(n.to_string())).await.unwrap();
    }
    drop(ours);
    for n in 0..100 {
        assert_eq!(receive(&theirs).await.unwrap().as_str(), Some(n.to_string().as_str()));
    }
    assert!(receive(&theirs).await.is_none());
    assert_eq!(theirs.send(Message::text("late")).await, Err(SendError::Closed));
    assert_eq!(alice.connection_state(), ConnectionState::Connected);
}

#[tokio::test]
async fn a_connection_that_is_dropped_says_goodbye() {
    let (here, there) = (endpoint(), endpoint());
    let (alice, bob) = (here.connection().unwrap(), there.connection().unwrap());
    let (ours, theirs) = join(&alice, &bob).await;
    ours.send(Message::text("last words")).await.unwrap();
    drop((ours, alice));
    assert_eq!(receive(&theirs).await.unwrap().as_str(), Some("last words"));
    assert!(receive(&theirs).await.is_none());
    timeout(SOON, bob.closed()).await.expect("the goodbye arrives");
    assert_eq!(bob.connection_state(), ConnectionState::Closed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_connections_share_one_port() {
    const MANY: usize = 50;
    let there = endpoint();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..MANY {
        // Each client has a port of its own: without one, two connections would have the same two addresses.
        let here = endpoint();
        let (alice, bob) = (here.connection().unwrap(), there.connection().unwrap());
        tasks.spawn(async move {
            let _here = here;
            let (ours, theirs) = join(&alice, &bob).await;
            ours.send(Message::text(n.to_string())).await.unwrap();
            let heard = receive(&theirs).await.unwrap();
            alice.close().await;
            timeout(SOON, bob.closed()).await.expect("the goodbye arrives");
            heard.as_str().unwrap().parse::<usize>().unwrap()
        });
    }
    let mut heard: Vec<usize> = tasks.join_all().await;
    heard.sort_unstable();
    assert_eq!(heard, (0..MANY).collect::<Vec<_>>());
}

/// A flood through an echo: it can't send before the flood is taken back, and what would tell it of room lies behind
/// messages that it has not taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_echo_under_a_flood_goes_on() {
    let (here, there) = (endpoint(), endpoint());
    let (alice, bob) = (here.connection().unwrap(), there.connection().unwrap());
    let (ours, theirs) = join(&alice, &bob).await;
    const COUNT: usize = 1000;
    let echo = tokio::spawn(async move {
        while let Some(message) = theirs.receive().await {
            theirs.send(message).await.unwrap();
        }
    });
    let sender = ours.clone();
    let flood = tokio::spawn(async move {
        for n in 0..COUNT {
            sender.send(Message::binary(vec![n as u8; 64 << 10])).await.unwrap();
        }
    });
    for n in 0..COUNT {
        let message = receive(&ours).await.unwrap();
        assert!(message.data.len() == 64 << 10 && message.data[0] == n as u8);
    }
    flood.await.unwrap();
    alice.close().await;
    timeout(SOON, echo).await.expect("the echo ends").unwrap();
}

/// The end is heard by everybody, whoever left messages unread on another channel.
#[tokio::test]
async fn the_end_is_heard_beside_an_unread_channel() {
    let (here, there) = (endpoint(), endpoint());
    let (alice, bob) = (here.connection().unwrap(), there.connection().unwrap());
    let (ours, theirs) = join(&alice, &bob).await;
    let unread = alice.create_data_channel("unread", ChannelInit::default()).unwrap();
    for _ in 0..2000 {
        unread.send(Message::text("nobody reads this")).await.unwrap();
    }
    let _kept = timeout(SOON, bob.accept()).await.expect("the second channel arrives").unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop((ours, unread, alice));
    assert!(receive(&theirs).await.is_none());
    timeout(SOON, bob.closed()).await.expect("the end");
    let mut last = None;
    while let Some(event) = timeout(SOON, bob.next_event()).await.expect("events, then the end") {
        last = Some(event);
    }
    let Some(Event::ConnectionStateChange(ConnectionState::Closed)) = last else { panic!("{last:?}") };
    assert!(timeout(SOON, bob.accept()).await.expect("the end").is_none());
}

/// Opened and closed by the thousand, and nobody accepts them.
#[tokio::test]
async fn channels_that_nobody_accepts_do_not_pile_up() {
    let (here, there) = (endpoint(), endpoint());
    let (alice, bob) = (here.connection().unwrap(), there.connection().unwrap());
    let (ours, theirs) = join(&alice, &bob).await;
    for _ in 0..40 {
        let many: Vec<_> =
            (0..100).map(|_| alice.create_data_channel("many", ChannelInit::default()).unwrap()).collect();
        ours.send(Message::text("ping")).await.unwrap();
        assert!(receive(&theirs).await.is_some());
        drop(many);
    }
    // What is left to accept is bounded, and the connection works.
    theirs.send(Message::text("pong")).await.unwrap();
    assert!(receive(&ours).await.is_some());
    let mut left = 0;
    while timeout(Duration::from_millis(100), bob.accept()).await.is_ok_and(|channel| channel.is_some()) {
        left += 1;
    }
    assert!(left <= 1100, "{left} channels were kept");
}

#[tokio::test]
async fn a_wildcard_is_refused_with_a_reason() {
    let error = Endpoint::bind(&["0.0.0.0".parse().unwrap()], 0).unwrap_err();
    assert!(error.to_string().contains("wildcard"), "{error}");
}

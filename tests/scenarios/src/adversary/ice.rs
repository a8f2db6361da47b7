//! Checks, written by hand: right ones, and whatever else.

use wigwag::{Provider, UdpPath};
use wigwag_stun::{Class, ErrorCode, Message, MessageBuilder, Method, TransactionId};

/// A fragment and its password. RFC 8445 section 5.3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    pub ufrag: String,
    pub pwd: String,
}

impl Credentials {
    /// Those of a description.
    pub fn of(sdp: &str) -> Self {
        let value = |name: &str| sdp.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().to_owned();
        Self { ufrag: value("a=ice-ufrag:"), pwd: value("a=ice-pwd:") }
    }
}

/// How checks are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// As they should be.
    Right,
    /// Not at all.
    None,
    /// With an error of this code.
    Error(u16),
}

/// An agent that answers, and checks who checks it.
#[derive(Debug)]
pub struct Ice {
    pub ours: Credentials,
    pub victims: Credentials,
    pub answers: Answers,
    pub provider: Provider,
    /// Checks that came.
    pub checks: u64,
    /// Answers to ours that came.
    pub successes: u64,
    transactions: u64,
}

impl Ice {
    pub fn new(ours: Credentials, victims: Credentials, provider: Provider) -> Self {
        Self { ours, victims, answers: Answers::Right, provider, checks: 0, successes: 0, transactions: 0 }
    }

    /// A check as it should be, and what `more` adds to it; signed with `pwd`.
    pub fn check(&mut self, pwd: &str, more: impl Fn(&mut MessageBuilder<'_>)) -> Vec<u8> {
        self.transactions += 1;
        let mut id = [0xEE; 12];
        id[..8].copy_from_slice(&self.transactions.to_be_bytes());
        let mut memory = [0; 600];
        let mut message = MessageBuilder::new(&mut memory, Class::Request, Method::BINDING, TransactionId(id));
        message.ice_username(&self.victims.ufrag, &self.ours.ufrag);
        message.priority(0x6E00_01FF);
        more(&mut message);
        message.message_integrity(pwd.as_bytes(), self.provider);
        message.fingerprint();
        let len = message.finish().unwrap();
        memory[..len].to_vec()
    }

    /// A right check.
    pub fn right_check(&mut self) -> Vec<u8> {
        let pwd = self.victims.pwd.clone();
        self.check(&pwd, |message| message.ice_controlled(1))
    }

    /// What is said to a datagram that came by `path` (as we see it).
    pub fn handle(&mut self, path: UdpPath, datagram: &[u8]) -> Vec<Vec<u8>> {
        let Ok(message) = Message::parse(datagram) else { return Vec::new() };
        match message.class() {
            Class::Request => {
                self.checks += 1;
                let mut said = self.answer(path, &message);
                if self.successes == 0 {
                    said.push(self.right_check());
                }
                said
            }
            Class::Success => {
                self.successes += 1;
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn answer(&self, path: UdpPath, message: &Message<'_>) -> Vec<Vec<u8>> {
        let class = match self.answers {
            Answers::Right => Class::Success,
            Answers::None => return Vec::new(),
            Answers::Error(_) => Class::Error,
        };
        let mut memory = [0; 300];
        let mut answer = MessageBuilder::new(&mut memory, class, Method::BINDING, message.transaction());
        match self.answers {
            Answers::Error(code) => answer.error_code(ErrorCode { code, reason: "no" }),
            _ => answer.xor_mapped_address(path.remote),
        }
        answer.message_integrity(self.ours.pwd.as_bytes(), self.provider);
        answer.fingerprint();
        let len = answer.finish().unwrap();
        vec![memory[..len].to_vec()]
    }
}

//! What the command `openssl` is asked for.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Files whose names a command line has room for.
const FILES: usize = 256;

/// A place that no other test uses, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("srtp-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn openssl(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).stdin(Stdio::null()).output();
    let output = output.expect("the command openssl is there (Debian's package openssl)");
    assert!(output.status.success(), "openssl {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// AES of each block.
pub fn aes(key: &[u8], blocks: &[u8]) -> Vec<u8> {
    let folder = Folder::new();
    let cipher = format!("-aes-{}-ecb", 8 * key.len());
    let out = openssl(&["enc", &cipher, "-nopad", "-K", &to_hex(key), "-in", &folder.write("blocks", blocks)]);
    assert_eq!(out.len(), blocks.len());
    out
}

/// HMAC-SHA1 of each message.
pub fn hmac_sha1(key: &[u8], messages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let folder = Folder::new();
    let names: Vec<String> =
        messages.iter().enumerate().map(|(at, message)| folder.write(&at.to_string(), message)).collect();
    let key = format!("hexkey:{}", to_hex(key));
    let macs = names.chunks(FILES).flat_map(|names| {
        let names = names.iter().map(String::as_str);
        let arguments: Vec<&str> =
            ["dgst", "-sha1", "-mac", "HMAC", "-macopt", &key, "-r"].into_iter().chain(names).collect();
        let lines = String::from_utf8(openssl(&arguments)).unwrap();
        lines.lines().map(|line| super::recording::hex(line.split(' ').next().unwrap())).collect::<Vec<_>>()
    });
    let macs: Vec<Vec<u8>> = macs.collect();
    assert_eq!(macs.len(), messages.len());
    macs
}

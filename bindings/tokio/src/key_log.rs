//! `SSLKEYLOGFILE`: the secrets of connections in a file, for Wireshark.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

use wigwag::KeyLog;

/// For [`Config::key_log`](crate::Config::key_log), if the environment variable `SSLKEYLOGFILE` names a file: secrets are
/// appended to it, as browsers and curl do. Whoever reads the file can read the connections.
///
/// ```no_run
/// use wigwag_tokio::{Config, key_log_from_env, random_seed};
///
/// let mut config = Config::new(random_seed()?);
/// config.key_log = key_log_from_env()?;
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors
/// When the file can't be opened.
pub fn key_log_from_env() -> io::Result<Option<KeyLog>> {
    let named = std::env::var_os("SSLKEYLOGFILE").filter(|path| !path.is_empty());
    named.map(|path| open(path.as_ref())).transpose()
}

fn open(path: &Path) -> io::Result<KeyLog> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // For its owner only, from the first byte on.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    Ok(KeyLog::new(move |line| append(&file, line)))
}

/// One write for each line, so that the lines of several programs do not mix.
fn append(mut file: &File, line: &str) {
    if let Err(error) = file.write_all(format!("{line}\n").as_bytes()) {
        tracing::warn!(%error, "the key log could not be written");
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn lines_are_appended() {
        let path = std::env::temp_dir().join(format!("wigwag-key-log-{}", std::process::id()));
        drop(open(&path).unwrap());
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        for line in ["CLIENT_RANDOM 1 2", "CLIENT_RANDOM 3 4"] {
            append(&OpenOptions::new().append(true).open(&path).unwrap(), line);
        }
        let written = std::fs::read_to_string(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        assert_eq!((written.as_str(), mode & 0o777), ("CLIENT_RANDOM 1 2\nCLIENT_RANDOM 3 4\n", 0o600));
    }

    #[test]
    fn a_file_that_cannot_be_opened() {
        assert!(open("/nowhere/at/all".as_ref()).is_err());
    }
}

//! What libFuzzer found worth keeping, and what once failed, as ordinary tests.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

use wigwag_fuzz::{TARGETS, Target, session};

/// The inputs of a target, in the order of their names.
fn inputs(target: Target) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let mut inputs: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    inputs.sort();
    assert!(!inputs.is_empty(), "{} is empty", folder.display());
    inputs
}

fn run(target: Target, path: &Path) {
    let input = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if let Err(failure) = catch_unwind(AssertUnwindSafe(|| (target.run)(&input))) {
        let (name, path) = (target.name, path.display());
        eprintln!(
            "run it again: WIGWAG_FUZZ={name} WIGWAG_INPUT={path} cargo test -p wigwag-fuzz --test corpus replay"
        );
        resume_unwind(failure);
    }
}

#[test]
fn every_saved_input_of_every_parser() {
    for target in TARGETS.into_iter().filter(|target| target.name != "session") {
        inputs(target).iter().for_each(|path| run(target, path));
    }
}

#[test]
fn every_saved_session() {
    let target = Target::named("session").unwrap();
    inputs(target).iter().for_each(|path| run(target, path));
}

/// All of them, not only those that say so.
#[test]
fn the_same_schedule_puts_the_same_bytes_on_the_wire() {
    for path in inputs(Target::named("session").unwrap()) {
        let input = fs::read(&path).unwrap();
        assert_eq!(session::play(&input), session::play(&input), "{}", path.display());
    }
}

/// The input that `WIGWAG_INPUT` names (a file, or a folder of them), for the target that `WIGWAG_FUZZ` names.
#[test]
fn replay() {
    let Some(path) = std::env::var_os("WIGWAG_INPUT").map(PathBuf::from) else { return };
    let name = std::env::var("WIGWAG_FUZZ").expect("WIGWAG_FUZZ names the target");
    let target = Target::named(&name).expect("WIGWAG_FUZZ names a target");
    // `cargo test` changes to the folder of the crate.
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    match path.is_dir() {
        true => fs::read_dir(&path).unwrap().for_each(|entry| run(target, &entry.unwrap().path())),
        false => run(target, &path),
    }
}

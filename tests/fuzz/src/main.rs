//! The targets, driven by LLVM's libFuzzer: `WIGWAG_FUZZ` names the target, the arguments are libFuzzer's own.
#![no_main]
#![allow(unsafe_code)] // One call of C's `atexit`.

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use wigwag_fuzz::{TARGETS, Target, steps};

static TARGET: OnceLock<Target> = OnceLock::new();

unsafe extern "C" {
    fn atexit(then: extern "C" fn()) -> i32;
}

/// libFuzzer ends the process itself; its own statistics do not know steps.
extern "C" fn say_steps() {
    eprintln!("stat::steps: {}", steps());
}

fn target() -> Target {
    let name = std::env::var("WIGWAG_FUZZ").unwrap_or_default();
    Target::named(&name).unwrap_or_else(|| {
        let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
        eprintln!("WIGWAG_FUZZ={name:?} is no target; there are {names:?}");
        std::process::exit(2)
    })
}

fuzz_target!(
    init: {
        // SAFETY: the function is there as long as the process.
        unsafe { atexit(say_steps) };
        TARGET.set(target()).ok();
    },
    |data: &[u8]| {
        let target = TARGET.get_or_init(target);
        (target.run)(data);
    }
);

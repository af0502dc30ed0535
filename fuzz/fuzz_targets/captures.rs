//! The fuzz target [`flowsieve_fuzz::captures`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| flowsieve_fuzz::captures(data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    flowsieve_fuzz::replay(flowsieve_fuzz::captures)
}

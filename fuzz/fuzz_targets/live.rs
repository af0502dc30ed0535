//! The fuzz target [`flowsieve_fuzz::live`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| flowsieve_fuzz::live(data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    flowsieve_fuzz::replay(flowsieve_fuzz::live)
}

//! The fuzz target [`flowsieve_fuzz::table_ops`].

#![cfg_attr(fuzzing, no_main)]

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|data: &[u8]| flowsieve_fuzz::table_ops(data));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    flowsieve_fuzz::replay(flowsieve_fuzz::table_ops)
}

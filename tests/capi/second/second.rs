//! Another static library of Rust: allocates, starts a thread, panics, and catches the panic.

use std::{panic, thread};

/// The item at the index, of three; -1 for none.
#[unsafe(no_mangle)]
pub extern "C" fn second_item(index: usize) -> i32 {
    panic::set_hook(Box::new(|_| {}));
    let items = vec![10, 20, 30];
    let thread = thread::spawn(move || panic::catch_unwind(|| items[index]));
    thread.join().ok().and_then(Result::ok).unwrap_or(-1)
}

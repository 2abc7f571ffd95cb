//! Fuzzes `syncferry_tests::fuzz::msi`.
#![no_main]

libfuzzer_sys::fuzz_target!(
    // The reader catches the panics of its library. libFuzzer's hook ends the process before that; without it, only a
    // panic that comes out ends the process.
    init: drop(std::panic::take_hook()),
    |bytes: &[u8]| {
        syncferry_tests::fuzz::msi::read(bytes);
    }
);

//! Fuzzes `syncferry_tests::fuzz::event`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::event::read(bytes);
});

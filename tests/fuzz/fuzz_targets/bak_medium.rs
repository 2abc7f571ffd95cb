//! Fuzzes `syncferry_tests::fuzz::bak_medium`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::bak_medium::read(bytes);
});

//! Fuzzes `syncferry_tests::fuzz::journal`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::journal::read(bytes);
});

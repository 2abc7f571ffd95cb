//! Fuzzes `syncferry_tests::fuzz::bak_header`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::bak_header::read(bytes);
});

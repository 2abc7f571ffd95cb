//! Fuzzes `syncferry_tests::fuzz::manifest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::manifest::read(bytes);
});

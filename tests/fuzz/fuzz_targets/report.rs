//! Fuzzes `syncferry_tests::fuzz::report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::report::read(bytes);
});

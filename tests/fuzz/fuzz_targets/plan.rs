//! Fuzzes `syncferry_tests::fuzz::plan`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::plan::read(bytes);
});

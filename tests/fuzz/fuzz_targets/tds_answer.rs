//! Fuzzes `syncferry_tests::fuzz::tds_answer`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::tds_answer::read(bytes);
});

//! Fuzzes `syncferry_tests::fuzz::job_spec`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    syncferry_tests::fuzz::job_spec::read(bytes);
});

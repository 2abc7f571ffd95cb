//! Stands where the wizard would: a window that nobody sees. It stays until it is ended.

fn main() {
    std::thread::sleep(std::time::Duration::from_secs(3600));
}

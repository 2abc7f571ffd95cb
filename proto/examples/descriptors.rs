//! Writes the wire's description, to be kept with a release: `cargo run -p syncferry-proto --example descriptors FILE`.

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os()
        .nth(1)
        .ok_or("name the file, for example proto/previous/0.2.0/wire.binpb")?;
    let mut set = prost_types::FileDescriptorSet::decode(syncferry_proto::DESCRIPTORS)?;
    for file in &mut set.file {
        // Comments and lines are not on the wire.
        file.source_code_info = None;
    }
    std::fs::write(path, set.encode_to_vec())?;
    Ok(())
}

//! Writes the generated files of `event-schemas/`, before the server can: `cargo run -p catalogue --example gen`.

use std::path::Path;

fn main() -> Result<(), catalogue::ArtefactError> {
    for path in catalogue::write(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))? {
        println!("{}", path.display());
    }
    Ok(())
}

//! A process whose clock jumps, by Debian's libfaketime.

use super::{Done, Injector, blocking};
use anyhow::Result;
use std::fs;
use std::time::Duration;

impl Injector {
    /// Starts a copy with a clock of its own, which jumps an hour ahead, then an hour back, while it works; then starts it
    /// without.
    pub async fn jump_clock(&self, target: &str, lasts: Duration, done: &mut Done) -> Result<()> {
        let library = blocking(local_servers::ensure_faketime)?;
        let copy = self.copy(target, done).await?;
        let clock = self.servers.dirs.root().join(format!("{}.clock", copy.name));
        let jump = |offset: &str| fs::write(&clock, offset);
        jump("+0")?;
        let (library, file) = (library.display().to_string(), clock.display().to_string());
        let environment = [
            ("LD_PRELOAD", library.as_str()),
            ("FAKETIME_TIMESTAMP_FILE", file.as_str()),
            // Read again at once; the library looks every ten seconds otherwise.
            ("FAKETIME_CACHE_DURATION", "1"),
            // A monotonic clock that jumped would be a broken kernel, not a broken clock.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
        ];
        let mut slot = copy.lock().await;
        blocking(|| slot.stop())?;
        copy.spawn(&mut slot, &environment)?;
        copy.ready(&mut slot).await?;
        for offset in ["+1h", "-1h", "+0"] {
            jump(offset)?;
            tokio::time::sleep(lasts / 2).await;
        }
        done.until = Some(self.evidence.now());
        done.note("offsets", vec!["+1h", "-1h", "+0"]);
        blocking(|| slot.stop())?;
        self.start(&copy, &mut slot, &[]).await?;
        done.recovered = Some(self.evidence.now());
        Ok(())
    }
}

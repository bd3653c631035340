//! What the macros refuse.

mod ui;

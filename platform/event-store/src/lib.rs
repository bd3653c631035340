//! Appends events once, in order, and lets readers follow them without gaps.

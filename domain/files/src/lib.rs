//! Folder templates and the folder trees made from them.

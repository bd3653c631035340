//! The words every context may use, and the traits a decision is written against.

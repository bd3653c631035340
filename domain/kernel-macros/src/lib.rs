//! Turns an ordinary enum into a catalogued event or command type.

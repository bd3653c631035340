//! Every aggregate of every context, mounted once.
